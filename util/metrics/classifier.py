"""A small classifier, to see of which classes generated images are."""

from collections.abc import Iterable
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy, interpolate, pad
from tqdm import tqdm

from util.metrics.disk_cache import kept
from util.modes import evaluating
from util.seeding import forked
from util.types import Batch, DataSpec

if TYPE_CHECKING:
    from data.loading.loader import Loader

STEPS, BATCH, SHIFT = 500, 64, 4


class Answers(NamedTuple):
    """A classifier's answers, and the true labels."""

    probabilities: Tensor  # of the classes, (N, num_classes)
    labels: Tensor  # int64 (N,)

    @property
    def accuracy(self) -> float:
        return float((self.probabilities.argmax(1) == self.labels).float().mean())


class Shares(NamedTuple):
    """A classifier's answers to many images, summed up."""

    share: Tensor  # of each class among its answers, float (num_classes,)
    entropy: float  # of the shares, in bits: log2(num_classes) when all are equal
    confidence: float  # mean probability of the answers


def kept_classifier(train: "Loader", cache_dir: Path) -> nn.Module:
    """Return a classifier of a data set's classes, on its device: trained the first time it is asked for.

    Args:
        train: a loader of labelled images.
        cache_dir: where it is kept.
    """
    dataset, device = train.dataset, train.device

    def compute() -> dict[str, Any]:
        loader = train.like(batch_size=min(BATCH, len(dataset)), seed=0)
        batches = (batch for epoch in count(1) for batch in loader.epoch(epoch))
        net = train_classifier(batches, dataset.spec, device, seed=0)
        return {"net": {k: v.cpu() for k, v in net.state_dict().items()}}

    net = small_classifier(dataset.spec)
    net.load_state_dict(kept(cache_dir, "classifier", dataset.fingerprint(), compute)["net"])
    return net.to(device).eval()


def classify_all(classifier: nn.Module, loader: "Loader") -> Answers:
    """Return what a classifier says of all labelled images of a loader."""
    parts = [(classify(classifier, b["image"]), b["label"]) for b, _ in loader.in_order(len(loader.dataset))]
    return Answers(*(torch.cat(part) for part in zip(*parts, strict=True)))


def train_classifier(batches: Iterable[Batch], spec: DataSpec, device: torch.device, seed: int) -> nn.Module:
    """Return a network trained on images of ``spec``'s classes, in evaluation mode.

    It sees them shifted, blurred and with noise, so that it goes by shapes; random numbers elsewhere stay as they were.

    Args:
        batches: at least STEPS batches of BATCH images with labels.
        spec: channels and classes.
        device: where the batches are.
        seed: what weights and noise follow from.
    """
    with forked(seed), torch.enable_grad():
        classifier = small_classifier(spec).to(device)
        optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS)
        for batch in tqdm(islice(batches, STEPS), "training the classifier", STEPS, leave=False, disable=None):
            loss = cross_entropy(classifier(roughen(shift(batch["image"]))), batch["label"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return classifier.eval()


def classify(classifier: nn.Module, images: Tensor) -> Tensor:
    """Return the probabilities of the classes, (N, num_classes), for images (N, C, H, W) in [-1, 1]."""
    with evaluating(classifier):
        return torch.cat([classifier(part).softmax(1) for part in images.split(BATCH)])


def shares(probabilities: Tensor) -> Shares:
    """Sum up the probabilities (N, num_classes) that a classifier gives to N images."""
    confidence, answers = probabilities.max(1)
    share = torch.bincount(answers, minlength=probabilities.shape[1]) / len(answers)
    entropy = torch.special.entr(share).sum() / torch.log(torch.tensor(2.0))
    return Shares(share, float(entropy), float(confidence.mean()))


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
