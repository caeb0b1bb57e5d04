"""Turn images upright at every depth, as Exif, XMP or a TIFF tag says."""

import os

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from util.memory import lack_of_memory
from util.open_image import PNG

TAG = 0x0112  # of Exif and TIFF
WHERE = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")  # in Image.info
LATE = (b"eXIf", b"iTXt", b"tEXt", b"zTXt")  # the chunks of a PNG that hold these
LYING = range(5, 9)  # orientations that exchange height and width
TURNS = {  # orientation -> what makes the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation(image: Image.Image) -> int:
    """Return 1 to 8 as Exif has it, 1 when the file does not say, or says it in a way that nobody can read."""
    if isinstance(image, PngImageFile) and _speaks_late(image):
        image.load()
    if not isinstance(image, TiffImageFile) and not any(name in image.info for name in WHERE):
        return 1
    try:
        found = image.getexif().get(TAG, 1)
    except Exception as error:  # damaged metadata makes decoders raise errors of every kind, and costs no image
        if lack_of_memory(error):
            raise
        return 1
    return found if found in TURNS else 1


def _speaks_late(image: PngImageFile) -> bool:
    """Return whether what WHERE says may follow the pixels of a PNG, where Pillow finds it when it has decoded them."""
    if image.fp is None or any(name in image.info for name in WHERE):  # decoded, or known
        return False
    place = image.fp.tell()
    try:
        image.fp.seek(len(PNG))
        while len(head := image.fp.read(8)) == 8 and head[4:] != b"IEND":  # a chunk: length, name, content, checksum
            if head[4:] in LATE and image.fp.tell() > place:
                return True
            image.fp.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
        return False
    finally:
        image.fp.seek(place)


def upright(image: Image.Image) -> Image.Image:
    """Return a decoded image that stands upright."""
    number = orientation(image)
    image.load()
    if isinstance(image, TiffImageFile):  # which some versions of Pillow have turned by now
        number = orientation(image)
    return image.transpose(TURNS[number]) if number in TURNS else image


def turned(pixels: np.ndarray, number: int) -> np.ndarray:
    """Return pixels (H, W, ...) of an image with orientation ``number`` upright."""
    if number in LYING:
        pixels = pixels.swapaxes(0, 1)
        number = {5: 1, 6: 2, 7: 3, 8: 4}[number]
    return pixels[:: -1 if number in (3, 4) else 1, :: -1 if number in (2, 3) else 1]
