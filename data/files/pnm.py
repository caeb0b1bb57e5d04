"""Read PPM and PGM files whose white is not 255: Pillow has 8 bits of their colours, and none of their numbers."""

import re

import numpy as np

from util.member import ImageFile

HEADER = re.compile(rb"P([2356])" + 3 * rb"(?:\s|#[^\n]*\n)+(\d+)" + rb"\s")  # kind, width, height, white
MOST = 65535


def pnm_header(start: bytes) -> tuple[int, int, int, int] | None:
    """Return height, width, channels and the number that is white, by how a file starts; None: leave it to Pillow."""
    found = HEADER.match(start)
    if not found or not 0 < int(found[4]) <= MOST or int(found[4]) == 255:
        return None
    return int(found[3]), int(found[2]), 3 if found[1] in b"36" else 1, int(found[4])


def read_pnm(path: ImageFile) -> np.ndarray:
    """Return the numbers of a file that ``pnm_header`` knows, uint8 or uint16 (H, W, C), as they are.

    Raises:
        ValueError: the file is cut short, or holds numbers above its white.
    """
    content = path.read_bytes()
    found, header = HEADER.match(content), pnm_header(content)
    assert found and header, path
    height, width, channels, white = header
    num = height * width * channels
    dtype = np.dtype(np.uint8 if white < 256 else ">u2")
    if found[1] in b"23":  # as text
        words = re.sub(rb"#[^\n]*", b"", content[found.end() :]).split(maxsplit=num)[:num]
        numbers = np.array([int(word) for word in words], np.int64)
    else:
        numbers = np.frombuffer(content, dtype, min(num, (len(content) - found.end()) // dtype.itemsize), found.end())
    if len(numbers) < num:
        raise ValueError(f"it is cut short: {len(numbers)} of {num} numbers")
    if num and not 0 <= numbers.min() <= numbers.max() <= white:
        raise ValueError(f"it holds numbers beyond 0 to {white}, which it says are black and white")
    return numbers.astype(dtype.newbyteorder("=")).reshape(height, width, channels)
