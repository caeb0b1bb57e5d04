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

SEPARATED = 5  # inks, of all that a TIFF's colours may be
NOT_DEEP = (3, 8, 9, 10)  # palettes and kinds of CIELAB, whose numbers are no colours
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
        of_pillow |= {(4, 0)} if _is_cmyk(page) else set()
        alpha, bits = _alpha(page), page.bitspersample
        kinds = page.samplesperpixel, int(alpha == 2 or (alpha == 1 and page.samplesperpixel == 4))
        is_plain = bits == 8 or (kinds == (1, 0) and bits in (1, 2, 4))
        if series.dtype in (np.uint8, np.bool_) and is_plain and len(series.pages) == 1 and kinds in of_pillow:
            return None
        if page.photometric in NOT_DEEP:
            raise ValueError(f"its colours are stored as {page.photometric.name}, which is read of single 8-bit images")
        height, width, channels = array_sides(series.shape, _channel_axis(series))
        number = page.tags.valueof(TAG, 1)
        number = number if number in TURNS else 1
        if number in LYING:
            height, width = width, height
        depth, whole = depth_of(series.dtype), whole_type(series.dtype)
        colours = 3 if _is_cmyk(page) else channels - bool(alpha)
        white = 2**bits - 1 if isinstance(bits, int) and 1 < bits < depth < 32 else 0
        return Header(height, width, colours, depth, "tiff", whole, number, white)


def read_tiff(path: ImageFile) -> tuple[np.ndarray, int]:
    """Return the numbers of a TIFF, (H, W) or (H, W, C), and what its last sample is, as ``_alpha`` has it."""
    import tifffile

    with path.open("rb") as file, tifffile.TiffFile(file, name=path.name) as tiff:
        series, page = tiff.series[0], tiff.pages[0].aspage()
        for each in filter(None, series.pages):
            _check_segments(each.aspage())
        try:
            array = np.asarray(series.asarray())
        except (ValueError, ImportError, NotImplementedError) as error:
            if not isinstance(error, ImportError) and "imagecodecs" not in str(error):
                raise
            if "packints" in str(error):  # of which OpenCV makes 16 bits of its own
                bits = page.bitspersample
                raise ImportError(f"sound, but its {bits} bits need a package: pip install imagecodecs") from None
            with contextlib.suppress(ValueError):  # which knows LZW and others, but not every number of channels
                if (array := read_cv2(path)).shape == series.shape:
                    return array, _alpha(page)
            name = getattr(page.compression, "name", page.compression)
            raise ImportError(f"sound, but its compression {name} needs a package: pip install imagecodecs") from None
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and array.dtype.kind == "u":
            array = np.iinfo(array.dtype).max - array
        array = channels_last(array, _channel_axis(series))
        return _from_cmyk(array) if _is_cmyk(page) else array, _alpha(page)


def _is_cmyk(page: Any) -> bool:
    """Return whether the pixels of a TIFF are the four inks of print, 8 or 16 bits each."""
    return page.photometric == SEPARATED and page.samplesperpixel == 4 and page.dtype in (np.uint8, np.uint16)


def _from_cmyk(inks: np.ndarray) -> np.ndarray:
    """Return RGB (H, W, 3) as Pillow has it for 8 bits."""
    most = np.iinfo(inks.dtype).max
    paper = most - inks.astype(np.float64)
    return (paper[:, :, :3] * paper[:, :, 3:] / most).round().astype(inks.dtype)


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
