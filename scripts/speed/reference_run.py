"""Train as a plain script does: torchvision's data set in a DataLoader, with pictures and weights now and then.

    python scripts/speed/reference_run.py STAMPS FOLDER OPTION...

STAMPS is as timed_train.py has it. FOLDER gets pictures and weights, and holds MNIST unpacked if that is what is read.
The options are those of scripts/benchmark.py.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
from torch import Tensor
from torchvision.utils import save_image

from models import create_model
from scripts.speed.job import Job, parse_job
from scripts.speed.reference import create_reference
from scripts.speed.reference_data import create_data_loader
from scripts.speed.side import plain_device
from scripts.speed.stamps import Stamps, peak_gib
from util.console import one_line_errors
from util.types import Batch, DataSpec


def main() -> None:
    stamps, folder, *words = sys.argv[1:]
    job = parse_job(__doc__ or "", "", words)
    with one_line_errors("reference_run.py", job.config.run.verbose, ValueError, OSError, LookupError):
        train(job, Stamps(Path(stamps)), Path(folder))


def train(job: Job, stamp: Stamps, folder: Path) -> None:
    """Run all epochs; S2's script, of idx data, draws every epoch, S0's every save_epoch_freq, when it saves."""
    opt, mode = job.config.run, job.config.dataset_mode
    device = plain_device(opt.device)
    loader = create_data_loader(job, device, folder)
    assert loader is not None, mode
    if not len(loader):
        num = len(loader.dataset)  # type: ignore[arg-type]
        raise ValueError(f"--batch_size {opt.batch_size} is more than the {num} images there are")
    classes = tuple(map(str, loader.dataset.classes))  # type: ignore[attr-defined]
    images, _ = loader.dataset[0]
    spec = DataSpec((images.shape[1], images.shape[2]), len(images), len(images), classes, opt.batch_size)
    model: Any = create_model(job.config.model_name, job.config.model, spec, device, opt.seed)
    take = create_reference(job.config.model_name, model)
    shown = [i % len(classes) for i in range(10 * len(classes))]
    labels = torch.tensor(shown, device=device) if model.spec.classes else None
    z = torch.randn(len(shown), job.config.model.nz, device=device)

    step = 0
    stamp("steps", len(loader))
    for epoch in range(1, opt.n_epochs + 1):
        stamp("epoch")
        totals: dict[str, Tensor] = {}
        for images, targets in loader:
            step += 1
            batch = Batch({"image": images.to(device), "label": targets.to(device)})
            for name, loss in take(batch, step).items():
                totals[name] = totals.get(name, 0) + loss.detach()
            if step == 1:
                synchronize(device)
                stamp("step")
        print(epoch, {name: total.item() / len(loader) for name, total in totals.items()})
        is_saved = opt.save_epoch_freq > 0 and epoch % opt.save_epoch_freq == 0
        if is_saved or mode == "idx":
            model.eval()
            with torch.no_grad():
                save_image(model.sample(z, labels), folder / f"{epoch}.png", nrow=len(classes), normalize=True)
            model.train()
        if is_saved:
            for name, net in model.nets.items():
                torch.save(net.state_dict(), folder / f"{name}_{epoch}.pth")
    synchronize(device)
    stamp("end")
    stamp("gib", peak_gib(str(device)))


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
