"""Say of which classes the images are that runs' models draw, by a classifier trained on the first run's data.

    python scripts/class_accuracy.py --name rps_mini_demo --num_test 300
    python scripts/class_accuracy.py --name mnist_cgan --labels 1 --num_test 100
    python scripts/class_accuracy.py mnist_gan mnist_wgan mnist_wgan_gp --num_test 5000

Printed are the accuracy on held-out images of a classifier (util/metrics/classifier.py, a small network), and a
table with a row for those and one per run: how many images are in the class asked for, where the model knows classes;
the share of each class among all; the entropy of these shares in bits; and the classifier's mean confidence. Names of
several runs stand before the options, which are those of test.py. The table is also written to
results/class_accuracy.md.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from data import create_dataset, create_loader, find_dataset
from data.loading.loader import Loader
from models import find_model
from models.noise import NoiseModel
from models.trained import load_trained
from options.parse import Config
from options.parse_tested import parse_runs
from options.test_options import COMMON, TestOptions
from util.console import one_line_errors
from util.device import pick_device
from util.files import write_text
from util.metrics.classifier import BATCH, classify, classify_all, kept_classifier, shares
from util.modes import evaluating
from util.results.interpolation import truncated
from util.results.results import read_labels
from util.types import DataSpec

HONOURED = COMMON | {"seed", "num_test", "labels", "truncation", "eval"}  # of test.py's options


class Drawn(NamedTuple):
    """Images of a run's model, and the classes asked for."""

    images: Tensor
    labels: Tensor | None  # None: the model knows no classes


def main(argv: Sequence[str] | None = None) -> None:
    configs = parse_runs(__doc__ or "", argv, find_model, find_dataset, HONOURED)
    with one_line_errors("class_accuracy.py", configs[0].run.verbose, ValueError, OSError):
        measure(configs)


def measure(configs: list[Config[TestOptions]]) -> None:
    """Train the classifier, draw each run's images, and print and write the table."""
    first, spec = configs[0], DataSpec.from_dict(configs[0].spec)
    if not spec.classes:
        raise ValueError(f"run {first.run.name} was trained on data without labels: there is nothing to classify by")
    device = pick_device(first.run.device)
    for config in configs:
        if DataSpec.from_dict(config.spec) != spec:
            raise ValueError(f"runs {first.run.name} and {config.run.name} are of different data: compare them apart")
    drawn = [draw(config, device) for config in configs]
    trained_on = first.trained.get("max_dataset_size", 0)
    classifier = kept_classifier(open_phase(first, "train", trained_on, device), first.run.cache_dir)
    real = classify_all(classifier, open_phase(first, "test", first.data.max_dataset_size, device))
    print(f"classifier on {len(real.labels)} held-out real images: {real.accuracy:.4f}")

    header = ["run", "images", "as asked", *spec.classes, "entropy", "confidence"]
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header), row("real, held out", *real)]
    for config, (images, labels) in zip(configs, drawn, strict=True):
        probabilities = classify(classifier, images)
        lines.append(row(config.run.name, probabilities, labels))
        if labels is not None:
            print_classes(config.run.name, spec, labels, probabilities.argmax(1))
    table = "\n".join(lines)
    print(table)
    path = first.run.results_dir / "class_accuracy.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, f"{table}\n")
    print(f"table: {path}")


def open_phase(config: Config[TestOptions], phase: str, limit: int, device: torch.device) -> Loader:
    """Return a loader of a part of the data, of at most ``limit`` images (0: all), with labels as a run has them."""
    spec = DataSpec.from_dict(config.spec)
    options = replace(config.data.like(spec), phase=phase, max_dataset_size=limit)
    dataset = create_dataset(config.dataset_mode, options)
    dataset.relabel(spec.classes)
    return create_loader(dataset, config.run, BATCH, device, trains=False)


def draw(config: Config[TestOptions], device: torch.device) -> Drawn:
    """Draw images of a run; raise ValueError when its model draws none, or not those that are asked for."""
    opt = config.run
    model, weights = load_trained(config, device)
    if not isinstance(model, NoiseModel):
        raise ValueError(f"run {opt.name} draws no images from noise")
    wanted = read_labels(opt.labels, model.spec.classes)
    num = opt.num_test or 100 * max(1, len(wanted))
    labels = torch.tensor([wanted[i % len(wanted)] for i in range(num)], device=device) if wanted else None
    with evaluating(model) if opt.eval else torch.no_grad():
        z = truncated(model.latents(num, opt.seed), opt.truncation)
        parts = [slice(i, i + BATCH) for i in range(0, num, BATCH)]
        images = torch.cat([model.sample(z[p], None if labels is None else labels[p]) for p in parts])
    print(f"{num} images of {opt.name} (epoch {opt.label}, {weights}, seed {opt.seed})")
    return Drawn(images, labels)


def row(name: str, probabilities: Tensor, labels: Tensor | None) -> str:
    said = shares(probabilities)
    hits = "" if labels is None else f"{(probabilities.argmax(1) == labels).float().mean():.4f}"
    cells = [name, str(len(probabilities)), hits, *(f"{100 * s:.1f} %" for s in said.share.tolist())]
    return f"| {' | '.join([*cells, f'{said.entropy:.2f}', f'{said.confidence:.3f}'])} |"


def print_classes(name: str, spec: DataSpec, labels: Tensor, said: Tensor) -> None:
    hits = said == labels
    print(f"{name}: {hits.float().mean():.4f} as asked")
    for label in labels.unique().tolist():
        own = labels == label
        print(f"  {spec.classes[label]:<12} {int(hits[own].sum())} of {int(own.sum())}")


if __name__ == "__main__":
    main()
