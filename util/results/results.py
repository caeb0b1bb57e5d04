"""What test.py makes of a trained model: images in folders that other tools can read, and a page that shows them."""

import contextlib
import csv
import glob
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from util import distributed
from util.config_file import read_section
from util.files import FolderLock, composed, written_whole
from util.images import make_grid, save_png, to_image, to_uint8
from util.metrics.score import COLUMNS, Score, table
from util.pages.results_page import ResultsPage, Seen
from util.registry import did_you_mean
from util.results.origin import place_for, write_origin
from util.runs import OPTIONS_FILE
from util.types import Grid

if TYPE_CHECKING:
    from models.noise import NoiseModel

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
MAX_BYTES = 251  # of a file's name, to which .png is added
PER_CLASS = 20  # images per class on the page; the folders hold all
NAMED = 20  # classes that a message names
DAY = 86400  # seconds
ON_GRID, MAX_COLUMNS = 100, 22  # images on the picture of all classes in the order drawn


def read_labels(wanted: Sequence[str], classes: Sequence[str], absent: Sequence[str] = ()) -> list[int]:
    """Return the class indices that ``--labels`` means: all but ``absent`` when it means none in particular.

    Each word is the name of a class. Where names are numbers it may be written otherwise, 1 for 01; where they are
    not, a number is an index, which is said.

    Raises:
        ValueError: there are no classes, or a word is none of these.
    """
    if not classes:
        if wanted:
            raise ValueError(f"--labels {','.join(wanted)}: this model was trained without labels")
        return []
    if not wanted and absent:
        named = ", ".join(absent[:NAMED]) + f" and {len(absent) - NAMED} more" * (len(absent) > NAMED)
        print(f"not drawn: {named}, which had no image to learn from (--labels draws them all the same)")
    words = wanted or [name for name in classes if name not in absent]
    return [_read_label(word, classes) for word in words]


def _read_label(word: str, classes: Sequence[str]) -> int:
    same = [name for name in classes if composed(name).strip() == composed(word)]  # as words of a list are
    wanted, numbers = _number(word), [_number(name) for name in classes]
    if word in classes:
        same = [word]
    elif not same and wanted is not None:
        same = [name for name, number in zip(classes, numbers, strict=True) if number == wanted]
    if len(same) == 1:
        return classes.index(same[0])
    if same:
        raise ValueError(f"--labels {word} may mean each of the classes {', '.join(same)}")
    if None not in numbers:
        raise ValueError(f"--labels {word}: there is no such class (known: {', '.join(classes)})")
    if word.isdecimal() and int(word) < len(classes):
        print(f"--labels {word}: class {classes[int(word)]}, counted from 0")
        return int(word)
    odd = [f"{i} for {name!r}" for i, name in enumerate(classes) if "," in name]
    by_index = f"; a name with a comma by its index: {', '.join(odd[:NAMED])}" if odd else ""
    raise ValueError(
        f"--labels {word}: no class of that name, and indices go from 0 to {len(classes) - 1}{by_index}"
        f"{did_you_mean(word, classes)}"
    )


def _number(name: str) -> float | None:
    """Return the number that a name is, None when it is none."""
    return float(name) if NUMBER.fullmatch(name) else None


def untrained(run_dir: Path) -> list[str]:
    """Return the classes of a run that had no training image."""
    found = read_section(run_dir / OPTIONS_FILE, "found") if (run_dir / OPTIONS_FILE).exists() else {}
    return [name for name, count in (found.get("classes") or {}).items() if count == 0]


def safe_name(name: str) -> str:
    """Return ``name`` as the name of a folder or file: what would leave the folder, or hide, is percent-encoded.

    So is what some systems do not allow in a name; letters of all alphabets stay. What became too long for a name is
    cut, with a number that sets it apart.
    """
    safe = "".join(f"%{ord(c):02X}" if c in '%/\\:*?"<>|' or ord(c) < 32 or ord(c) == 127 else c for c in name)
    safe = "%2E" + safe[1:] if safe.startswith(".") else safe
    if len(os.fsencode(safe)) <= MAX_BYTES:
        return safe
    digest = hashlib.sha1(os.fsencode(name)).hexdigest()[:12]
    return os.fsencode(safe)[: MAX_BYTES - 13].decode("utf-8", "ignore") + f"_{digest}"


class Results:
    """The folder of one test: written beside its final place, and moved there when it is complete."""

    def __init__(self, folder: Path, title: str, subtitle: str, origin: Mapping[str, Any]) -> None:
        """Take a folder of its own beside ``folder``, where the results of ``origin`` go unless others are there.

        Raises:
            FileExistsError: what is there is nobody's results.
        """
        self.wanted, self.origin = folder, origin
        self.said: list[str] = []
        self.folder = distributed.from_first(self._begin)
        self.page = ResultsPage(self.folder, title, subtitle)

    def _begin(self) -> Path:
        """Return a new folder to write in; delete what killed tests left."""
        folder = self.wanted
        self._find_place()
        folder.parent.mkdir(parents=True, exist_ok=True)
        for leftover in folder.parent.glob(f".{glob.escape(folder.name)}.*.tmp"):  # of tests that were killed
            with contextlib.suppress(OSError):
                if time.time() - leftover.stat().st_mtime > DAY:
                    shutil.rmtree(leftover)
        begun = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
        begun.mkdir()
        write_origin(begun, self.origin)
        return begun

    def _find_place(self) -> None:
        """Find where the results go as things are now, and say so where that is new."""
        self.final, notes = place_for(self.wanted, self.origin)
        if self.final.exists() and not (self.final / "index.html").exists():
            raise FileExistsError(f"{self.final} holds no earlier results, so it is left alone: move it away first")
        for note in notes:
            if note not in self.said:
                print(note)
        self.said += notes

    def save(self, kind: str, name: str, image: Any) -> Path:
        """Write one picture to images/<kind>/<name>.png and return its path."""
        path = self.path(kind, name)
        save_png(path, image)
        return path

    def path(self, kind: str, name: str) -> Path:
        """Return images/<kind>/<name>.png in a folder that exists."""
        path = self.folder / "images" / kind / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def finish(self) -> Path:
        """Write the page, put the folder in its place, where an earlier test's goes; return the page's path.

        Of several tests of one run that end at once each waits for the others, and finds what they left.
        """
        self.page.write()
        lock = FolderLock(self.wanted.parent, seconds=60)
        try:
            self._find_place()
            earlier = self.folder.with_suffix(".earlier.tmp")
            if self.final.exists():
                self.final.rename(earlier)
            self.folder.rename(self.final)
        finally:
            lock.release()
        shutil.rmtree(earlier, ignore_errors=True)
        return self.final / "index.html"


class Drawn(NamedTuple):
    """A batch of images from noise."""

    images: Tensor  # those that the grid shows
    files: list[Path]
    answers: list[tuple[str, float]]  # of the classifier, if there is one


def draw_samples(
    results: Results,
    model: "NoiseModel",
    labels: list[int],
    z: Tensor,
    seed: int,
    batch_size: int,
    see: Callable[[Tensor], list[tuple[str, float]]] | None = None,
) -> None:
    """Draw an image from each row of ``z``; image i has label ``labels[i % len(labels)]``.

    Processes draw batches in turns, and the first one makes the page.

    Args:
        results: where they go.
        model: in the mode to test it in.
        labels: classes in the order to cycle through; [] for a model without classes.
        z: points of noise (N, nz).
        seed: what ``z`` follows from, for the record.
        batch_size: images per pass.
        see: tells which class a classifier sees in each image (N, C, H, W), and how probable that is to it.
    """
    classes, num = model.spec.classes, len(z)
    chosen = [labels[i % len(labels)] for i in range(num)] if labels else None
    label_tensor = torch.tensor(chosen, device=model.device) if chosen else None
    own: list[Drawn] = []
    starts = range(0, num, batch_size)[distributed.rank() :: distributed.world()]
    for start in tqdm(starts, "drawing", leave=False, disable=distributed.hides_bars()):
        part = slice(start, start + batch_size)
        images = model.sample(z[part], None if label_tensor is None else label_tensor[part])
        own.append(Drawn(images[: max(0, ON_GRID - start)].cpu(), [], see(images) if see else []))
        for i, pixels in enumerate(to_uint8(images), start):
            name = f"{safe_name(classes[chosen[i]])}/{i:05d}" if chosen else f"{i:05d}"
            own[-1].files.append(results.save("fake", name, to_image(pixels)))
    parts = distributed.in_order(own)
    if not distributed.is_first():
        return
    rows: dict[str, list[Path]] = {classes[k]: [] for k in dict.fromkeys(labels)} or {"": []}
    seen: dict[Path, Seen] = {}
    answers = [answer for part in parts for answer in part.answers]
    with written_whole(results.folder / "samples.csv", "w") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["index", "label", "class", "seed", "file"] + ["seen", "probability"] * bool(see))
        for i, path in enumerate(path for part in parts for path in part.files):
            label = chosen[i] if chosen else None
            name = classes[label] if label is not None else ""
            rows[name].append(path)
            cells = [i, "" if label is None else label, name, seed, path.relative_to(results.folder).as_posix()]
            if answers:
                answer, probability = answers[i]
                seen[path] = Seen(answer, probability, answer == name or not name)
                cells += [answer, f"{probability:.4f}"]
            table.writerow(cells)
    shown = {name or "samples": paths[:PER_CLASS] for name, paths in rows.items() if paths}
    more = "" if num == sum(map(len, shown.values())) else f", the first {PER_CLASS} of each class are shown"
    text = f"{num} images from noise, in images/fake/{more}."
    text += " Below each stands what the classifier sees in it." if seen else ""
    results.page.add_section("Samples", text, results.folder / "samples.csv")
    results.page.add_gallery(shown, seen)
    columns = len(labels) * max(1, MAX_COLUMNS // len(labels)) if 0 < len(labels) <= ON_GRID // 2 else 10
    images = torch.cat([part.images for part in parts])
    images = images[: len(images) // columns * columns or None]  # whole rows, where there is one
    grid = results.save("grid", "grid", make_grid(Grid(images, columns)))
    results.page.add_section("In the order drawn", "Row by row, as the labels that were asked for take turns.")
    results.page.add_figure(grid, f"the first {len(images)} images")


def show_scores(results: Results, scores: Sequence[Score]) -> None:
    """Print scores, and write them to metrics.csv and the page, each with all that it depends on."""
    for name, value, settings in table(scores):
        print(f"{name:<28} {value:<16} {settings}")
    with written_whole(results.folder / "metrics.csv", "w") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows(score.cells() for score in scores)
    results.page.add_section("Metrics")
    results.page.add_scores(scores)
