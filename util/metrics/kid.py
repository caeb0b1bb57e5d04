"""The Kernel Inception Distance (Binkowski et al. 2018, arXiv:1801.01401, Sec. 3 and Eq. 4), on any features.

It is unbiased: 0 on average for two sets of one distribution, however few images, and below 0 for some.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

SUBSETS, SUBSET_SIZE = 100, 1000
ROWS = 2048  # of a kernel matrix that are held at a time


class Estimate(NamedTuple):
    """A value, and the standard deviation of what it is the mean of."""

    value: float
    std: float


def kernel(x: Tensor, y: Tensor) -> Tensor:
    """Return (x.y / D + 1)^3 of every pair of features (N, D) and (M, D), as (N, M)."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def kid(fake: Tensor, real: Tensor, seed: int) -> Estimate:
    """Return the unbiased squared MMD of features (N, D) and (M, D): mean and std over random subsets of both.

    There are SUBSETS of SUBSET_SIZE images, or of half of the smaller set where that is fewer; drawn from ``seed`` as
    torch-fidelity draws them.

    Raises:
        ValueError: a set has fewer than four images.
    """
    num = min(len(fake), len(real))
    if num < 4:
        raise ValueError(f"kid needs four images or more, not {len(fake)} drawn and {len(real)} real ones")
    size = min(SUBSET_SIZE, num // 2)
    numbers = np.random.RandomState(seed)
    chosen = [(_pick(numbers, len(fake), size), _pick(numbers, len(real), size)) for _ in range(SUBSETS)]
    in_fake, in_real = (torch.stack(side).to(fake.device) for side in zip(*chosen, strict=True))  # 1 for members
    fake, real = fake.double(), real.double()
    pairs = size * (size - 1)  # an image is not compared with itself
    within = (_sums(fake, fake, in_fake, in_fake) - in_fake @ _self(fake)) / pairs
    within += (_sums(real, real, in_real, in_real) - in_real @ _self(real)) / pairs
    between = _sums(fake, real, in_fake, in_real) / size**2
    mmd = within - 2 * between
    return Estimate(float(mmd.mean()), float(mmd.std(correction=0)))


def _pick(numbers: np.random.RandomState, num: int, size: int) -> Tensor:
    """Return float64 (num,): 1 for each of ``size`` random members, 0 for all others."""
    members = torch.zeros(num, dtype=torch.float64)
    members[torch.from_numpy(numbers.choice(num, size, replace=False))] = 1
    return members


def _sums(x: Tensor, y: Tensor, in_x: Tensor, in_y: Tensor) -> Tensor:
    """Return the sum of the kernel over the pairs of each subset, (SUBSETS,): one pass over all pairs serves them."""
    parts = (in_x[:, i : i + ROWS] @ kernel(x[i : i + ROWS], y) for i in range(0, len(x), ROWS))
    return (torch.stack(list(parts)).sum(0) * in_y).sum(1)


def _self(x: Tensor) -> Tensor:
    """Return the kernel of each image with itself, (N,)."""
    return (x.square().sum(1) / x.shape[1] + 1) ** 3
