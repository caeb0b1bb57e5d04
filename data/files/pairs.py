"""Match the images of two folders by name, and say of every file that is left out why."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from data.files.image_paths import EXTENSIONS, by_stem, match_names, natural


class SkippedError(Exception):
    """A file that is left out; ``kind`` is counted."""

    def __init__(self, kind: str, reason: str = "") -> None:
        super().__init__(reason or kind)
        self.kind = kind


class Pair(NamedTuple):
    """Two images of one name, and the file that they are joined into."""

    A: Path
    B: Path
    AB: Path


class Report:
    """Says which files are skipped as it learns of them, and counts them by kind."""

    def __init__(self) -> None:
        self.skipped: dict[Path, str] = {}  # the kind of each file; in a folder that is both A and B, it is met twice

    def skip(self, path: Path, why: SkippedError) -> None:
        if path not in self.skipped:
            self.skipped[path] = why.kind
            tqdm.write(f"skipped {path}: {why}", file=sys.stderr)

    def summary(self) -> str:
        """Return such as ``skipped 3 files: 2 without a partner, 1 of another size``."""
        kinds = ", ".join(f"{num} {kind}" for kind, num in Counter(self.skipped.values()).most_common())
        num = len(self.skipped)
        return f"skipped {num} file{'s' if num > 1 else ''}: {kinds}" if num else "skipped no file"


def find_pairs(fold_A: Path, fold_B: Path, fold_AB: Path, use_AB: bool, report: Report) -> list[Pair]:
    """Match the images of A and B by their path below the folders; extensions may differ where no doubt is left.

    Args:
        fold_A: folder of the images that go to the left.
        fold_B: folder of their partners.
        fold_AB: where the joined images go; it may lie around the others.
        use_AB: names end in ``_A`` and ``_B`` before the extension, which the joined images' names drop.
        report: is told of every file that is left out.
    """
    is_shared = fold_A == fold_B
    images_A = list_images(fold_A, "_A" if use_AB else "", "_B" if is_shared else "", report)
    images_B = list_images(fold_B, "_B" if use_AB else "", "_A" if is_shared else "", report)
    partner = match_names(images_A, images_B)
    taken = set(partner.values())
    single_A = by_stem(name for name in images_A if name not in partner)
    single_B = by_stem(name for name in images_B if name not in taken)
    for stem in sorted(single_A.keys() | single_B.keys(), key=natural):
        names_A, names_B = single_A.get(stem, []), single_B.get(stem, [])
        for names, images, other in ((names_A, images_A, fold_B), (names_B, images_B, fold_A)):
            kind = "with several partners" if names_A and names_B else "without a partner"
            reason = f"which of several is its partner in {other}?" if names_A and names_B else f"no partner in {other}"
            for name in names:
                report.skip(images[name], SkippedError(kind, reason))
    return [Pair(images_A[name], images_B[partner[name]], fold_AB / name) for name in images_A if name in partner]


def list_images(folder: Path, ending: str, other_ending: str, report: Report) -> dict[str, Path]:
    """Return {name: file} of the images below ``folder``, each name a relative path without ``ending``.

    Files with ``other_ending`` belong to the other side; everything else that is no such image is reported.
    """
    found = {}
    for name in sorted(_walk(folder), key=natural):
        path = folder / name
        if other_ending and path.stem.endswith(other_ending):
            continue
        if path.suffix.lower() not in EXTENSIONS:
            report.skip(path, SkippedError("not an image", f"not an image ({path.suffix or 'no extension'})"))
        elif any(part.startswith(".") for part in Path(name).parts):
            report.skip(path, SkippedError("hidden"))
        elif not path.stem.endswith(ending):
            report.skip(path, SkippedError("wrongly named", f"--use_AB, but its name does not end in {ending}"))
        else:
            found[Path(name).with_name(path.stem.removesuffix(ending) + path.suffix).as_posix()] = path
    return found


def _walk(folder: Path) -> Iterator[str]:
    for parent, _, files in os.walk(folder, followlinks=True):
        for file in files:
            yield (Path(parent) / file).relative_to(folder).as_posix()
