"""Decode an image file, of whatever mode and depth, to bytes of the size and channels that a run uses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from data.files.orientation import upright
from util.member import ImageFile
from util.memory import lack_of_memory
from util.open_image import TooLargeError, open_image


class BadImageError(ValueError):
    """A file that bears the name of an image but cannot be decoded as one."""


def decode_image(
    path: str | ImageFile, size: tuple[int, int], channels: int, fit: Literal["squash", "crop"] = "squash"
) -> Tensor:
    """Return the image as uint8 (channels, H, W), resized to ``size`` = (H, W) by antialiased bicubic resampling.

    Transparent parts become white; 16-bit values keep their upper byte; the camera's orientation is applied.

    Args:
        path: the file.
        size: height and width in pixels.
        channels: 1 for grey, 3 for RGB.
        fit: what happens to other proportions: squashed, or the largest part of them cropped from the middle.

    Raises:
        BadImageError: the file is damaged or no image; the message says what is wrong with it.
    """
    with naming_damage(), open_image(path) as image:
        flat, wanted = flatten(upright(image), channels), (size[1], size[0])
        if fit == "crop":
            return to_tensor(ImageOps.fit(flat, wanted, Image.Resampling.BICUBIC))
        return to_tensor(flat.resize(wanted, Image.Resampling.BICUBIC))


@contextmanager
def naming_damage() -> Iterator[None]:
    """Raise BadImageError, in one line, for whatever a decoder raises in the block but a lack of memory."""
    try:
        yield
    except Exception as error:  # damaged files make decoders raise errors of every kind
        if lack_of_memory(error):
            raise
        raise BadImageError(problem(error)) from error


def problem(error: Exception) -> str:
    """Return what to say of an error that a decoder raised, in one line."""
    if isinstance(error, TooLargeError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def to_tensor(image: Image.Image) -> Tensor:
    """Return a grey or RGB image as uint8 (C, H, W)."""
    array = np.array(image)
    return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy())


def is_grey(path: str | ImageFile) -> bool | None:
    """Say, from its header alone, whether the file holds one channel; None when it cannot be read."""
    try:
        with open_image(path) as image:
            return image.mode in ("1", "L", "LA", "I", "F") or image.mode.startswith("I;16")
    except (OSError, SyntaxError, ValueError, ImportError, Image.DecompressionBombError):
        return None


def flatten(image: Image.Image, channels: int) -> Image.Image:
    """Return ``image`` in 8 bits, grey (1 channel), RGB (3) or RGBA (4); but for RGBA, transparency becomes white."""
    if image.mode.startswith("I"):  # 16 bits, whatever the byte order, or 32 that hold 16
        numbers, clear = np.clip(np.asarray(image, np.int64), 0, 65535), image.info.get("transparency")
        image = Image.fromarray((np.where(numbers == clear, 65535, numbers) >> 8).astype(np.uint8))
    elif image.mode == "F":
        raise ValueError("floating-point pixels, whose range nobody can know")
    if channels == 4:
        return image.convert("RGBA")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("L" if channels == 1 else "RGB")
