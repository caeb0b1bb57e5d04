"""The text logs of a run: losses.csv, loss_log.txt and timing.csv."""

import contextlib
import csv
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from util.checks import MOST, count
from util.console import warn
from util.displays.display import Display
from util.files import append_text, csv_line, write_text
from util.types import Progress, Report


class LossCsv:
    """``losses.csv``: a row a report, a column a loss. It holds no clock: equal runs write equal files."""

    FILE = "losses.csv"
    FIXED = ("epoch", "step", "images")

    def __init__(self, folder: Path) -> None:
        self.path = folder / self.FILE
        self.names: list[str] = []
        self.rows = 0
        self.step = 0  # of the last row

    def write(self, at: Progress, losses: dict[str, float]) -> None:
        """Add a row; a loss that was never seen before gets a column, empty in the rows above."""
        if new := [name for name in losses if name not in self.names]:
            self._rewrite(self.names + new)
        row = [at.epoch, at.step, at.images, *(f"{losses[n]:.9g}" if n in losses else "" for n in self.names)]
        append_text(self.path, csv_line(row))
        self.rows, self.step = self.rows + 1, at.step

    def _rewrite(self, names: list[str]) -> None:
        """Write the file anew with its whole rows up to ``self.step``, and columns for ``names``."""
        rows = [row for row in _whole_rows(self.path) if int(row["step"]) <= self.step][: self.rows]
        if len(rows) < self.rows:
            warn(
                f"{self.path} was cut short or changed: {self.rows - len(rows)} of the {self.rows} rows before step "
                f"{self.step} are lost; the run goes on"
            )
            self.rows = len(rows)
        self.names = names
        header = [*self.FIXED, *names]
        write_text(
            self.path, "".join(csv_line(r) for r in [header, *([row.get(n) or "" for n in header] for row in rows)])
        )

    def state_dict(self) -> dict[str, Any]:
        return {"names": list(self.names), "rows": self.rows, "step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Cut the file back to a state; what is missing of it is warned of."""
        if not all(isinstance(name, str) for name in state["names"]):
            raise ValueError("the names of the losses are no texts")
        self.rows = count(state, "rows")
        self.step = count(state, "step") if "step" in state else MOST  # states of the version before have none
        self._rewrite(list(state["names"]))


def read_losses(path: Path) -> list[Report]:
    """Return the reports that a ``losses.csv`` holds in whole rows, [] when there is none."""
    return [
        (
            Progress(int(row["epoch"]), int(row["step"]), int(row["images"])),
            {name: float(value) for name, value in row.items() if value and name not in LossCsv.FIXED},
        )
        for row in _whole_rows(path)
    ]


def _whole_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a ``losses.csv`` that are as they were written; the last one may have been cut short."""
    if not path.exists():
        return []
    *lines, _ = path.read_text(encoding="utf-8", errors="replace").split("\n")  # after the last end of line is nothing
    rows: list[list[str]] = []
    for line in lines:
        with contextlib.suppress(ValueError, csv.Error):
            cells = next(csv.reader([line.replace("\0", "?")]), [])
            if not rows:
                rows.append(cells)  # the names
            elif len(cells) == len(rows[0]) and all(int(c) >= 0 for c in cells[:3]):
                [float(c) for c in cells[3:] if c]
                rows.append(cells)
    if not rows or tuple(rows[0][:3]) != LossCsv.FIXED:
        return []
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def thinned(reports: Sequence[Report], most: int) -> Sequence[Report]:
    """Return at most ``most`` of ``reports``, evenly spaced, the last one included."""
    return reports[:: -max(1, math.ceil(len(reports) / most))][::-1]


class TextLogs(Display):
    """``loss_log.txt`` in the reference's form, and ``timing.csv``: files that hold the clock."""

    def __init__(self, folder: Path) -> None:
        self.loss_log = folder / "loss_log.txt"
        self.timing = folder / "timing.csv"

    @property
    def logs(self) -> list[Path]:
        return [self.loss_log, self.timing]

    def write_losses(self, at: Progress, losses: dict[str, float], seconds: float, data_seconds: float) -> None:
        """Add a line; ``seconds`` per step, of which ``data_seconds`` were spent waiting for images."""
        if not self.loss_log.exists() or not self.loss_log.stat().st_size:
            append_text(self.loss_log, f"================ Training Loss ({time.strftime('%c')}) ================\n")
        terms = " ".join(f"{name}: {value:.3f}" for name, value in losses.items())
        iters = at.epoch_step * at.images // max(at.step, 1)  # images of this epoch, as the reference counts
        head = f"(epoch: {at.epoch}, iters: {iters}, time: {seconds:.3f}, data: {data_seconds:.3f})"
        append_text(self.loss_log, f"{head} {terms}\n")

    def write_timing(self, at: Progress, seconds: float, data_seconds: float, num_images: int) -> None:
        """Add a row for an epoch, or the part of it since the last save."""
        if not self.timing.exists():
            append_text(
                self.timing, csv_line(["epoch", "step", "images", "seconds", "data_seconds", "images_per_second"])
            )
        rate = num_images / seconds if seconds else 0.0
        row = [at.epoch, at.step, at.images, f"{seconds:.3f}", f"{data_seconds:.3f}", f"{rate:.1f}"]
        append_text(self.timing, csv_line(row))
