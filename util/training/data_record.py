"""Record which images a run trains on, and compare them with what is there when it resumes."""

import gzip
import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from util.config_file import plain, read_section
from util.console import warn
from util.files import written_whole
from util.runs import OPTIONS_FILE
from util.types import DataSpec

NAMES_FILE = "images.json.gz"
NAMED = 3  # images that are named
MAX_BYTES = 2**28  # of the record, unpacked
Names = Mapping[str, Sequence[str]]  # the images of each side, by name; of one where sides belong together


def note_names(folder: Path, names: Names) -> None:
    """Note in a run's folder which images it learns from."""
    with written_whole(folder / NAMES_FILE) as file:
        file.write(gzip.compress(json.dumps({key: list(some) for key, some in names.items()}).encode(), 6, mtime=0))


def recorded_spec(folder: Path) -> DataSpec:
    """Return what the data of a run was like when it was started."""
    return DataSpec.from_dict(read_section(folder / OPTIONS_FILE, "spec"))


def check_same_data(
    folder: Path, spec: Mapping[str, Any], names: Names, damaged: Collection[str], accept: bool
) -> bool:
    """Compare the data with the record of the run in ``folder`` that goes on; return whether there are other images.

    Args:
        folder: of the run.
        spec: what the data is like now, its number of images included.
        names: the images that are there now.
        damaged: those that cannot be read, which are not in ``names``: to skip them is no reason to stop.
        accept: whether other images will do.

    Raises:
        ValueError: the data differs; the message says in what, and how to go on all the same.
    """
    recorded = read_section(folder / OPTIONS_FILE, "spec")
    changes = [
        _change(name, before, plain(spec.get(name)))
        for name, before in recorded.items()
        if name not in ("num_images", "batch_size") and plain(spec.get(name)) != before
    ]
    noted = _read_names(folder)
    if noted is None and recorded.get("num_images") != spec["num_images"]:
        changes.append(f"it has {spec['num_images']} images, {recorded.get('num_images')} before")
    skipped = []
    for key, now in names.items() if noted is not None else ():
        earlier, there = (noted or {}).get(key, []), set(now)
        gone = [name for name in earlier if name not in there]
        skipped += [name for name in gone if name in damaged]
        known = set(earlier)
        for what, some in (("gone", set(gone) - set(damaged)), ("new", there - known)):
            if some:
                side = f" of {key}" if len(names) > 1 else ""
                changes.append(
                    f"{_listed(sorted(some))} {what}, so that there are {len(now)}{side}, not {len(earlier)}"
                )
    if changes and not accept:
        raise ValueError(
            f"the data is not what it was when this run was started: {'; '.join(changes)}. --accept_data resumes with "
            f"the data as it is now; --init_from {folder.name} --name NEW starts a new run from the weights of this one"
        )
    if changes:
        warn(f"--accept_data: {'; '.join(changes)}")
    if skipped:
        warn(f"damaged since this run was started, and skipped: {_listed(skipped)}")
    return bool(changes or skipped)


def _change(name: str, before: Any, now: Any) -> str:
    if name != "classes":
        return f"its {name} is {now}, was {before}"
    gone, new = ([c for c in some if c not in others] for some, others in ((before, now), (now, before)))
    parts = [f"class {', '.join(some)} is {what}" for what, some in (("gone", gone), ("new", new)) if some]
    return " and ".join(parts) or "its classes are in another order"


def _listed(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > NAMED else ""
    return f"{len(names)} image{'s' * (len(names) > 1)} ({', '.join(names[:NAMED])}{more})"


def _read_names(folder: Path) -> dict[str, list[str]] | None:
    """Return what ``note_names`` noted; None when it did not, or when that is damaged."""
    try:
        with gzip.open(folder / NAMES_FILE) as file:
            content = file.read(MAX_BYTES + 1)
        return None if len(content) > MAX_BYTES else _checked(json.loads(content))
    except (OSError, EOFError, ValueError, zlib.error, RecursionError):
        return None


def _checked(found: Any) -> dict[str, list[str]]:
    """Return what was noted; raise ValueError when it is something else."""
    lists = found.values() if isinstance(found, dict) else [None]
    if not all(isinstance(some, list) and all(isinstance(name, str) for name in some) for some in lists):
        raise ValueError("no lists of names")
    return dict(found)
