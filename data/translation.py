"""What the data sets for image-to-image translation share: their options, sizes, channels and depths."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from data import find_dataroot
from data.base_dataset import BaseDataset
from data.files.decode import BadImageError
from data.files.header import Header
from data.files.image_paths import Files
from data.files.pair_folders import one_folder, say_stand_in, survey_or_raise
from data.files.phases import PHASES
from data.files.pixels import read_header, read_pixels, resize
from data.files.ranges import Asked, Range, ask_for_range, check, resolve
from data.files.shard_files import ShardFiles, find_shards
from data.files.shards import Members
from data.transforms import HALF_OF_16_BITS
from options import option
from util.member import ImageFile
from util.spread import spread
from util.types import DataSpec

SAMPLED = 100  # files whose headers say how many channels and bits the data has


class TranslationDataset(BaseDataset):
    """Images A to be turned into images B; with ``--direction BtoA``, A is what the files call B.

    What ``--preprocess`` does, with the sizes in pixels:

        resize_and_crop         squash to load_size squared, crop crop_size squared
        crop                    crop crop_size squared
        scale_width             width load_size, the height in proportion
        scale_width_and_crop    the same, but at least crop_size high, then crop crop_size squared
        none                    as the files are

    In training, crops and flips are random. In the other phases nothing is: crops are from the middle, and
    resize_and_crop squashes to crop_size, so that nothing is cut off.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseDataset.Options):
        direction: Literal["AtoB", "BtoA"] = option("AtoB", help="which way to translate")
        preprocess: Literal["resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none"] = option(
            "resize_and_crop", help="how images are resized and cropped"
        )
        load_size: int = option(286, help="resize to this many pixels", min=1)
        crop_size: int = option(256, help="then crop to this many pixels", min=1)
        flip: bool = True
        input_nc: int = option(0, help="channels of the input images; 0: as in the files", min=0)
        output_nc: int = option(0, help="channels of the output images; 0: as in the files", min=0)
        bit_depth: Literal["auto", "8", "16", "float"] = option(
            "auto", help="bits per channel; auto: as in the files, the deepest when they differ"
        )
        value_range: tuple[float | Literal["auto"], ...] = option(
            (), help="LO,HI: the numbers in the files that become black and white; auto: estimated from a sample"
        )
        value_range_A: tuple[float | Literal["auto"], ...] = option((), help="--value_range for A alone")
        value_range_B: tuple[float | Literal["auto"], ...] = option((), help="--value_range for B alone")

        def like(self, spec: DataSpec) -> Self:
            ranges = {"value_range": spec.value_range, "value_range_A": spec.value_range_A or spec.value_range}
            ranges |= {"value_range_B": spec.value_range}
            # What --value_range auto found may be another range on each side.
            unknown = ((), ("auto",)) if self.value_range == ("auto",) else (("auto",),)
            found: dict[str, Any] = {name: limits for name, limits in ranges.items() if getattr(self, name) in unknown}
            return replace(self, input_nc=spec.input_nc, output_nc=spec.output_nc, **found)

        def uncut(self) -> Self:
            return replace(self, load_size=self.crop_size) if self.preprocess == "resize_and_crop" else self

        def __post_init__(self) -> None:
            if self.preprocess in ("resize_and_crop", "scale_width_and_crop") and self.load_size < self.crop_size:
                raise ValueError(
                    f"--load_size {self.load_size} is smaller than --crop_size {self.crop_size}: nothing to crop from"
                )
            for name in ("value_range", "value_range_A", "value_range_B"):
                check(name, getattr(self, name))

    opt: Options

    def __init__(self, opt: Options) -> None:
        super().__init__(opt)
        self.paths: dict[str, Files | Members] = {}  # key -> the file of each image
        self.channels: dict[str, int] = {}  # key -> of what is decoded
        self._headers: dict[ImageFile, Header] = {}  # of the files that were looked at
        self.crop_size = opt.crop_size if "crop" in opt.preprocess else 0

    def read_collection(self, key: str, side: str) -> None:
        """Take as images of ``key`` those of shards, of a folder or one file: where ``one_folder`` finds ``side``."""
        root = find_dataroot(self.opt.dataroot)
        if found := self.shards_of(root, side) or self.shards_of(root):
            images = self.read_shards(found).images
            self.paths = {key: images[side] if len(images[side]) else images[""]}
            self.names = self.paths[key].names
            return self.limit()
        folder = one_folder(root, self.opt.phase, side)
        if folder.is_file():
            self.read.append(folder)
            folder, self.names = folder.parent, [folder.name]
        else:
            self.names = self.take(folder, survey_or_raise(folder))
        self.paths = {key: Files(folder, self.names)}
        return self.limit()

    def shards_of(self, root: Path, side: str = "") -> ShardFiles | None:
        """Return the tars that this phase's images are read from, or one side of them; None when they are files."""
        found = find_shards(self.opt.dataroot, root, self.opt.phase, side)
        if not found or found.phase not in ("", *PHASES[self.opt.phase]):
            return None
        say_stand_in(root, self.opt.phase, found.phase or self.opt.phase)
        return found

    def describe(self, wanted: dict[str, int]) -> None:
        """Set ``channels`` and ``spec`` for the files in ``paths``.

        Args:
            wanted: key -> number of channels; 0: as the files are.

        Raises:
            ValueError: files differ in their channels, or float numbers have no range.
        """
        samples = {key: self.sample(key) for key in self.keys}
        self.channels = {key: wanted[key] or self._common_channels(samples[key]) for key in self.keys}
        self.value_ranges = {
            key: resolve(*self._asked(key), self.paths[key], key * (len(self.keys) > 1)) for key in self.keys
        }
        depth = self._choose_depth(samples)
        nc = self.channels[self.keys[0]], wanted.get("B") or self.channels[self.keys[-1]]
        (limits_A, type_A), (limits, type_B) = (
            self._written(k, samples[k], depth) for k in (self.keys[0], self.keys[-1])
        )
        if len(self.keys) == 1 and self.opt.value_range_B not in ((), ("auto",)):  # A alone is translated to B
            limits = tuple(float(v) for v in self.opt.value_range_B)
        size = self.crop_size, self.crop_size
        self.spec = DataSpec(size, *nc, (), depth, limits, limits_A, type_B, type_A)
        if not self.crop_size:
            self.spec = self.spec._replace(image_size=self._common_size())

    def decode(self, key: str, index: int) -> Tensor:
        path = self.paths[key][index]
        pixels = read_pixels(path, self.channels[key], self.spec.bit_depth, self.value_ranges[key])  # (H, W, C)
        pixels = self.part(key, index, pixels)
        planes = np.ascontiguousarray(resize(pixels, self._size(*pixels.shape[:2])).transpose(2, 0, 1))
        if planes.dtype == np.uint16:
            return torch.from_numpy((planes.astype(np.int32) - HALF_OF_16_BITS).astype(np.int16))
        return torch.from_numpy(planes)

    def part(self, key: str, index: int, pixels: np.ndarray) -> np.ndarray:
        """Return the part of a file's pixels (H, W, C) that is the image: all of it unless overridden."""
        return pixels

    def file_size(self, key: str, index: int) -> tuple[int, int]:
        """Return height and width of an image as its file has it, from the header.

        Raises:
            BadImageError: the file is damaged.
        """
        header = self.header(self.paths[key][index])
        return header.height, header.width

    def header(self, path: ImageFile) -> Header:
        """Return what ``read_header`` says of ``path``; it is read once."""
        if path not in self._headers:
            self._headers[path] = read_header(path)
        return self._headers[path]

    def shape(self, key: str, index: int) -> tuple[int, int, int]:
        if self.opt.preprocess == "resize_and_crop":
            return self.channels[key], *self._size(0, 0)
        height, width = self._size(*self.file_size(key, index))
        if min(height, width) < self.crop_size:
            raise ValueError(
                f"{self.paths[key][index]} is {width}x{height} pixels, smaller than --crop_size {self.crop_size}: "
                f"use --crop_size {min(height, width)} or less, or --preprocess resize_and_crop"
            )
        return self.channels[key], height, width

    def _size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width after the resizing that ``--preprocess`` asks for."""
        opt = self.opt
        if opt.preprocess == "resize_and_crop":
            return opt.load_size, opt.load_size
        if opt.preprocess in ("crop", "none"):
            return height, width
        return max(1, round(opt.load_size * height / width), self.crop_size), opt.load_size

    def image_files(self, key: str) -> Files | Members:
        return self.paths[key]

    def files(self) -> list[Path]:
        return list(dict.fromkeys(path for paths in self.paths.values() for path in paths.on_disk()))

    def keep(self, indices: Sequence[int]) -> None:
        super().keep(indices)
        self.paths = {key: paths.only(indices) for key, paths in self.paths.items()}

    def sample(self, key: str) -> dict[ImageFile, Header]:
        """Return the headers of some files from all over the list, without those that cannot be read."""
        found = {}
        for i in spread(len(self.paths[key]), SAMPLED):
            path = self.paths[key][i]
            try:
                found[path] = self.header(path)
            except BadImageError:  # named, counted and skipped later, with the rest
                continue
        return found

    def _common_channels(self, headers: dict[ImageFile, Header]) -> int:
        """Return how many channels the files have; 3 for a mixture of grey and RGB."""
        first_with = {header.channels: path for path, header in reversed(headers.items())}
        if len(first_with) < 2:
            return next(iter(first_with), 3)
        if set(first_with) == {1, 3}:
            return 3
        (some, path), (others, other) = sorted(first_with.items())[:2]
        raise ValueError(f"{path} has {some} channels, {other} has {others}: they cannot be one data set")

    def range_flag(self, key: str) -> str:
        return f"value_range_{key}" if len(self.keys) > 1 else "value_range"

    def _asked(self, key: str) -> tuple[str, Asked]:
        """Return the option that says which numbers of ``key`` are black and white, and what it says."""
        own: Asked = getattr(self.opt, f"value_range_{key}", ())
        return (f"value_range_{key}", own) if own else ("value_range", self.opt.value_range)

    def _written(self, key: str, headers: dict[ImageFile, Header], depth: int) -> tuple[Range, str]:
        """Return the range and the type of the numbers in which results of ``key`` are written."""
        deepest, types = _deepest(headers), {header.type for header in headers.values()}
        limits = self.value_ranges[key]
        if depth == 32:
            is_own = deepest == 32 and len(types) == 1
            whole = f"uint{deepest}" if deepest < 32 and self.opt.bit_depth == "auto" else types.pop() if is_own else ""
            return limits or (0.0, 2.0**deepest - 1), whole
        return (limits, "") if depth == deepest else ((), "")

    def _choose_depth(self, samples: dict[str, dict[ImageFile, Header]]) -> int:
        """Return 8, 16 or 32, as ``--bit_depth`` says; check what goes with it, and say what is lost."""
        opt = self.opt
        headers = {path: header for found in samples.values() for path, header in found.items()}
        deepest = _deepest(headers)
        depth = {"auto": deepest, "8": 8, "16": 16, "float": 32}[opt.bit_depth]
        of_deepest = next((path for path, header in headers.items() if header.depth == deepest), None)
        for key, found in samples.items():
            ask_for_range(self.range_flag(key), self.value_ranges[key], found)
        if depth < deepest:
            lost = "only their upper byte is read" if deepest == 16 else "they are rounded"
            kind = {16: "16-bit values", 32: "float numbers"}[deepest]
            print(f"--bit_depth {depth}: {of_deepest} holds {kind}, {lost} (also in others of its kind)")
        return depth

    def _common_size(self) -> tuple[int, int]:
        """Return height and width of all images; (0, 0) when they differ."""
        sizes = set()
        for key in self.keys:
            for index in range(len(self.paths[key])):
                try:
                    sizes.add(self.shape(key, index)[1:])
                except BadImageError:  # named, counted and skipped later, with the rest
                    continue
                if len(sizes) > 1:
                    return 0, 0
        return sizes.pop() if sizes else (0, 0)


def _deepest(headers: dict[ImageFile, Header]) -> int:
    """Return the largest of the depths, 8 when there are none."""
    return max((header.depth for header in headers.values()), default=8)
