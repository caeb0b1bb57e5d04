"""The measurements of a run: their record, which was the best, and when none is any better."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from util import distributed
from util.background import Do, at_once
from util.checks import count, number
from util.config_file import brief, dump, read_section
from util.files import append_text, csv_line, cut_back, length, write_text
from util.metrics.names import cost
from util.metrics.score import COLUMNS, Score, from_cells
from util.types import Progress

METRICS_FILE, BEST_FILE = "metrics.csv", "best.yaml"
COUNTS = ("epoch", "step", "images")


class Quality:
    """The measurements of a run and which was best; ``metrics.csv`` has a row per score."""

    def __init__(self, folder: Path, metric: str) -> None:
        """Args: metric: which of --metrics says what is best; its first score counts."""
        self.folder, self.metric = folder, metric
        self.best: dict[str, Any] | None = None  # score, and when, as best.yaml has it
        self.since = 0  # measurements after the best one
        self.latest: dict[str, float] = {}  # by metric, the first scores of the last measurement in this epoch

    def take(self, at: Progress, scores: Sequence[Score]) -> bool:
        """Record scores and return whether they are the best so far, whose networks are to be kept."""
        if distributed.is_first():
            self._append(at, scores)
        self.latest = {score.metric: score.value for score in reversed(scores)}
        score = next(s for s in scores if s.metric == self.metric)
        if self.best and self.best["name"] != score.name:
            self.best = None  # the run was resumed with another --best_metric
        to_beat = cost(self.metric, self.best["value"]) if self.best else math.inf
        if not cost(self.metric, score.value) < to_beat:  # nor is a value that is none
            self.since += 1
            return False
        self.best = {"epoch": at.epoch, "step": at.step, "images": at.images, **score._asdict()}
        self.since = 0
        return True

    def _append(self, at: Progress, scores: Sequence[Score]) -> None:
        path = self.folder / METRICS_FILE
        if not path.exists():
            append_text(path, csv_line([*COUNTS, *COLUMNS]))
        counts = [str(at.epoch), str(at.step), str(at.images)]
        append_text(path, "".join(csv_line([*counts, *score.cells()]) for score in scores))

    def write_best(self, do: Do = at_once) -> None:
        """Write best.yaml, beside the networks that are the best, and once ``do`` has written those."""
        assert self.best
        do(write_text, self.folder / BEST_FILE, dump({"best": self.best}))

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "since": self.since,
            "latest": dict(self.latest),
            "bytes": length(self.folder / METRICS_FILE),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.since, self.latest = count(state, "since"), {k: float(v) for k, v in state["latest"].items()}
        self.best = _checked(state["best"]) if state["best"] else None
        if self.best and self.best["metric"] != self.metric:
            self.since = 0  # resumed with another --best_metric, of which nothing is known yet
        if distributed.is_first():
            cut_back(self.folder / METRICS_FILE, count(state, "bytes"))


def _checked(best: dict[str, Any]) -> dict[str, Any]:
    """Return a saved best score, and when; raise ValueError, KeyError or TypeError when it is none."""
    for name in COUNTS:
        count(best, name)
    number(best, "value")
    if not isinstance(best_score(best).name, str):
        raise ValueError(f"the best score has no name but {brief(best['name'])}")
    return best


def read_metrics(path: Path) -> list[tuple[Progress, Score]]:
    """Return the scores that a metrics.csv holds, and when each was measured; [] when there is none."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [(Progress(*(int(row[name]) for name in COUNTS)), from_cells(row)) for row in csv.DictReader(file)]


def read_best(folder: Path) -> dict[str, Any]:
    """Return what best.yaml of a run says, {} when there is none."""
    path = folder / BEST_FILE
    return read_section(path, "best") if path.exists() else {}


def best_score(best: dict[str, Any]) -> Score:
    """Return the score that was the best."""
    return Score(**{name: best[name] for name in COLUMNS})


def describe_best(best: dict[str, Any]) -> str:
    """Return which measurement was the best, for people."""
    return (
        f"{best['name']} {best['value']:.4g} after epoch {best['epoch']}, step {best['step']}, {best['images']} images"
    )
