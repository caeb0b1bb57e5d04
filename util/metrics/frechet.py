"""The Frechet distance of two sets of features (Heusel et al. 2017, arXiv:1706.08500, Eq. 6).

With the features of Inception it is the FID; with others it is a number that compares only with its own kind. With
fewer images than features it is far too large, the more so the fewer there are.
"""

import torch
from torch import Tensor


def frechet_distance(fake: Tensor, real: Tensor) -> float:
    """Return |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of the means and covariances of features (N, D) and (M, D).

    Raises:
        ValueError: a set has fewer than two images, of which there is no covariance.
    """
    if min(len(fake), len(real)) < 2:
        raise ValueError(f"a covariance needs two images or more, not {len(fake)} drawn and {len(real)} real ones")
    fake, real = fake.double(), real.double()
    difference = fake.mean(0) - real.mean(0)
    # tr (C1 C2)^(1/2) is the sum of the singular values of X Y^T, where C1 = X^T X and C2 = Y^T Y: no root of a matrix
    # is needed, whose rounding errors with few images are what other implementations have to repair.
    X, Y = _centred(fake), _centred(real)
    product = X @ Y.T if min(len(X), len(Y)) < X.shape[1] else _triangle(X) @ _triangle(Y).T
    return float(
        difference @ difference + X.square().sum() + Y.square().sum() - 2 * torch.linalg.svdvals(product).sum()
    )


def _centred(features: Tensor) -> Tensor:
    """Return the features less their mean, scaled so that X^T X is their covariance (with N - 1)."""
    return (features - features.mean(0)) / (len(features) - 1) ** 0.5


def _triangle(X: Tensor) -> Tensor:
    """Return a smaller R with R^T R = X^T X."""
    return torch.linalg.qr(X, mode="r").R if len(X) > X.shape[1] else X
