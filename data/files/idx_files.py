"""The idx files of the MNIST family: where they lie and what is in them; imports no torch."""

import gzip
import math
import zlib
from pathlib import Path
from typing import IO

import numpy as np

CHUNK, MAX_UNPACKED = 2**20, 2**30  # bytes; EMNIST, the largest of the family, has 0.6 * 2**30
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
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] != 8 or head[3] not in (1, 3):
                raise ValueError(f"{path} is not an idx file of bytes, such as MNIST's images and labels")
            sides = file.read(4 * head[3])
            if len(sides) < 4 * head[3]:
                raise EOFError("it ends within its header")
            shape = tuple(int.from_bytes(sides[i : i + 4], "big") for i in range(0, 4 * head[3], 4))
            size = math.prod(shape)
            if path.suffix == ".gz" and size > MAX_UNPACKED:
                raise ValueError(f"{path} inflates to {size} bytes, which is more than {MAX_UNPACKED}: unpack it first")
            content = _read(file, size + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    if len(content) != size:
        found = f"{size + 1} or more" if len(content) > size else len(content)
        raise ValueError(f"{path} is damaged: {found} bytes where {shape} asks for {size}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read(file: gzip.GzipFile | IO[bytes], most: int) -> bytes:
    """Return at most ``most`` bytes; memory is taken for what is there, not for what a header promises."""
    parts: list[bytes] = []
    while most > 0 and (part := file.read(min(CHUNK, most))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)
