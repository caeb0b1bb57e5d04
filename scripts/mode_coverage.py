"""Count the modes that gan, wgan_gp and r3gan find, after as many samples each: 25 Gaussians, or 1,000 kinds of digits.

    python scripts/mode_coverage.py --num 1000000 --seeds 3
    python scripts/mode_coverage.py --digits mnist --num 200000 --seeds 1

Gaussians: points (x, y) of a grid of five by five, as images of two pixels; linear layers. Digits: three digits of
MNIST in the channels of an image (Srivastava et al. 2017, arXiv:1705.07761), told apart by a classifier of one digit;
convolutions. All models have the same networks and rates. A mode counts as found when at least a hundredth of its share
of the drawn samples lies on it: within 3 standard deviations of it, or classified as its three digits.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from data import create_dataset, find_dataset
from data.loading.loader import Loader
from models import create_model, find_model
from models.noise import NoiseModel
from util.console import one_line_errors
from util.metrics.classifier import classify, kept_classifier
from util.modes import evaluating
from util.seeding import seed_all
from util.types import Batch, DataSpec

GRID = torch.cartesian_prod(*[torch.linspace(-0.8, 0.8, 5)] * 2)  # (25, 2)
SPREAD = 0.02  # their standard deviation
MODELS = ("gan", "wgan_gp", "r3gan")
CPU = torch.device("cpu")


class Coverage(NamedTuple):
    """How well drawn samples cover the modes."""

    found: int  # modes
    near: float  # share of the samples that lie on some mode


class Modes(Protocol):
    """A distribution whose modes are known, and the options that models are trained on it with."""

    spec: DataSpec
    num_modes: int
    drawn: int  # samples to look at
    batch_size: int
    options: ClassVar[dict[str, Any]]
    penalties: ClassVar[dict[str, dict[str, Any]]]  # model -> options of its penalties

    def draw(self, num: int) -> Tensor:
        """Return real samples, float (num, C, H, W)."""

    def modes(self, samples: Tensor) -> Tensor:
        """Return the mode that each sample lies on, int64 (N,), or -1."""


class Gaussians:
    """25 normal distributions in the plane."""

    spec = DataSpec((1, 2), 1, 1)
    num_modes, drawn, batch_size = len(GRID), 10_000, 128
    options: ClassVar[dict[str, Any]] = {
        **{"netG": "mlp", "netD": "mlp", "hidden_G": (128,) * 3, "hidden_D": (128,) * 3, "nz": 2},
        **{"lr": 5e-4, "beta1": 0.0, "beta2": 0.99},
    }
    penalties: ClassVar[dict[str, dict[str, Any]]] = {
        "wgan_gp": {"lambda_gp": 0.1},
        "r3gan": {"r1_gamma": 0.1, "r2_gamma": 0.1, "penalty_freq": 1},
    }

    def draw(self, num: int) -> Tensor:
        points = GRID[torch.randint(len(GRID), (num,))] + SPREAD * torch.randn(num, 2)
        return points.reshape(num, 1, 1, 2)

    def modes(self, samples: Tensor) -> Tensor:
        distances, nearest = torch.cdist(samples.flatten(1), GRID).min(1)
        return nearest.where(distances < 3 * SPREAD, -1)


class StackedDigits:
    """Three digits of MNIST, each drawn by itself: 1,000 modes, equally frequent but for the digits' own shares."""

    spec = DataSpec((28, 28), 3, 3)
    num_modes, drawn, batch_size = 1000, 25_600, 64
    options: ClassVar[dict[str, Any]] = {
        **{"netG": "conv28", "netD": "conv28", "ngf": 16, "ndf": 16},
        **{"lr": 5e-4, "beta1": 0.0, "beta2": 0.99},
    }
    penalties: ClassVar[dict[str, dict[str, Any]]] = {"r3gan": {"r1_gamma": 1.0, "r2_gamma": 1.0, "penalty_freq": 1}}

    def __init__(self, dataroot: str, cache_dir: Path) -> None:
        dataset = create_dataset("idx", find_dataset("idx").Options(dataroot=dataroot))
        train = Loader(dataset, None, batch_size=self.batch_size, seed=0, device=CPU, num_threads=0)
        self.classifier: nn.Module = kept_classifier(train, cache_dir)
        self.digits = torch.cat([batch["image"] for batch, _ in train.in_order(len(dataset))])

    def draw(self, num: int) -> Tensor:
        return self.digits[torch.randint(len(self.digits), (3 * num,))].reshape(num, 3, 28, 28)

    def modes(self, samples: Tensor) -> Tensor:
        digits = classify(self.classifier, samples.reshape(-1, 1, 28, 28)).argmax(1).reshape(-1, 3)
        return digits @ torch.tensor([100, 10, 1])


def coverage(modes: Tensor, num_modes: int) -> Coverage:
    """Say how samples cover ``num_modes`` modes, by the mode of each, int64 (N,), or -1."""
    counts = torch.bincount(modes[modes >= 0], minlength=num_modes)
    return Coverage(int((counts >= len(modes) / num_modes / 100).sum()), float((modes >= 0).float().mean()))


def train(name: str, target: Modes, seed: int, num: int) -> Coverage:
    """Train model ``name`` on ``num`` samples of ``target`` and return what it covers."""
    options = find_model(name).Options(**(target.options | target.penalties.get(name, {})))
    model: Any = create_model(name, options, target.spec, CPU, seed, target.batch_size)
    assert isinstance(model, NoiseModel)
    for step in range(1, num // target.batch_size + 1):
        seed_all(seed, step)
        model.optimize_parameters(Batch({"image": target.draw(target.batch_size)}), step)
    with evaluating(model):
        samples = model.sample_in_parts(model.latents(target.drawn, seed), None, 512)
    return coverage(target.modes(samples), target.num_modes)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=1_000_000, help="samples that each model sees")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each model")
    parser.add_argument("--digits", metavar="MNIST", help="folder of MNIST, or mnist: count digits, not Gaussians")
    parser.add_argument("--cache_dir", type=Path, default=Path("datasets/.cache"), help="where the classifier is kept")
    opt = parser.parse_args(argv)
    with one_line_errors("mode_coverage.py", False, ValueError, OSError):
        target: Modes = StackedDigits(opt.digits, opt.cache_dir) if opt.digits else Gaussians()
        print(f"| model | modes of {target.num_modes}, each seed | samples on a mode |\n|---|---|---|")
        for name in MODELS:
            runs = [train(name, target, seed, opt.num) for seed in range(opt.seeds)]
            found = ", ".join(str(run.found) for run in runs)
            print(f"| {name} | {found} | {mean(run.near for run in runs):.2f} |", flush=True)


if __name__ == "__main__":
    main()
