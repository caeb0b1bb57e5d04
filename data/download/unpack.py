"""Unpack archives that strangers made: nothing is written outside the folder, no links, no bombs."""

import errno
import gzip
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from tqdm import tqdm

CHUNK = 1 << 20  # bytes that are copied at a time
MAX_FILES = 1_000_000
MAX_DEPTH, MAX_PATH, MAX_PART = 50, 1000, 255  # folders, bytes of a name with them, and of each: enough for any data
JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db")  # what file managers leave in archives

_DAMAGE = (  # what the standard library raises for damaged archives, beside some kinds of OSError
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


class Member(NamedTuple):
    """One entry of an archive, as it presents itself."""

    name: str
    kind: str  # "file", "folder", or what it is instead
    content: IO[bytes] | None  # of a file; to be read before the next member


def unpack(archive: Path, kind: str, folder: Path, limit: int) -> None:
    """Write what ``archive`` holds below ``folder``, which is made.

    Args:
        archive: the file.
        kind: "zip", "tar" or "tar.gz".
        folder: where to; remove it after an error.
        limit: most bytes that may come out.

    Raises:
        ValueError: the archive is damaged, or holds what has no place in a data set.
        OSError: the files cannot be written.
    """
    folder.mkdir(parents=True)
    num_bytes = 0
    members = _zip_members(archive) if kind == "zip" else _tar_members(archive, kind, limit)
    bar = tqdm(members, f"unpacking {archive.name}", unit=" files", leave=False, disable=None)
    for num_files, member in enumerate(bar, 1):
        parts = safe_parts(member.name)
        if parts is None:
            raise ValueError(f"{archive.name} is refused: {member.name!r} would be written outside the folder")
        if any(part in JUNK or part.startswith("._") for part in parts):
            continue
        if _is_too_long(member.name, parts):
            raise ValueError(f"{archive.name} is refused: the name {member.name!r:.60}... is too long or too deep")
        if member.kind not in ("file", "folder"):
            raise ValueError(f"{archive.name} is refused: {member.name!r} is {member.kind}, which no data set needs")
        if num_files > MAX_FILES:
            raise ValueError(f"{archive.name} is refused: it holds more than {MAX_FILES} files")
        path = folder.joinpath(*parts)
        try:
            (path if member.kind == "folder" else path.parent).mkdir(parents=True, exist_ok=True)
            if member.content is None:
                continue
            with path.open("xb") as file:
                while chunk := _read(archive, member.content):
                    num_bytes += len(chunk)
                    if num_bytes > limit:
                        raise _too_large(archive, limit)
                    file.write(chunk)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise ValueError(f"{archive.name} is refused: {member.name!r} is in it twice") from None


def _is_too_long(name: str, parts: tuple[str, ...]) -> bool:
    lengths = [len(os.fsencode(part)) for part in (name, *parts)]
    return len(parts) > MAX_DEPTH or lengths[0] > MAX_PATH or max(lengths[1:], default=0) > MAX_PART


def safe_parts(name: str) -> tuple[str, ...] | None:
    """Return the folders and the file that a member's name consists of, or None when it leads out of its folder."""
    parts = PurePosixPath(name).parts
    is_outside = name.startswith("/") or ".." in parts or re.match("[A-Za-z]:", name) is not None
    return None if is_outside or "\\" in name or "\0" in name else parts


def _read(archive: Path, content: IO[bytes]) -> bytes:
    with _told(archive):
        return content.read(CHUNK)


@contextmanager
def _told(archive: Path) -> Iterator[None]:
    """Raise ValueError when what is read in the block is damaged."""
    try:
        yield
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # the disk's, not a decoder's
            raise
        raise ValueError(f"{archive.name} is damaged or no archive: {error}") from None


def _too_large(archive: Path, limit: int) -> ValueError:
    return ValueError(f"{archive.name} is refused: it unpacks to more than {limit:,} bytes")


def _zip_members(archive: Path) -> Iterator[Member]:
    with _told(archive), zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            mode = info.external_attr >> 16  # as Unix has it, 0 from other systems
            if info.flag_bits & 1:
                yield Member(info.filename, "encrypted", None)
            elif stat.S_ISLNK(mode):
                yield Member(info.filename, "a link", None)
            elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                yield Member(info.filename, "a device", None)
            elif info.is_dir():
                yield Member(info.filename, "folder", None)
            else:
                with file.open(info) as content:
                    yield Member(info.filename, "file", content)


def _tar_members(archive: Path, kind: str, limit: int) -> Iterator[Member]:
    with _told(archive):
        opened: IO[bytes] = archive.open("rb") if kind == "tar" else _LimitedGzip(archive, limit)  # type: ignore[assignment]
        with opened as unzipped, tarfile.open(fileobj=unzipped, mode="r|") as file:
            for info in file:
                if info.isreg():
                    yield Member(info.name, "file", file.extractfile(info))
                elif info.isdir():
                    yield Member(info.name, "folder", None)
                else:
                    yield Member(info.name, "a link" if info.issym() or info.islnk() else "a device", None)
            while unzipped.read(CHUNK):  # to the end, where gzip keeps its checksum
                pass


class _LimitedGzip(gzip.GzipFile):
    """A packed file that can be read up to a limit: a tar's headers, too, can be bombs."""

    def __init__(self, archive: Path, limit: int) -> None:
        super().__init__(archive, "rb")
        self._archive, self._limit = archive, limit
        self._left = 2 * limit + 1_000_000  # headers and padding come on top of what the files hold

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        self._left -= len(content)
        if self._left < 0:
            raise _too_large(self._archive, self._limit)
        return content
