"""Read images at their own depth: 8 bits, 16 or float, 1 to n channels, from PNG, TIFF, .npy and what Pillow reads."""

import contextlib
from typing import Any, Literal

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from data.files.decode import BadImageError, decode_image, flatten, naming_damage
from data.files.header import Header, array_sides, channels_last, depth_of, whole_type
from data.files.opencv import on_white, read_png16
from data.files.orientation import LYING, orientation, turned, upright
from data.files.pnm import pnm_header, read_pnm
from data.files.tiff import START, read_tiff, tiff_header
from util.member import ImageFile, Member
from util.open_image import check_bytes, open_image

DEPTHS: dict[int, np.dtype[Any]] = {
    8: np.dtype(np.uint8),
    16: np.dtype(np.uint16),
    32: np.dtype(np.float32),
}  # bits -> the numbers of a pixel
NPY, START_BYTES = b"\x93NUMPY", 512  # how a .npy begins; and how much of a file says what it is
LUMA = np.array([0.299, 0.587, 0.114])  # grey of RGB, ITU-R BT.601, as Pillow has it for 8 bits


def read_header(path: ImageFile) -> Header:
    """Return size, channels and depth of an image file, without decoding it.

    An array of three dimensions, in a .npy or a stack of TIFF pages, is (H, W, C) or (C, H, W): the channels are the
    smaller of its first and last dimension, the last one when these are equal.

    Raises:
        BadImageError: the file is damaged, no image, or much larger when decoded than it is.
    """
    with naming_damage():
        header = _look(path)
        check_bytes(header.height * header.width * header.channels * header.depth // 8, path)
        return header


def read_pixels(path: ImageFile, channels: int, depth: int, value_range: tuple[float, ...] = ()) -> np.ndarray:
    """Return an image (H, W, channels) as uint8, uint16 or, for depth 32, float32 in [-1, 1].

    8 bits from 16 are the upper byte; 16 from 8 repeat the byte. The camera's orientation is applied, and transparency
    becomes white unless four channels are wanted. Grey serves as RGB and RGB as grey.

    Args:
        path: the file.
        channels: how many are wanted.
        depth: 8, 16 or 32.
        value_range: (lo, hi), the numbers that become black and white; what lies outside is clipped. Of 8 and 16 bits
            () takes all up to what the file says is white.

    Raises:
        BadImageError: the file is damaged, has other channels, or holds NaN.
        ValueError: it holds float numbers, and there is no ``value_range``.
    """
    header = read_header(path)
    limits = value_range or ((0.0, float(header.white)) if header.white else ())
    return _to_depth(_to_channels(_decode(path, header, channels), channels), depth, limits, path)


def read_resized(
    path: ImageFile,
    size: tuple[int, int],
    channels: int,
    fit: Literal["squash", "crop"] = "squash",
    value_range: tuple[float, ...] = (),
) -> np.ndarray:
    """Return an image in bytes, uint8 (H, W, channels), of ``size`` = (H, W), as labelled data has them.

    Args:
        path: the file.
        size: in pixels.
        channels: 1 or 3.
        fit: what becomes of other proportions: squashed, or the largest part of them from the middle.
        value_range: as for ``read_pixels``.

    Raises:
        BadImageError: as for ``read_pixels``.
    """
    if not value_range and not _is_beyond_pillow(path):
        return decode_image(path, size, channels, fit).numpy().transpose(1, 2, 0)
    pixels = read_pixels(path, channels, 8, value_range)
    return resize(middle(pixels) if fit == "crop" else pixels, size)


def middle(pixels: np.ndarray) -> np.ndarray:
    """Return the largest square in the middle of an image (H, W, C)."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return ``read_pixels``'s (H, W, C) at ``size`` = (H, W), by antialiased bicubic resampling."""
    if pixels.shape[:2] == size:
        return pixels
    to, how = size[::-1], Image.Resampling.BICUBIC
    if pixels.dtype == np.uint8 and pixels.shape[2] == 3:
        return np.asarray(Image.fromarray(pixels).resize(to, how))
    if pixels.dtype == np.uint8:
        return np.stack([np.asarray(Image.fromarray(p).resize(to, how)) for p in np.moveaxis(pixels, 2, 0)], 2)
    planes = [Image.fromarray(np.ascontiguousarray(p, np.float32)) for p in np.moveaxis(pixels, 2, 0)]
    resized = np.stack([np.asarray(p.resize(to, how)) for p in planes], 2)
    return resized.clip(-1, 1) if pixels.dtype == np.float32 else resized.clip(0, 65535).round().astype(np.uint16)


def numbers(path: ImageFile, header: Header) -> np.ndarray:
    """Return the numbers of a file (H, W, C) as they are; raise BadImageError when it cannot be read."""
    return _decode(path, header, header.channels)


def value_limits(path: ImageFile) -> tuple[float, float]:
    """Return the smallest and the largest number of a file; raise BadImageError when it cannot be read."""
    pixels = _decode(path, read_header(path), 1)
    return float(np.nanmin(pixels)), float(np.nanmax(pixels))


def _look(path: ImageFile) -> Header:
    """Return the header of a file as the one of its readers has it that will decode it."""
    start = _start(path)
    if start.startswith(NPY):
        array = _load(path, maps=True)
        return Header(*array_sides(array.shape), depth_of(array.dtype), "npy", whole_type(array.dtype))
    if plain := pnm_header(start):
        height, width, channels, white = plain
        depth = 8 if white < 256 else 16
        return Header(height, width, channels, depth, "pnm", white=white if white < 2**depth - 1 else 0)
    if _is_png16(start):
        width, height = (int.from_bytes(start[i : i + 4], "big") for i in (16, 20))
        number = 1
        with contextlib.suppress(Exception), open_image(path) as image:  # what is damaged is found by its decoder
            number = orientation(image)
        if number in LYING:
            height, width = width, height
        return Header(height, width, 1 if start[25] in (0, 4) else 3, 16, "opencv", orientation=number)
    if start[:4] in START and (header := tiff_header(path)):
        return header
    with open_image(path) as image:
        width, height = image.size
        tiff = image if isinstance(image, TiffImageFile) else None
        if tiff:  # whose size some versions of Pillow turn by themselves
            width, height = tiff.tag_v2[IMAGEWIDTH], tiff.tag_v2[IMAGELENGTH]
        if orientation(image) in LYING:
            width, height = height, width
        grey = image.mode in ("1", "L", "LA", "F") or image.mode.startswith("I")
        return Header(height, width, 1 if grey else 3, 16 if image.mode.startswith("I") else 8, "pillow")


def _load(path: ImageFile, maps: bool = False) -> np.ndarray:
    """Return the array in a .npy: of a file mapped into memory, if that is all that is wanted."""
    if not isinstance(path, Member):
        return np.load(path, mmap_mode="r" if maps else None, allow_pickle=False)
    file = path.open()  # of which np.load would take the memory for any shape that it names, before it reads
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read(file)
    content = np.frombuffer(file.read(), dtype)  # an error where it holds objects
    return content.reshape(shape, order="F" if is_fortran else "C")


def _start(path: ImageFile) -> bytes:
    with path.open("rb") as file:
        return file.read(START_BYTES)


def _is_png16(start: bytes) -> bool:
    return start[:8] == b"\x89PNG\r\n\x1a\n" and start[24:25] == b"\x10"


def _is_beyond_pillow(path: ImageFile) -> bool:
    """Return whether a file may hold more than Pillow reads of it."""
    try:
        start = _start(path)
    except OSError:  # its decoder says so
        return False
    return start[:4] in START or _is_png16(start) or start.startswith(NPY) or pnm_header(start) is not None


def _decode(path: ImageFile, header: Header, channels: int) -> np.ndarray:
    """Return the numbers of a file (H, W, C); in the wanted number of channels where Pillow converts."""
    with naming_damage():
        if header.reader == "pillow":
            return _from_pillow(path, channels, header.depth)
        return _read_array(path, header, channels)


def _from_pillow(path: ImageFile, channels: int, depth: int) -> np.ndarray:
    with open_image(path) as image:
        standing = upright(image)
        if depth == 16:
            return np.clip(np.asarray(standing, np.int64), 0, 65535).astype(np.uint16)[:, :, None]
        pixels = np.array(flatten(standing, channels if channels in (1, 3, 4) else 3))
        return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _read_array(path: ImageFile, header: Header, channels: int) -> np.ndarray:
    """Return the numbers of a file (H, W, C): uint8, uint16, or floats that hold what else there is.

    A TIFF's transparency becomes white unless one channel more than its others is wanted.
    """
    if header.reader == "npy":
        array = channels_last(_load(path))
    elif header.reader == "tiff":
        array, alpha = read_tiff(path)
        if alpha and channels != header.channels + 1:
            array = on_white(array, is_premultiplied=alpha == 1)
    elif header.reader == "pnm":
        array = read_pnm(path)
    else:
        array = read_png16(path, header.channels)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    if header.depth == 32:  # large whole numbers are no float32
        array = array.astype(np.float32 if array.dtype.kind == "f" and array.dtype.itemsize <= 4 else np.float64)
    else:
        array = array.astype(DEPTHS[header.depth], copy=False)  # in the machine's order of bytes
    return turned(array[:, :, None] if array.ndim == 2 else array, header.orientation)


def _to_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    found = pixels.shape[2]
    if found == channels:
        return pixels
    if (found, channels) == (1, 3):
        return np.repeat(pixels, 3, 2)
    if (found, channels) == (3, 1):
        grey = pixels @ LUMA
        return (grey if pixels.dtype.kind == "f" else grey.round()).astype(pixels.dtype)[:, :, None]
    raise BadImageError(f"it has {found} channels, not {channels}: see --input_nc and --output_nc")


def _to_depth(pixels: np.ndarray, depth: int, value_range: tuple[float, ...], path: ImageFile) -> np.ndarray:
    has = {np.dtype(np.uint8): 8, np.dtype(np.uint16): 16}.get(pixels.dtype, 32)
    if has == 32 and not np.isfinite(pixels).all():
        raise BadImageError("it holds numbers that are not finite")
    if has == 32 and not value_range:
        raise ValueError(f"{path} holds float numbers: give their range with --value_range LO,HI")
    if not value_range and has == depth:
        return pixels
    if not value_range and (has, depth) == (16, 8):
        return (pixels >> 8).astype(np.uint8)
    if not value_range and (has, depth) == (8, 16):
        return pixels.astype(np.uint16) * 257
    if value_range:
        lo, hi = value_range
        unit = ((pixels.astype(np.float64) - lo) / (hi - lo)).clip(0, 1)
    else:
        unit = pixels / (2**has - 1)
    if depth == 32:
        return (unit * 2 - 1).astype(np.float32)
    return (unit * (2**depth - 1)).round().astype(DEPTHS[depth])
