"""Data sets: ``--dataset_mode Y`` is the one BaseDataset subclass that ``data/Y_dataset.py`` defines.

Nothing here imports torch before a data set class is asked for, so that a mistyped option answers at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from data.files.dataroot import find_dataroot, meant, recognize
from util.console import warn
from util.registry import check_name, find_class

if TYPE_CHECKING:
    import torch

    from data.base_dataset import BaseDataset
    from data.loading.loader import Loader
    from options.base_options import BaseOptions

__all__ = ["create_dataset", "create_loader", "find_dataroot", "find_dataset", "recognize"]


def find_dataset(name: str) -> type[BaseDataset]:
    """Return the class behind ``--dataset_mode name``; raise LookupError when there is none."""
    check_name("--dataset_mode", "data", name, "_dataset")
    from data.base_dataset import BaseDataset

    return find_class("data", name, "_dataset", BaseDataset)


def create_dataset(name: str, opt: BaseDataset.Options) -> BaseDataset:
    """Open a data set; raise FileNotFoundError when it holds no sample."""
    dataset = find_dataset(name)(replace(opt, dataroot=meant(opt.dataroot, name)))
    if len(dataset) == 0:
        why = [f"{len(names)} {reason}, such as {names[0]}" for reason, names in dataset.left_out.items()]
        left_out = f" (left out: {'; '.join(why)})" if why else ""
        raise FileNotFoundError(f"--dataroot {opt.dataroot} holds no images for --phase {opt.phase}{left_out}")
    if opt.shuffle == "blocks" and dataset.shards() is None:
        warn(f"--shuffle blocks has no effect: the samples of --dataroot {opt.dataroot} lie in no shards")
    return dataset


def create_loader(
    dataset: BaseDataset,
    opt: BaseOptions,
    batch_size: int,
    device: torch.device,
    *,
    trains: bool = True,
    shared: bool = False,
) -> Loader:
    """Decode a data set as ``--cache`` says, dropping files that are bad, and return what yields its batches.

    With ``--cache off`` nothing that is trained on is decoded before it is needed; see ``undecoded``.

    Args:
        dataset: what is read.
        opt: says how it is kept, and the seed.
        batch_size: images at a time.
        device: to which they go.
        trains: whether the images are to be trained on; those that are shown or measured may be mostly bad, and
            fewer than ``batch_size``.
        shared: whether all processes open them, for each to take its part.

    Raises:
        ValueError: too many of the files are bad, or the batch is larger than what is to be trained on.
    """
    from data.loading.cache import MAX_BAD, build_cache
    from data.loading.loader import Loader
    from util import distributed

    cache = build_cache(
        dataset,
        opt.cache,
        opt.cache_dir,
        device,
        opt.num_threads,
        MAX_BAD if trains else 1,
        shared=shared,
        looks=not trains,
    )
    size = batch_size if trains else min(batch_size, len(dataset))
    return Loader(
        dataset,
        cache,
        batch_size=size,
        seed=opt.seed,
        device=device,
        num_threads=opt.num_threads,
        part=distributed.rank() if shared else 0,
        num_parts=distributed.world() if shared else 1,
        stand_ins=trains,
    )
