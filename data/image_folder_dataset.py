"""Folders of images: one folder a class, or one flat folder without labels; with train/ and test/ or without."""

import contextlib
import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

from data import find_dataroot
from data.base_dataset import BaseDataset
from data.files.decode import BadImageError, is_grey
from data.files.header import Header
from data.files.image_paths import NO_IMAGE, Files, has_images, held_out, list_images, natural, read_list, survey
from data.files.phases import PHASES, SIDES, is_of_a_phase, phase_folder, phase_of, phase_within
from data.files.pixels import read_header, read_resized
from data.files.ranges import LOOKED_AT, ask_for_range, check, resolve
from data.files.shard_files import ShardFiles, find_shards
from data.files.shards import Members
from options import option
from util.console import warn
from util.files import composed
from util.member import ImageFile
from util.spread import spread
from util.types import DataSpec


class ImageFolderDataset(BaseDataset):
    """Images squashed or cropped to a square, with the name of their folder as label.

    These layouts are read, each with classes or flat:

        root/{train,test,val}/CLASS/*.jpg     val and test stand in for each other
        root/CLASS/{train,test,val}/*.jpg     the same
        root/CLASS/*.jpg                      a part is held out: --val_fraction or --val_list
        root/{train,test,val}/*.tar           shards, their labels in .cls members; also root/train-000.tar ...
        root/*.tar                            a part is held out

    ``phases.NAMES`` says what else phases may be called; their folders are never classes.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseDataset.Options):
        image_size: int = option(128, help="height and width of the images, in pixels", min=1)
        fit: Literal["squash", "crop"] = option(
            "squash", help="how to make images square: squash the whole image, or crop its middle"
        )
        channels: Literal["auto", "1", "3"] = option("auto", help="1: grey, 3: RGB, auto: as in the files")
        value_range: tuple[float | Literal["auto"], ...] = option(
            (), help="LO,HI: the numbers in the files that become black and white; auto: estimated from a sample"
        )
        val_fraction: float = option(
            0.1, help="fraction of each class to hold out when the data has no test folder", min=0, max=0.9
        )
        val_list: str = option(
            "", help="file with the names of the held-out images, one per line; replaces --val_fraction"
        )

        def like(self, spec: DataSpec) -> Self:
            limits = spec.value_range if self.value_range == ("auto",) else self.value_range
            return replace(self, channels="1" if spec.output_nc == 1 else "3", value_range=limits)

        def __post_init__(self) -> None:
            check("value_range", self.value_range)

    opt: Options
    images: Files | Members

    def __init__(self, opt: Options) -> None:
        super().__init__(opt)
        root = find_dataroot(opt.dataroot)
        if shards := find_shards(opt.dataroot, root, opt.phase):
            classes = self._take_shards(root, shards)
        else:
            classes = self._take_folders(root)
        self.limit()
        nc = int(opt.channels) if opt.channels != "auto" else self._channels()
        limits = resolve("value_range", opt.value_range, self.images)
        ask_for_range("value_range", limits, self._headers())
        self.value_ranges = {"image": limits}
        size = opt.image_size, opt.image_size
        self.spec = DataSpec(size, nc, nc, tuple(classes), value_range=limits, value_range_A=limits)

    def _take_folders(self, root: Path) -> Sequence[str]:
        """Set ``images``, ``names`` and ``labels`` by what lies in folders; return the classes."""
        opt = self.opt
        self.folder, split = _phase_folder(root, opt.phase)
        train_folder = self.folder if opt.phase == "train" else _train_folder(root) or self.folder
        paths = self.take(self.folder, survey(self.folder))
        classes = find_classes(paths if self.folder == train_folder else list_images(train_folder))
        _check_no_phases(root, train_folder, classes)
        if classes:
            self.leave_out("in no class folder", [p for p in paths if "/" not in p])
            self.leave_out(NO_IMAGE, empty_folders(self.folder, paths, self.links))
            paths = [p for p in paths if "/" in p]
            if strangers := sorted({class_of(p) for p in paths} - set(classes)):
                raise ValueError(f"{self.folder} has classes that are not trained: {', '.join(strangers)}")
        num = len(paths)
        if split == "to make" and classes and (parts := _inner_phases(paths, opt.phase)) is not None:
            paths, split = parts, "given"
        if split == "to make":
            groups = [class_of(path) if classes else "" for path in paths]
            paths = [paths[i] for i in self._split(root, paths, groups)]
        elif opt.val_list:
            raise ValueError(f"--val_list {opt.val_list}: {root} has its own test or val folder; use only one of them")
        self.num_held_out = num - len(paths)
        self.names, self.images = paths, Files(self.folder, paths)
        if classes:
            index = {name: i for i, name in enumerate(classes)}
            self.labels = torch.tensor([index[class_of(p)] for p in paths], dtype=torch.int64)
        return classes

    def _take_shards(self, root: Path, shards: ShardFiles) -> Sequence[str]:
        """Set ``images``, ``names`` and ``labels`` by what is in tars; return the classes."""
        found, labels, classes, left_out = self.read_shards(shards).labelled()
        for reason, names in left_out.items():
            self.leave_out(reason, names)
        kept = np.arange(len(found))
        if shards.is_all and shards.phase in ("", "train"):  # and not those that stand in for another phase
            groups = [""] * len(found) if labels is None else labels.tolist()
            kept = np.array(self._split(root, found.names, groups), np.int64)
        elif self.opt.val_list:
            raise ValueError(f"--val_list {self.opt.val_list}: {root} has its own shards to test on; use one of them")
        self.num_held_out = len(found) - len(kept)
        self.images = found.only(kept.tolist())
        self.names = self.images.names
        if labels is not None:
            self.labels = torch.from_numpy(labels[kept])
        return classes

    def decode(self, key: str, index: int) -> Tensor:
        path, size, nc = self.images[index], self.spec.image_size, self.spec.output_nc
        pixels = read_resized(path, size, nc, self.opt.fit, self.spec.value_range)
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))

    def files(self) -> Sequence[Path]:
        return self.images.on_disk()

    def image_files(self, key: str) -> Sequence[ImageFile]:
        return self.images

    def keep(self, indices: Sequence[int]) -> None:
        super().keep(indices)
        self.images = self.images.only(indices)

    def _split(self, root: Path, paths: list[str], groups: Sequence[Hashable]) -> list[int]:
        """Return which of ``paths`` belong to this phase; a part of each group is held out."""
        if self.opt.val_list:
            out = read_list(Path(self.opt.val_list), root, paths)
        else:
            members: dict[Hashable, list[str]] = {}
            for path, group in zip(paths, groups, strict=True):
                members.setdefault(group, []).append(path)
            out = set().union(*(held_out(some, self.opt.val_fraction) for some in members.values()))
        return [i for i, path in enumerate(paths) if (path in out) == (self.opt.phase != "train")]

    def _headers(self) -> dict[ImageFile, Header]:
        """Return the headers of a few files of those kinds that may hold numbers of any size."""
        deep = self.images.only([i for i, n in enumerate(self.names) if n.lower().endswith((".tif", ".tiff"))])
        headers = {}
        for i in spread(len(deep), LOOKED_AT) if deep else ():
            with contextlib.suppress(BadImageError):
                headers[deep[i]] = read_header(deep[i])
        return headers

    def _channels(self) -> int:
        """Return 1 when a thousand files from all over the list, as far as they can be read, are grey, else 3."""
        answers = [is_grey(self.images[i]) for i in spread(len(self.names), 1000)]
        return 1 if True in answers and False not in answers else 3


def find_classes(paths: list[str]) -> list[str]:
    """Return the class names, the first folder of each path, in natural order; [] when most images lie in none."""
    inside = [p for p in paths if "/" in p]
    if 2 * len(inside) < len(paths) or not inside:
        if inside:
            print(f"no classes: most of the images lie in no folder, unlike {inside[0]}")
        return []
    if len(inside) < len(paths):
        loose = next(p for p in paths if "/" not in p)
        print(f"skipped {len(paths) - len(inside)} images that lie in no class folder, such as {loose}")
    return sorted(set(map(class_of, inside)), key=natural)


def class_of(path: str) -> str:
    """Return the class of an image in a class folder; names that are written with other accents alone are one."""
    name = path.partition("/")[0]
    return name if name.isascii() else composed(name)


def empty_folders(folder: Path, paths: list[str], others: list[str]) -> list[str]:
    """Return the folders in ``folder`` that hold none of ``paths`` and ``others``: classes, they may be meant to be."""
    known = {path.partition("/")[0] for path in (*paths, *others)}
    with os.scandir(folder) as listing:
        return sorted(f"{e.name}/" for e in listing if e.name not in known and e.name[0] != "." and e.is_dir())


def _phase_folder(root: Path, phase: str) -> tuple[Path, Literal["given", "to make"]]:
    """Return the folder in which to look for ``phase``, and whether a split is still to be made there.

    Raises:
        ValueError: there are folders of other phases, but none to train on.
    """
    train, others = _train_folder(root), [phase_folder(root, p) for p in ("val", "test")]
    if not train and phase == "train" and any(others):
        other = next(f.name for f in others if f)
        raise ValueError(
            f"--dataroot {root} has {other}/ but no train/: put the training images into {root}/train "
            f"(or, if {other} is a class, all class folders)"
        )
    if phase == "train" and train:
        _warn_of_siblings(root, train)
        return train, "given" if any(others) else "to make"
    for name in PHASES[phase]:
        if phase != "train" and (folder := phase_folder(root, name)):
            return folder, "given"
    return train or root, "to make"


def _train_folder(root: Path) -> Path | None:
    return phase_folder(root, "train")


def _warn_of_siblings(root: Path, train: Path) -> None:
    """Warn when beside the training images lie folders of images that are no phase: train may be a class."""
    folders = [f for f in sorted(root.iterdir()) if f.is_dir() and not f.name.startswith(".")]
    others = [f.name for f in folders if not is_of_a_phase(f.name) and f.name not in SIDES and has_images(f)]
    if others:
        warn(
            f"{root}: {train.name}/ is read as the training images, so {', '.join(f'{n}/' for n in others[:5])} beside "
            f"it is not read (if {train.name} is a class, put all class folders into {root}/train)"
        )


def _check_no_phases(root: Path, folder: Path, classes: list[str]) -> None:
    """Warn of a class that is named as phases are; raise ValueError when all are, or two are but for other words."""
    phases = [name for name in classes if phase_of(name)]
    if phases and len(phases) == len(classes):
        raise ValueError(
            f"--dataroot {root}: {', '.join(phases)} in {folder} are named after phases, so they are no classes: "
            "give the folder that they lie in"
        )
    parts: dict[str, dict[str, str]] = {}  # a name without its phase -> phase -> the name
    for name in classes:
        phase, rest = phase_within(name)
        parts.setdefault(rest, {}).setdefault(phase, name)
    for same in parts.values():
        named = [name for phase, name in same.items() if phase]
        if "train" in same and len(named) > 1:
            raise ValueError(
                f"--dataroot {root}: {' and '.join(named)} in {folder} differ in the name of a phase alone, so they "
                f"are no classes: call them {' and '.join(f'{phase}/' for phase in same if phase)}"
            )
    if phases:
        warn(f"the class {phases[0]} in {folder} is named after a phase: it is read as a class")


def _inner_phases(paths: list[str], phase: str) -> list[str] | None:
    """Return those of ``paths`` that lie in CLASS/<phase>/; None when not every class has folders of phases alone."""
    found = [phase_of(path.split("/")[1]) if path.count("/") > 1 else "" for path in paths]
    if not all(found) or "train" not in found:
        return None
    if phase != "train" and not {"val", "test"} & set(found):
        return None
    wanted = next((p for p in PHASES[phase] if p in found), phase)
    return [path for path, p in zip(paths, found, strict=True) if p == wanted]
