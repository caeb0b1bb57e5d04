"""The interface of every data set."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data.transforms import to_float
from options import option
from util.types import DataSpec


class BaseDataset(Dataset[dict[str, Any]], ABC):
    """A map from index to one sample.

    A subclass fills ``names`` (and ``labels``), sets ``spec``, decodes and names its files; caching, batches, flips
    and workers are the loader's business.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options:
        """Options of every data set; a subclass adds its own and redeclares those it wants otherwise."""

        dataroot: str = option(help="folder that holds the data, or the name of one in datasets/", resume="free")
        phase: Literal["train", "val", "test"] = option("train", help="which part of the data")
        max_dataset_size: int = option(0, help="use so many samples only, spread over all; 0: all", min=0)
        flip: bool = option(False, help="mirror images at random")

    keys: ClassVar[tuple[str, ...]] = ("image",)  # the images of a sample: ("image",) or ("A", "B")

    def __init__(self, opt: Options) -> None:
        self.opt = opt
        self.names: list[str] = []  # what each sample is called: a path relative to the data, without "..".
        self.labels: Tensor | None = None  # int64 (N,), or None when the data has no labels
        self.spec: DataSpec

    @abstractmethod
    def decode(self, key: str, index: int) -> Tensor:
        """Return image ``key`` of a sample as uint8 (C, H, W), without anything random.

        Raises:
            BadImageError: the file is damaged.
        """

    @abstractmethod
    def files(self) -> list[Path]:
        """Return the files that ``decode`` reads: decoded images are thrown away when one of them changes."""

    def fingerprint(self) -> list[str]:
        """Return texts that change whenever what ``decode`` returns may change; the disk cache goes by them."""
        states = [(file.absolute(), file.stat()) for file in self.files()]
        files = [f"{file} {state.st_size} {state.st_mtime_ns}" for file, state in states]
        return [type(self).__name__, repr(self.opt), repr(self.spec), *self.names, *files]

    def keep(self, indices: Sequence[int]) -> None:
        """Keep these samples only, in this order."""
        self.names = [self.names[i] for i in indices]
        if self.labels is not None:
            self.labels = self.labels[torch.as_tensor(indices, dtype=torch.int64)]

    def limit(self) -> None:
        """Apply ``--max_dataset_size``: samples from all over the list, of each class in proportion."""
        size = self.opt.max_dataset_size
        if 0 < size < len(self):
            by_class = np.arange(len(self)) if self.labels is None else np.argsort(self.labels.numpy(), kind="stable")
            spread = np.linspace(0, len(self) - 1, size).round().astype(int)
            self.keep(np.sort(by_class[spread]).tolist())

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return one sample, without anything random: float images (C, H, W) in [-1, 1], label and path."""
        sample: dict[str, Any] = {key: to_float(self.decode(key, index)) for key in self.keys}
        if self.labels is not None:
            sample["label"] = self.labels[index]
        return sample | {"path": self.names[index]}
