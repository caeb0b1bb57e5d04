"""Train as a plain script does: torchvision's data set in a DataLoader, with pictures and weights now and then.

    python scripts/speed/reference_run.py FOLDER FILE OPTION...

FOLDER gets pictures and weights, and MNIST unpacked if that is what is read. FILE is as timed_train.py has it. The
options are those of scripts/benchmark.py.
"""

import gzip
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms
from torchvision.utils import save_image

from data import find_dataroot
from data.files.idx_files import PREFIXES, find_idx_files
from models import create_model
from scripts.speed.job import Job, parse_job
from scripts.speed.reference import create_reference
from scripts.speed.side import plain_device
from scripts.speed.timed_train import peak_gib
from util.console import one_line_errors
from util.types import Batch, DataSpec

WORKERS = 6  # of S0's script
READ = ("idx", "image_folder")  # the kinds of data that there is a plain loader for here


def main() -> None:
    folder, file, *words = sys.argv[1:]
    job = parse_job(__doc__ or "", "", words)
    with one_line_errors("reference_run.py", job.config.run.verbose, ValueError, OSError, LookupError):
        Path(file).write_text(json.dumps(train(job, Path(folder))), encoding="utf-8")


def train(job: Job, folder: Path) -> dict[str, Any]:
    """Run all epochs; S2's script, of idx data, draws every epoch, S0's every save_epoch_freq, when it saves."""
    opt, mode = job.config.run, job.config.dataset_mode
    device = plain_device(opt.device)
    loader = create_data_loader(job, device, folder)
    dataset: Any = loader.dataset
    if not len(loader):
        raise ValueError(f"--batch_size {opt.batch_size} is more than the {len(dataset)} images there are")
    nc, *sides = dataset[0][0].shape
    spec = DataSpec((sides[0], sides[1]), nc, nc, tuple(map(str, dataset.classes)))
    model: Any = create_model(job.config.model_name, job.config.model, spec, device, opt.seed, opt.batch_size)
    take = create_reference(job.config.model_name, model)
    labels = torch.arange(spec.num_classes, device=device).repeat(10)
    z = torch.randn(len(labels), job.config.model.nz, device=device)

    times: dict[str, Any] = {"epochs": [], "steps": len(loader)}
    for epoch in range(1, opt.n_epochs + 1):
        times["epochs"].append(time.time())
        totals: dict[str, Any] = {}
        for step, (images, targets) in enumerate(loader, 1 + (epoch - 1) * len(loader)):
            batch = Batch({"image": images.to(device), "label": targets.to(device)})
            for name, loss in take(batch, step).items():
                totals[name] = totals.get(name, 0) + loss.detach()
            if step == 1:
                times["first_step"] = finished(device)
        print(epoch, {name: total.item() / len(loader) for name, total in totals.items()})
        is_saved = opt.save_epoch_freq > 0 and epoch % opt.save_epoch_freq == 0
        if is_saved or mode == "idx":
            model.eval()
            with torch.no_grad():
                save_image(model.sample(z, labels), folder / f"{epoch}.png", nrow=spec.num_classes, normalize=True)
            model.train()
        if is_saved:
            for name, net in model.nets.items():
                torch.save(net.state_dict(), folder / f"{name}_{epoch}.pth")
    return times | {"end": finished(device), "gib": peak_gib(str(device))}


def finished(device: torch.device) -> float:
    """Return the time when the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.time()


def create_data_loader(job: Job, device: torch.device, folder: Path) -> DataLoader[Any]:
    """Return what yields (images, labels) for ``device``; idx files are unpacked into ``folder`` first."""
    config, workers = job.config, job.bench.workers
    size, root = config.data.image_size, find_dataroot(config.data.dataroot)
    steps = [transforms.Resize((size, size)), transforms.ToTensor(), transforms.Normalize([0.5], [0.5])]
    dataset: Any
    if config.dataset_mode == "idx":
        unpack(root, folder / "MNIST/raw")  # where torchvision looks for them
        dataset = datasets.MNIST(folder, transform=transforms.Compose(steps if size != 28 else steps[1:]))
    else:
        grey = [transforms.Grayscale()] if config.data.channels == "1" else []
        transform = transforms.Compose([*grey, *steps])
        dataset = datasets.ImageFolder(root / "train" if (root / "train").is_dir() else root, transform)
    if workers < 0:
        workers = 0 if config.dataset_mode == "idx" else min(WORKERS, os.cpu_count() or 1)
    pinned = device.type == "cuda"
    return DataLoader(dataset, config.run.batch_size, True, num_workers=workers, drop_last=True, pin_memory=pinned)


def unpack(root: Path, raw: Path) -> None:
    """Put the idx files of ``root`` into ``raw``, unpacked, under MNIST's names."""
    raw.mkdir(parents=True)
    found = find_idx_files(root)
    for prefix in PREFIXES.values():
        for kind, dimensions in (("images", 3), ("labels", 1)):
            source = found.get(prefix, {}).get(kind)
            with (raw / f"{prefix}-{kind}-idx{dimensions}-ubyte").open("wb") as target:
                if source:  # torchvision looks for all four, but reads two
                    with gzip.open(source) if source.suffix == ".gz" else source.open("rb") as packed:
                        shutil.copyfileobj(packed, target)


if __name__ == "__main__":
    main()
