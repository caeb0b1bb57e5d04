"""The images that a model is measured on."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import torch

from data import create_dataset, create_loader
from data.base_dataset import BaseDataset
from data.loading.loader import Loader
from options.base_options import BaseOptions
from util.metrics.evaluator import Evaluator

BATCH = 8  # images that are translated at a time


def create_evaluator(
    dataset_mode: str,
    data: BaseDataset.Options,
    opt: BaseOptions,
    phase: Literal["train", "val", "test"],
    device: torch.device,
    open_train: Callable[[], Loader],
    *,
    batch_size: int = 0,
    one_by_one: bool = False,
    classes: Sequence[str] = (),
    limit: int = 0,
) -> Evaluator:
    """Return what measures models on ``--eval_images`` images of ``phase``, from all over the data.

    Args:
        dataset_mode: which data set class reads them.
        data: its options.
        opt: of train.py or test.py.
        phase: of the held-out images.
        device: of the model.
        open_train: returns a loader of the training images.
        batch_size: images per pass through the model; 0: BATCH to translate, as many as suits to draw.
        one_by_one: translate single images: batch norm goes by the statistics of each.
        classes: as a model was trained with them, whose order labels then have.
        limit: compare with at most so many images; 0: with --eval_images.

    Raises:
        LookupError: a metric needs what is not installed; the message says how to install it.
        OSError: there are no such images.
        ValueError: a metric cannot be had of such data.
    """
    start = time.perf_counter()
    num = min(limit or opt.eval_images, opt.eval_images)
    dataset = create_dataset(dataset_mode, replace(data, phase=phase, max_dataset_size=num))
    if classes:
        dataset.relabel(classes)
    to_translate = 1 if one_by_one else batch_size or BATCH
    loader = create_loader(dataset, opt, to_translate, device, trains=False)
    evaluator = Evaluator(opt, loader, open_train, batch_size=batch_size)
    evaluator.seconds = time.perf_counter() - start
    return evaluator
