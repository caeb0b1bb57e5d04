"""Decode every image once: in parallel, with a progress bar, finding the bad files on the way."""

import contextlib
import hashlib
import json
import math
import os
import time
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
SHOWN = 20  # bad files that are named
PART = 16  # images that a thread decodes before it reports
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
        place: where to keep the images; "auto" takes the GPU, memory or a file, the first that has room; "off" keeps
            none, and None is returned.
        folder: where ``disk`` puts its file, to be found again by later runs on the same data.
        device: the device that trains.
        num_threads: how many images are decoded at once.

    Raises:
        ValueError: more than a tenth of the files are bad, or images differ in shape.
    """
    shapes = {key: _first_shape(dataset, key) for key in dataset.keys}
    num = len(dataset)
    if place == "auto":
        place = choose_place(num * sum(math.prod(s) for s in shapes.values()), device)
    stores: dict[str, Tensor] = {}
    if place == "off":
        bad = _decode_all(dataset, shapes, {}, num_threads)
    elif place == "disk":
        stores, bad = _on_disk(dataset, shapes, folder, num_threads)
    else:
        stores = {key: torch.empty((num, *shape), dtype=torch.uint8) for key, shape in shapes.items()}
        bad = _decode_all(dataset, shapes, {key: store.numpy() for key, store in stores.items()}, num_threads)
        if place == "gpu":
            stores = {key: store.to(device) for key, store in stores.items()}
    good = [i for i in range(num) if i not in bad]
    if bad:
        print(f"skipped: {_listed(dataset, bad)}")
        dataset.keep(good)
    return Cache(stores, torch.tensor(good, dtype=torch.int64)) if stores else None


def choose_place(num_bytes: int, device: torch.device) -> Place:
    """Return where ``num_bytes`` of images fit best: on the GPU, in memory, or in a file."""
    if device.type == "cuda" and num_bytes < SHARE * torch.cuda.mem_get_info(device)[0]:
        return "gpu"
    return "ram" if num_bytes < SHARE * _free_memory() else "disk"


def _free_memory() -> int:
    """Return the bytes of memory that can be had, cached files' among them; 4 GiB when the system does not tell."""
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return int(lines["MemAvailable"].removesuffix("kB")) * 1024
    except (OSError, ValueError, KeyError):
        return 4 * 2**30


def _first_shape(dataset: BaseDataset, key: str) -> tuple[int, ...]:
    """Return the shape of the first image that decodes."""
    for index in range(len(dataset)):
        try:
            return tuple(dataset.decode(key, index).shape)
        except BadImageError:
            continue
    raise ValueError(f"none of the {len(dataset)} files in {dataset.opt.dataroot} is an image that can be read")


def _decode_all(
    dataset: BaseDataset, shapes: dict[str, tuple[int, ...]], stores: dict[str, np.ndarray], num_threads: int
) -> dict[int, str]:
    """Decode everything into ``stores``, or just look when there are none; return what is wrong with the bad samples.

    Raises:
        ValueError: more than a tenth is bad, or an image is of another shape than ``shapes`` says.
    """

    def decode(indices: range) -> dict[int, str]:
        bad = {}
        for index in indices:
            try:
                for key, shape in shapes.items():
                    image = dataset.decode(key, index).numpy()
                    if image.shape != shape:
                        raise ValueError(f"{dataset.names[index]} decodes to {image.shape}, others to {shape}")
                    if stores:
                        stores[key][index] = image
            except BadImageError as error:
                bad[index] = str(error)
        return bad

    num = len(dataset)
    parts = [range(i, min(i + PART, num)) for i in range(0, num, PART)]
    bad: dict[int, str] = {}
    pool = ThreadPoolExecutor(max(1, num_threads))
    try:
        with tqdm(total=num, desc="reading images", unit="img", leave=False, disable=None) as bar:
            for part, found in zip(parts, pool.map(decode, parts), strict=True):
                bad |= found
                bar.update(len(part))
    finally:
        pool.shutdown(cancel_futures=True)  # so that Ctrl-C need not wait for all the rest
    if len(bad) > MAX_BAD * num:
        raise ValueError(f"{_listed(dataset, bad)}. That is more than a tenth: is this the right folder?")
    return bad


def _listed(dataset: BaseDataset, bad: dict[int, str]) -> str:
    """Return how many files are bad, and the names of the first."""
    named = [f"{dataset.names[i]} ({problem})" for i, problem in bad.items()]
    more = f"; and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    return f"{len(bad)} of {len(dataset)} images cannot be read: {'; '.join(named[:SHOWN])}{more}"


def _on_disk(
    dataset: BaseDataset, shapes: dict[str, tuple[int, ...]], folder: Path, num_threads: int
) -> tuple[dict[str, Tensor], dict[int, str]]:
    """Map files of decoded images into memory, which an earlier run may have written; return them and what is bad."""
    digest = hashlib.sha256("\n".join(dataset.fingerprint()).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    files = {key: folder / f"{digest}_{key}.npy" for key in shapes}
    record = folder / f"{digest}.json"  # written last: where it stands, the files are whole
    if not (record.exists() and all(f.exists() for f in files.values())):
        _remove_leftovers(folder)
        bad = _write_files(dataset, shapes, files, num_threads)
        write_text(record, json.dumps(bad))
    # Mapped copy on write: torch wants it writable, and the files stay as they are.
    stores = {key: torch.from_numpy(np.load(file, mmap_mode="c")) for key, file in files.items()}
    return stores, {int(i): problem for i, problem in json.loads(record.read_text()).items()}


def _write_files(
    dataset: BaseDataset, shapes: dict[str, tuple[int, ...]], files: dict[str, Path], num_threads: int
) -> dict[int, str]:
    """Decode into files under temporary names, and name them when all is there; return what is wrong with the bad."""
    unfinished = {key: file.with_suffix(f".{os.getpid()}.tmp") for key, file in files.items()}
    create: Callable[..., np.ndarray] = np.lib.format.open_memmap
    try:
        stores = {k: create(unfinished[k], "w+", np.uint8, (len(dataset), *s)) for k, s in shapes.items()}
        for file in unfinished.values():
            _reserve(file)
        bad = _decode_all(dataset, shapes, stores, num_threads)
        for key, store in stores.items():
            store.flush()  # type: ignore[attr-defined]
            unfinished[key].replace(files[key])
    finally:
        for file in unfinished.values():
            file.unlink(missing_ok=True)
    return bad


def _remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files of processes that were killed: those that nobody wrote to for a day."""
    for file in folder.glob("*.tmp"):
        with contextlib.suppress(OSError):  # another process may be doing the same
            if time.time() - file.stat().st_mtime > 86400:
                file.unlink()


def _reserve(file: Path) -> None:
    """Take the space for all of ``file`` at once; raise OSError when there is too little.

    Without this a full disk would kill the process while it writes through the map.
    """
    if hasattr(os, "posix_fallocate"):
        with file.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
