"""The MNIST family: grey images and labels in idx files, packed or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from data import find_dataroot
from data.base_dataset import BaseDataset
from data.files.decode import to_tensor
from data.files.idx_files import PREFIXES, find_idx_files, read_idx
from options import option
from util.types import DataSpec

FASHION = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


class IdxDataset(BaseDataset):
    """MNIST, Fashion-MNIST and others of that format; val and test are the t10k files."""

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseDataset.Options):
        image_size: int = option(28, help="height and width of the images, in pixels", min=1)
        class_names: tuple[str, ...] = option((), help="names of the classes; empty: the numbers, or Fashion-MNIST's")

    opt: Options

    def __init__(self, opt: Options) -> None:
        super().__init__(opt)
        root = find_dataroot(opt.dataroot)
        files = find_idx_files(root).get(PREFIXES[opt.phase], {})
        for kind in ("images", "labels"):
            if kind not in files:
                raise FileNotFoundError(f"{root} has no {PREFIXES[opt.phase]}-{kind}-idx?-ubyte file, packed or not")
        self.file, self.labels_file = files["images"], files["labels"]
        self.read = [self.file]
        images, labels = read_idx(self.file), read_idx(files["labels"])
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise ValueError(f"{files['images']} {images.shape} and {files['labels']} {labels.shape} do not fit")
        self.images: np.ndarray = images
        self.rows = list(range(len(images)))  # which of the file's images each sample is
        self.names = [f"{i:05d}.png" for i in self.rows]
        self.labels = torch.from_numpy(labels.astype(np.int64))
        fashion = FASHION if "fashion" in str(files["images"].resolve()).lower() else ()
        largest = int(labels.max(initial=0))
        classes = opt.class_names or fashion or tuple(str(i) for i in range(largest + 1))
        if len(classes) <= largest:
            raise ValueError(f"--class_names names {len(classes)} classes, but the data has label {largest}")
        self.limit()
        self.spec = DataSpec((opt.image_size, opt.image_size), 1, 1, classes)

    def keep(self, indices: Sequence[int]) -> None:
        super().keep(indices)
        self.rows = [self.rows[i] for i in indices]

    def files(self) -> list[Path]:
        return [self.file, self.labels_file]

    def decode(self, key: str, index: int) -> Tensor:
        image = self.images[self.rows[index]]
        if image.shape == self.spec.image_size:
            return torch.from_numpy(image[None].copy())
        resized = Image.fromarray(image).resize(self.spec.image_size[::-1], Image.Resampling.BICUBIC)
        return to_tensor(resized)

    def whole(self, key: str) -> np.ndarray | None:
        if self.images.shape[1:] != self.spec.image_size:
            return None
        is_all = np.array_equal(self.rows, np.arange(len(self.images)))  # then nothing need be copied
        return (self.images if is_all else self.images[self.rows])[:, None]
