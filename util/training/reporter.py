"""What a run shows of itself: the console, its logs and its displays."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from util.config_file import mark_changed
from util.displays import create_displays
from util.displays.display import Status, Visualizer
from util.displays.logs import LossCsv, TextLogs, read_losses
from util.training.advice import Advice
from util.training.stopwatch import Lap
from util.training.summary import mean_abs_gradients
from util.types import Batch, Grid, Progress

if TYPE_CHECKING:
    from util.training.measuring import Measured
    from util.training.run import Run


SHOWN_WARNINGS = 5  # on the page


class Reporter:
    """Writes losses and times to the logs, and passes everything on to the progress bar and the displays.

    The run's own record, ``losses.csv``, is written at once; all else in the background.
    """

    def __init__(self, run: "Run", sections: dict[str, dict[str, Any]], defaults: dict[str, Any]) -> None:
        """Create the displays, which open in ``start``.

        Args:
            run: whose model, options and clock are asked.
            sections: the options of the run, as options.yaml holds them.
            defaults: the values that options have when nobody sets them.
        """
        self.run, self.opt = run, run.opt
        self.losses_csv, self.text_logs = LossCsv(run.folder), TextLogs(run.folder)
        displays = create_displays(run.opt, sections, mark_changed(sections, defaults), run.commands)
        self.visualizer = Visualizer([self.text_logs, *displays], run.folder, run.background)
        self.warnings: list[str] = []
        self.rate = 0.0  # images per second in the last epoch; 0: none has ended

    @property
    def logs(self) -> list[Path]:
        """The append-only files, whose lengths a state records."""
        return [self.losses_csv.path, *(log for display in self.visualizer.displays for log in display.logs)]

    def start(self) -> None:
        """Open the displays with the losses of the run so far."""
        self.visualizer.start(self.run.progress, read_losses(self.losses_csv.path))

    def begin(self, preview: Batch, num_images: int) -> None:
        """Start the progress bar, up to ``num_images``, and the advice, which compares samples with ``preview``."""
        self.advice = Advice(preview, self.run.model.is_bounded)
        self.bar = tqdm(
            total=num_images, initial=self.run.progress.images, unit="img", dynamic_ncols=True, disable=None
        )

    def begin_epoch(self, at: Progress) -> None:
        self.bar.set_description(f"epoch {at.epoch}/{self.opt.total_epochs}")
        self.bar.n = at.images  # after a return to an earlier state too

    def losses(self, at: Progress, means: dict[str, float], lap: Lap) -> None:
        """Report the mean losses of the steps in ``lap``."""
        self.losses_csv.write(at, means)
        steps = max(1, lap.steps)  # none when a stop came between them and their report
        self.run.background(self.text_logs.write_losses, at, means, lap.seconds / steps, lap.data_seconds / steps)
        self.visualizer.losses(at, means)
        self._warn(self.advice.losses(means), at)
        terms = " ".join(f"{name} {value:.3f}" for name, value in means.items())
        self.bar.set_postfix_str(terms + _peak_memory(self.run.model.device))

    def pictures(self, at: Progress, grids: Mapping[str, Grid]) -> None:
        self.visualizer.images(at, dict(grids))
        self._warn(self.advice.samples(grids), at)
        self._warn(self.advice.patterns(grids), at)

    def metrics(self, at: Progress, measured: "Measured", best: str) -> None:
        """Report a measurement; ``best`` describes the best one so far, "" when there is none."""
        tqdm.write(measured.text)
        self.visualizer.metrics(at, measured.scores, best)

    def end_epoch(self, at: Progress, means: dict[str, float], lr_factor: float) -> None:
        """Report an epoch's mean losses, learning rates and speed."""
        lap = self.run.clock.lap("epoch", at)
        self.note_time(at)
        rates = {
            name: optimizer.param_groups[0]["initial_lr"] * lr_factor
            for name, optimizer in self.run.model.optimizers.items()
        }
        self.visualizer.epoch(at, means, next(iter(rates.values())))
        if len(set(rates.values())) == 1:
            rates = {"": next(iter(rates.values()))}
        lr = " ".join(f"{name} {rate:.3g}".strip() for name, rate in rates.items())
        terms = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        self.rate = lap.rate
        left = self.seconds_left(at)
        tqdm.write(
            f"epoch {at.epoch}/{self.opt.total_epochs}  {terms}  lr {lr}  {lap.rate:.0f} img/s"
            + (f"  {tqdm.format_interval(left)} left" if left else "")
        )
        self.status(at, "training")
        if self.opt.verbose:
            gradients = mean_abs_gradients(self.run.model.nets)
            tqdm.write("  mean |gradient|: " + "  ".join(f"{k} {v:.3g}" for k, v in gradients.items()))

    def seconds_left(self, at: Progress) -> float:
        """Return how long the rest will take at the last epoch's speed; 0: not known, or nothing is left."""
        return (self.bar.total - at.images) / self.rate if self.rate else 0.0

    def status(self, at: Progress, state: str) -> None:
        """Tell the displays what the run is doing."""
        warnings = tuple(self.warnings[-SHOWN_WARNINGS:])
        self.visualizer.status(at, Status(state, self.opt.total_epochs, self.rate, self.seconds_left(at), warnings))

    def note_time(self, at: Progress) -> None:
        """Add a row to timing.csv for the images since the last one."""
        lap = self.run.clock.lap("row", at)
        if lap.images > 0:
            self.run.background(self.text_logs.write_timing, at, lap.seconds, lap.data_seconds, lap.images)

    def close(self) -> None:
        """Close the displays."""
        self.visualizer.close()

    def _warn(self, warning: str, at: Progress) -> None:
        if warning:
            text = f"{warning} (epoch {at.epoch}, step {at.step})"
            tqdm.write(text, file=sys.stderr)
            self.warnings.append(text.removeprefix("warning: "))
            self.status(at, "training")


class Silent(Reporter):
    """Shows nothing and writes nothing: for all processes of a run but the first."""

    def __init__(self, run: "Run", sections: dict[str, dict[str, Any]], defaults: dict[str, Any]) -> None:
        self.run, self.opt, self.losses_csv = run, run.opt, LossCsv(run.folder)
        self.bar = tqdm(disable=True)

    def start(self) -> None:
        pass

    def begin(self, preview: Batch, num_images: int) -> None:
        pass

    def losses(self, at: Progress, means: dict[str, float], lap: Lap) -> None:
        self.losses_csv.names = list(dict.fromkeys([*self.losses_csv.names, *means]))

    def pictures(self, at: Progress, grids: Mapping[str, Grid]) -> None:
        pass

    def metrics(self, at: Progress, measured: "Measured", best: str) -> None:
        pass

    def end_epoch(self, at: Progress, means: dict[str, float], lr_factor: float) -> None:
        pass

    def note_time(self, at: Progress) -> None:
        pass

    def status(self, at: Progress, state: str) -> None:
        pass

    def close(self) -> None:
        pass


def _peak_memory(device: torch.device) -> str:
    """Return the peak memory on a GPU, "" elsewhere."""
    return f" {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB" if device.type == "cuda" else ""
