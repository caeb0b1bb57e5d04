"""Which weights of which run, and which data, results were made from; and where results of another kind go."""

import hashlib
import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from util.config_file import dump, plain, read_section
from util.files import write_text

ORIGIN_FILE = "origin.yaml"
KIND = ("model", "dataroot", "direction", "labels")  # results that differ in one of these do not replace each other


def describe_origin(run: Path, label: str, kind: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is to be noted of results: of the networks saved as ``label`` in ``run``, and how they were made.

    Args:
        run: folder of the run.
        label: what the checkpoint's files begin with.
        kind: the values of ``KIND``.
        given: the options that the user gave.
    """
    return {"weights": _digest(run, label)} | {name: plain(kind[name]) for name in KIND} | {"given": plain(dict(given))}


def write_origin(results: Path, origin: Mapping[str, Any]) -> None:
    """Note beside results what ``describe_origin`` returned."""
    write_text(results / ORIGIN_FILE, dump({"origin": dict(origin)}))


def read_origin(results: Path) -> dict[str, Any]:
    """Return what was noted beside results, {} when nothing was."""
    path = results / ORIGIN_FILE
    return read_section(path, "origin") if path.exists() else {}


def place_for(results: Path, origin: Mapping[str, Any]) -> tuple[Path, list[str]]:
    """Return the folder for new results: ``results``, or beside it where those there are of another kind.

    Also return what is to be told of that: what stays, and what is replaced though it was made with other options.
    """
    notes = []
    for folder in _numbered(results):
        earlier = read_origin(folder)
        if not folder.exists() or all(earlier.get(name, origin[name]) == origin[name] for name in KIND):
            if folder.exists() and earlier.get("given", origin["given"]) != origin["given"]:
                notes.append(f"replacing {folder}, which was made with {_command(earlier['given'])}")
            return folder, notes
        notes.append(f"{folder} stays as it is: it was made {_difference(earlier, origin)}")
    raise AssertionError("there are numbers without end")


def strangeness(results: Path, run: Path, label: str, dataroot: str) -> str:
    """Say why results are not of what there is now under ``label`` in ``run``, or of ``dataroot``; "" when they are."""
    if not (origin := read_origin(results)):
        return "do not say of which weights they are"
    if origin.get("weights") != _digest(run, label):
        return "are of other weights than there are now"
    return "" if origin.get("dataroot") == dataroot else f"are of other data, {origin.get('dataroot')}"


def find_results(results: Path, run: Path, label: str, dataroot: str) -> Path:
    """Return the first of the folders that ``place_for`` gave which shows all classes and is not strange."""
    there = itertools.takewhile(Path.exists, _numbered(results))
    good = (f for f in there if not read_origin(f).get("labels") and not strangeness(f, run, label, dataroot))
    return next(good, results)


def _numbered(results: Path) -> "itertools.chain[Path]":
    """Return ``results``, then the same with -2, -3 ... to its name."""
    return itertools.chain((results,), (results.with_name(f"{results.name}-{n}") for n in itertools.count(2)))


def _difference(earlier: Mapping[str, Any], origin: Mapping[str, Any]) -> str:
    name = next(name for name in KIND if earlier.get(name, origin[name]) != origin[name])
    return f"with {_command({name: earlier[name]})}" if earlier[name] else f"without --{name}"


def _command(given: Mapping[str, Any]) -> str:
    """Return options as they would be given; "default options" for none."""
    words = [f"--{name} {','.join(map(str, v)) if isinstance(v, list) else v}" for name, v in given.items()]
    return " ".join(words) or "default options"


def _digest(run: Path, label: str) -> str:
    """Return a hash of all networks that are saved under ``label``."""
    whole = hashlib.sha256()
    for path in sorted(run.glob(f"{label}_net_*.pth")):
        with path.open("rb") as file:
            whole.update(os.fsencode(path.name) + hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:20]
