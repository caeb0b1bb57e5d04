"""Which weights of which run, and which data, results were made from."""

import hashlib
import os
from pathlib import Path

from util.config_file import dump, read_section
from util.files import write_text

ORIGIN_FILE = "origin.yaml"


def write_origin(results: Path, run: Path, label: str, dataroot: str) -> None:
    """Note beside results that they are of the networks saved as ``label`` in ``run``, and of the data ``dataroot``."""
    write_text(results / ORIGIN_FILE, dump({"origin": {"dataroot": dataroot, "weights": _digest(run, label)}}))


def strangeness(results: Path, run: Path, label: str, dataroot: str) -> str:
    """Say why results are not of what there is now under ``label`` in ``run``, or of ``dataroot``; "" when they are."""
    path = results / ORIGIN_FILE
    if not path.exists():
        return "do not say of which weights they are"
    origin = read_section(path, "origin")
    if origin.get("weights") != _digest(run, label):
        return "are of other weights than there are now"
    return "" if origin.get("dataroot") == dataroot else f"are of other data, {origin.get('dataroot')}"


def _digest(run: Path, label: str) -> str:
    """Return a hash of all networks that are saved under ``label``."""
    whole = hashlib.sha256()
    for path in sorted(run.glob(f"{label}_net_*.pth")):
        with path.open("rb") as file:
            whole.update(os.fsencode(path.name) + hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:20]
