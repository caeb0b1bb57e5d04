"""What a training run keeps beside its model: folder, progress, clock, logs, saves, and the way back after a stop."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from util import distributed
from util.background import Background, Nothing
from util.config_file import RECORDS, SECTIONS, dump, format_options, options_table
from util.console import StopRequest, one_line, warn
from util.device import memory_report
from util.files import write_text
from util.metrics.evaluator import Evaluator
from util.profiling import Profiler
from util.runs import OPTIONS_FILE, OPTIONS_TABLE, find_trained
from util.seeding import EVALUATION, PREVIEW
from util.spread import spread
from util.training.beside import BesideSteps
from util.training.divergence import Divergence
from util.training.measuring import Measured, Measuring
from util.training.meter import LossMeter
from util.training.moving_average import MovingAverage
from util.training.reporter import Reporter, Silent
from util.training.run_folder import describe_process, open_run_folder
from util.training.saver import Saver
from util.training.stopwatch import Stopwatch
from util.training.summary import printing_layers
from util.types import Batch, Grid, Progress
from util.weights import import_run

if TYPE_CHECKING:
    from models.base_model import BaseModel
    from models.step.stepper import Stepper
    from options.train_options import TrainOptions

WALL, WALL_COLUMNS = 24, 8  # images in the first look at the data, and in a row of it, as samples have


class Run:
    """A training run, which loop.py drives; ``with Run(...) as run`` closes what it opened."""

    def __init__(
        self,
        opt: "TrainOptions",
        sections: dict[str, dict[str, Any]],
        defaults: dict[str, Any],
        model: "BaseModel",
        speed: str,
        evaluator: Evaluator | None = None,
    ) -> None:
        """Open the folder, and restore the latest state with ``--continue_train``.

        Args:
            opt: options of train.py.
            sections: all options and the data's spec, as options.yaml is to hold them.
            defaults: the values that options have when nobody sets them.
            model: on its device.
            speed: how its steps are made fast, for people.
            evaluator: measures the model every ``--eval_freq`` images; None: nothing does.

        Raises:
            OSError: the folder holds another run, is in use, or cannot be written.
            ValueError: the latest state is damaged or does not fit, or the data has changed.
        """
        self.opt, self.model, self.folder = opt, model, Path(opt.run_dir)
        self.progress, self.meter, self.clock = Progress(epoch=opt.first_epoch), LossMeter(), Stopwatch()
        self.background = Background() if distributed.is_first() else Nothing()
        self.step_images = opt.batch_size * distributed.world()
        self.own_key = (distributed.rank(),) if distributed.world() > 1 else ()  # of this process's random numbers
        if evaluator:
            evaluator.check(model)
        self.measuring = Measuring(opt, self.folder, evaluator)
        self.divergence = Divergence(opt.on_nan)
        if opt.init_from and not opt.continue_train:
            import_run(find_trained(opt.checkpoints_dir, opt.init_from), "latest", model, ema=False, to_train=True)
        self.ema = MovingAverage(model, model.averaged, opt.ema) if opt.ema else None
        self.profiler: Profiler | None = None
        self.exits = ExitStack()
        lock = distributed.on_first(lambda: open_run_folder(self.folder, opt.continue_train, opt.overwrite))
        if lock:
            self.exits.callback(lock.release)
        options_file = self.folder / OPTIONS_FILE
        about = describe_process(model.device, speed, options_file if opt.continue_train else None)
        record = dump(sections | {"about": about})
        table = options_table({name: sections[name] for name in SECTIONS}, defaults)

        def write_record() -> None:
            write_text(options_file, record)
            write_text(self.folder / OPTIONS_TABLE, table)

        if lock and not opt.continue_train:  # first of all, or a process that is killed would leave no run
            write_record()
        self.reporter = (Reporter if lock else Silent)(self, sections, defaults)
        self.saver = Saver(self)
        if opt.continue_train:
            self.saver.load_state()
        if lock and opt.continue_train:
            write_record()
        print(format_options({k: v for k, v in sections.items() if k not in RECORDS}, defaults, opt.verbose))
        if not opt.verbose:
            print(f"all other options are at their defaults: {options_file}")
        print(f"{'resuming' if opt.continue_train else 'new run'} {self.folder} on {model.device}: {speed}")
        if "html" in opt.displays:
            print(f"training page: {self.page}")
        if model.recipe and not opt.continue_train and model.opt == type(model).Options():
            print(f"{opt.model} keeps to the recipe of its source; better images come from {model.recipe}")

    def __enter__(self) -> "Run":
        self.stop = self.exits.enter_context(StopRequest())
        self.exits.callback(self.reporter.close)
        self.exits.callback(self.background.wait)
        self.reporter.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is KeyboardInterrupt:
            self.background.drop()
        elif hasattr(self.reporter, "bar"):
            state = "finished" if kind is None else "stopped" if kind is SystemExit else f"ended: {error[0]}"
            self.reporter.status(self.progress, one_line(state))
        self.exits.close()

    def begin(self, steps_per_epoch: int, stepper: "Stepper", preview: Batch) -> None:
        """Save and show a new run before its first step, and warn of what cannot come of the steps that are left."""
        opt, at, measuring = self.opt, self.progress, self.measuring
        self.beside_steps = BesideSteps(self.model, self.ema, stepper, opt.seed)
        if at.epoch_step > steps_per_epoch:
            raise ValueError(
                f"{self.saver.checkpoint.path} is damaged: step {at.epoch_step} of an epoch of {steps_per_epoch}; "
                "put a copy of it back, or begin again by --overwrite"
            )
        num_steps = opt.num_epochs * steps_per_epoch
        num_images = num_steps * self.step_images
        self.reporter.begin(preview, num_images)
        self.exits.callback(self.reporter.bar.close)
        if at.step == 0:
            self.saver.export_nets("latest")  # so that a run that diverges has networks too
            self.saver.save_state()
            self.reporter.pictures(Progress(), first_look(preview) | self.grids(preview))
            self.background.wait()  # from here on there is something to resume from
        if at.epoch > opt.total_epochs:
            print(f"{opt.name} has had its {opt.total_epochs} epochs; a larger --n_epochs trains on")
        elif measuring.is_enough:
            print(f"{opt.name} was ended by --early_stop {opt.early_stop}; a larger one, or 0, trains on")
        n_critic = self.model.n_critic
        if opt.profile and num_steps > at.step and distributed.is_first():
            self.profiler = Profiler(self.folder, opt.profile, num_steps - at.step, self.model.device, n_critic)
            self.exits.callback(self.profiler.close)
        if num_steps < n_critic:
            warn(f"--n_critic {n_critic}: all {num_steps} steps are D's, so G learns nothing")
        if measuring.evaluator and opt.eval_freq > num_images:
            warn(f"--eval_freq {opt.eval_freq}: this run sees {num_images} images only, so it is never measured")

    @contextmanager
    def watched_step(self) -> Iterator[None]:
        """Profile the step in the block, and print all layers with ``--verbose`` when it is the first."""
        prints = self.opt.verbose and self.progress.step == 1
        with printing_layers(self.model.nets) if prints else nullcontext():
            yield
        if self.profiler:
            self.profiler.step()

    def report(self) -> None:
        """Report the mean losses since the last time; the device is waited for."""
        at, means = self.progress, self.meter.report()
        if not means:
            return
        self.reporter.losses(at, means, self.clock.lap("report", at))
        if self.opt.lr_policy == "plateau" and at.step >= self.model.n_critic:
            # So that a mistyped name is reported at once.
            self.measuring.watched(dict.fromkeys(self.reporter.losses_csv.names, 0.0), self.model.watched)

    def grids(self, batch: Batch) -> dict[str, Grid]:
        """Return pictures of how the model does on ``batch``; none in a process that shows none."""
        if not distributed.is_first():
            return {}
        return self.beside_steps(PREVIEW, lambda: self.model.grids(batch))

    def measure(self) -> Measured:
        """Measure the model in the first process, and record the outcome."""
        scores = distributed.from_first(
            lambda: self.beside_steps(EVALUATION, lambda: self.measuring.measure(self.model))
        )
        return self.measuring.take(self.progress, scores)

    def go_back(self, error: FloatingPointError) -> None:
        """Return to the last save at a lower learning rate.

        Raises:
            FloatingPointError: ``--on_nan`` does not ask for it, or it has been done too often.
        """
        restarts = self.divergence.next_restart(error)
        self.saver.load_state()
        self.divergence.restarts = restarts
        self.saver.save_state()  # so that a run that is killed now does not forget the lower rate
        tqdm.write(
            f"warning: {error}: --on_nan restart goes back to step {self.progress.step}, now at "
            f"{self.divergence.factor:g} of the learning rate",
            file=sys.stderr,
        )

    def is_to_stop(self) -> bool:
        """Whether a signal came, to any of the processes."""
        self.stop.signal = distributed.highest(self.stop.signal)
        return self.stop.signal > 0

    def leave(self) -> None:
        """Save, say how to resume, and end the process as the signal asked."""
        self.saver.save()
        self.background.wait()
        distributed.meet()  # or a process that ends earlier would have the launcher stop the first one
        self.reporter.bar.close()
        print(f"stopped after step {self.progress.step}; everything is saved. To resume: {self.commands['resume']}")
        raise SystemExit(128 + self.stop.signal)

    def end(self) -> None:
        """Print what the run took."""
        self.reporter.bar.close()
        if self.measuring.seconds:
            print(self.measuring.cost())
        print(memory_report(self.model.device))
        if "html" in self.opt.displays:
            print(f"training page: {self.page}")
        print(f"to see what it makes: {self.commands['test']}")

    @property
    def page(self) -> Path:
        """The training page that ``--display html`` writes."""
        return (self.folder / "web" / "index.html").resolve()

    @property
    def commands(self) -> dict[str, str]:
        """The command lines that resume and test this run."""
        opt = self.opt
        which = f"--name {shlex.quote(opt.name)}"
        if str(opt.checkpoints_dir) != "checkpoints":
            which += f" --checkpoints_dir {shlex.quote(str(opt.checkpoints_dir))}"
        return {"resume": f"python train.py {which} --continue_train", "test": f"python test.py {which}"}


def first_look(preview: Batch) -> dict[str, Grid]:
    """Return a picture of real images, from all over ``preview``; none for image translation, which shows its own."""
    if "image" not in preview:
        return {}
    chosen = spread(len(preview["image"]), WALL)
    return {"real": Grid(preview["image"][torch.from_numpy(chosen)].cpu(), WALL_COLUMNS)}
