"""Read an image by OpenCV, which keeps 16 bits in colour."""

import contextlib

import numpy as np

from util.member import ImageFile


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
