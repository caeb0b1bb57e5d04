"""Decode every image once: in parallel, with a progress bar, finding the bad files on the way."""

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from data.base_dataset import BaseDataset
from data.decode import BadImageError
from util.files import write_text

Place = Literal["auto", "gpu", "ram", "disk", "off"]
MAX_BAD = 0.1  # more bad files than this part of all is no accident
SHARE = 0.25  # of free memory that a cache may take when nobody said where to put it


class Cache:
    """All decoded images of a data set, uint8 (N, C, H, W) for each key, in memory, on the GPU or in a file."""

    def __init__(self, stores: dict[str, Tensor], rows: Tensor) -> None:
        """Args: stores: key -> images; rows: int64 (len(dataset),), where in the stores each sample lies."""
        self.stores = stores
        self.rows = rows

    def fetch(self, key: str, indices: Tensor) -> Tensor:
        """Return image ``key`` of the samples ``indices`` (N,), uint8 (N, C, H, W), on the cache's device."""
        store = self.stores[key]
        return store.index_select(0, self.rows[indices].to(store.device, non_blocking=True))


def build_cache(
    dataset: BaseDataset, place: Place, folder: Path, device: torch.device, num_threads: int
) -> Cache | None:
    """Look at every image once; drop the bad ones from ``dataset``, and keep what was decoded.

    Args:
        dataset: all of its images of one key must decode to one shape.
        place: where to keep the images; "auto" takes the GPU, memory or a file, the first that has room, "off" none.
        folder: where ``disk`` puts its file, to be found again by later runs on the same data.
        device: the device that trains.
        num_threads: how many images are decoded at once.

    Raises:
        ValueError: more than a tenth of the files are bad, or images differ in shape.
    """
    shapes = {key: _first_shape(dataset, key) for key in dataset.keys}
    if place == "auto":
        place = choose_place(len(dataset) * sum(int(np.prod(s)) for s in shapes.values()), device)
    if place == "disk":
        return _on_disk(dataset, shapes, folder, num_threads)
    num = len(dataset)
    stores = {} if place == "off" else {k: torch.empty((num, *s), dtype=torch.uint8) for k, s in shapes.items()}
    rows = _decode_all(dataset, {k: s.numpy() for k, s in stores.items()}, num_threads)
    if place == "off":
        return None
    if place == "gpu":
        stores = {key: store.to(device) for key, store in stores.items()}
    return Cache(stores, rows)


def choose_place(num_bytes: int, device: torch.device) -> Place:
    """Return where ``num_bytes`` of images fit best: on the GPU, in memory, or in a file."""
    if device.type == "cuda" and num_bytes < SHARE * torch.cuda.mem_get_info(device)[0]:
        return "gpu"
    return "ram" if num_bytes < SHARE * _free_memory() else "disk"


def _free_memory() -> int:
    """Return the bytes of memory that are free, 4 GiB when the system does not tell."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 4 * 2**30


def _first_shape(dataset: BaseDataset, key: str) -> tuple[int, ...]:
    """Return the shape of the first image that decodes."""
    for index in range(len(dataset)):
        try:
            return tuple(dataset.decode(key, index).shape)
        except BadImageError:
            continue
    raise ValueError(f"none of the {len(dataset)} files in {dataset.opt.dataroot} is an image that can be read")


def _decode_all(dataset: BaseDataset, stores: dict[str, np.ndarray], num_threads: int) -> Tensor:
    """Decode everything into ``stores`` (or just look, when empty), and drop the bad samples from ``dataset``.

    Returns int64 (len(dataset),): the places of the samples that remain.
    """

    def decode(index: int) -> str:
        try:
            for key in dataset.keys:
                image = dataset.decode(key, index).numpy()
                if stores and image.shape != stores[key].shape[1:]:
                    raise ValueError(
                        f"{dataset.names[index]} decodes to {image.shape}, others to {stores[key].shape[1:]}"
                    )
                if stores:
                    stores[key][index] = image
        except BadImageError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(max(1, num_threads)) as pool:
        results = pool.map(decode, range(len(dataset)), chunksize=64)
        problems = list(tqdm(results, "reading images", len(dataset), unit="img", leave=False, disable=None))
    return _drop(dataset, {i: problem for i, problem in enumerate(problems) if problem})


def _drop(dataset: BaseDataset, bad: dict[int, str]) -> Tensor:
    """Name and count the bad files and drop them; returns the indices of the others."""
    good = [i for i in range(len(dataset)) if i not in bad]
    if bad:
        named = [f"{dataset.names[i]} ({problem})" for i, problem in bad.items()]
        text = f"{len(bad)} of {len(dataset)} images cannot be read: " + "; ".join(named[:20])
        text += f"; and {len(named) - 20} more" if len(named) > 20 else ""
        if len(bad) > MAX_BAD * len(dataset):
            raise ValueError(f"{text}. That is more than a tenth: is this the right folder?")
        print(f"skipped: {text}")
        dataset.keep(good)
    return torch.tensor(good, dtype=torch.int64)


def _on_disk(dataset: BaseDataset, shapes: dict[str, tuple[int, ...]], folder: Path, num_threads: int) -> Cache:
    """Map files of decoded images into memory, which an earlier run may have written."""
    digest = hashlib.sha256("\n".join(dataset.fingerprint()).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    files = {key: folder / f"{digest}_{key}.npy" for key in shapes}
    record = folder / f"{digest}.json"  # written last: where it stands, the files are whole
    if record.exists() and all(f.exists() for f in files.values()):
        rows = _drop(dataset, {int(i): text for i, text in json.loads(record.read_text())["bad"].items()})
    else:
        rows = _write_files(dataset, shapes, files, record, num_threads)
    stores = {k: torch.from_numpy(np.load(f, mmap_mode="r+")) for k, f in files.items()}  # torch wants it writable
    return Cache(stores, rows)


def _write_files(
    dataset: BaseDataset, shapes: dict[str, tuple[int, ...]], files: dict[str, Path], record: Path, num_threads: int
) -> Tensor:
    """Decode into files under temporary names, and name them when all is there."""
    unfinished = {key: file.with_suffix(f".{os.getpid()}.tmp") for key, file in files.items()}
    problems: dict[int, str] = {}
    create: Callable[..., np.ndarray] = np.lib.format.open_memmap
    num = len(dataset)
    try:
        stores = {k: create(unfinished[k], "w+", np.uint8, (num, *s)) for k, s in shapes.items()}
        names = list(dataset.names)
        rows = _decode_all(dataset, stores, num_threads)
        kept = set(rows.tolist())
        problems = {i: f"{names[i]} was bad" for i in range(num) if i not in kept}
        for key, store in stores.items():
            store.flush()  # type: ignore[attr-defined]
            unfinished[key].replace(files[key])
    finally:
        for file in unfinished.values():
            file.unlink(missing_ok=True)
    write_text(record, json.dumps({"bad": problems}))
    return rows
