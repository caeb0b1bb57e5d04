"""The interface of displays, and the dispatcher that calls them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from util.background import Do, at_once
from util.checks import count
from util.files import cut_back, length
from util.metrics.score import Score
from util.types import Grid, Progress, Report


class Status(NamedTuple):
    """What a run is doing."""

    state: str  # training, finished, stopped, or the error that ended it
    total_epochs: int
    rate: float  # images per second in the last epoch; 0: not known yet
    seconds_left: float  # 0: not known yet, or nothing is left
    warnings: tuple[str, ...]  # in the order they came, the latest few


class Display:
    """A place to show results; it ignores what it cannot show.

    Any method may raise: the display is then switched off and training continues.
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

    def metrics(self, at: Progress, scores: Sequence[Score], best: str) -> None:
        """Take the scores of a measurement; ``best`` says which was the best so far, "" for none."""

    def images(self, at: Progress, grids: dict[str, Grid]) -> None:
        """Take pictures; those of epoch 0 are from before training, later ones of an epoch replace earlier ones."""

    def status(self, at: Progress, status: Status) -> None:
        """Take what the run is doing, now and then."""

    def close(self) -> None:
        """Finish what is still open."""


class Visualizer:
    """Passes every result to all of its displays, and knows how long their logs are.

    What a display raises ends that display, not the training run: the run's own record (logs.py) is therefore written
    without this class.
    """

    def __init__(self, displays: Sequence[Display], folder: Path, do: Do = at_once) -> None:
        """Args: folder: of the run, below which all logs lie; do: calls the displays, maybe later, one at a time."""
        self.displays = displays
        self.folder = folder
        self.do = do
        self.off: list[Display] = []

    def start(self, at: Progress, history: Sequence[Report]) -> None:
        """Start all displays of a run that stands at ``at``, at once; ``history``: its reports up to there."""
        self._all("start", at, history)

    def losses(self, at: Progress, losses: dict[str, float]) -> None:
        self.do(self._all, "losses", at, losses)

    def epoch(self, at: Progress, means: dict[str, float], lr: float) -> None:
        self.do(self._all, "epoch", at, means, lr)

    def metrics(self, at: Progress, scores: Sequence[Score], best: str) -> None:
        self.do(self._all, "metrics", at, scores, best)

    def images(self, at: Progress, grids: dict[str, Grid]) -> None:
        self.do(self._all, "images", at, grids)

    def status(self, at: Progress, status: Status) -> None:
        self.do(self._all, "status", at, status)

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


def _warning(display: Display, error: Exception) -> str:
    """Return one line that says which display is switched off, why, and what to do."""
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, ImportError):
        return f"warning: --display {display.name} is left out: {reason}; to install it: {display.install}"
    return f"warning: --display {display.name} is switched off, training goes on: {reason}"
