"""Download known data sets: ``python datasets/download.py horse2zebra`` makes datasets/horse2zebra.

A cut download goes on where it stopped when the same command is given again; a data set is there whole or not at all.
"""

import argparse
import json
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from data.download.catalogue import ENTRIES, Entry, Remote
from data.download.fetch import fetch, naming_full_disk, part_of
from data.download.unpack import unpack
from data.files.dataroot import CARD, DATASETS, UNPAIRED
from util.console import one_line_errors
from util.files import FolderLock, length
from util.registry import did_you_mean

EMBEDDED = ("rps_mini", "emoji_mini")
MAX_EXPANSION = 5  # an archive of images hardly shrinks: what unpacks to more than this many times its size is refused
ROOM = 64_000_000  # bytes that any archive may unpack to


def download(name: str, folder: Path = DATASETS) -> Path:
    """Return the folder of a known data set, ``folder / name``, downloading it first when it is not there.

    Raises:
        LookupError: no data set is known by this name, or it must be fetched by hand; the message says how.
        ConnectionError: no server could be reached.
        ValueError: what the servers sent is not the data set.
        OSError: the disk is full or cannot be written, or another process is downloading the same set.
    """
    if name in EMBEDDED:
        return DATASETS / name
    if name not in ENTRIES:
        raise LookupError(f"no data set is known as {name!r}{did_you_mean(name, ENTRIES)}")
    entry, target = ENTRIES[name], folder / name
    if _is_there(target):
        return target
    if entry.by_hand:
        raise LookupError(f"{name} must be fetched by hand: {entry.by_hand.format(folder=target)}")
    with _work_folder(folder / f".{name}.download") as work:
        if not _is_there(target):  # another process may have been faster
            staged = _assemble(name, entry, work)
            if target.is_dir():
                target.rmdir()  # it is empty
            staged.rename(target)
    return target


def _is_there(target: Path) -> bool:
    if target.exists() and not target.is_dir():
        raise FileExistsError(f"{target} is in the way: a file where the data set's folder would be")
    return target.is_dir() and any(target.iterdir())


@contextmanager
def _work_folder(folder: Path) -> Iterator[Path]:
    """Lock a folder for the block; afterwards only what a later download can use is left of it."""
    lock = FolderLock(folder)
    is_done = False
    try:
        _clean(folder)
        yield folder
        is_done = True
    finally:
        _clean(folder)
        lock.release()
        if is_done or [path.name for path in folder.iterdir()] == [".lock"]:
            shutil.rmtree(folder, ignore_errors=True)


def _clean(work: Path) -> None:
    for path in (work / "raw", work / "staged"):
        shutil.rmtree(path, ignore_errors=True)


def _assemble(name: str, entry: Entry, work: Path) -> Path:
    """Download, unpack and convert a data set; return the folder that holds it, complete."""
    staged = work / "staged"
    try:
        for remote in entry.files:
            fetch(remote, work / remote.name)
    except (ConnectionError, ValueError) as error:
        kind = ConnectionError if isinstance(error, ConnectionError) else ValueError
        raise kind(f"cannot download {name}: {error}; {_what_now(entry, work)}") from None
    try:
        with naming_full_disk(work, lambda: f"{name} is downloaded but not unpacked"):
            for remote in entry.files:
                _put(remote, work, staged)
            if entry.convert:
                entry.convert(staged)
            if missing := [path for path in entry.folders if not (staged / path).is_dir()]:
                raise ValueError(f"what was downloaded for {name} has no folder {missing[0]}")
            _write_card(entry, staged / CARD)
    except ValueError:
        for remote in entry.files:  # they would be wrong the next time, too
            (work / remote.name).unlink(missing_ok=True)
        raise
    return staged


def _what_now(entry: Entry, work: Path) -> str:
    """Say what a user whose download failed can do."""
    kept = sum(length(path) for remote in entry.files for path in (work / remote.name, part_of(work / remote.name)))
    again = f"{kept} bytes are kept in {work}, the same command goes on from there; " if kept else ""
    return again + "without a download: " + ", ".join(f"--dataroot {name}" for name in EMBEDDED)


def _put(remote: Remote, work: Path, staged: Path) -> None:
    """Put a file, or what it holds, in its place in the data set."""
    archive, place = work / remote.name, staged / remote.into
    if remote.kind == "as it is":
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(archive, place / remote.name)
        return
    raw = work / "raw"
    unpack(archive, remote.kind, raw, MAX_EXPANSION * length(archive) + ROOM)
    place.parent.mkdir(parents=True, exist_ok=True)
    _only_folder(raw).rename(place)
    shutil.rmtree(raw, ignore_errors=True)


def _only_folder(folder: Path) -> Path:
    """Return the one folder that an archive held, the data set's own; or all of it, when there is more than one."""
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _write_card(entry: Entry, card: Path) -> None:
    values = {"about": entry.about, "licence": entry.licence, **entry.options}
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items()]  # JSON is YAML
    card.write_text("".join(lines), encoding="utf-8")


def list_entries() -> str:
    """Return a table of the known data sets."""
    width = max(map(len, ENTRIES))
    rows = [f"{name:{width}}  {_size(entry):>8}  {entry.about}" for name, entry in ENTRIES.items()]
    return "\n".join(rows)


def _size(entry: Entry) -> str:
    if entry.by_hand:
        return "by hand"
    return f"{entry.size / 1e9:.1f} GB" if entry.size >= 1e9 else f"{entry.size / 1e6:.0f} MB"


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n\n")[0],
        epilog=textwrap.fill(f"Known: {', '.join(ENTRIES)}."),
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="data set to download")
    parser.add_argument("--list", action="store_true", help="say which data sets are known, and how large they are")
    parser.add_argument(
        "--folder", type=Path, default=DATASETS, metavar="DIR", help="where to make NAME (default: %(default)s)"
    )
    parser.add_argument("--unpaired", action="store_true", help="of a name that means two sets, the one without pairs")
    opt = parser.parse_args(args)
    if opt.unpaired:
        opt.names = [UNPAIRED.get(name, name) for name in opt.names]
    if opt.list:
        print(list_entries())
    elif not opt.names:
        parser.error("NAME is required; --list says which are known")
    for name in opt.names:
        with one_line_errors("download.py", False, LookupError, ValueError, OSError):
            was_there = name in EMBEDDED or _is_there(opt.folder / name)
            folder = download(name, opt.folder)
            print(f"{folder} is there already" if was_there else f"{folder}: licence: {ENTRIES[name].licence}")
