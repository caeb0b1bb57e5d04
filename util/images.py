"""Images as the displays and result pages need them: 8 bits, arranged in grids, written to disk."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from util.files import written_whole
from util.types import Grid

GAP = 160  # a grey that separates dark images as well as light ones, on a light page and on a dark one
SHOWN_SIZE = 64  # pixels: smaller images are hard to judge
CELL_SIZE = 96  # pixels: smaller images are enlarged in a grid; a page that is too narrow for it shrinks it again
MAX_GRID_SIZE = 2400  # pixels: a grid is not enlarged beyond this
LABEL_SIZE = 16  # pixels: height of the text beside a grid
LABEL_LENGTH = 24  # letters


def to_uint8(images: Tensor) -> NDArray[np.uint8]:
    """Turn float (N, C, H, W) in [-1, 1] into uint8 (N, H, W, C), rounded and clamped; NaN becomes black."""
    levels = (images.detach().float().nan_to_num(-1.0) + 1.0) * 127.5
    # Converted before it is copied: a quarter of the bytes leave the device.
    pixels = levels.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    return pixels.contiguous().cpu().numpy()


def to_image(pixels: NDArray[np.uint8]) -> Image.Image:
    """Turn uint8 (H, W, C) into a picture: grey or RGB, of other channels the first three, of two their mean."""
    if pixels.shape[2] > 3:
        pixels = pixels[:, :, :3]
    elif pixels.shape[2] == 2:
        pixels = pixels.mean(2, keepdims=True).round().astype(np.uint8)
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def from_image(image: Image.Image, channels: int) -> Tensor:
    """Turn a picture into float (C, H, W) in [-1, 1], grey (1 channel) or RGB (3), transparent parts white."""
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    pixels = np.array(image.convert("L" if channels == 1 else "RGB"), dtype=np.float32)
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], channels)).permute(2, 0, 1) / 127.5 - 1


def enlargement(size: int, shown: int = SHOWN_SIZE) -> int:
    """Return the least whole factor that makes an image of ``size`` pixels at least ``shown`` pixels large."""
    return max(1, math.ceil(shown / size))


def make_grid(grid: Grid, padding: int = 2) -> Image.Image:
    """Arrange images row by row, ``padding`` pixels apart; small ones are enlarged by a whole factor."""
    pixels = to_uint8(grid.images)  # (N, H, W, C)
    num, height, width, channels = pixels.shape
    assert num > 0 and grid.columns > 0, f"a grid of {num} images in {grid.columns} columns"
    columns = min(grid.columns, num)
    rows = math.ceil(num / columns)

    room = MAX_GRID_SIZE // max(columns * width, rows * height)
    factor = max(1, min(enlargement(max(height, width), CELL_SIZE), room))
    height, width = height * factor, width * factor
    pixels = pixels.repeat(factor, axis=1).repeat(factor, axis=2)

    shape = (rows * (height + padding) - padding, columns * (width + padding) - padding, channels)
    canvas = np.full(shape, GAP, dtype=np.uint8)
    for i, image in enumerate(pixels):
        top, left = i // columns * (height + padding), i % columns * (width + padding)
        canvas[top : top + height, left : left + width] = image
    return to_image(canvas)


def make_labelled_grid(grid: Grid) -> Image.Image:
    """Return ``make_grid(grid)`` with what each row shows to the left of it.

    The built-in font has Latin letters only: another label is replaced by the number of its row.
    """
    picture = make_grid(grid)
    if not grid.rows:
        return picture
    font = ImageFont.load_default(LABEL_SIZE)
    labels = [row[:LABEL_LENGTH] if row.isascii() else str(i) for i, row in enumerate(grid.rows, start=1)]
    margin = math.ceil(max(font.getlength(label) for label in labels)) + LABEL_SIZE
    canvas = Image.new(picture.mode, (picture.width + margin, picture.height), "white")
    canvas.paste(picture, (margin, 0))
    draw = ImageDraw.Draw(canvas)
    row_height = picture.height / math.ceil(len(grid.images) / grid.columns)
    for i, label in enumerate(labels):
        draw.text((margin - LABEL_SIZE // 2, (i + 0.5) * row_height), label, fill="black", font=font, anchor="rm")
    return canvas


def to_uint16(images: Tensor) -> NDArray[np.uint16]:
    """Turn float (N, C, H, W) in [-1, 1] into uint16 (N, H, W, C), rounded and clamped; NaN becomes black."""
    levels = (images.detach().double().cpu().nan_to_num(-1.0) + 1.0) * 32767.5
    return np.ascontiguousarray(levels.round().clamp(0, 65535).permute(0, 2, 3, 1).numpy().astype(np.uint16))


def save_image(
    path: Path, image: Tensor, bit_depth: int = 8, value_range: tuple[float, ...] = (), value_type: str = ""
) -> list[Path]:
    """Write one image at its own depth; return the files, first the PNG that can be shown.

    Grey and RGB of 8 or 16 bits are that PNG. Other images are a .npy beside it, which data sets read, uint8, uint16 or
    float32, (H, W) or (H, W, C); the PNG then is a preview in 8 bits, of the first three channels or of the mean.

    Args:
        path: the PNG; the .npy gets the same name.
        image: float (C, H, W) in [-1, 1].
        bit_depth: 8, 16, or 32 for float numbers.
        value_range: (lo, hi), the numbers that -1 and 1 stand for; (): 0 and the largest of ``bit_depth``.
        value_type: of whole numbers, for depth 32.
    """
    if value_range and bit_depth < 32:  # the same as the whole range of the depth
        lo, hi = value_range
        image = ((image.detach().double() + 1) / 2 * (hi - lo) + lo) / (2**bit_depth - 1) * 2 - 1
    channels = len(image)
    if channels in (1, 3) and bit_depth == 8:
        save_png(path, to_image(to_uint8(image[None])[0]))
        return [path]
    if channels in (1, 3) and bit_depth == 16:
        _save_png16(path, to_uint16(image[None])[0])
        return [path]
    save_png(path, to_image(to_uint8(image[None])[0]))
    if bit_depth == 32:
        lo, hi = value_range
        pixels = ((image.detach().double().cpu() + 1) / 2 * (hi - lo) + lo).permute(1, 2, 0).numpy()
        limits = np.iinfo(value_type) if value_type else None
        pixels = pixels.round().clip(limits.min, limits.max) if limits else pixels
        pixels = pixels.astype(value_type or np.float32)
    else:
        pixels = (to_uint8 if bit_depth == 8 else to_uint16)(image[None])[0]
    array = path.with_suffix(".npy")
    with written_whole(array) as file:
        np.save(file, pixels[:, :, 0] if channels == 1 else pixels, allow_pickle=False)
    return [path, array]


def _save_png16(path: Path, pixels: NDArray[np.uint16]) -> None:
    """Write uint16 (H, W, 1) or (H, W, 3), RGB, as PNG: Pillow has no 16-bit colours."""
    import cv2

    done, encoded = cv2.imencode(".png", pixels[:, :, ::-1])
    assert done, pixels.shape
    with written_whole(path) as file:
        file.write(encoded.tobytes())


def save_png(path: Path, image: Image.Image) -> None:
    """Write ``image`` to ``path`` as PNG, whole or not at all."""
    with written_whole(path) as file:
        image.save(file, format="PNG")


def save_film(path: Path, frames: Sequence[Image.Image], seconds: float) -> None:
    """Write pictures of one size to ``path`` as an endless animated WebP, each shown for ``seconds``, whole or not."""
    first, *others = (frame.convert("RGB") for frame in frames)
    milliseconds = round(1000 * seconds)
    with written_whole(path) as file:
        first.save(file, format="WEBP", save_all=True, append_images=others, duration=milliseconds, loop=0, quality=90)
