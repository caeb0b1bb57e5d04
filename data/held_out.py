"""The images that a model is measured on."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import torch

from data import create_dataset, create_loader
from data.base_dataset import BaseDataset
from data.loader import Loader
from options.base_options import BaseOptions
from util.evaluation import Evaluator

BATCH = 8  # images that are translated at a time


def create_evaluator(
    dataset_mode: str,
    data: BaseDataset.Options,
    opt: BaseOptions,
    phase: Literal["train", "val", "test"],
    device: torch.device,
    open_train: Callable[[], Loader],
    batch_size: int = BATCH,
    classes: Sequence[str] = (),
) -> Evaluator:
    """Return what measures models on ``--eval_images`` images of ``phase``, from all over the data.

    ``classes``: as a model was trained with them, whose order labels then have.

    Raises:
        LookupError: a metric needs what is not installed; the message says how to install it.
        OSError: there are no such images.
        ValueError: a metric cannot be had of such data.
    """
    start = time.perf_counter()
    dataset = create_dataset(dataset_mode, replace(data, phase=phase, max_dataset_size=opt.eval_images))
    if classes:
        dataset.relabel(classes)
    loader = create_loader(dataset, opt, min(batch_size, len(dataset)), device)
    evaluator = Evaluator(opt, loader, open_train)
    evaluator.seconds = time.perf_counter() - start
    return evaluator
