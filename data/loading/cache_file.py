"""The files of the disk cache: decoded images one after the other, and checksums that they are compared with.

They are read, not mapped into memory: a map whose file is cut short, or lies on a disk that fails, kills the process.
"""

import contextlib
import json
import math
import os
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from util.console import one_line, warn
from util.files import length, write_text

FORMAT = 2  # of the record
BLOCK = 2**22  # bytes that have a checksum of their own


class CacheFile:
    """Numbers of one type; several threads may read and write."""

    def __init__(self, path: Path, dtype: torch.dtype, mode: str = "rb") -> None:
        self.path, self.dtype = path, dtype
        self._file: Any = path.open(mode, buffering=0)
        self._lock = threading.Lock()  # a file has one position

    def read(self, starts: list[int], shape: tuple[int, ...]) -> Tensor:
        """Return the numbers from each of ``starts`` on, (N, *shape).

        Raises:
            OSError: the file has become shorter, or cannot be read.
        """
        result = torch.empty((len(starts), *shape), dtype=self.dtype)
        size = math.prod(shape) * result.itemsize
        content = result.numpy().reshape(-1).view(np.uint8).data
        with self._lock:
            for i, start in enumerate(starts):
                self._file.seek(start * result.itemsize)
                self._move(self._file.readinto, content[i * size : (i + 1) * size])
        return result

    def write(self, start: int, numbers: np.ndarray) -> None:
        """Put ``numbers`` in their place."""
        content = np.ascontiguousarray(numbers).reshape(-1).view(np.uint8).data
        with self._lock:
            self._file.seek(start * numbers.itemsize)
            self._move(self._file.write, content)

    def _move(self, move: Callable[[memoryview], int], content: memoryview) -> None:
        while content:
            num = move(content)
            if not num:
                raise OSError(f"{self.path} was cut short")
            content = content[num:]

    def reserve(self, num_bytes: int) -> None:
        """Take the space for all of the file, so that it is not found to be too little after an hour of decoding."""
        try:
            self._file.truncate(num_bytes)
            if hasattr(os, "posix_fallocate") and num_bytes:
                os.posix_fallocate(self._file.fileno(), 0, num_bytes)
        except OSError as error:
            raise OSError(
                f"--cache disk: {error.strerror}: {self.path} needs {num_bytes} bytes; choose another --cache_dir, or "
                "--cache off"
            ) from None

    def close(self) -> None:
        self._file.close()


class DiskCache:
    """The files of one data set in ``--cache_dir``, which an earlier run may have written."""

    def __init__(self, folder: Path, digest: str, dtype: torch.dtype, numbers: Mapping[str, int]) -> None:
        """Name the files.

        Args:
            folder: where they are.
            digest: part of their names, which changes with everything that the images depend on.
            dtype: of the images.
            numbers: key -> how many numbers its images have together.
        """
        self.folder, self.dtype, self.numbers = folder, dtype, numbers
        self.files = {key: folder / f"{digest}_{key}.bin" for key in numbers}
        self.record = folder / f"{digest}.json"  # written last: where it stands, the files are whole

    def make_sure(self, decode: Callable[[Mapping[str, CacheFile]], Any], num_threads: int) -> None:
        """Write the files by ``decode``, which returns what is to be noted, where they are missing or damaged.

        Raises:
            OSError: there is no room, or no right to write.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.record.exists():
            try:
                self._check(num_threads)
                return
            except (OSError, ValueError) as error:
                warn(f"the disk cache is damaged and made anew: {error}")
        _remove_leftovers(self.folder)
        unfinished = {key: file.with_suffix(f".{os.getpid()}.tmp") for key, file in self.files.items()}
        opened: dict[str, CacheFile] = {}
        try:
            for key, file in unfinished.items():
                opened[key] = CacheFile(file, self.dtype, "w+b")
                opened[key].reserve(self._bytes(key))
            noted = decode(opened)
            sums = {key: _checksums(file, num_threads) for key, file in unfinished.items()}
            for key, file in unfinished.items():
                opened[key].close()
                file.replace(self.files[key])
        finally:
            for key, file in unfinished.items():
                if key in opened:
                    opened[key].close()
                file.unlink(missing_ok=True)
        content = {"format": FORMAT, "checksums": sums, "noted": noted}
        write_text(self.record, json.dumps({"checksum": _of_record(content), "content": content}))

    def open(self) -> tuple[dict[str, CacheFile], Any]:
        """Return the files, which ``make_sure`` has checked, and what was noted.

        Raises:
            ValueError: another process has damaged them since.
            OSError: they cannot be read.
        """
        content = self._read_record()
        return {key: CacheFile(file, self.dtype) for key, file in self.files.items()}, content["noted"]

    def _bytes(self, key: str) -> int:
        return self.numbers[key] * self.dtype.itemsize

    def _read_record(self) -> dict[str, Any]:
        """Return the record; raise ValueError when it is damaged, or the files are not as long as they should be."""
        try:
            found = json.loads(self.record.read_bytes())
            content = dict(found["content"])
            if found["checksum"] != _of_record(content) or content["format"] != FORMAT:
                raise ValueError("its checksum is wrong")
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise ValueError(f"{self.record} is no record of this version ({one_line(str(error))[:80]})") from None
        for key, file in self.files.items():
            if (found := length(file)) != self._bytes(key):
                raise ValueError(f"{file} has {found} bytes, not {self._bytes(key)}")
        return content

    def _check(self, num_threads: int) -> None:
        """Raise ValueError when a file is not what was written."""
        sums = self._read_record()["checksums"]
        for key, file in self.files.items():
            found = _checksums(file, num_threads)
            if wrong := [i for i, pair in enumerate(zip(found, sums[key], strict=True)) if pair[0] != pair[1]]:
                raise ValueError(f"{file}: the checksum of the block at byte {wrong[0] * BLOCK} is wrong")


def _of_record(content: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(content).encode())


def _checksums(path: Path, num_threads: int) -> list[int]:
    """Return the checksum of each block of a file, read at some gigabytes a second."""

    def one(at: int) -> int:
        with path.open("rb") as file:
            file.seek(at)
            return zlib.crc32(file.read(BLOCK))

    places = range(0, length(path), BLOCK)
    pool = ThreadPoolExecutor(max(1, num_threads))
    try:
        bar = tqdm(pool.map(one, places), "checking the cache", len(places), leave=False, disable=None)
        return list(bar)
    finally:
        pool.shutdown(cancel_futures=True)  # so that Ctrl-C need not wait for all the rest


def _remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files of processes that were killed: those that nobody wrote to for a day."""
    for file in folder.glob("*.tmp"):
        with contextlib.suppress(OSError):  # another process may be doing the same
            if time.time() - file.stat().st_mtime > 86400:
                file.unlink()
