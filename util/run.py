"""A training run beside its model and data: progress, logs, pictures, saves, and going on after a stop."""

import shlex
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from util.checkpoint import Checkpoint, export_nets, import_run
from util.config_file import dump, format_options, is_changed, plain
from util.console import StopRequest, warn
from util.device import memory_report
from util.displays import create_displays
from util.files import write_text
from util.meter import LossMeter
from util.modes import evaluating
from util.moving_average import MovingAverage
from util.run_folder import check_same_data, describe_process, open_run_folder
from util.runs import OPTIONS_FILE, find_trained
from util.schedule import Plateau, lr_factor
from util.seeding import PREVIEW, STEP, forked, seed_all
from util.summary import Inspection, mean_abs_gradients
from util.types import Batch, Grid, Losses, Progress
from util.visualizer import LossCsv, TextLogs, Visualizer

WALL = 22  # images a row in the first look at the data


class Run:
    """What train.py's loop needs around a model's steps; ``with Run(...) as run`` closes what it opened."""

    def __init__(self, opt: Any, sections: dict[str, dict[str, Any]], defaults: dict[str, Any], model: Any) -> None:
        """Open the folder, and restore the latest state with ``--continue_train``.

        Args:
            opt: the options of train.py (TrainOptions; util does not import options).
            sections: all options and the data's spec, as options.yaml is to hold them.
            defaults: what the options would have been, had nobody said otherwise.
            model: a BaseModel on its device.

        Raises:
            OSError: the folder holds another run, is in use, or cannot be written.
            ValueError: the latest state is damaged or does not fit, or the data is not what it was.
        """
        self.opt, self.model, self.folder = opt, model, Path(opt.run_dir)
        self.progress, self.meter, self.plateau = Progress(epoch=1), LossMeter(), Plateau()
        self.losses_csv, self.text_logs = LossCsv(self.folder), TextLogs(self.folder)
        if opt.init_from and not opt.continue_train:
            import_run(find_trained(opt.checkpoints_dir, opt.init_from), "latest", model, ema=False)
        self.ema = MovingAverage(model, model.averaged, opt.ema) if opt.ema else None
        self.exits = ExitStack()
        self.exits.callback(open_run_folder(self.folder, opt.continue_train, opt.overwrite).release)
        displays = create_displays(opt, sections, _marked(sections, defaults), self._commands())
        self.visualizer = Visualizer([self.text_logs, *displays], self.folder)
        parts: dict[str, Any] = {
            "progress": self.progress,
            "meter": self.meter,
            "plateau": self.plateau,
            "model": model,
        }
        parts |= {f"optimizer_{name}": optimizer for name, optimizer in model.optimizers.items()}
        parts |= {"moving_average": self.ema} if self.ema else {}
        self.checkpoint = Checkpoint(self.folder, parts | {"losses_csv": self.losses_csv, "logs": self.visualizer})
        if opt.continue_train:
            check_same_data(self.folder / OPTIONS_FILE, sections["spec"])
            self.checkpoint.load()
            self.meter.to(model.device)
        about = describe_process(model.device, self.folder / OPTIONS_FILE if opt.continue_train else None)
        write_text(self.folder / OPTIONS_FILE, dump(sections | {"about": about}))
        print(format_options({k: v for k, v in sections.items() if k != "spec"}, defaults))
        print(f"{'going on with' if opt.continue_train else 'new run'} {self.folder} on {model.device}")

    def __enter__(self) -> "Run":
        self.stop = self.exits.enter_context(StopRequest())
        self.exits.callback(self.visualizer.close)
        self.visualizer.start(self.progress)
        return self

    def __exit__(self, *error: object) -> None:
        self.exits.close()

    def epochs(self, steps_per_epoch: int, preview: Batch) -> Iterator[int]:
        """Yield the epochs still to train, from 1, with the learning rate set; around each, show, log and save.

        Args:
            steps_per_epoch: to tell how long it will take.
            preview: a batch of the data, the same in the whole run, on which pictures are made.
        """
        opt, at = self.opt, self.progress
        if at.step == 0:
            self.checkpoint.save()  # to be gone on with from the first step on
            wall = {"real": Grid(preview["image"].cpu(), WALL)} if "image" in preview else {}
            self._show(preview, Progress(), wall)
        if at.epoch > opt.total_epochs:
            print(f"{opt.name} has had its {opt.total_epochs} epochs; a larger --n_epochs trains on")
        if opt.total_epochs * steps_per_epoch < (n_critic := getattr(self.model.opt, "n_critic", 1)):
            warn(f"--n_critic {n_critic}: all {opt.total_epochs * steps_per_epoch} steps are D's, so G learns nothing")
        total = opt.total_epochs * steps_per_epoch * opt.batch_size
        with tqdm(total=total, initial=at.images, unit="img", dynamic_ncols=True, disable=None) as self.bar:
            for epoch in range(at.epoch, opt.total_epochs + 1):
                self.bar.set_description(f"epoch {epoch}/{opt.total_epochs}")
                self.lr_factor = self.plateau.factor * lr_factor(
                    opt.lr_policy, epoch, opt.n_epochs, opt.n_epochs_decay, opt.lr_decay_iters
                )
                self.model.scale_lr(self.lr_factor)
                self.epoch_start, self.data_seconds, self.first_image = time.perf_counter(), 0.0, at.images
                self.report_start = (self.epoch_start, 0.0, at.step)
                yield epoch
                self._end_epoch(epoch, preview)
        print(memory_report(self.model.device))

    def batches(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the batches of an epoch, each with its step counted and its random numbers seeded."""
        opt, at = self.opt, self.progress
        waiting = time.perf_counter()
        for batch in batches:
            self.data_seconds += time.perf_counter() - waiting
            at.advance(opt.batch_size)
            seed_all(opt.seed, STEP, at.step)
            with self._inspection():
                yield batch
            if self.ema:
                self.ema.update()
            self.bar.update(opt.batch_size)
            if at.due(opt.print_freq):
                self._report()
            if at.due(opt.display_freq):
                self._show(batch, at, {})
            if at.due(opt.save_latest_freq):
                self.save(*[f"iter_{at.images}"] * opt.save_by_iter)
            if self.stop.signal:
                self._leave()
            waiting = time.perf_counter()

    def log(self, losses: Losses) -> None:
        """Take in the losses of a step, without waiting for the device."""
        self.meter.update(losses)

    def save(self, *labels: str) -> None:
        """Write the networks under "latest" and ``labels``, then the latest state, from which they can be made again.

        Raises:
            FloatingPointError: a weight is NaN or infinite; what was saved before is kept.
            OSError: there is no room.
        """
        if bad := [name for name, p in self.model.named_parameters() if not p.isfinite().all()]:
            raise FloatingPointError(
                f"training diverged: {bad[0]} is not finite, so the last save is kept; try a lower --lr"
            )
        nets: dict[str, nn.Module] = dict(self.model.nets)
        if self.ema:
            nets |= {f"{n.removeprefix('net')}_ema": net.module for n, net in self.ema.nets.items()}
        for label in ("latest", *labels):
            export_nets(self.folder, label, nets)
        self.checkpoint.save()

    def _report(self) -> None:
        """Log the means since the last report; here the device is waited for."""
        at, means = self.progress, self.meter.report()
        if not means:
            return
        start, data_seconds, step = self.report_start
        now, steps = time.perf_counter(), max(1, at.step - step)  # none when a stop came between them and their report
        self.losses_csv.write(at, means)
        if self.opt.lr_policy == "plateau" and at.step >= getattr(self.model.opt, "n_critic", 1):
            self._watched(dict.fromkeys(self.losses_csv.names, 0.0))  # a mistyped name is told of at once
        self.text_logs.write_losses(at, means, (now - start) / steps, (self.data_seconds - data_seconds) / steps)
        self.report_start = (now, self.data_seconds, at.step)
        self.visualizer.losses(at, means)
        self.bar.set_postfix_str(" ".join(f"{k} {v:.3f}" for k, v in means.items()) + _memory(self.model.device))

    def _end_epoch(self, epoch: int, preview: Batch) -> None:
        opt, at = self.opt, self.progress
        self._report()
        means = self.meter.epoch()
        if opt.lr_policy == "plateau":
            self.plateau.update(means[self._watched(means)])
        seconds, num = time.perf_counter() - self.epoch_start, at.images - self.first_image
        self.text_logs.write_timing(at, seconds, self.data_seconds, num)
        rates = {n: o.param_groups[0]["initial_lr"] * self.lr_factor for n, o in self.model.optimizers.items()}
        self.visualizer.epoch(at, means, next(iter(rates.values())))
        if len(set(rates.values())) == 1:
            rates = {"": next(iter(rates.values()))}
        lr = " ".join(f"{name} {rate:.3g}".strip() for name, rate in rates.items())
        terms = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        tqdm.write(f"epoch {epoch}/{opt.total_epochs}  {terms}  lr {lr}  {num / max(seconds, 1e-9):.0f} img/s")
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
        """Send pictures to the displays, with the moving average of G where there is one."""
        averaged: AbstractContextManager[None] = self.ema.in_use() if self.ema else nullcontext()
        with forked(self.opt.seed, PREVIEW), averaged, evaluating(self.model):
            self.visualizer.images(at, more | self.model.grids(batch))

    def _leave(self) -> None:
        """Save, say how to go on, and end the process as the signal asked."""
        self.save()
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

    def _watched(self, means: dict[str, float]) -> str:
        """Return the loss that the plateau policy watches; raise ValueError when there is none of that name."""
        name = self.opt.plateau_loss or self.model.watched or next(iter(means))
        if name not in means:
            raise ValueError(f"--plateau_loss {name}: this model logs {', '.join(means)}")
        return name

    def _inspection(self) -> AbstractContextManager[Any]:
        """Return what prints all layers after the first step with ``--verbose``, and does nothing otherwise."""
        if not (self.opt.verbose and self.progress.step == 1):
            return nullcontext()
        stack, inspection = ExitStack(), Inspection(self.model.nets)
        stack.callback(lambda: tqdm.write(inspection.table()))
        stack.enter_context(inspection)
        return stack


def _marked(sections: dict[str, dict[str, Any]], defaults: dict[str, Any]) -> dict[str, dict[str, tuple[str, bool]]]:
    """Return each option as text, and whether it is not at its default."""
    return {
        section: {k: (str(plain(v)), is_changed(k, v, defaults)) for k, v in values.items()}
        for section, values in sections.items()
    }


def _memory(device: torch.device) -> str:
    """Return the peak memory on a GPU, "" elsewhere."""
    return f" {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB" if device.type == "cuda" else ""
