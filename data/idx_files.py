"""The idx files of the MNIST family: where they lie and what is in them; imports no torch."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

PREFIXES = {"train": "train", "val": "t10k", "test": "t10k"}  # phase -> how its files begin


def find_idx_files(root: Path) -> dict[str, dict[str, Path]]:
    """Return {"train": {"images": file, "labels": file}, "t10k": ...} of what lies in ``root``.

    Looks in the folder, in raw/ and in */raw/, where torchvision puts the files, packed (.gz) or not.
    """
    found: dict[str, dict[str, Path]] = {}
    for pattern in ("*idx?-ubyte*", "raw/*idx?-ubyte*", "*/raw/*idx?-ubyte*"):
        for file in sorted(root.glob(pattern), reverse=True):  # the unpacked file sorts last and wins
            part, kind = file.name.split("-")[0], "images" if "images" in file.name else "labels"
            if file.name.endswith(("ubyte", "ubyte.gz")) and file.is_file():
                found.setdefault(part, {})[kind] = file
        if found:
            break
    return found


def read_idx(path: Path) -> np.ndarray:
    """Return the bytes of an idx file as an array of its dimensions, uint8.

    Raises:
        ValueError: the file is cut short or not in this format (yann.lecun.com/exdb/mnist), or not of bytes.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != 8 or content[3] not in (1, 3):
        raise ValueError(f"{path} is not an idx file of bytes, such as MNIST's images and labels")
    start = 4 + 4 * content[3]
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    if len(content) - start != math.prod(shape):
        raise ValueError(f"{path} is damaged: {len(content) - start} bytes where {shape} asks for {math.prod(shape)}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
