"""Train a model.

    python train.py --model cgan --dataroot rps_mini
    python train.py --name rps_mini_cgan --continue_train
    python train.py --config checkpoints/rps_mini_cgan/options.yaml --name again

--model X trains models/X_model.py; --model X --help lists the options of that model.
"""

if __name__ == "__main__":
    from util.begin import begin

    begin("train.py")

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from data import create_loader, find_dataset, recognize
from models import create_model, find_model
from options.parse import Config, parse_train
from options.train_options import TrainOptions
from util.begin import interrupts_raise
from util.console import never_restarted, one_line_errors, only_first_speaks, said_once
from util.launch import launch
from util.memory import naming_memory

if TYPE_CHECKING:
    from data.loading.loader import Loader
    from models.base_model import BaseModel
    from util.metrics.evaluator import Evaluator


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and train; a user's mistake ends in one line and status 2 (options) or 1."""
    with never_restarted(), said_once():
        config = parse_train(__doc__ or "", argv, find_model, find_dataset, recognize)
    num = config.run.num_processes
    if num > 1 and "WORLD_SIZE" not in os.environ:
        train_or_tell(config, check_run)  # so that a mistake need not wait for the processes
        launch(train_or_tell, num, config)
    else:
        train_or_tell(config)


def check_run(config: Config[TrainOptions]) -> None:
    """Raise FileExistsError when the run's folder holds another run."""
    from util.training.run_folder import check_run_folder

    check_run_folder(config.run.run_dir, config.run.continue_train, config.run.overwrite)


def train(config: Config[TrainOptions]) -> None:
    """Build data and model, and run all epochs; with ``--continue_train``, those that are left."""
    from data.findings import tell
    from data.loading.cache import UNREADABLE
    from data.training import open_training
    from models.networks.norm import share_statistics
    from models.step.plan import plan_speed
    from models.step.stepper import Stepper
    from util import distributed
    from util.device import pick_device  # with torch, which a mistyped option need not wait for
    from util.training.data_record import check_same_data, note_names
    from util.training.loop import train_model
    from util.training.processes import join
    from util.training.run import Run

    interrupts_raise()
    only_first_speaks()
    device = pick_device(config.run.device, config.run.deterministic)
    config = join(config, device)
    distributed.on_first(lambda: check_run(config))  # again when the folder is opened: decoding takes long
    config, dataset = open_training(config)
    opt, spec = config.run, dataset.spec
    model = create_model(config.model_name, config.model, spec, device, opt.seed, opt.batch_size)
    share_statistics(model, opt.sync_batchnorm)
    loader = create_loader(dataset, opt, opt.batch_size, device, shared=True)
    loader.check_sizes(model.min_side)
    model.check_batch(preview := loader.preview(), config.dataset_mode)
    found = tell(dataset)
    model.show_classes(opt.display_classes, [name for name, num in found.get("classes", {}).items() if num == 0])
    num_steps = len(loader) * opt.num_epochs
    speed = plan_speed(opt, model, num_steps)
    record = config.sections() | {"spec": spec._asdict() | {"num_images": len(dataset)}, "found": found}
    names, is_changed = dataset.all_names(), False
    if opt.continue_train:
        damaged = dataset.left_out.get(UNREADABLE, [])
        is_changed = check_same_data(opt.run_dir, record["spec"], names, damaged, opt.accept_data)
    evaluator = distributed.on_first(lambda: create_evaluator(config, model, loader)) if opt.eval_freq else None

    with Run(opt, record, config.defaults, model, str(speed), evaluator) as run:
        distributed.on_first(lambda: note_names(opt.run_dir, names))
        if is_changed:
            run.progress.epoch_step = min(run.progress.epoch_step, len(loader))
        stepper = Stepper(model, speed, run.ema, run.meter, num_steps)
        train_model(run, loader, stepper, preview)
    distributed.stop()


def create_evaluator(config: Config[TrainOptions], model: "BaseModel", loader: "Loader") -> "Evaluator":
    """Return what measures ``model`` on held-out images; ``loader``: of the training images."""
    from data.held_out import open_held_out
    from util.metrics.evaluator import Evaluator

    opt = config.run
    data = replace(config.data.like(model.spec).uncut(), phase=opt.eval_phase, max_dataset_size=opt.eval_images)
    held_out = partial(open_held_out, config.dataset_mode, data, opt, loader.device)
    return Evaluator(opt, held_out, open_train=lambda: loader, learnt_from=model.learnt_from)


def train_or_tell(config: Config[TrainOptions], work: Callable[[Config[TrainOptions]], None] = train) -> None:
    """Train; when that is not possible, end the process with one line and status 1."""
    kinds = ValueError, OSError, LookupError, FloatingPointError
    with one_line_errors("train.py", config.run.verbose, *kinds), naming_memory(config):
        work(config)


if __name__ == "__main__":
    main()
