"""Read TIFF files that Pillow would cut down: deep ones, many bands, pages that are channels."""

import contextlib
import lzma
import math
import zlib
from typing import Any

import numpy as np

from data.files.header import Header, array_sides, channels_last, depth_of, whole_type
from data.files.opencv import read_cv2
from data.files.orientation import LYING, TAG, TURNS
from util.member import ImageFile

UNPACKERS: dict[int, tuple[Any, int]] = {  # compression -> what undoes it, how much may come of a byte
    8: (zlib.decompressobj, 1032),
    32946: (zlib.decompressobj, 1032),
    34925: (lzma.LZMADecompressor, 10_000),
}
ROOM = 2**26  # bytes that any strip or tile may take
START = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # how they begin


def tiff_header(path: ImageFile) -> Header | None:
    """Return the header of a TIFF that Pillow would cut down; None: leave it to Pillow."""
    import tifffile

    with path.open("rb") as file, tifffile.TiffFile(file, name=path.name) as tiff:
        series, page = tiff.series[0], tiff.pages[0].aspage()
        of_pillow = {(1, 0), (3, 0), (4 if page.photometric == tifffile.PHOTOMETRIC.RGB else 2, 1)}
        of_pillow |= {(4, 0)} if page.photometric == tifffile.PHOTOMETRIC.SEPARATED else set()  # CMYK
        alpha = _alpha(page)
        kinds = page.samplesperpixel, int(alpha == 2 or (alpha == 1 and page.samplesperpixel == 4))
        if series.dtype in (np.uint8, np.bool_) and len(series.pages) == 1 and kinds in of_pillow:
            return None
        height, width, channels = array_sides(series.shape, _channel_axis(series))
        number = page.tags.valueof(TAG, 1)
        number = number if number in TURNS else 1
        if number in LYING:
            height, width = width, height
        depth, whole = depth_of(series.dtype), whole_type(series.dtype)
        return Header(height, width, channels - bool(alpha), depth, "tiff", whole, number)


def read_tiff(path: ImageFile) -> tuple[np.ndarray, int]:
    """Return the numbers of a TIFF, (H, W) or (H, W, C), and what its last sample is, as ``_alpha`` has it."""
    import tifffile

    with path.open("rb") as file, tifffile.TiffFile(file, name=path.name) as tiff:
        series, page = tiff.series[0], tiff.pages[0].aspage()
        for each in series.pages:
            if each is not None:
                _check_segments(each.aspage())
        try:
            array = np.asarray(series.asarray())
        except (ValueError, ImportError) as error:
            if isinstance(error, ValueError) and "imagecodecs" not in str(error):
                raise
            with contextlib.suppress(ValueError):  # which knows LZW and others, but not every number of channels
                if (array := read_cv2(path)).shape == series.shape:
                    return array, _alpha(page)
            name = getattr(page.compression, "name", page.compression)
            raise ImportError(f"sound, but its compression {name} needs a package: pip install imagecodecs") from None
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and array.dtype.kind == "u":
            array = np.iinfo(array.dtype).max - array
        return channels_last(array, _channel_axis(series)), _alpha(page)


def _check_segments(page: Any) -> None:
    """Unpack strips or tiles that may be bombs, as far as they should go.

    Raises:
        ValueError: one goes on; tifffile would take the memory for all of it.
    """
    if (kind := int(page.compression)) not in UNPACKERS:
        return
    create, ratio = UNPACKERS[kind]
    most = 2 * math.prod(page.chunks) * page.dtype.itemsize + 1024
    file = page.parent.filehandle
    for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        if size * ratio > most + ROOM:
            file.seek(offset)
            if len(create().decompress(file.read(size), most)) == most:
                raise ValueError("a strip or tile unpacks to more than its pixels")


def _channel_axis(series: Any) -> int | None:
    """Return which axis holds the channels by what the file says, None where it does not."""
    return next((i for i, axis in enumerate(series.axes) if axis in "SC"), None)


def _alpha(page: Any) -> int:
    """Return what the last sample of a TIFF's pixels is: 1: premultiplied transparency, 2: transparency, 0: data.

    What is not declared at all is data, such as near infrared.
    """
    extra = tuple(int(kind) for kind in page.extrasamples or ())
    return extra[0] if len(extra) == 1 and extra[0] in (1, 2) and page.dtype in (np.uint8, np.uint16) else 0
