"""Find what users may overlook in their images: further frames, transparency, grey stored as colour."""

import contextlib
from collections.abc import Sequence

import numpy as np

from data.files.decode import BadImageError
from data.files.header import Header
from data.files.opencv import is_clear_png16
from data.files.pixels import numbers, read_header, read_pixels
from util.member import ImageFile
from util.open_image import open_image
from util.spread import spread

LOOKED_AT = 10  # files that are decoded
FRAMES = "several images in one file, of which the first is read"
CLEAR = "transparent in parts, which become white"
GREY = "grey, though stored as colour"


def look(files: Sequence[ImageFile]) -> tuple[dict[str, list[ImageFile]], int]:
    """Return {what there is to know: files of which it is true}, and how many files, from all over, were looked at."""
    found: dict[str, list[ImageFile]] = {}
    chosen = spread(len(files), LOOKED_AT) if files else ()
    for i in chosen:
        for note in notes(files[i]):
            found.setdefault(note, []).append(files[i])
    return found, len(chosen)


def notes(path: ImageFile) -> list[str]:
    """Return what there is to know of one file; [] when it cannot be read, which is told elsewhere."""
    try:
        header = read_header(path)
        several, clear = _of_tiff(path, header) if header.reader == "tiff" else (False, False)
        if header.reader == "pillow":
            several, clear = _of_pillow(path)
        if header.reader == "opencv":
            clear = is_clear_png16(path)
        is_grey = False
        if header.channels == 3:
            pixels = numbers(path, header)
            is_grey = bool((pixels == pixels[:, :, :1]).all())
    except (BadImageError, OSError, ValueError, SyntaxError):
        return []
    return [note for note, is_true in ((FRAMES, several), (CLEAR, clear), (GREY, is_grey)) if is_true]


def _of_pillow(path: ImageFile) -> tuple[bool, bool]:
    """Return whether a file holds several images, and whether the first is transparent somewhere."""
    with open_image(path) as image:
        several = getattr(image, "n_frames", 1) > 1 and image.format != "MPO"  # whose others are previews
        return several, image.has_transparency_data and np.asarray(image.convert("RGBA"))[:, :, 3].min() < 255


def _of_tiff(path: ImageFile, header: Header) -> tuple[bool, bool]:
    import tifffile

    with path.open("rb") as file, tifffile.TiffFile(file, name=path.name) as tiff:
        several = len(tiff.series) > 1
    with contextlib.suppress(BadImageError):  # where there is nothing but what was counted
        if header.depth < 32:
            last = read_pixels(path, header.channels + 1, header.depth)[:, :, -1]
            return several, bool(last.min() < np.iinfo(last.dtype).max)
    return several, False
