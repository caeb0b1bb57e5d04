"""List what is in a tar file, and where; imports neither torch nor Pillow.

The format is that of POSIX.1-2001 (pax) and GNU tar: blocks of 512 bytes, a header before each member. It is not read
by ``tarfile``, which ends at a damaged header without a word and reads extended headers of any length.
"""

import os
from pathlib import Path
from typing import BinaryIO, NamedTuple

BLOCK = 512
EMPTY = bytes(BLOCK)  # ends a tar
FILE, FOLDER, OTHER_KIND = "file", "folder", "other"
KINDS = {b"0": FILE, b"\0": FILE, b"7": FILE, b"5": FOLDER}
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
LONGEST = 2**16  # bytes of an extended header that are read
LABEL = 200  # bytes of a .cls that are read
BUFFER = 2**14  # bytes that are read at a time: many headers of small members, and little beside those of large ones


class Entry(NamedTuple):
    """A member of a tar."""

    name: str
    kind: str
    offset: int
    size: int
    content: bytes = b""  # of a label


class Listing(NamedTuple):
    """The members of a tar, or those before the place where it is damaged."""

    entries: list[Entry]
    problem: str  # "" when all is well


def compression(start: bytes) -> str:
    """Return how a file that begins so is compressed, "" when it is not."""
    return next((kind for magic, kind in COMPRESSED.items() if start.startswith(magic)), "")


def list_members(path: Path, most: int = 2**62) -> Listing:
    """Return what is in a tar, or its first ``most`` members, from its headers alone.

    Raises:
        OSError: it cannot be opened.
    """
    with path.open("rb", buffering=BUFFER) as file:
        return _list(file, os.fstat(file.fileno()).st_size, most)


def _list(file: BinaryIO, end: int, most: int) -> Listing:
    entries: list[Entry] = []
    at, long_name, extended = 0, "", dict[str, str]()
    try:
        while at < end and len(entries) < most:
            file.seek(at)
            header = file.read(BLOCK)
            if header == EMPTY:
                break
            _check(header, at)
            kind, size = header[156:157], _number(header[124:136])
            name, size = long_name or extended.get("path") or _name(header), int(extended.get("size", size))
            offset = at + BLOCK
            if kind not in KINDS and kind not in b"xgLKS":  # links and devices have no content
                size = 0
            if offset + size > end:
                raise ValueError(f"it ends within {name}")
            if kind == b"L":
                long_name = _text(file.read(min(size, LONGEST)))
            elif kind == b"x":
                extended = _pax(file.read(min(size, LONGEST)))
            elif kind not in b"gK":  # defaults for all, and names of links
                is_sparse = any(key.startswith("GNU.sparse") for key in extended)
                is_folder = name.endswith("/") and KINDS.get(kind) == FILE
                found = OTHER_KIND if is_sparse else FOLDER if is_folder else KINDS.get(kind, OTHER_KIND)
                is_label = size <= LABEL and name.lower().endswith(".cls")
                entries.append(Entry(name, found, offset, size, file.read(size) if is_label else b""))
                long_name, extended = "", {}
            at = offset + -(-size // BLOCK) * BLOCK
    except ValueError as error:
        return Listing(entries, str(error))
    return Listing(entries, "" if end else "it is empty")


def _check(header: bytes, at: int) -> None:
    """Raise ValueError when this is no header of a member: its checksum, in its bytes 148 to 155, tells."""
    if kind := compression(header) if at == 0 else "":
        raise ValueError(f"it is compressed by {kind}")
    if len(header) < BLOCK:
        raise ValueError("it ends within a header")
    summed = header[:148] + b" " * 8 + header[156:]
    try:
        off = sum(summed) - _number(header[148:156])
    except ValueError:
        off = -1
    if off and off != 256 * sum(byte > 127 for byte in summed):  # some have taken bytes as signed
        raise ValueError("it is no tar" if at == 0 else f"a header, at byte {at}, is damaged")


def _number(field: bytes) -> int:
    """Return the number in a field: octal digits or, where that is too small, bytes."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    number = int(field.partition(b"\0")[0].strip() or b"0", 8)
    if number < 0:
        raise ValueError(f"a size is {number}")
    return number


def _name(header: bytes) -> str:
    name, prefix = _text(header[:100]), _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _pax(content: bytes) -> dict[str, str]:
    """Return the records of an extended header, each of which is LENGTH KEY=VALUE and a newline."""
    found = {}
    while content:
        length = int(content.partition(b" ")[0])
        if not 0 < length <= len(content):
            raise ValueError("an extended header is damaged")
        key, _, value = content[:length].partition(b" ")[2].removesuffix(b"\n").partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        content = content[length:]
    return found
