"""The data of the reference, as a plain script loads it: torchvision's data sets in a DataLoader, decoded per item."""

import gzip
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from data import find_dataroot
from data.files.idx_files import PREFIXES, find_idx_files
from scripts.speed.job import Job

WORKERS = 6  # of S0's script
RAW = Path("MNIST/raw")
READ = ("idx", "image_folder")  # the kinds of data that there is a plain loader for here


def create_data_loader(job: Job, device: torch.device, folder: Path | None = None) -> DataLoader[Any] | None:
    """Return what yields (images, labels); None for data that the reference does not read.

    Args:
        job: says which data, of what size.
        device: where batches will go.
        folder: where ``unpack`` has put idx files; None: nowhere yet.
    """
    config, workers = job.config, job.bench.workers
    if config.dataset_mode not in READ:
        return None
    size = config.data.image_size
    steps = [transforms.Resize((size, size)), transforms.ToTensor()]
    root = find_dataroot(config.data.dataroot)
    dataset: Any
    if config.dataset_mode == "idx":
        steps = steps if size != 28 else steps[1:]
        transform = transforms.Compose([*steps, transforms.Normalize([0.5], [0.5])])
        dataset = open_mnist(root, folder, transform)
        workers = max(workers, 0)
    else:
        grey = [transforms.Grayscale()] if config.data.channels == "1" else []
        transform = transforms.Compose([*grey, *steps, transforms.Normalize([0.5], [0.5])])
        dataset = datasets.ImageFolder(root / "train" if (root / "train").is_dir() else root, transform)
        workers = min(WORKERS, os.cpu_count() or 1) if workers < 0 else workers
    return DataLoader(
        dataset,
        config.run.batch_size,
        shuffle=True,
        num_workers=workers,
        drop_last=True,
        pin_memory=device.type == "cuda",
    )


def unpack(root: Path, folder: Path) -> None:
    """Put the idx files of ``root`` into ``folder`` where torchvision looks for MNIST's, unpacked."""
    raw = folder / RAW
    raw.mkdir(parents=True)
    found = find_idx_files(root)
    for prefix in PREFIXES.values():
        for kind, dimensions in (("images", 3), ("labels", 1)):
            file = raw / f"{prefix}-{kind}-idx{dimensions}-ubyte"
            source = found.get(prefix, {}).get(kind)
            with file.open("wb") as target:
                if source:  # torchvision looks for all four, but reads two
                    with gzip.open(source) if source.suffix == ".gz" else source.open("rb") as packed:
                        shutil.copyfileobj(packed, target)


def open_mnist(root: Path, folder: Path | None, transform: Any) -> Any:
    """Return torchvision's data set of the idx files of ``root``, which lie in ``folder`` if they are unpacked."""
    if folder:
        return datasets.MNIST(folder, transform=transform)
    with tempfile.TemporaryDirectory(prefix="ganvas_benchmark_") as made:
        unpack(root, Path(made))
        return datasets.MNIST(made, transform=transform)  # it reads all at once
