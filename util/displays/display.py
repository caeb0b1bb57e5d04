"""Where losses and images go during training."""

import contextlib
import csv
import io
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from util.background import Do, at_once
from util.checks import MOST, count
from util.console import warn
from util.files import append_text, cut_back, length, write_text
from util.metrics.score import Figure
from util.types import Grid, Progress

Report = tuple[Progress, dict[str, float]]  # losses, and when


class Display:
    """One place to show results; a kind of result that it cannot show it ignores.

    Any of its methods may raise: it is then switched off, and training goes on.
    """

    name = ""  # as --display has it
    install = ""  # the command that installs what it needs beyond requirements.txt

    def start(self, at: Progress, history: Sequence[Report]) -> None:
        """Import, connect, open: once, before the first result.

        Args:
            at: where a resumed run goes on; step 0 for a new one.
            history: what ``losses.csv`` holds up to there.
        """

    @property
    def logs(self) -> list[Path]:
        """Its append-only files, which a resumed run cuts back to where the checkpoint was."""
        return []

    def losses(self, at: Progress, losses: dict[str, float]) -> None:
        """Take the means since the last report."""

    def epoch(self, at: Progress, means: dict[str, float], lr: float) -> None:
        """Take the means of an epoch that ends, and the learning rate it was trained with."""

    def metrics(self, at: Progress, figures: Sequence[Figure], best: str) -> None:
        """Take the figures of a measurement; ``best`` says which was the best so far, "" for none."""

    def images(self, at: Progress, grids: dict[str, Grid]) -> None:
        """Take pictures; those of epoch 0 are from before training, later ones of an epoch replace earlier ones."""

    def close(self) -> None:
        """Finish what is still open."""


class Visualizer:
    """Passes every result to all of its displays, and knows how long their logs are.

    What a display raises ends that display, not the training run: the run's own record (``LossCsv``, and what
    ``TextLogs`` writes) is therefore written without this class.
    """

    def __init__(self, displays: Sequence[Display], folder: Path, do: Do = at_once) -> None:
        """Args: folder: of the run, below which all logs lie; do: calls the displays, maybe later, one at a time."""
        self.displays = displays
        self.folder = folder
        self.do = do
        self.off: list[Display] = []

    def start(self, at: Progress) -> None:
        """Start all displays of a run that stands at ``at``, at once."""
        self._all("start", at, read_losses(self.folder / LossCsv.FILE))

    def losses(self, at: Progress, losses: dict[str, float]) -> None:
        self.do(self._all, "losses", at, losses)

    def epoch(self, at: Progress, means: dict[str, float], lr: float) -> None:
        self.do(self._all, "epoch", at, means, lr)

    def metrics(self, at: Progress, figures: Sequence[Figure], best: str) -> None:
        self.do(self._all, "metrics", at, figures, best)

    def images(self, at: Progress, grids: dict[str, Grid]) -> None:
        self.do(self._all, "images", at, grids)

    def close(self) -> None:
        """Close all displays, those that were switched off too: a server of theirs may still run.

        At once: what was left to be done is to be done by now.
        """
        failed, self.off = self.off, []
        self._all("close", silent=failed)

    def _all(self, method: str, *arguments: Any, silent: Sequence[Display] = ()) -> None:
        """Call all displays that are on; one that fails is warned of, unless it is in ``silent``, and switched off."""
        for display in self.displays:
            if display in self.off:
                continue
            try:
                getattr(display, method)(*arguments)
            except Exception as error:  # of any kind: it comes from other people's software
                self.off.append(display)
                if display not in silent:
                    tqdm.write(_warning(display, error), file=sys.stderr)

    def state_dict(self) -> dict[str, int]:
        logs = [log for display in self.displays for log in display.logs]
        return {log.relative_to(self.folder).as_posix(): length(log) for log in logs}

    def load_state_dict(self, state: dict[str, int]) -> None:
        for display in self.displays:
            for log in display.logs:
                name = log.relative_to(self.folder).as_posix()
                if name in state:
                    cut_back(log, count(state, name))


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
    """Return at most so many of ``reports``, evenly, and with the last one."""
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
        terms = " ".join(f"{name}: {value:.3f}" for name, value in losses.items())
        head = f"(epoch: {at.epoch}, iters: {at.images}, time: {seconds:.3f}, data: {data_seconds:.3f})"
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


def _warning(display: Display, error: Exception) -> str:
    """Return one line that says which display is switched off, why, and what to do."""
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, ImportError):
        return f"warning: --display {display.name} is left out: {reason}; to install it: {display.install}"
    return f"warning: --display {display.name} is switched off, training goes on: {reason}"


def csv_line(values: Sequence[Any]) -> str:
    """Return a row of a CSV file, with its end of line."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()
