"""The images that a model is measured on."""

from collections.abc import Sequence

import torch

from data import create_dataset, create_loader
from data.base_dataset import BaseDataset
from data.loading.loader import Loader
from options.base_options import BaseOptions

BATCH = 8  # images that are translated at a time


def open_held_out(
    dataset_mode: str,
    data: BaseDataset.Options,
    opt: BaseOptions,
    device: torch.device,
    batch_size: int = BATCH,
    classes: Sequence[str] = (),
) -> Loader:
    """Return a loader of held-out images.

    Args:
        dataset_mode: which data set class reads them.
        data: its options, with the phase and the number of images to compare with.
        opt: of train.py or test.py.
        device: of the model.
        batch_size: images that are translated at a time; 1 where batch norm goes by the statistics of each.
        classes: in the order that the model was trained with; (): as they are found.

    Raises:
        OSError: there are no such images.
    """
    dataset = create_dataset(dataset_mode, data)
    if classes:
        dataset.relabel(classes)
    return create_loader(dataset, opt, batch_size, device, trains=False)
