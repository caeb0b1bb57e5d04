"""Files that are written whole or not at all, append-only logs, and the lock on a run folder."""

import csv
import hashlib
import io
import os
import sys
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from util.console import warn

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


MAX_NAME = 200  # bytes of a name that a few more may be added to: file systems allow 255


@contextmanager
def written_whole(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file that takes the place of ``path`` when the block ends without an error.

    After an error, or a crash, ``path`` is what it was before.
    """
    name = os.fsencode(path.name)
    stem = path.name if len(name) < MAX_NAME else hashlib.sha1(name).hexdigest()  # no longer than it may be
    temporary = path.with_name(f".{stem}.{os.getpid()}.tmp")
    try:
        text = None if "b" in mode else "utf-8"
        with temporary.open(mode, encoding=text, errors=text and "surrogateescape") as file:  # names keep their bytes
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def composed(name: str) -> str:
    """Return ``name`` with each letter and its accent as one character (NFC), as most systems write it."""
    return unicodedata.normalize("NFC", name)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` whole or not at all."""
    with written_whole(path, "w") as file:
        file.write(text)


def append_text(path: Path, text: str) -> None:
    """Append ``text`` to ``path``; what stood there is never rewritten."""
    with path.open("a", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(text)


def cut_back(path: Path, length: int) -> None:
    """Shorten ``path`` to ``length`` bytes, as it was when a checkpoint was written; 0 removes it.

    Where it is shorter than that, its whole lines stay, and what is lost is warned of.
    """
    if length == 0:
        path.unlink(missing_ok=True)
        return
    whole = 0
    if path.exists():
        with path.open("r+b") as file:
            whole = min(length, file.seek(0, os.SEEK_END))
            if whole < length:
                file.seek(0)
                whole = file.read().rfind(b"\n") + 1  # its last line may be cut short
            file.truncate(whole)
    if whole < length:
        warn(f"{path} was cut short: {length - whole} bytes of the saved run's {length} are lost; the run goes on")


def sync(path: Path) -> None:
    """Wait until what was appended to ``path`` is on disk, where it is."""
    if path.exists():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def length(path: Path) -> int:
    """Return the size of ``path`` in bytes, 0 when there is no such file."""
    return path.stat().st_size if path.exists() else 0


class FolderLock:
    """Keeps a second process out of a folder; the system lets go of it when this process ends, however it ends."""

    def __init__(self, folder: Path, seconds: float = 0) -> None:
        """Take the lock, for which ``seconds`` may be waited.

        Raises:
            BlockingIOError: another process holds it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / ".lock").open("a+")
        end = time.monotonic() + seconds
        while not (taken := self._take()) and time.monotonic() < end:
            time.sleep(0.02)
        if not taken:
            self._file.close()
            raise BlockingIOError(f"{folder} is in use by another process")

    def _take(self) -> bool:
        try:
            if sys.platform == "win32":
                msvcrt.locking(self._file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                # Not flock: forked processes share its locks, and would hold this one when this process is killed.
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def release(self) -> None:
        self._file.close()


def csv_line(values: Sequence[Any]) -> str:
    """Return a row of a CSV file, with its end of line."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()
