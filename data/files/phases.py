"""The names people give the parts of a data set: training/, Valid/, test_set/, trainA/ ...; no torch, no Pillow."""

import itertools
import os
import re
from collections.abc import Iterable
from pathlib import Path

from data.files.image_paths import EXTENSIONS, READ, SYSTEM, has_images

NAMES = {  # phase -> what its folder may be called, in any case; the first that is there is read
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SIDES = ("A", "B")
PHASES = {"train": ("train",), "val": ("val", "test"), "test": ("test", "val")}  # val and test stand in for each other
_PHASE_OF = {name: phase for phase, names in NAMES.items() for name in names}
_NO_LETTERS = re.compile(r"[\W\d_]+")
_AROUND = re.compile(r"(seg|split|part|folder|(data)?sets?|data|ima?ge?s?|pictures|photos)$")  # words that say no more


def _read(name: str) -> tuple[str, str]:
    """Return the phase and the side, A or B, that a folder of this name holds, "" for none.

    Digits, and words such as set or images, change nothing: train2017 and test_images are train and test.
    """
    words = [word for word in _NO_LETTERS.split(name.lower()) if word]
    found = [(word, "") for word in words if word in _PHASE_OF or not _AROUND.fullmatch(word)]
    if len(found) == 2 and found[1][0] in ("a", "b"):
        found = [(found[0][0], found[1][0].upper())]
    if len(found) != 1:
        return "", ""
    ((word, side),) = found
    for stem, end in ((word, side), (_AROUND.sub("", word), side), (word[:-1], side or word[-1:].upper())):
        if stem in _PHASE_OF and end in ("", *SIDES):
            return _PHASE_OF[stem], end
    return "", ""


def phase_of(name: str) -> str:
    """Return the phase that a folder of this name holds whole, "" for none."""
    phase, side = _read(name)
    return "" if side else phase


def phase_or_side(name: str) -> str:
    """Return the phase that a folder of this name holds, whole or one side of it (trainA, test_B); "" for none."""
    return _read(name)[0]


def phase_within(name: str) -> tuple[str, str]:
    """Return the phase that is one of the words of a name, and the name without it; "", and the name, for none."""
    for word in re.finditer(r"[^\W\d_]+", name):
        if phase := _PHASE_OF.get(word[0].lower(), ""):
            return phase, name[: word.start()] + name[word.end() :]
    return "", name


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
    """Return the folder of a phase in ``folder``, or of ``side`` A or B of it, such as trainA; None: there is none.

    One that holds nothing but another of its kind, as archives often have it (train/train/), gives way to that.
    """
    if not folder.is_dir():
        return None
    with os.scandir(folder) as listing:
        there = [e.name for e in listing if _read(e.name) == (phase, side) and e.is_dir()]
    plain = [name + end for end in ((side, f"_{side}") if side else ("",)) for name in NAMES[phase]]
    lowered = [name.lower() for name in plain]

    def rank(name: str) -> tuple[int, bool, str]:
        usual = lowered.index(name.lower()) if name.lower() in lowered else len(lowered)
        return usual, name not in plain, name

    if not there:
        return None
    found = folder / min(there, key=rank)
    inner = _folders_without_images(found)
    return (phase_folder(found, phase, side) or found) if len(inner) == 1 else found


def unwrapped(root: Path) -> Path:
    """Return the folder in ``root``, however deep, that the data lies in when all around it just wraps it, or ``root``.

    A folder wraps another when that alone holds images, and it has neither images of its own nor a card nor phases.
    """
    folder = root
    while True:
        names = _folders_without_images(folder)
        if any(name in SIDES or is_of_a_phase(name) for name in names) or (folder / "card.yaml").is_file():
            return folder
        holding = list(itertools.islice((name for name in names if has_images(folder / name, READ)), 2))
        if len(holding) != 1:
            return folder if holding else root
        folder /= holding[0]


def _folders_without_images(folder: Path) -> list[str]:
    """Return the folders in ``folder``; [] when it holds images too. What is hidden, or systems add, does not count."""
    names = []
    if not folder.is_dir():
        return []
    with os.scandir(folder) as listing:
        for entry in listing:
            if entry.name.lower().endswith(EXTENSIONS):
                return []
            if not entry.name.startswith(".") and entry.name not in SYSTEM and entry.is_dir():
                names.append(entry.name)
    return names
