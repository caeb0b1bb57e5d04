"""Size, channels and depth of an image, known before it is decoded."""

from typing import Any, Literal, NamedTuple

import numpy as np


class Header(NamedTuple):
    """Size, channels and depth of an image, and which reader has them."""

    height: int  # of the upright image, as width is
    width: int
    channels: int  # without transparency, which is painted over white
    depth: int  # 8 or 16 bits, or 32 for float and for all other numbers, whose range nobody can know
    reader: Literal["pillow", "opencv", "tiff", "npy", "pnm"]
    type: str = ""  # of whole numbers that are neither 8 nor 16 bits: int16, int32 ...
    orientation: int = 1  # of what opencv and tiff read, as Exif has it
    white: int = 0  # the number that is white by the file's own word; 0: the largest of its type


def depth_of(dtype: Any) -> int:
    """Return 8, 16 or 32 for numbers of a type; raise ValueError when they are no pixels."""
    if dtype in (np.uint8, np.bool_):
        return 8
    if dtype == np.uint16:
        return 16
    if np.dtype(dtype).kind not in "iuf":
        raise ValueError(f"numbers of type {dtype} are no pixels")
    return 32


def whole_type(dtype: Any) -> str:
    """Return the type of whole numbers that have no depth of their own; "" for others."""
    return str(np.dtype(dtype)) if np.dtype(dtype).kind in "iu" and dtype not in (np.uint8, np.uint16) else ""


def array_sides(shape: tuple[int, ...], channel_axis: int | None = None) -> tuple[int, int, int]:
    """Return height, width and channels of an array that holds an image.

    Channels are on ``channel_axis``, or else on the shorter one of the first and the last of three.
    """
    if len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(f"an array of {shape} is no image: (H, W), (H, W, C) or (C, H, W)")
    at = _channel_axis(shape, channel_axis)
    height, width, *channels = (*(n for i, n in enumerate(shape) if i != at), *([] if at is None else [shape[at]]))
    return height, width, channels[0] if channels else 1


def channels_last(array: np.ndarray, channel_axis: int | None = None) -> np.ndarray:
    """Return an array that ``array_sides`` takes as (H, W, C)."""
    at = _channel_axis(array.shape, channel_axis)
    return array[:, :, None] if at is None else np.moveaxis(array, at, 2)


def _channel_axis(shape: tuple[int, ...], known: int | None) -> int | None:
    if len(shape) == 2:
        return None
    return known if known is not None else 0 if shape[0] < shape[2] else 2
