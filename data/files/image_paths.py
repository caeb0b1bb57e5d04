"""Find image files in folders, and hold a part of them out; imports neither torch nor Pillow."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, overload

from util.files import composed

HEIF = (".heic", ".heif")  # read where the package pillow-heif is installed
EXTENSIONS = (
    *(
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".mpo",
        ".png",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".bmp",
        ".dib",
        ".tif",
        ".tiff",
    ),
    *(".webp", ".gif", ".avif", ".jp2", ".j2k", ".j2c", ".tga", ".pcx", ".qoi", ".sgi", *HEIF),
)
READ = (*EXTENSIONS, ".npy")  # by data sets for translation
TEXTS = (".txt", ".csv", ".tsv", ".json", ".yaml", ".yml", ".md", ".xml", ".html", ".log", ".py", ".sh", ".pdf", ".npy")
MAGIC = re.compile(  # how files of these formats begin, whatever they are called
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|BM....\0\0\0\0|II[*+]\0|MM\0[*+]|RIFF....WEBP|P[1-6]\s+[\d#]|qoif|"
    rb"....ftyp(avif|avis|heic|heix|mif1)|\0\0\0\x0cjP  \r\n|\xff\x4f\xff\x51",
    re.DOTALL,
)
SYSTEM = ("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found")
NUMBER = re.compile(r"\d+")
IMAGE, LINK = "image", "link"  # what a file or a folder is; or why it is left out:
OTHER, DANGLING, AGAIN = "no images", "dangling links", "links to folders that are read already"
NO_FILE, UNREADABLE = "neither files nor folders", "folders that cannot be opened"
NO_IMAGE = "folders without an image"
OF_SYSTEM = "folders of the system"  # thumbnails and the like, which macOS, a NAS or Windows adds
HIDDEN = "folders with images, hidden by the dot that their names begin with"


class Survey(NamedTuple):
    """What lies anywhere below a folder, as sorted relative paths with forward slashes."""

    names: list[str]  # the images
    left_out: dict[str, list[str]]  # reason -> other files and folders
    links: list[str]  # linked folders that were followed


def survey(folder: Path, extensions: tuple[str, ...] = EXTENSIONS) -> Survey:
    """Look at every file below ``folder``; hidden files, whose names begin with a dot, do not count."""
    found = Survey([], {}, [])
    for name, what in _walk(folder, extensions):
        if what == IMAGE:
            found.names.append(name)
        elif what == LINK:
            found.links.append(name)
        else:
            found.left_out.setdefault(what, []).append(name)
    for names in (found.names, found.links, *found.left_out.values()):
        names.sort(key=natural)
    return found


class Files(Sequence[Path]):
    """The files of ``names`` in a folder; each is a Path only when it is asked for: a million would fill the memory."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder, self.names = folder, names

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> "Files": ...
    def __getitem__(self, index: int | slice) -> "Path | Files":
        if isinstance(index, slice):
            return Files(self.folder, self.names[index])
        return self.folder / self.names[index]

    def only(self, indices: Sequence[int]) -> "Files":
        """Return those at ``indices``."""
        return Files(self.folder, [self.names[i] for i in indices])

    def on_disk(self) -> "Files":
        """Return the files that these lie in: themselves."""
        return self

    def texts(self) -> Iterator[str]:
        """Yield the files as texts."""
        return (os.path.join(self.folder, name) for name in self.names)  # noqa: PTH118  much faster than a Path each


def list_images(folder: Path, extensions: tuple[str, ...] = EXTENSIONS) -> list[str]:
    """Return the images anywhere below ``folder``, as sorted relative paths with forward slashes."""
    return survey(folder, extensions).names


def some_images(folder: Path, extensions: tuple[str, ...] = EXTENSIONS) -> Iterator[str]:
    """Yield the images below ``folder`` as they are found, in no order."""
    return (name for name, what in _walk(folder, extensions) if what == IMAGE)


def has_images(folder: Path, extensions: tuple[str, ...] = EXTENSIONS) -> bool:
    """Return whether there is an image anywhere below ``folder``."""
    return any(True for _ in some_images(folder, extensions))


def match_names(names_A: Iterable[str], names_B: Iterable[str]) -> dict[str, str]:
    """Return {name of A: name of B} in the order of A: equal names, or equal but for the extension if all is clear.

    It is not where two names of one folder, that have no equal in the other, differ in nothing else.
    """
    names_A, known = list(names_A), set(names_B)
    partner = {name: name for name in names_A if name in known}
    single_A, single_B = by_stem(n for n in names_A if n not in partner), by_stem(n for n in known if n not in partner)
    for stem, found in single_A.items():
        if len(found) == len(single_B.get(stem, ())) == 1:
            partner[found[0]] = single_B[stem][0]
    return {name: partner[name] for name in names_A if name in partner}


def by_stem(names: Iterable[str]) -> dict[str, list[str]]:
    """Return {name without its extension: names}; as some systems write é in two letters, these count as one."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(composed(name.rpartition(".")[0]), []).append(name)
    return groups


def _walk(folder: Path, extensions: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield each file below ``folder`` with IMAGE, or why it is left out; each followed link to a folder with LINK."""
    if not folder.is_dir():
        return
    visited = {_identity(folder)}
    todo, linked = [(str(folder), "")], list[tuple[os.DirEntry[str], str]]()
    while todo or linked:
        if not todo:  # links come last: what is there itself, however deep, is not read through one
            entry, name = linked.pop(0)
            if (identity := _identity(entry)) in visited:
                yield name, AGAIN
                continue
            yield name, LINK
            visited.add(identity)
            todo.append((entry.path, name))
        path, prefix = todo.pop()
        try:
            with os.scandir(path) as listing:
                entries = sorted(listing, key=lambda e: e.name)
        except OSError:
            yield prefix, UNREADABLE
            continue
        for entry in entries:
            name = prefix + entry.name
            if entry.name.startswith("."):
                if entry.is_dir() and _has_images_by_name(entry.path, extensions):
                    yield f"{name}/", HIDDEN
            elif entry.name in SYSTEM and entry.is_dir():
                yield f"{name}/", OF_SYSTEM
            elif entry.is_dir() and entry.is_symlink():
                linked.append((entry, f"{name}/"))
            elif entry.is_dir():
                visited.add(_identity(entry))
                todo.append((entry.path, f"{name}/"))
            elif not entry.is_file():
                yield name, DANGLING if entry.is_symlink() else NO_FILE
            else:
                yield name, IMAGE if _is_image(entry, extensions) else OTHER


def _has_images_by_name(path: str, extensions: tuple[str, ...]) -> bool:
    """Return whether a file below a folder, that is not hidden itself, has the name of an image."""
    files = (name for _, _, names in os.walk(path) for name in names)
    return any(name.lower().endswith(extensions) and not name.startswith(".") for name in files)


def _is_image(file: os.DirEntry[str], extensions: tuple[str, ...]) -> bool:
    """Return whether a file is an image by its name or, where that says nothing, by its first bytes."""
    name = file.name.lower()
    if name.endswith(extensions):
        return True
    if name.endswith(TEXTS):
        return False
    try:
        with open(file.path, "rb") as opened:  # noqa: PTH123  a Path for each of a million files takes longer
            return MAGIC.match(opened.read(16)) is not None
    except OSError:
        return False


def _identity(folder: Path | os.DirEntry[str]) -> tuple[int, int]:
    state = folder.stat()
    return state.st_dev, state.st_ino


def natural(name: str) -> str:
    """Return a sort key under which 2 comes before 10, and 01 before 1: names that differ have different keys."""
    return f"{NUMBER.sub(_with_length, name)}\0\0{name}"


def _with_length(number: re.Match[str]) -> str:
    """Return a number so that it sorts by its length first, and before all letters."""
    digits = number[0].lstrip("0") if number[0].isascii() else str(int(number[0]) or "")
    return f"\0{chr(len(digits) + 1)}{digits}"


def held_out(paths: list[str], fraction: float) -> set[str]:
    """Return ``fraction`` of ``paths``, rounded, but one at least and not all when there are two or more.

    The choice follows from the names alone: it is the same on every machine and at every call.
    """
    if fraction == 0 or len(paths) < 2:
        return set()
    num = min(max(1, round(fraction * len(paths))), len(paths) - 1)
    return set(sorted(paths, key=lambda p: hashlib.sha1(p.encode("utf-8", "surrogateescape")).digest())[:num])


def read_list(file: Path, root: Path, paths: list[str]) -> set[str]:
    """Return those of ``paths`` that ``file`` names, one a line, relative to ``root`` or beginning with its name.

    Raises:
        OSError: ``file`` cannot be read.
        ValueError: it names an image that is not there, or none at all.
    """
    known, found = {composed(path): path for path in paths}, set()
    prefixes = (f"{root.name}/", f"{root.resolve().name}/")  # of a link, either name
    for number, line in enumerate(file.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines(), 1):
        if not (name := line.strip().replace("\\", "/").removeprefix("./")):
            continue
        name = composed(name)
        match = next((n for n in (name, *map(name.removeprefix, map(composed, prefixes))) if n in known), None)
        if match is None:
            raise ValueError(f"--val_list {file}, line {number}: {name} is not among the images in {root}")
        found.add(known[match])
    if not found:
        raise ValueError(f"--val_list {file} names no image")
    return found
