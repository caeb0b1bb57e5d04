"""Fully connected G and D for images of any size, with labels."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from models.networks.dropout import Dropout
from models.networks.labels import (
    LabelCode,
    LabelledDiscriminator,
    LabelledGenerator,
    label_projection,
    where_labels_go,
)


class MLPGenerator(LabelledGenerator):
    """z and the label code -> hidden layers -> image; batch norm after each hidden layer but the first."""

    def __init__(
        self,
        nz: int,
        shape: tuple[int, int, int],
        hidden: Sequence[int],
        eps: float,
        label_code: LabelCode | None = None,
    ) -> None:
        """Build the network for images of ``shape`` (C, H, W); ``eps`` is batch norm's."""
        widths = [nz + (label_code.width if label_code else 0), *hidden]
        layers: list[nn.Module] = []
        for i, (before, width) in enumerate(pairwise(widths)):
            layers += [nn.Linear(before, width), *([nn.BatchNorm1d(width, eps)] if i else []), nn.LeakyReLU(0.2, True)]
        last = [nn.Linear(widths[-1], math.prod(shape)), nn.Tanh(), nn.Unflatten(1, shape)]
        super().__init__(nn.Sequential(*layers, *last), label_code)


class MLPDiscriminator(LabelledDiscriminator):
    """Flattened image and the label code -> hidden layers -> one logit.

    Dropout after each hidden layer but the first.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        hidden: Sequence[int],
        dropout: float,
        label_code: LabelCode | None = None,
        projection: bool = False,
    ) -> None:
        """Build the network for images of ``shape`` (C, H, W); ``projection`` compares the label with features."""
        joined, compared = where_labels_go(label_code, projection)
        widths = [math.prod(shape) + (joined.width if joined else 0), *hidden]
        layers: list[nn.Module] = []
        for i, (before, width) in enumerate(pairwise(widths)):
            layers += [nn.Linear(before, width), nn.LeakyReLU(0.2, True), *([Dropout(dropout)] if i else [])]
        features = label_projection(compared, widths[-1])
        super().__init__(nn.Sequential(*layers, nn.Linear(widths[-1], 1)), joined, features)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits (N, 1)."""
        return super().forward(images.flatten(1), labels)
