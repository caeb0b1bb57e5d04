"""Read an image by OpenCV, which keeps 16 bits in colour, and what is transparent in it as white."""

import contextlib

import numpy as np

from util.member import ImageFile
from util.open_image import open_image


def read_cv2(path: ImageFile) -> np.ndarray:
    """Return what OpenCV reads, (H, W) or (H, W, C), colours in the order RGB."""
    import cv2

    with contextlib.suppress(AttributeError):  # what it would print of damaged files, those who read them say
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    array: np.ndarray | None = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise ValueError("OpenCV cannot decode it: damaged, or cut short")
    if array.ndim == 2:
        return array
    return array[:, :, [2, 1, 0, *range(3, array.shape[2])]] if array.shape[2] >= 3 else array


def read_png16(path: ImageFile, channels: int) -> np.ndarray:
    """Return a PNG of 16 bits as uint16 (H, W, C), transparency over white."""
    array, clear = _png16(path)
    if clear is not None:
        array = np.where(clear, np.uint16(65535), array)
    elif array.shape[2] == 4:
        array = on_white(array)
    return array[:, :, :channels]


def is_clear_png16(path: ImageFile) -> bool:
    """Return whether a PNG of 16 bits is transparent somewhere."""
    array, clear = _png16(path)
    return bool(clear.any()) if clear is not None else array.shape[2] == 4 and bool(array[:, :, 3].min() < 65535)


def _png16(path: ImageFile) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the numbers (H, W, C) of a PNG of 16 bits, and where its transparent grey is, None where it has none."""
    array, clear = read_cv2(path), None
    if array.ndim == 2:
        array = array[:, :, None]
        with contextlib.suppress(Exception), open_image(path) as image:
            if isinstance(grey := image.info.get("transparency"), int):
                clear = array == grey
    return array, clear


def on_white(pixels: np.ndarray, is_premultiplied: bool = False) -> np.ndarray:
    """Return uint8 or uint16 (H, W, C) without its last channel, transparency, which becomes white."""
    most = np.iinfo(pixels.dtype).max
    opaque = pixels[:, :, -1:].astype(np.float64) / most
    seen = pixels[:, :, :-1] * (1 if is_premultiplied else opaque) + most * (1 - opaque)
    return seen.clip(0, most).round().astype(pixels.dtype)
