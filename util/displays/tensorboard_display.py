"""The TensorBoard display: event files that ``tensorboard --logdir checkpoints`` shows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from util.displays.display import Display
from util.displays.html_display import Options
from util.images import make_labelled_grid
from util.metrics.score import Score
from util.types import Grid, Progress, Report


class TensorBoardDisplay(Display):
    """Writes a file for each process that trains; TensorBoard reads them as one run."""

    name = "tensorboard"
    install = "pip install tensorboard"

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder = folder
        self.options = options
        self.writer: Any = None

    def start(self, at: Progress, history: Sequence[Report]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # A process that was killed may have written on after its last save. TensorBoard drops all from purge_step on:
        # what is to come, and what stands at this very step unless losses.csv knows of it.
        reported = bool(history) and history[-1][0].step == at.step
        self.writer = SummaryWriter(str(self.folder), purge_step=at.step + 1 if reported else at.step)
        rows = [f"| {s} | {k} | {_cell(value)} |" for s, v in self.options.items() for k, (value, _) in v.items()]
        self.writer.add_text("options", "\n".join(["| | option | value |", "|---|---|---|", *rows]), at.step)
        self.writer.flush()

    def losses(self, at: Progress, losses: dict[str, float]) -> None:
        for name, value in losses.items():
            self.writer.add_scalar(f"loss/{name}", value, at.step)
        self.writer.flush()  # what a save of this step relies on must not be lost with the process

    def epoch(self, at: Progress, means: dict[str, float], lr: float) -> None:
        for name, value in means.items():
            self.writer.add_scalar(f"epoch_mean/{name}", value, at.step)
        self.writer.add_scalar("lr", lr, at.step)
        self.writer.flush()

    def metrics(self, at: Progress, scores: Sequence[Score], best: str) -> None:
        for score in scores:
            self.writer.add_scalar(f"metric/{score.name}", score.value, at.step)
        self.writer.flush()

    def images(self, at: Progress, grids: dict[str, Grid]) -> None:
        for name, grid in grids.items():
            pixels = np.asarray(make_labelled_grid(grid))
            self.writer.add_image(name, pixels, at.step, dataformats="HW" if pixels.ndim == 2 else "HWC")
        self.writer.flush()

    def close(self) -> None:
        if self.writer:
            self.writer.close()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
