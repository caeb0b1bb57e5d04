"""Count the modes of 25 Gaussians that gan, wgan_gp and r3gan find, after as many points each.

    python scripts/mode_coverage.py --points 1000000 --seeds 3

The points (x, y) of a grid of five by five, as images of two pixels; all models have the same linear layers and rate.
A mode counts as found when a hundredth of its share of the drawn points lies within 3 standard deviations of it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from models import create_model, find_model
from models.noise import NoiseModel
from util.modes import evaluating
from util.seeding import seed_all
from util.types import Batch, DataSpec

GRID = torch.cartesian_prod(*[torch.linspace(-0.8, 0.8, 5)] * 2)  # (25, 2)
SPREAD = 0.02  # their standard deviation
DRAWN, BATCH = 10_000, 128
NETS: dict[str, Any] = {"netG": "mlp", "netD": "mlp", "hidden_G": (128,) * 3, "hidden_D": (128,) * 3, "nz": 2}
RATE: dict[str, Any] = {"lr": 5e-4, "beta1": 0.0, "beta2": 0.99}
MODELS: dict[str, dict[str, Any]] = {
    "gan": {},
    "wgan_gp": {"lambda_gp": 0.1},
    "r3gan": {"r1_gamma": 0.1, "r2_gamma": 0.1, "penalty_freq": 1},
}


class Coverage(NamedTuple):
    """How well drawn points cover the modes."""

    found: int  # of 25
    near: float  # share of the points that lie on some mode


def coverage(points: Tensor) -> Coverage:
    """Compare drawn points (N, 2) with the modes."""
    distances, modes = torch.cdist(points, GRID).min(1)
    is_near = distances < 3 * SPREAD
    counts = torch.bincount(modes[is_near], minlength=len(GRID))
    return Coverage(int((counts >= len(points) / len(GRID) / 100).sum()), float(is_near.float().mean()))


def train(name: str, options: dict[str, Any], seed: int, num_points: int) -> Coverage:
    """Train model ``name`` on ``num_points`` points and return what it covers."""
    model: Any = create_model(
        name,
        find_model(name).Options(**NETS, **RATE, **options),
        DataSpec((1, 2), 1, 1),
        torch.device("cpu"),
        seed,
        BATCH,
    )
    assert isinstance(model, NoiseModel)
    for step in range(1, num_points // BATCH + 1):
        seed_all(seed, step)
        points = GRID[torch.randint(len(GRID), (BATCH,))] + SPREAD * torch.randn(BATCH, 2)
        model.optimize_parameters(Batch({"image": points.reshape(BATCH, 1, 1, 2)}), step)
    with evaluating(model):
        return coverage(model.sample(model.latents(DRAWN, seed), None).flatten(1))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000, help="points that each model sees")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each model")
    opt = parser.parse_args(argv)
    print("| model | modes of 25, each seed | points on a mode |\n|---|---|---|")
    for name, options in MODELS.items():
        runs = [train(name, options, seed, opt.points) for seed in range(opt.seeds)]
        print(f"| {name} | {', '.join(str(run.found) for run in runs)} | {mean(run.near for run in runs):.2f} |")


if __name__ == "__main__":
    main()
