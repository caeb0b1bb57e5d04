"""The images that a run learns from."""

from dataclasses import replace

from data import create_dataset
from data.base_dataset import BaseDataset
from options.parse import Config
from options.train_options import TrainOptions
from util.console import warn
from util.training.data_record import recorded_spec


def open_training(config: Config[TrainOptions]) -> tuple[Config[TrainOptions], BaseDataset]:
    """Return the data set of ``config``, and ``config`` with a batch that is not larger than it.

    With ``--accept_data``, changed data is read as the run that is resumed read it: its size, channels and classes.
    """
    opt = config.run
    earlier = recorded_spec(opt.run_dir) if opt.continue_train and opt.accept_data else None
    dataset = create_dataset(config.dataset_mode, config.data.like(earlier) if earlier else config.data)
    if earlier and dataset.labels is not None:
        dataset.relabel(earlier.classes)
    return _fitted(config, len(dataset) // opt.num_processes), dataset


def _fitted(config: Config[TrainOptions], num: int) -> Config[TrainOptions]:
    """Return ``config`` with the largest batch that ``num`` images make, if its own is larger, and warn."""
    if config.run.batch_size <= num:
        return config
    size = max(num - num % config.model.accumulate, config.model.accumulate)
    warn(f"--batch_size {config.run.batch_size} is more than the {num} images there are: it is {size}")
    return replace(config, run=replace(config.run, batch_size=size))
