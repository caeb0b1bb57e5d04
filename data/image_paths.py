"""Find image files in folders, and hold a part of them out; imports neither torch nor Pillow."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp")


def list_images(folder: Path) -> list[str]:
    """Return the images anywhere below ``folder``, as sorted relative paths with forward slashes."""
    return sorted(_walk(folder), key=natural)


def has_images(folder: Path) -> bool:
    """Say whether there is an image anywhere below ``folder``."""
    return next(_walk(folder), None) is not None


def _walk(folder: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [f for f in folders if not f.startswith(".")]
        inside = Path(parent).relative_to(folder).as_posix()
        prefix = "" if inside == "." else f"{inside}/"
        for file in files:
            if file.lower().endswith(EXTENSIONS) and not file.startswith("."):
                yield prefix + file


def natural(name: str) -> tuple[tuple[tuple[int, int | str], ...], str]:
    """Return a sort key under which 2 comes before 10, and 01 before 1: names that differ have different keys."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(p)) if p.isdecimal() else (1, p) for p in parts if p), name


def held_out(paths: list[str], fraction: float) -> set[str]:
    """Return ``fraction`` of ``paths``, rounded, but one at least and not all when there are two or more.

    The choice follows from the names alone: it is the same on every machine and at every call.
    """
    if fraction == 0 or len(paths) < 2:
        return set()
    num = min(max(1, round(fraction * len(paths))), len(paths) - 1)
    return set(sorted(paths, key=lambda p: hashlib.sha1(p.encode()).digest())[:num])


def read_list(file: Path, root: Path, paths: list[str]) -> set[str]:
    """Return those of ``paths`` that ``file`` names, one a line, relative to ``root`` or beginning with its name.

    Raises:
        OSError: ``file`` cannot be read.
        ValueError: it names an image that is not there, or none at all.
    """
    known, found = set(paths), set()
    prefixes = (f"{root.name}/", f"{root.resolve().name}/")  # of a link, either name
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not (name := line.strip().replace("\\", "/").removeprefix("./")):
            continue
        match = next((n for n in (name, *map(name.removeprefix, prefixes)) if n in known), None)
        if match is None:
            raise ValueError(f"--val_list {file}, line {number}: {name} is not among the images in {root}")
        found.add(match)
    if not found:
        raise ValueError(f"--val_list {file} names no image")
    return found
