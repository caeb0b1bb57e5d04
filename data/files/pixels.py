"""Read images at their own depth: 8 bits, 16 or float, 1 to n channels, from PNG, TIFF, .npy and what Pillow reads."""

import contextlib
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from data.files.decode import BadImageError, flatten, problem
from data.files.orientation import LYING, TAG, TURNS, orientation, turned, upright
from util.open_image import check_bytes, open_image

DEPTHS = {8: np.dtype(np.uint8), 16: np.dtype(np.uint16), 32: np.dtype(np.float32)}  # bits -> the numbers of a pixel
LUMA = np.array([0.299, 0.587, 0.114])  # grey of RGB, ITU-R BT.601, as Pillow has it for 8 bits


class Header(NamedTuple):
    """What a file says of its image before it is decoded."""

    height: int
    width: int
    channels: int  # without transparency, which is painted over white
    depth: int  # 8 or 16 bits, or 32 for float and for all other numbers, whose range nobody can know
    reader: Literal["pillow", "png16", "tiff", "npy"]
    type: str = ""  # of whole numbers that are neither 8 nor 16 bits: int16, int32 ...
    orientation: int = 1  # of what png16 and tiff read, as Exif has it; height and width are of the upright image


def read_header(path: Path) -> Header:
    """Return size, channels and depth of an image file, without decoding it.

    An array of three dimensions, in a .npy or a stack of TIFF pages, is (H, W, C) or (C, H, W): the channels are the
    smaller of its first and last dimension, the last one when these are equal.

    Raises:
        BadImageError: the file is damaged, no image, or much larger when decoded than it is.
    """
    try:
        header = _look(path)
        check_bytes(header.height * header.width * header.channels * header.depth // 8, path)
        return header
    except MemoryError:
        raise
    except Exception as error:  # damaged files make decoders raise errors of every kind
        raise BadImageError(problem(error)) from error


def read_pixels(path: Path, channels: int, depth: int, value_range: tuple[float, ...] = ()) -> np.ndarray:
    """Return an image (H, W, channels) as uint8, uint16 or, for depth 32, float32 in [-1, 1].

    8 bits from 16 are the upper byte; 16 from 8 repeat the byte. The camera's orientation is applied, and transparency
    becomes white unless four channels are wanted. Grey serves as RGB and RGB as grey.

    Args:
        path: the file.
        channels: how many are wanted.
        depth: 8, 16 or 32.
        value_range: (lo, hi), the numbers that become black and white; what lies outside is clipped. Of 8 and 16 bits
            () takes all.

    Raises:
        BadImageError: the file is damaged, has other channels, or holds NaN.
        ValueError: it holds float numbers, and there is no ``value_range``.
    """
    return _to_depth(_to_channels(_decode(path, channels), channels), depth, value_range, path)


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


def numbers(path: Path) -> np.ndarray:
    """Return the numbers of a file (H, W, C) as they are; raise BadImageError when it cannot be read."""
    return _decode(path, read_header(path).channels)


def value_limits(path: Path) -> tuple[float, float]:
    """Return the smallest and the largest number of a file; raise BadImageError when it cannot be read."""
    pixels = _decode(path, 1)
    return float(np.nanmin(pixels)), float(np.nanmax(pixels))


def _look(path: Path) -> Header:
    """Return the header of a file as the one of its readers has it that will decode it."""
    if path.suffix.lower() == ".npy":
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        return Header(*_sides(array.shape), _depth(array.dtype), "npy", _whole(array.dtype))
    with path.open("rb") as file:
        start = file.read(26)
    if start[:8] == b"\x89PNG\r\n\x1a\n" and start[24:25] == b"\x10":  # 16 bits: Pillow makes 8 of them in colour
        width, height = (int.from_bytes(start[i : i + 4], "big") for i in (16, 20))
        number = 1
        with contextlib.suppress(Exception), open_image(path) as image:  # what is damaged is found by its decoder
            number = orientation(image)
        sides = (width, height) if number in LYING else (height, width)
        return Header(*sides, 1 if start[25] in (0, 4) else 3, 16, "png16", orientation=number)
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") and (header := _tiff_header(path)):
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


def _tiff_header(path: Path) -> Header | None:
    """Return the header of a TIFF that Pillow would cut down; None: leave it to Pillow."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        series, page = tiff.series[0], tiff.pages[0].aspage()
        of_pillow = {(1, 0), (3, 0), (4 if page.photometric == tifffile.PHOTOMETRIC.RGB else 2, 1)}
        of_pillow |= {(4, 0)} if page.photometric == tifffile.PHOTOMETRIC.SEPARATED else set()  # CMYK
        alpha = _alpha(page)
        kinds = page.samplesperpixel, int(alpha == 2 or (alpha == 1 and page.samplesperpixel == 4))
        if series.dtype in (np.uint8, np.bool_) and len(series.pages) == 1 and kinds in of_pillow:
            return None
        height, width, channels = _sides(series.shape)
        number = page.tags.valueof(TAG, 1)
        number = number if number in TURNS else 1
        sides = (width, height) if number in LYING else (height, width)
        depth, whole = _depth(series.dtype), _whole(series.dtype)
        return Header(*sides, channels - bool(alpha), depth, "tiff", whole, number)


def _alpha(page: Any) -> int:
    """Return what the last sample of a TIFF's pixels is: 1: premultiplied transparency, 2: transparency, 0: data.

    What is not declared at all is data, such as near infrared.
    """
    extra = tuple(int(kind) for kind in page.extrasamples or ())
    return extra[0] if len(extra) == 1 and extra[0] in (1, 2) and page.dtype in (np.uint8, np.uint16) else 0


def _sides(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return height, width and channels of an array that holds an image."""
    if len(shape) == 2:
        return shape[0], shape[1], 1
    if len(shape) != 3 or 0 in shape:
        raise ValueError(f"an array of {shape} is no image: (H, W), (H, W, C) or (C, H, W)")
    return (shape[1], shape[2], shape[0]) if shape[0] < shape[2] else (shape[0], shape[1], shape[2])


def _depth(dtype: Any) -> int:
    if dtype in (np.uint8, np.bool_):
        return 8
    if dtype == np.uint16:
        return 16
    if np.dtype(dtype).kind not in "iuf":
        raise ValueError(f"numbers of type {dtype} are no pixels")
    return 32


def _whole(dtype: Any) -> str:
    """Return the type of whole numbers that have no depth of their own; "" for others."""
    return str(np.dtype(dtype)) if np.dtype(dtype).kind in "iu" and dtype not in (np.uint8, np.uint16) else ""


def _decode(path: Path, channels: int) -> np.ndarray:
    """Return the numbers of a file (H, W, C); in the wanted number of channels where Pillow converts."""
    header = read_header(path)
    try:
        return (
            _from_pillow(path, channels, header.depth)
            if header.reader == "pillow"
            else _read_array(path, header, channels)
        )
    except MemoryError:
        raise
    except Exception as error:
        raise BadImageError(problem(error)) from error


def _from_pillow(path: Path, channels: int, depth: int) -> np.ndarray:
    with open_image(path) as image:
        standing = upright(image)
        if depth == 16:
            return np.clip(np.asarray(standing, np.int64), 0, 65535).astype(np.uint16)[:, :, None]
        pixels = np.array(flatten(standing, channels if channels in (1, 3, 4) else 3))
        return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _read_array(path: Path, header: Header, channels: int) -> np.ndarray:
    """Return the numbers of a file (H, W, C): uint8, uint16, or what else it holds as float32.

    A TIFF's transparency becomes white unless one channel more than its others is wanted.
    """
    if header.reader == "npy":
        array = np.load(path, allow_pickle=False)
    elif header.reader == "tiff":
        array, alpha = _read_tiff(path)
        if alpha and channels != header.channels + 1:
            array = np.moveaxis(array, 0, 2) if array.shape[0] < array.shape[2] else array
            array = _on_white(array, is_premultiplied=alpha == 1)
    else:
        array = _read_cv2(path)
        if array.ndim == 3 and array.shape[2] == 4:
            array = _on_white(array)
        array = array[:, :, :1] if header.channels == 1 and array.ndim == 3 else array
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    array = array.astype(DEPTHS[header.depth], copy=False)
    if array.ndim == 2:
        array = array[:, :, None]
    return turned(np.moveaxis(array, 0, 2) if array.shape[0] < array.shape[2] else array, header.orientation)


def _on_white(pixels: np.ndarray, is_premultiplied: bool = False) -> np.ndarray:
    """Return uint8 or uint16 (H, W, C) without its last channel, transparency, which becomes white."""
    most = np.iinfo(pixels.dtype).max
    opaque = pixels[:, :, -1:].astype(np.float64) / most
    seen = pixels[:, :, :-1] * (1 if is_premultiplied else opaque) + most * (1 - opaque)
    return seen.clip(0, most).round().astype(pixels.dtype)


def _read_tiff(path: Path) -> tuple[np.ndarray, int]:
    """Return the numbers of a TIFF, and what its last sample is, as ``_alpha`` has it."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        series, page = tiff.series[0], tiff.pages[0].aspage()
        try:
            array = np.asarray(series.asarray())
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            with contextlib.suppress(ValueError):  # which knows LZW and others, but not every number of channels
                if (array := _read_cv2(path)).shape == series.shape:
                    return array, _alpha(page)
            name = getattr(page.compression, "name", page.compression)
            raise ImportError(f"sound, but its compression {name} needs a package: pip install imagecodecs") from None
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and array.dtype.kind == "u":
            array = np.iinfo(array.dtype).max - array
        return array, _alpha(page)


def _read_cv2(path: Path) -> np.ndarray:
    """Return what OpenCV reads, colours in the order RGB."""
    import cv2

    array: np.ndarray | None = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise ValueError("OpenCV cannot decode it: damaged, or cut short")
    if array.ndim == 2:
        return array
    return array[:, :, [2, 1, 0, *range(3, array.shape[2])]] if array.shape[2] >= 3 else array


def _to_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    found = pixels.shape[2]
    if found == channels:
        return pixels
    if (found, channels) == (1, 3):
        return np.repeat(pixels, 3, 2)
    if (found, channels) == (3, 1):
        grey = pixels @ LUMA
        return (grey if pixels.dtype == np.float32 else grey.round()).astype(pixels.dtype)[:, :, None]
    raise BadImageError(f"it has {found} channels, not {channels}: see --input_nc and --output_nc")


def _to_depth(pixels: np.ndarray, depth: int, value_range: tuple[float, ...], path: Path) -> np.ndarray:
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
