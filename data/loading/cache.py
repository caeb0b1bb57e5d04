"""Decode every image once: in parallel, with a progress bar, finding the bad files on the way."""

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from data.base_dataset import BaseDataset, digest
from data.files.decode import BadImageError
from data.loading.cache_file import CacheFile, DiskCache
from data.transforms import MIDDLE, crop, crop_all
from util import distributed

Place = Literal["auto", "gpu", "ram", "disk", "off"]
Groups = dict[str, tuple[str, ...]]  # the first of the keys whose images are bad together -> all of them
Stores = Mapping[str, Tensor | CacheFile]
Problems = dict[str, dict[int, str]]  # the first of such keys -> index of a bad image -> what is wrong with it
MAX_BAD = 0.1  # to train where more than this part of the files is bad is hardly meant
UNREADABLE = "that cannot be read"  # why such files are left out
NAMED = 20  # bad files that are named
PART, PARTS = 16, 200  # images that a thread decodes before it reports, at least; and reports of a large data set
SHARE = 0.25  # of free memory that a cache may take when nobody said where to put it


class Cache:
    """All decoded images of a data set, in memory, on the GPU or in a file; they may be of many shapes."""

    def __init__(self, stores: Stores, shapes: dict[str, np.ndarray], rows: dict[str, Tensor]) -> None:
        """Put what was decoded within reach.

        Args:
            stores: key -> its images one after the other, flat, of the data set's dtype.
            shapes: key -> int64 (N, 3), (C, H, W) of each image in the store.
            rows: key -> int64, where in the store each image of the data set is.
        """
        self.rows = rows
        self.shapes = shapes
        self.ends = {key: s.prod(1).cumsum() for key, s in shapes.items()}
        self.stores = stores
        self.uniform = {key: tuple(s[0].tolist()) if (s == s[0]).all() else None for key, s in shapes.items()}

    @property
    def is_on_gpu(self) -> bool:
        return any(isinstance(store, Tensor) and store.is_cuda for store in self.stores.values())

    def fetch(self, key: str, indices: Tensor, size: int = 0, places: np.ndarray = MIDDLE) -> Tensor:
        """Return images ``indices`` (N,) of ``key`` as (N, C, H, W), in their own dtype, on the cache's device.

        Args:
            key: one of the data set's keys.
            indices: which images.
            size: side of the square to cut out of each; 0: whole images, which must be of one shape.
            places: in [0, 1), (N, 2) or for all alike (2,), where to cut, as in ``transforms.crop``.

        Raises:
            OSError: the file of a disk cache was cut short, or cannot be read.
        """
        store, rows = self.stores[key], self.rows[key]
        rows = indices if len(rows) == len(self.shapes[key]) else rows[indices]  # nothing was dropped: all are in place
        if (shape := self.uniform[key]) is not None:
            if isinstance(store, CacheFile):
                images = store.read((rows * math.prod(shape)).tolist(), shape)
            else:
                images = store.view(-1, *shape).index_select(0, rows.to(store.device, non_blocking=True))
            return crop_all(images, size, places)
        places = np.broadcast_to(places, (len(rows), 2))
        return torch.stack([crop(self._image(key, r), size, at) for r, at in zip(rows.tolist(), places, strict=True)])

    def _image(self, key: str, row: int) -> Tensor:
        store, shape, end = self.stores[key], tuple(self.shapes[key][row].tolist()), int(self.ends[key][row])
        start = end - math.prod(shape)
        return store.read([start], shape)[0] if isinstance(store, CacheFile) else store[start:end].view(shape)


def build_cache(
    dataset: BaseDataset,
    place: Place,
    folder: Path,
    device: torch.device,
    num_threads: int,
    max_bad: float = MAX_BAD,
    shared: bool = False,
    looks: bool = True,
) -> Cache | None:
    """Look at every image once; drop the bad ones from ``dataset``, and keep what was decoded.

    Args:
        dataset: knows the shapes of its images without decoding them.
        place: where to keep the images; "auto" takes the GPU, memory or a file, the first that has room; "off" keeps
            none, and None is returned.
        folder: where ``disk`` puts its file, to be found again by later runs on the same data.
        device: the device that trains.
        num_threads: how many images are decoded at once.
        max_bad: the part of the files that may be bad; one must be good.
        shared: whether all processes want the same images: the first of each machine decodes them, into files that
            the others read.
        looks: whether to look for bad images where none are kept; else only those go whose headers are bad.

    Raises:
        ValueError: more of the files are bad, or an image is not of the shape that was promised.
    """
    groups = groups_of(dataset)
    shapes, bad = _all_shapes(dataset, groups, num_threads)
    if place == "auto":
        num = sum(int(s.prod(1).sum()) for s in shapes.values())
        place = choose_place(num * dataset.dtype.itemsize, device)
    stores: Stores = {}

    def decode(stores: Stores) -> Problems:
        found = _decode_all(dataset, groups, shapes, bad, stores, num_threads)
        _check_bad(dataset, found, max_bad)
        return found

    shared = shared and distributed.world() > 1
    if place == "off" and not looks:
        problems = bad
        _check_bad(dataset, problems, max_bad)
    elif place == "off":
        problems = distributed.from_first(lambda: decode({})) if shared else decode({})
    elif shared or place == "disk":
        numbers = {key: int(s.prod(1).sum()) for key, s in shapes.items()}
        files = DiskCache(folder, digest(dataset.fingerprint())[:16], dataset.dtype, numbers)
        if shared:
            distributed.on_first_here(lambda: files.make_sure(decode, num_threads))
        else:
            files.make_sure(decode, num_threads)
        stores, noted = files.open()
        problems = {key: {int(i): problem for i, problem in found.items()} for key, found in noted.items()}
        _check_bad(dataset, problems, max_bad)
    else:
        stores = {key: torch.empty(int(s.prod(1).sum()), dtype=dataset.dtype) for key, s in shapes.items()}
        problems = decode(stores)
    if place == "gpu":
        stores = {key: _whole(store, shapes[key]).to(device) for key, store in stores.items()}
    rows: dict[str, Tensor] = {}
    for first, keys in groups.items():
        good = [i for i in range(len(shapes[first])) if i not in problems[first]]
        if problems[first]:
            print(f"skipped: {listed(dataset.image_names(first), problems[first])}")
            dataset.leave_out(UNREADABLE, [dataset.image_names(first)[i] for i in problems[first]])
            dataset.keep_images(first, good)
        rows |= dict.fromkeys(keys, torch.tensor(good, dtype=torch.int64))
    return Cache(stores, shapes, rows) if stores else None


def groups_of(dataset: BaseDataset) -> Groups:
    """Return the keys whose images are bad together: all of them where they are paired, else each alone."""
    return {keys[0]: keys for keys in ([dataset.keys] if dataset.paired else [(key,) for key in dataset.keys])}


def _whole(store: Tensor | CacheFile, shapes: np.ndarray) -> Tensor:
    return store.read([0], (int(shapes.prod(1).sum()),))[0] if isinstance(store, CacheFile) else store


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


def _all_shapes(dataset: BaseDataset, groups: Groups, num_threads: int) -> tuple[dict[str, np.ndarray], Problems]:
    """Return the shapes of all images, int64 (N, 3) for each key, and which are bad by their headers already."""
    shapes = {key: np.zeros((len(dataset.image_names(key)), 3), np.int64) for key in dataset.keys}
    bad: Problems = {}
    for first, keys in groups.items():
        if len(keys) == 1 and (ready := dataset.whole(first)) is not None:
            shapes[first][:], bad[first] = ready.shape[1:], {}
            continue

        def look(index: int, keys: tuple[str, ...] = keys) -> None:
            for key in keys:
                shapes[key][index] = dataset.shape(key, index)

        bad[first] = _each(len(shapes[first]), look, num_threads, "looking at images")
        for key in keys if len(bad[first]) < len(shapes[first]) else ():
            good = next(i for i in range(len(shapes[key])) if i not in bad[first])
            shapes[key][list(bad[first])] = shapes[key][good]  # what is bad does not make the others differ
    return shapes, bad


def _decode_all(
    dataset: BaseDataset,
    groups: Groups,
    shapes: dict[str, np.ndarray],
    bad: Problems,
    stores: Stores,
    num_threads: int,
) -> Problems:
    """Decode what is not ``bad`` into ``stores``, or just look when there are none; return all that is bad.

    Raises:
        ValueError: an image is of another shape than ``shapes`` says.
    """
    found: Problems = {}
    for first, keys in groups.items():
        if len(keys) == 1 and (ready := dataset.whole(first)) is not None:
            found[first] = {}
            if stores:
                _put(stores[first], 0, ready)
            continue
        known = bad[first]
        ends = {key: shapes[key].prod(1).cumsum() for key in keys}

        def decode(
            index: int,
            keys: tuple[str, ...] = keys,
            known: dict[int, str] = known,
            ends: dict[str, np.ndarray] = ends,
        ) -> None:
            if index in known:
                return
            for key in keys:
                image = dataset.decode(key, index).numpy()
                if image.shape != (promised := tuple(shapes[key][index].tolist())):
                    name = dataset.image_names(key)[index]
                    raise ValueError(f"{name} decodes to {image.shape}, not to {promised}")
                if stores:
                    _put(stores[key], int(ends[key][index]) - image.size, image)

        looked = _each(len(shapes[first]), decode, num_threads, "reading images")
        found[first] = dict(sorted((known | looked).items()))
    return found


def _put(store: Tensor | CacheFile, start: int, numbers: np.ndarray) -> None:
    if isinstance(store, CacheFile):
        store.write(start, numbers)
    else:
        store.numpy()[start : start + numbers.size] = numbers.reshape(-1)


def _check_bad(dataset: BaseDataset, bad: Problems, max_bad: float) -> None:
    for first, found in bad.items():
        names = dataset.image_names(first)
        if len(found) > max_bad * len(names) or (found and len(found) == len(names)):
            part = "all" if len(found) == len(names) else "more than a tenth"
            raise ValueError(
                f"{listed(names, found)}. That is {part} of {dataset.opt.dataroot}: is this the right folder?"
            )


def _each(num: int, work: Callable[[int], None], num_threads: int, title: str) -> dict[int, str]:
    """Call ``work`` with each number below ``num``, several at once; return what is wrong with those that are bad."""

    def some(indices: range) -> dict[int, str]:
        bad = {}
        for index in indices:
            try:
                work(index)
            except BadImageError as error:
                bad[index] = str(error)
        return bad

    size = max(PART, num // PARTS)
    parts = [range(i, min(i + size, num)) for i in range(0, num, size)]
    bad: dict[int, str] = {}
    pool = ThreadPoolExecutor(max(1, num_threads))
    try:
        with tqdm(total=num, desc=title, unit="img", leave=False, disable=None) as bar:
            for part, found in zip(parts, pool.map(some, parts), strict=True):
                bad |= found
                bar.update(len(part))
    finally:
        pool.shutdown(cancel_futures=True)  # so that Ctrl-C need not wait for all the rest
    return bad


def listed(names: Sequence[str], bad: dict[int, str], num: int = 0) -> str:
    """Return how many files of ``num``, or of all, are bad, and the names of the first."""
    named = [f"{names[i]} ({problem})" for i, problem in bad.items()]
    more = f"; and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return f"{len(bad)} of {num or len(names)} images cannot be read: {'; '.join(named[:NAMED])}{more}"
