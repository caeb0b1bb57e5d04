"""Fully connected G and D for images of any size, with labels."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from models.networks.labels import LabelCode


class MLPGenerator(nn.Module):
    """z and the label's code -> hidden layers -> image; batch norm after each hidden layer but the first."""

    def __init__(
        self,
        nz: int,
        shape: tuple[int, int, int],
        hidden: Sequence[int],
        eps: float,
        label_code: LabelCode | None = None,
    ) -> None:
        """Build the network for images of ``shape`` (C, H, W); ``eps`` is batch norm's."""
        super().__init__()
        self.label = label_code
        widths = [nz + (label_code.width if label_code else 0), *hidden]
        layers: list[nn.Module] = []
        for i, (before, width) in enumerate(pairwise(widths)):
            layers += [nn.Linear(before, width), *([nn.BatchNorm1d(width, eps)] if i else []), nn.LeakyReLU(0.2, True)]
        self.main = nn.Sequential(*layers, nn.Linear(widths[-1], math.prod(shape)), nn.Tanh(), nn.Unflatten(1, shape))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.main(z if self.label is None else torch.cat([z, self.label(labels)], 1))


class MLPDiscriminator(nn.Module):
    """Flattened image and the label's code -> hidden layers -> one logit.

    Dropout after each hidden layer but the first.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        hidden: Sequence[int],
        dropout: float,
        label_code: LabelCode | None = None,
    ) -> None:
        """Build the network for images of ``shape`` (C, H, W)."""
        super().__init__()
        self.label = label_code
        widths = [math.prod(shape) + (label_code.width if label_code else 0), *hidden]
        layers: list[nn.Module] = []
        for i, (before, width) in enumerate(pairwise(widths)):
            layers += [nn.Linear(before, width), nn.LeakyReLU(0.2, True), *([nn.Dropout(dropout)] if i else [])]
        self.main = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits (N, 1)."""
        x = images.flatten(1)
        return self.main(x if self.label is None else torch.cat([x, self.label(labels)], 1))
