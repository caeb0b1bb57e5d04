"""Data sets: ``--dataset_mode Y`` is the one BaseDataset subclass that ``data/Y_dataset.py`` defines.

Nothing here imports torch before a data set class is asked for, so that a mistyped option answers at once.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from data.files.archives import is_archive, unpacked
from data.files.image_paths import has_images, list_images
from data.files.pair_folders import READ
from data.files.phases import phase_folder, unwrapped
from util.registry import check_name, did_you_mean, find_class

if TYPE_CHECKING:
    import torch

    from data.base_dataset import BaseDataset
    from data.loading.loader import Loader
    from options.base_options import BaseOptions

DATASETS = Path(__file__).parents[1] / "datasets"
CARD = "card.yaml"  # in a data set's folder: the option values that suit it


def find_dataroot(dataroot: str) -> Path:
    """Return what ``--dataroot`` means: a path if it exists, else a name in datasets/, else one to download.

    An archive is unpacked; a folder that does nothing but wrap another gives way to that.

    Raises:
        OSError: there is no such path or name, or it cannot be downloaded.
        LookupError: its terms forbid a download; the message says how to get it.
        ValueError: what came is not what was expected, or an archive is damaged.
    """
    for path in (Path(dataroot), DATASETS / dataroot):
        if path.exists():
            return unwrapped(unpacked(path, DATASETS / ".cache") if is_archive(path) else path)
    from data.download.catalogue import ENTRIES  # with ssl and more, which few runs need
    from datasets.download import download

    if dataroot in ENTRIES:
        return download(dataroot, DATASETS)
    names = sorted(d.name for d in DATASETS.iterdir() if d.is_dir() and not d.name.startswith((".", "_")))
    near = did_you_mean(Path(dataroot).name, names).replace("(known:", "(in datasets/ there are:")
    raise FileNotFoundError(f"--dataroot {dataroot}: neither a path nor a name in datasets/{near}")


def recognize(dataroot: str) -> tuple[str, Path]:
    """Return the dataset_mode that reads what lies in ``dataroot``, and where its card would be.

    Raises:
        FileNotFoundError: there is no such folder, or nothing in it that a data set class reads.
    """
    from data.files.idx_files import find_idx_files

    root = find_dataroot(dataroot)
    if root.is_file():
        mode = "single"
    elif find_idx_files(root):
        mode = "idx"
    elif phase_folder(root, "train", "A") and phase_folder(root, "train", "B"):
        mode = "unaligned"
    elif _has_pairs(phase_folder(root, "train") or root / "train"):
        mode = "aligned"
    elif has_images(root, READ):
        mode = "image_folder"
    else:
        raise FileNotFoundError(f"--dataroot {dataroot}: no images in {root} and no idx files such as MNIST's")
    return mode, root / CARD


def _has_pairs(folder: Path) -> bool:
    """Say whether all images of a folder, as far as they can be read, are A|B: twice as wide as high; without classes.

    Of many images, a hundred from all over are looked at.
    """
    names = list_images(folder)
    if not names or any("/" in name for name in names):
        return False
    from data.files.decode import BadImageError
    from data.files.pixels import read_header

    shapes = set()
    for name in names[:: max(1, len(names) // 100)]:
        with contextlib.suppress(BadImageError):
            header = read_header(folder / name)
            shapes.add(header.width == 2 * header.height)
    return shapes == {True}


def find_dataset(name: str) -> type[BaseDataset]:
    """Return the class behind ``--dataset_mode name``; raise LookupError when there is none."""
    check_name("--dataset_mode", "data", name, "_dataset")
    from data.base_dataset import BaseDataset

    return find_class("data", name, "_dataset", BaseDataset)


def create_dataset(name: str, opt: BaseDataset.Options) -> BaseDataset:
    """Open a data set; raise FileNotFoundError when it holds no sample."""
    dataset = find_dataset(name)(opt)
    if len(dataset) == 0:
        raise FileNotFoundError(f"--dataroot {opt.dataroot} holds no images for --phase {opt.phase}")
    return dataset


def create_loader(
    dataset: BaseDataset, opt: BaseOptions, batch_size: int, device: torch.device, *, trains: bool = True
) -> Loader:
    """Decode a data set as ``--cache`` says, dropping files that are bad, and return what yields its batches.

    Args:
        dataset: what is read.
        opt: says how it is kept, and the seed.
        batch_size: images at a time.
        device: to which they go.
        trains: whether the images are to be trained on; those that are shown or measured may be mostly bad, and fewer
            than ``batch_size``.

    Raises:
        ValueError: too many of the files are bad, or the batch is larger than what is to be trained on.
    """
    from data.loading.cache import MAX_BAD, build_cache
    from data.loading.loader import Loader

    cache = build_cache(dataset, opt.cache, opt.cache_dir, device, opt.num_threads, MAX_BAD if trains else 1)
    size = batch_size if trains else min(batch_size, len(dataset))
    return Loader(dataset, cache, batch_size=size, seed=opt.seed, device=device, num_threads=opt.num_threads)
