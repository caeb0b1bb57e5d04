"""Improved precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991, Eq. 1 and 2), on any features."""

from typing import NamedTuple

import torch
from torch import Tensor

NEIGHBOURS = 3
ROWS = 2048  # of a matrix of distances that are held at a time


class PrecisionRecall(NamedTuple):
    """Precision: fraction of generated images that look real; recall: fraction of real ones that are covered."""

    precision: float
    recall: float


def precision_recall(fake: Tensor, real: Tensor, neighbours: int = NEIGHBOURS) -> PrecisionRecall:
    """Return the share of features (N, D) among those of real images (M, D), and the other way round.

    Raises:
        ValueError: a set has too few images to have so many neighbours.
    """
    if min(len(fake), len(real)) <= neighbours:
        few = f"not {len(fake)} drawn and {len(real)} real ones"
        raise ValueError(f"precision and recall need more than {neighbours} images, {few}")
    return PrecisionRecall(_covered(fake, real, neighbours), _covered(real, fake, neighbours))


def _covered(points: Tensor, centres: Tensor, neighbours: int) -> float:
    """Return the share of ``points`` no farther from some centre than that one's nearest neighbours are."""
    centres, points = centres.double(), points.double()
    inside = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    for some in centres.split(ROWS):
        radius = _distances(some, centres).kthvalue(neighbours + 1).values  # the nearest is the centre itself
        inside |= (_distances(some, points) <= radius[:, None]).any(0)
    return float(inside.double().mean())


def _distances(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y, compute_mode="use_mm_for_euclid_dist")  # fifty times as fast, and exact enough in double
