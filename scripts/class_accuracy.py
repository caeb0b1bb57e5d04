"""Count how many images of a run's model a classifier puts in the class that was asked for.

    python scripts/class_accuracy.py --name rps_mini_demo --num_test 300
    python scripts/class_accuracy.py --name mnist --labels 1 --num_test 100

The classifier is a small convolutional network, trained on the run's own training images (shifted, blurred and with
noise, so that it goes by shapes); its accuracy on the held-out images, as they are, is printed first. The other options
are those of test.py.
"""

import sys
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy, interpolate, pad
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))

from data import create_dataset, create_loader, find_dataset
from data.loader import Loader
from models import create_model, find_model
from models.noise import NoiseModel
from options.parse import Config, parse_test
from options.test_options import TestOptions
from util.checkpoint import import_run
from util.console import one_line_errors
from util.device import pick_device
from util.modes import evaluating
from util.results import read_labels
from util.seeding import seed_all
from util.types import DataSpec

STEPS, BATCH, SHIFT = 500, 64, 4


def main() -> None:
    config = parse_test(__doc__ or "", None, find_model, find_dataset)
    with one_line_errors("class_accuracy.py", config.run.verbose, ValueError, OSError):
        measure(config)


def measure(config: Config[TestOptions]) -> None:
    """Train the classifier, draw the images, and print both accuracies."""
    opt, device, spec = config.run, pick_device(config.run.device), DataSpec.from_dict(config.spec)
    model = create_model(config.model_name, config.model, spec, device)
    if not isinstance(model, NoiseModel) or not spec.classes:
        raise ValueError(f"run {opt.name} draws no images of given classes")
    weights = import_run(opt.run_dir, opt.epoch, model, opt.ema)
    loaders = []
    for phase in ("train", "test"):
        dataset = create_dataset(config.dataset_mode, replace(config.data, phase=phase))
        loaders.append(create_loader(dataset, opt, min(BATCH, len(dataset)), device))
    classifier = train_classifier(loaders[0], spec, opt.seed)

    num = opt.num_test or 100 * spec.num_classes
    wanted = read_labels(opt.labels, spec.classes)
    labels = torch.tensor([wanted[i % len(wanted)] for i in range(num)], device=device)
    with evaluating(model):
        z = model.latents(num, opt.seed)
        fakes = torch.cat([model.sample(z[i : i + BATCH], labels[i : i + BATCH]) for i in range(0, num, BATCH)])
    with evaluating(classifier):
        held_out = len(loaders[1].dataset)
        right = sum(
            int((classifier(b["image"]).argmax(1) == b["label"]).sum()) for b, _ in loaders[1].in_order(held_out)
        )
        print(f"classifier on {held_out} held-out real images: {right / held_out:.4f}")
        said = torch.cat([classifier(part).argmax(1) for part in fakes.split(BATCH)])
    hits = said == labels
    drawn = f"{num} images of {opt.name} (epoch {opt.epoch}, {weights}, seed {opt.seed})"
    print(f"{drawn}: {hits.float().mean():.4f} as asked")
    for label in sorted(set(wanted)):
        own = labels == label
        print(f"  {spec.classes[label]:<12} {int(hits[own].sum())} of {int(own.sum())}")


def train_classifier(loader: Loader, spec: DataSpec, seed: int) -> nn.Module:
    """Return a network trained on the loader's images, shifted and roughened, in evaluation mode."""
    seed_all(seed)
    classifier = small_classifier(spec).to(loader.device)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS)
    batches = (batch for epoch in count(1) for batch in loader.epoch(epoch))
    for batch in tqdm(islice(batches, STEPS), "training the classifier", STEPS, leave=False, disable=None):
        loss = cross_entropy(classifier(roughen(shift(batch["image"]))), batch["label"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return classifier.eval()


def small_classifier(spec: DataSpec) -> nn.Module:
    """Return four convolutions that halve the sides, and a linear layer on their mean."""
    layers: list[nn.Module] = []
    before = spec.output_nc
    for width in (24, 48, 96, 96):
        layers += [nn.Conv2d(before, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True)]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, spec.num_classes))


def shift(images: Tensor) -> Tensor:
    """Move a batch (N, C, H, W) by up to SHIFT pixels each way, repeating its border."""
    height, width = images.shape[-2:]
    top, left = torch.randint(0, 2 * SHIFT + 1, (2,)).tolist()
    return pad(images, [SHIFT] * 4, mode="replicate")[..., top : top + height, left : left + width]


def roughen(images: Tensor) -> Tensor:
    """Blur half of a batch (N, C, H, W) and add noise to all, so that shapes are learned and not clean surfaces.

    Without it, the grain that a small generator leaves on a hand outweighs the hand.
    """
    soft = interpolate(avg_pool2d(images, 2), size=images.shape[-2:], mode="bilinear")
    some = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    sigma = 0.3 * torch.rand(len(images), 1, 1, 1, device=images.device)
    return torch.where(some, soft, images) + sigma * torch.randn_like(images)


if __name__ == "__main__":
    main()
