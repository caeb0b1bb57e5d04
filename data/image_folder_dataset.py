"""Folders of images: one folder a class, or one flat folder without labels; with train/ and test/ or without."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from data import find_dataroot
from data.base_dataset import BaseDataset
from data.decode import decode_image, is_grey
from data.image_paths import held_out, list_images, natural, read_list
from options import option
from util.types import DataSpec


class ImageFolderDataset(BaseDataset):
    """Images resized to a square, with the name of their folder as label.

    These layouts are read, each with classes or flat:

        root/{train,test,val}/CLASS/*.jpg     val and test stand in for each other
        root/CLASS/*.jpg                      a part is held out: --val_fraction or --val_list
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseDataset.Options):
        image_size: int = option(128, help="height and width of the images, in pixels", min=1)
        channels: Literal["auto", "1", "3"] = option("auto", help="1: grey, 3: RGB, auto: as the files are")
        val_fraction: float = option(
            0.1, help="part of each class that is held out when the data has no test folder", min=0, max=0.9
        )
        val_list: str = option("", help="file that names the held-out images, one a line; instead of val_fraction")

    opt: Options

    def __init__(self, opt: Options) -> None:
        super().__init__(opt)
        root = find_dataroot(opt.dataroot)
        self.folder, split = _phase_folder(root, opt.phase)
        paths = list_images(self.folder)
        train_paths = (
            paths if split == "given" and opt.phase == "train" else list_images(_phase_folder(root, "train")[0])
        )
        classes = find_classes(train_paths)
        if classes:
            paths = [p for p in paths if "/" in p]
            if strangers := sorted({p.split("/")[0] for p in paths} - set(classes)):
                raise ValueError(f"{self.folder} has classes that are not trained: {', '.join(strangers)}")
        if split == "to make":
            paths = self._split(root, paths, classes)
        self.names = paths
        if classes:
            index = {name: i for i, name in enumerate(classes)}
            self.labels = torch.tensor([index[p.split("/")[0]] for p in paths], dtype=torch.int64)
        self.limit()
        nc = int(opt.channels) if opt.channels != "auto" else self._channels()
        self.spec = DataSpec((opt.image_size, opt.image_size), nc, nc, tuple(classes))

    def decode(self, key: str, index: int) -> Tensor:
        return decode_image(str(self.folder / self.names[index]), self.spec.image_size, self.spec.output_nc)

    def fingerprint(self) -> list[str]:
        stats = [(self.folder / name).stat() for name in self.names]
        return [*super().fingerprint(), str(self.folder.resolve()), *(f"{s.st_size} {s.st_mtime_ns}" for s in stats)]

    def _split(self, root: Path, paths: list[str], classes: list[str]) -> list[str]:
        """Return the part of ``paths`` that belongs to this phase."""
        if self.opt.val_list:
            out = read_list(Path(self.opt.val_list), root, paths)
        else:
            groups = [[p for p in paths if p.startswith(f"{c}/")] for c in classes] or [paths]
            out = set().union(*(held_out(group, self.opt.val_fraction) for group in groups))
        return [p for p in paths if (p in out) == (self.opt.phase != "train")]

    def _channels(self) -> int:
        """Return 1 when a hundred files from all over the list are grey, else 3."""
        step = max(1, len(self.names) // 100)
        return 1 if self.names and all(is_grey(str(self.folder / n)) for n in self.names[::step]) else 3


def find_classes(paths: list[str]) -> list[str]:
    """Return the class names, the first folder of each path, in natural order; [] when most images lie in none."""
    inside = [p for p in paths if "/" in p]
    if 2 * len(inside) < len(paths) or not inside:
        return []
    if len(inside) < len(paths):
        loose = next(p for p in paths if "/" not in p)
        print(f"skipped {len(paths) - len(inside)} images that lie in no class folder, such as {loose}")
    return sorted({p.split("/")[0] for p in inside}, key=natural)


def _phase_folder(root: Path, phase: str) -> tuple[Path, Literal["given", "to make"]]:
    """Return the folder in which to look for ``phase``, and whether a split is still to be made there."""
    if not (root / "train").is_dir():
        return root, "to make"
    if phase == "train":
        return root / "train", "given" if any((root / p).is_dir() for p in ("val", "test")) else "to make"
    for name in (phase, "test" if phase == "val" else "val"):
        if (root / name).is_dir():
            return root / name, "given"
    return root / "train", "to make"
