"""A training run beside its model and data: progress, logs, pictures, saves, and going on after a stop."""

import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn
from tqdm import tqdm

from util.background import Background
from util.config_file import RECORDS, dump, format_options, mark_changed
from util.console import StopRequest, warn
from util.device import memory_report
from util.displays import create_displays
from util.displays.display import LossCsv, TextLogs, Visualizer
from util.files import write_text
from util.metrics.evaluator import Evaluator
from util.metrics.record import METRICS_FILE
from util.modes import evaluating
from util.profiling import Profiler, labelled
from util.runs import OPTIONS_FILE, find_trained
from util.seeding import EVALUATION, PREVIEW, STEP, forked, seed_all
from util.training.advice import Advice
from util.training.checkpoint import Checkpoint, export_nets, import_run
from util.training.divergence import Divergence, check_finite
from util.training.measuring import Measuring
from util.training.meter import LossMeter
from util.training.moving_average import MovingAverage
from util.training.run_folder import check_same_data, describe_process, open_run_folder
from util.training.schedule import lr_factor
from util.training.stopwatch import Stopwatch
from util.training.summary import mean_abs_gradients, printing_layers
from util.types import Batch, Grid, Losses, Progress

if TYPE_CHECKING:
    from models.step.stepper import Stepper

T = TypeVar("T")
WALL = 22  # images a row in the first look at the data


class Run:
    """What train.py's loop needs around a model's steps; ``with Run(...) as run`` closes what it opened."""

    def __init__(
        self,
        opt: Any,
        sections: dict[str, dict[str, Any]],
        defaults: dict[str, Any],
        model: Any,
        speed: str,
        evaluator: Evaluator | None = None,
    ) -> None:
        """Open the folder, and restore the latest state with ``--continue_train``.

        Args:
            opt: the options of train.py (TrainOptions; util does not import options).
            sections: all options and the data's spec, as options.yaml is to hold them.
            defaults: what the options would have been, had nobody said otherwise.
            model: a BaseModel on its device.
            speed: how its steps are made fast, for people.
            evaluator: measures the model every ``--eval_freq`` images; None: nothing does.

        Raises:
            OSError: the folder holds another run, is in use, or cannot be written.
            ValueError: the latest state is damaged or does not fit, or the data is not what it was.
        """
        self.opt, self.model, self.folder = opt, model, Path(opt.run_dir)
        self.progress, self.meter = Progress(epoch=1), LossMeter()
        if evaluator:
            evaluator.check(model)
        self.measuring = Measuring(opt, self.folder, evaluator)
        self.divergence = Divergence(opt.on_nan, self.measuring.quality, self.progress)
        self.losses_csv, self.text_logs = LossCsv(self.folder), TextLogs(self.folder)
        if opt.init_from and not opt.continue_train:
            import_run(find_trained(opt.checkpoints_dir, opt.init_from), "latest", model, ema=False, to_train=True)
        self.ema = MovingAverage(model, model.averaged, opt.ema) if opt.ema else None
        self.is_cut_short, self.clock = False, Stopwatch()
        self.background = Background()
        self.profiler: Profiler | None = None
        self.exits = ExitStack()
        self.exits.callback(open_run_folder(self.folder, opt.continue_train, opt.overwrite).release)
        record = sections | {
            "about": describe_process(model.device, speed, self.folder / OPTIONS_FILE if opt.continue_train else None)
        }
        if not opt.continue_train:  # before all else, or a process that is killed would leave a folder that is no run
            write_text(self.folder / OPTIONS_FILE, dump(record))
        displays = create_displays(opt, sections, mark_changed(sections, defaults), self._commands())
        self.visualizer = Visualizer([self.text_logs, *displays], self.folder, self.background)
        parts: dict[str, Any] = {
            "progress": self.progress,
            "meter": self.meter,
            "plateau": self.measuring.plateau,
            "quality": self.measuring.quality,
            "model": model,
        }
        parts |= {f"optimizer_{name}": optimizer for name, optimizer in model.optimizers.items()}
        parts |= {"moving_average": self.ema} if self.ema else {}
        parts |= {"scaler": model.scaler} if model.scaler.is_enabled() else {}
        parts |= {"losses_csv": self.losses_csv, "logs": self.visualizer}
        self.checkpoint = Checkpoint(
            self.folder, parts, ("quality", "scaler"), late=("logs",), do=self.background, logs=self._logs
        )
        if opt.continue_train:
            check_same_data(self.folder / OPTIONS_FILE, sections["spec"])
            self._load()
            write_text(self.folder / OPTIONS_FILE, dump(record))
        print(format_options({k: v for k, v in sections.items() if k not in RECORDS}, defaults))
        print(f"{'going on with' if opt.continue_train else 'new run'} {self.folder} on {model.device}: {speed}")
        if model.recipe and not opt.continue_train and model.opt == type(model).Options():
            print(f"{opt.model} keeps to the recipe of its source; better images come from {model.recipe}")

    def __enter__(self) -> "Run":
        self.stop = self.exits.enter_context(StopRequest())
        self.exits.callback(self.visualizer.close)
        self.exits.callback(self.background.wait)
        self.visualizer.start(self.progress)
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is KeyboardInterrupt:
            self.background.drop()
        self.exits.close()

    def epochs(self, steps_per_epoch: int, preview: Batch, stepper: "Stepper") -> Iterator[int]:
        """Yield the epochs still to train, from 1, with the learning rate set; around each, show, log and save.

        Args:
            steps_per_epoch: to tell how long it will take.
            preview: a batch of the data, the same in the whole run, on which pictures are made.
            stepper: takes the steps, and can make room for what comes between them.
        """
        opt, at = self.opt, self.progress
        self.stepper = stepper
        if at.epoch_step > steps_per_epoch:
            raise ValueError(
                f"{self.checkpoint.path} is damaged: step {at.epoch_step} of an epoch of {steps_per_epoch}; "
                "put a copy of it back, or begin again by --overwrite"
            )
        self.advice = Advice(preview, self.model.is_bounded)
        if at.step == 0:
            export_nets(self.folder, ("latest",), self._nets(), self.background)  # or a run that diverges has none
            self.checkpoint.save()
            wall = {"real": Grid(preview["image"].cpu(), WALL)} if "image" in preview else {}
            self._show(preview, Progress(), wall)
            self.background.wait()  # now there is something to go on from
        if at.epoch > opt.total_epochs:
            print(f"{opt.name} has had its {opt.total_epochs} epochs; a larger --n_epochs trains on")
        elif self.measuring.is_enough:
            print(f"{opt.name} was ended by --early_stop {opt.early_stop}; a larger one, or 0, trains on")
        steps, start = opt.total_epochs * steps_per_epoch, time.perf_counter()
        total = steps * opt.batch_size
        n_critic = getattr(self.model.opt, "n_critic", 1)
        if opt.profile and steps > at.step:
            self.profiler = Profiler(self.folder, opt.profile, steps - at.step, self.model.device, n_critic)
            self.exits.callback(self.profiler.close)
        if steps < n_critic:
            warn(f"--n_critic {n_critic}: all {steps} steps are D's, so G learns nothing")
        if self.measuring.evaluator and opt.eval_freq > total:
            warn(f"--eval_freq {opt.eval_freq}: this run sees {total} images only, so it is never measured")
        with tqdm(total=total, initial=at.images, unit="img", dynamic_ncols=True, disable=None) as self.bar:
            while at.epoch <= opt.total_epochs and not self.measuring.is_enough:
                epoch = at.epoch
                self.bar.set_description(f"epoch {epoch}/{opt.total_epochs}")
                factor = lr_factor(opt.lr_policy, epoch, opt.n_epochs, opt.n_epochs_decay, opt.lr_decay_iters)
                self.lr_factor = self.measuring.plateau.factor * self.divergence.factor * factor
                self.model.scale_lr(self.lr_factor)
                self.clock.start(at)
                self.is_cut_short = False
                with self.divergence.caught(self._go_back, self.checkpoint.save):
                    yield epoch
                    if not self.is_cut_short:
                        self._end_epoch(epoch, preview)
        if self.measuring.seconds:
            print(self.measuring.cost(time.perf_counter() - start))
        print(memory_report(self.model.device))

    def batches(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the batches of an epoch, each with its step counted and its random numbers seeded."""
        opt, at = self.opt, self.progress
        waiting = time.perf_counter()
        for batch in labelled(batches):
            self.clock.waited(time.perf_counter() - waiting)
            at.advance(opt.batch_size)
            seed_all(opt.seed, STEP, at.step)
            with self._inspection():
                yield batch
            if self.profiler:
                self.profiler.step()
            self.bar.update(opt.batch_size)
            with self.divergence.caught(self._go_back, self.checkpoint.save):
                if at.due(opt.print_freq):
                    self._report()
                if at.due(opt.display_freq):
                    self._show(batch, at, {})
                if self.measuring.due(at):
                    self._measure()
                if at.due(opt.save_latest_freq):
                    self.save(*[f"iter_{at.images}"] * opt.save_by_iter)
            if self.is_cut_short:
                return
            if self.stop.signal:
                self._leave()
            waiting = time.perf_counter()

    def log(self, losses: Losses) -> None:
        """Count the losses of a step, which the step itself has summed up; the device is not waited for."""
        self.meter.count(losses)

    def save(self, *labels: str) -> None:
        """Write the networks under "latest" and ``labels``, then the latest state, from which they can be made again.

        They are copied here, and written behind the steps that follow.

        Raises:
            FloatingPointError: a weight or a buffer is NaN or infinite; what was saved before is kept.
            OSError: there was no room for what was to be written before.
        """
        averages = self.ema.nets if self.ema else {}
        check_finite({"": self.model} | {f"moving average of {name}: ": net for name, net in averages.items()})
        export_nets(self.folder, ("latest", *labels), self._nets(), self.background)
        if "best" in labels:
            self.measuring.quality.write_best(self.background)
        self._note_time()  # or the time of what a resumed run does not train again would be lost
        self.checkpoint.save()

    def _logs(self) -> list[Path]:
        """Return the files that grow while the run goes on, and of which a saved state says how long they were."""
        shown = [log for display in self.visualizer.displays for log in display.logs]
        return [self.losses_csv.path, self.folder / METRICS_FILE, *shown]

    def _note_time(self) -> None:
        """Write a row of timing.csv for what was trained since the last one."""
        lap = self.clock.lap("row", self.progress)
        if lap.images > 0:
            row = self.progress, lap.seconds, lap.data_seconds, lap.images
            self.background(self.text_logs.write_timing, *row)

    def _nets(self) -> dict[str, nn.Module]:
        """Return the networks to export: the model's own, and their moving averages."""
        averages = self.ema.nets if self.ema else {}
        return self.model.nets | {f"{n.removeprefix('net')}_ema": net for n, net in averages.items()}

    def _report(self) -> None:
        """Log the means since the last report; here the device is waited for."""
        at, means = self.progress, self.meter.report()
        if not means:
            return
        lap = self.clock.lap("report", at)
        steps = max(1, lap.steps)  # none when a stop came between them and their report
        self.losses_csv.write(at, means)
        if self.opt.lr_policy == "plateau" and at.step >= getattr(self.model.opt, "n_critic", 1):
            # A mistyped name is told of at once.
            self.measuring.watched(dict.fromkeys(self.losses_csv.names, 0.0), self.model.watched)
        self.background(self.text_logs.write_losses, at, means, lap.seconds / steps, lap.data_seconds / steps)
        self.visualizer.losses(at, means)
        self._say(self.advice.losses(means))
        self.bar.set_postfix_str(" ".join(f"{k} {v:.3f}" for k, v in means.items()) + _memory(self.model.device))

    def _end_epoch(self, epoch: int, preview: Batch) -> None:
        opt, at = self.opt, self.progress
        self._report()
        means = self.meter.epoch()
        self.measuring.end_epoch(means, self.model.watched)
        lap = self.clock.lap("epoch", at)
        self._note_time()
        rates = {n: o.param_groups[0]["initial_lr"] * self.lr_factor for n, o in self.model.optimizers.items()}
        self.visualizer.epoch(at, means, next(iter(rates.values())))
        if len(set(rates.values())) == 1:
            rates = {"": next(iter(rates.values()))}
        lr = " ".join(f"{name} {rate:.3g}".strip() for name, rate in rates.items())
        terms = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        tqdm.write(f"epoch {epoch}/{opt.total_epochs}  {terms}  lr {lr}  {lap.rate:.0f} img/s")
        if opt.verbose:
            gradients = mean_abs_gradients(self.model.nets)
            tqdm.write("  mean |gradient|: " + "  ".join(f"{k} {v:.3g}" for k, v in gradients.items()))
        self._show(preview, at, {})
        numbered = bool(opt.save_epoch_freq) and epoch % opt.save_epoch_freq == 0
        at.epoch, at.epoch_step = epoch + 1, 0
        if numbered or epoch == opt.total_epochs:
            self.save(*[str(epoch)] * numbered)
        if self.stop.signal:
            self._leave()

    def _show(self, batch: Batch, at: Progress, more: dict[str, Grid]) -> None:
        """Send pictures to the displays."""
        grids = self._beside_steps(PREVIEW, lambda: self.model.grids(batch))
        self.visualizer.images(at, more | grids)
        self._say(self.advice.samples(grids))
        self._say(self.advice.patterns(grids))

    def _measure(self) -> None:
        """Measure the model, and keep its networks if it is the best.

        Not a weight and not a random number of the training depends on it; the clock of the training stands still.
        """
        at, measuring, start = self.progress, self.measuring, time.perf_counter()
        with self.clock.paused():
            measured = self._beside_steps(EVALUATION, lambda: measuring.measure(self.model, at))
            tqdm.write(measured.text)
            self.visualizer.metrics(at, measured.figures, measuring.best)
            if measured.is_best:
                self.save("best")  # with the state: to go back to an earlier one would leave networks unknown to it
            if measuring.is_enough:
                self.is_cut_short = True
                self.save()
                tqdm.write(measuring.verdict)
        measuring.seconds += time.perf_counter() - start

    def _beside_steps(self, use: int, function: Callable[[], T]) -> T:
        """Call ``function`` in evaluation mode, with the moving average of G and random numbers of its own.

        When the device has no memory left for it, that of recorded steps is given up, once.
        """
        try:
            return self._as_shown(use, function)
        except torch.OutOfMemoryError as error:
            reason = str(error).partition(". ")[0]
        finally:
            self.stepper.interrupted()
        warn(f"{reason}: memory of recorded steps is given back for it, and they are recorded anew")
        self.stepper.make_room()
        return self._as_shown(use, function)

    def _as_shown(self, use: int, function: Callable[[], T]) -> T:
        averaged: AbstractContextManager[None] = self.ema.in_use() if self.ema else nullcontext()
        with forked(self.opt.seed, use), averaged, evaluating(self.model):
            return function()

    def _load(self) -> None:
        """Restore the last save."""
        self.background.wait()
        self.checkpoint.load()
        self.meter.to(self.model.device)

    def _go_back(self) -> None:
        """Leave the epoch under way for the last save."""
        self.is_cut_short = True
        self._load()
        self.bar.n = self.progress.images

    def _say(self, warning: str) -> None:
        if warning:
            tqdm.write(f"{warning} (epoch {self.progress.epoch}, step {self.progress.step})", file=sys.stderr)

    def _leave(self) -> None:
        """Save, say how to go on, and end the process as the signal asked."""
        self.save()
        self.background.wait()
        self.bar.close()
        print(f"stopped after step {self.progress.step}; all is saved. To go on: {self._commands()['go on']}")
        raise SystemExit(128 + self.stop.signal)

    def _commands(self) -> dict[str, str]:
        opt = self.opt
        where = (
            f" --checkpoints_dir {shlex.quote(str(opt.checkpoints_dir))}"
            if str(opt.checkpoints_dir) != "checkpoints"
            else ""
        )
        which = f"--name {shlex.quote(opt.name)}{where}"
        return {"go on": f"python train.py {which} --continue_train", "test": f"python test.py {which}"}

    def _inspection(self) -> AbstractContextManager[Any]:
        """Return what prints all layers after the first step with ``--verbose``, and does nothing otherwise."""
        return printing_layers(self.model.nets) if self.opt.verbose and self.progress.step == 1 else nullcontext()


def _memory(device: torch.device) -> str:
    """Return the peak memory on a GPU, "" elsewhere."""
    return f" {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB" if device.type == "cuda" else ""
