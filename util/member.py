"""A member of a tar file, which is read where it lies, as a file is."""

import io
import os
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple


class Member(NamedTuple):
    """Bytes in a tar file that are an image; image readers treat it as they treat a Path."""

    tar: Path
    path: str  # within the tar
    offset: int
    size: int

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.path).suffix

    def read_bytes(self) -> bytes:
        """Return the content; raise OSError when it is not all there any more."""
        opened = os.open(self.tar, os.O_RDONLY)
        try:
            content = os.pread(opened, self.size, self.offset)
        finally:
            os.close(opened)
        if len(content) < self.size:
            raise OSError(f"{self.tar} was cut short: {self.path} is not all there")
        return content

    def open(self, mode: str = "rb") -> BinaryIO:
        assert mode == "rb", mode
        return io.BytesIO(self.read_bytes())

    def __str__(self) -> str:
        return f"{self.tar}/{self.path}"


ImageFile = Path | Member  # what an image is read from


def size_of(file: ImageFile) -> int:
    """Return the size of an image's file in bytes."""
    return file.size if isinstance(file, Member) else file.stat().st_size
