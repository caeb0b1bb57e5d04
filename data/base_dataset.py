"""The interface of every data set."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data.files.dataroot import index_folder
from data.files.image_paths import Files, Survey
from data.files.shard_files import ShardFiles
from data.files.shards import Members, Shards, read_shards
from data.transforms import MIDDLE, crop, to_float
from options import option
from util.files import composed
from util.member import ImageFile
from util.open_image import MAX_PIXELS, allow_pixels
from util.spread import spread
from util.types import DataSpec


def no_limit(text: str) -> str:
    """Read inf, which other projects have as no limit, as 0."""
    return "0" if text.lower().lstrip("+.") in ("inf", "infinity") else text


class BaseDataset(Dataset[dict[str, Any]], ABC):
    """A map from index to one sample.

    A subclass fills ``names`` (and ``labels``), sets ``spec``, decodes and names its files; caching, batches, crops,
    flips and workers are the loader's business.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options:
        """Options of every data set; a subclass adds its own and redeclares those it wants otherwise."""

        dataroot: str = option(help="folder that holds the data, or the name of one in datasets/", resume="free")
        phase: Literal["train", "val", "test"] = option("train", help="which part of the data")
        max_dataset_size: int = option(
            0, help="use at most this many samples, evenly spaced; 0 or inf: no limit", min=0, read=no_limit
        )
        max_pixels: int = option(
            MAX_PIXELS,
            help="refuse images of more pixels than this, since a small file may unpack to all of the memory",
            min=1,
        )
        flip: bool = option(False, help="mirror images at random")
        serial_batches: bool = option(False, help="take samples in name order instead of at random")
        shuffle: Literal["full", "blocks"] = option(
            "full",
            help="full: all samples at random; blocks: from a few places of the shards at a time, for slow storage",
        )

        def like(self, spec: DataSpec) -> Self:
            """Return these options with what was recognized in training instead of what would be in other data."""
            return self

        def uncut(self) -> Self:
            """Return these options for images that are measured or shown: nothing of them is cut off."""
            return self

    keys: ClassVar[tuple[str, ...]] = ("image",)  # the images that are decoded for a sample: ("image",) or ("A", "B")
    paired: ClassVar[bool] = True  # whether image i of each key belongs to sample i; False: see unaligned_dataset.py

    def __init__(self, opt: Options) -> None:
        self.opt = opt
        allow_pixels(opt.max_pixels)
        self.names: list[str] = []  # what each sample is called: a path relative to the data, without "..".
        self.labels: Tensor | None = None  # int64 (N,), or None when the data has no labels
        self.crop_size = 0  # side of the square that the loader cuts out of what is decoded; 0: it stays whole
        self.spec: DataSpec
        self.value_ranges: dict[str, tuple[float, ...]] = {}  # key -> the numbers that are black and white, (): all
        self.read: list[Path] = []  # the folders, or files, that the images come from
        self.left_out: dict[str, list[str]] = {}  # reason -> what was found there and is no image of this data set
        self.num_held_out = 0  # images of other phases among what was found there
        self.links: list[str] = []  # linked folders that were followed
        self.num_shards = 0  # tars that the images come from

    @property
    def dtype(self) -> torch.dtype:
        """What ``decode`` returns: uint8, int16 (16-bit values less 32768) or float32 (in [-1, 1])."""
        return {8: torch.uint8, 16: torch.int16, 32: torch.float32}[self.spec.bit_depth]

    @abstractmethod
    def decode(self, key: str, index: int) -> Tensor:
        """Return image ``index`` of ``key`` as ``dtype`` (C, H, W), without anything random.

        Raises:
            BadImageError: the file is damaged.
        """

    def whole(self, key: str) -> np.ndarray | None:
        """Return what ``decode`` gives for all images, in order, as (N, C, H, W), where that lies ready; else None."""
        return None

    @abstractmethod
    def files(self) -> Sequence[Path]:
        """Return the files that ``decode`` reads: decoded images are thrown away when one of them changes."""

    def shape(self, key: str, index: int) -> tuple[int, int, int]:
        """Return (C, H, W) of what ``decode`` returns, without decoding; as ``spec`` says unless overridden.

        Raises:
            BadImageError: the file is damaged.
        """
        return self.spec.input_nc if key == "A" else self.spec.output_nc, *self.spec.image_size

    def image_files(self, key: str) -> Sequence[ImageFile]:
        """Return the file of each image of ``key``; [] where images have no files of their own."""
        files = self.files()
        return files if len(files) == len(self.names) else []

    def shards(self) -> np.ndarray | None:
        """Return the number of the shard that each sample lies in, int64 (N,); None where there are no shards."""
        files = self.image_files(self.keys[0])
        return files.places[:, 0] if isinstance(files, Members) and len(files) == len(self) else None

    def take(self, folder: Path, found: Survey) -> list[str]:
        """Return the images that were found in ``folder``; note the rest."""
        self.read.append(folder)
        self.links += found.links
        for reason, names in found.left_out.items():
            self.leave_out(reason, names)
        return found.names

    def read_shards(self, found: ShardFiles) -> Shards:
        """Return what is in tars; note what of it is of no use."""
        shards = read_shards(found.tars, index_folder())
        self.read.append(found.tars[0].parent)
        self.num_shards = len(found.tars)
        for reason, names in shards.left_out.items():
            self.leave_out(reason, names)
        return shards

    def leave_out(self, reason: str, names: Sequence[str]) -> None:
        """Note that files are not used, to be told before training."""
        if names:
            self.left_out.setdefault(reason, []).extend(names)

    def range_flag(self, key: str) -> str:
        """Return the option that sets ``value_ranges`` of ``key``."""
        return "value_range"

    def image_names(self, key: str) -> list[str]:
        """Return what each image of ``key`` is called."""
        return self.names

    def all_names(self) -> dict[str, Sequence[str]]:
        """Return what the images are called: of each key on its own, where these are not paired."""
        return {key: self.image_names(key) for key in (self.keys[:1] if self.paired else self.keys)}

    def pick(self, key: str, indices: np.ndarray, draw: tuple[int, ...] | None) -> np.ndarray:
        """Return which image of ``key`` each of the samples ``indices`` (N,) shows, int64 (N,).

        Args:
            key: one of ``keys``.
            indices: samples.
            draw: the numbers, such as (seed, epoch), that a random choice follows from; None: nothing is random.
        """
        return indices

    def finish(self, images: dict[str, Tensor]) -> dict[str, Tensor]:
        """Turn float images (..., C, H, W) in [-1, 1] of ``keys`` into what a sample holds, on their device."""
        return images

    def fingerprint(self) -> list[str]:
        """Return texts that change whenever what ``decode`` returns may change; the disk cache goes by them."""
        files = self.files()
        recognized = self.opt.like(self.spec)  # the same whether it was recognized here, or in training
        states = map(_state, files.texts() if isinstance(files, Files) else map(str, files))
        return [type(self).__name__, repr(recognized), repr(self.spec), digest(self.names), digest(states)]

    def keep(self, indices: Sequence[int]) -> None:
        """Keep these samples only, in this order."""
        self.names = [self.names[i] for i in indices]
        if self.labels is not None:
            self.labels = self.labels[torch.as_tensor(indices, dtype=torch.int64)]

    def keep_images(self, key: str, indices: Sequence[int]) -> None:
        """Keep these images of ``key`` only; where keys are paired, with all that belongs to their samples."""
        self.keep(indices)

    def relabel(self, classes: Sequence[str]) -> None:
        """Number the labels as ``classes`` are numbered, which a model was trained with.

        Raises:
            ValueError: the data has no labels, or classes that are not among these.
        """
        known, own = ", ".join(classes), self.spec.classes
        if self.labels is None:
            raise ValueError(f"--dataroot {self.opt.dataroot} has no class folders; the model was trained on {known}")
        numbers = {composed(name): i for i, name in enumerate(classes)}
        if strangers := [name for name in own if composed(name) not in numbers]:
            raise ValueError(f"--dataroot {self.opt.dataroot} has the class {strangers[0]}; the model knows {known}")
        self.labels = torch.tensor([numbers[composed(name)] for name in own])[self.labels]
        self.spec = self.spec._replace(classes=tuple(classes))

    def limit(self) -> None:
        """Apply ``--max_dataset_size``: samples from all over the list, of each class in proportion."""
        size = self.opt.max_dataset_size
        if 0 < size < len(self):
            by_class = np.arange(len(self)) if self.labels is None else np.argsort(self.labels.numpy(), kind="stable")
            self.keep(np.sort(by_class[spread(len(self), size)]).tolist())

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return one sample, without anything random: float images (C, H, W) in [-1, 1], label and path."""
        images = {}
        for key in self.keys:
            (row,) = self.pick(key, np.array([index]), None).tolist()
            images[key] = to_float(crop(self.decode(key, row), self.crop_size, MIDDLE))
        sample: dict[str, Any] = self.finish(images)
        if self.labels is not None:
            sample["label"] = self.labels[index]
        return sample | {"path": self.names[index]}


def digest(texts: Iterable[str]) -> str:
    """Return a hash of ``texts``, which may be very many."""
    whole = hashlib.sha256()
    for text in texts:
        whole.update(f"{text}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def _state(file: str) -> str:
    """Return a text that changes when a file does."""
    state = os.stat(file)  # noqa: PTH116  much faster than a Path each
    return f"{os.path.abspath(file)} {state.st_size} {state.st_mtime_ns}"  # noqa: PTH100
