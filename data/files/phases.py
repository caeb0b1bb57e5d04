"""The names people give the parts of a data set: training/, Valid/, trainA/ ...; imports neither torch nor Pillow."""

import os
from collections.abc import Iterable
from pathlib import Path

from data.files.image_paths import EXTENSIONS

NAMES = {  # phase -> what its folder may be called, in any case; the first that is there is read
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SIDES = ("A", "B")
PHASES = {"train": ("train",), "val": ("val", "test"), "test": ("test", "val")}  # val and test stand in for each other


def phase_of(name: str) -> str:
    """Return the phase that a folder of this name holds, "" for none."""
    return next((phase for phase, names in NAMES.items() if name.lower() in names), "")


def phase_or_side(name: str) -> str:
    """Return the phase that a folder of this name holds, whole or one side of it (trainA, test_B); "" for none."""
    lowered = name.lower()
    return phase_of(lowered) or (phase_of(lowered[:-1].removesuffix("_")) if lowered[-1:] in ("a", "b") else "")


def is_of_a_phase(name: str) -> bool:
    """Return whether a folder of this name holds a phase, or one side of it."""
    return bool(phase_or_side(name))


def child(folder: Path, names: Iterable[str]) -> Path | None:
    """Return the first of these folders that is in ``folder``, whatever its case; None when none is."""
    if not folder.is_dir():
        return None
    wanted = [name.lower() for name in names]
    with os.scandir(folder) as listing:
        there = sorted(e.name for e in listing if e.name.lower() in wanted and e.is_dir())
    found = min(there, key=lambda name: (wanted.index(name.lower()), name != name.lower(), name), default=None)
    return folder / found if found else None


def phase_folder(folder: Path, phase: str, side: str = "") -> Path | None:
    """Return the folder of a phase in ``folder``, or of ``side`` A or B of it, such as trainA; None: there is none."""
    ends = (side, f"_{side}") if side else ("",)
    return child(folder, (name + end for end in ends for name in NAMES[phase]))


def unwrapped(root: Path) -> Path:
    """Return the one folder in ``root`` when it just wraps the data, ``root`` itself otherwise.

    It does when no image and no card lies beside it, and none in it, but several folders, or those of phases.
    """
    names = _folders_without_images(root)
    if len(names) != 1 or names[0] in SIDES or is_of_a_phase(names[0]) or (root / "card.yaml").is_file():
        return root
    folder = root / names[0]
    below = _folders_without_images(folder)
    if len(below) > 1 or any(is_of_a_phase(name) for name in below):
        return folder
    deeper = unwrapped(folder)
    return root if deeper == folder else deeper


def _folders_without_images(folder: Path) -> list[str]:
    """Return the folders in ``folder``; [] when it holds images too. What is hidden, or macOS adds, does not count."""
    names = []
    if not folder.is_dir():
        return []
    with os.scandir(folder) as listing:
        for entry in listing:
            if entry.name.lower().endswith(EXTENSIONS):
                return []
            if not entry.name.startswith((".", "__MACOSX")) and entry.is_dir():
                names.append(entry.name)
    return names
