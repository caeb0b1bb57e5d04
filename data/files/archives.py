"""Unpack archived data sets once, into a folder that later runs find again."""

import hashlib
import os
import shutil
from pathlib import Path

KINDS = {".zip": "zip", ".tar.gz": "tar.gz", ".tgz": "tar.gz", ".tar": "tar"}  # how a file ends -> what it is
MAX_EXPANSION = 100  # what unpacks to more than this many times its size is no archive of images
ROOM = 64_000_000  # bytes that any archive may unpack to


def is_archive(path: Path) -> bool:
    """Return whether ``path`` is named as an archive that ``unpacked`` reads."""
    return path.name.lower().endswith(tuple(KINDS)) and path.is_file()


def unpacked(archive: Path, cache: Path) -> Path:
    """Return the folder in ``cache`` that holds the files of ``archive``; unpack it when that was not done before.

    Raises:
        ValueError: it is damaged, protected by a password, or would write outside that folder.
        OSError: there is no room.
    """
    from data.download.unpack import unpack  # only where there is one: it imports much

    ending = next(ending for ending in KINDS if archive.name.lower().endswith(ending))
    state = archive.stat()
    key = hashlib.sha256(os.fsencode(f"{archive.resolve()} {state.st_size} {state.st_mtime_ns}")).hexdigest()[:12]
    folder = cache / f"{archive.name[: -len(ending)][:60]}_{key}"
    if not folder.is_dir():
        print(f"unpacking {archive} to {folder}")
        unfinished = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
        try:
            unpack(archive, KINDS[ending], unfinished, MAX_EXPANSION * state.st_size + ROOM)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder
