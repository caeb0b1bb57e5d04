"""Class labels as inputs of networks."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

LabelInput = Literal["embedding", "onehot"]


class LabelCode(nn.Module):
    """Maps labels, int64 (N,), to learned or one-hot vectors, float (N, width)."""

    def __init__(self, num_classes: int, kind: LabelInput, width: int) -> None:
        """Args: width: length of learned vectors; one-hot vectors have one entry per class."""
        super().__init__()
        self.width = width if kind == "embedding" else num_classes
        if kind == "embedding":
            self.weight = nn.Parameter(torch.randn(num_classes, width))
        else:
            self.register_buffer("weight", torch.eye(num_classes), persistent=False)

    def forward(self, labels: Tensor) -> Tensor:
        return embedding(labels, self.weight)


class LabelledGenerator(nn.Module):
    """z, followed by the label code if there is one -> image."""

    def __init__(self, main: nn.Sequential, label_code: LabelCode | None = None) -> None:
        """Args: main: (N, nz + code width) -> images (N, C, H, W) in [-1, 1]."""
        super().__init__()
        self.label = label_code
        self.main = main

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.main(z if self.label is None else torch.cat([z, self.label(labels)], 1))


class LabelledDiscriminator(nn.Module):
    """Image -> logits; a label is an extra input beside the image, or is compared with the last features."""

    def __init__(
        self, main: nn.Sequential, label: nn.Module | None = None, projection: nn.Module | None = None
    ) -> None:
        """Build D from its parts; without ``label`` and ``projection`` it takes no labels.

        Args:
            main: images, concatenated with the output of ``label`` -> features (N, F) -> logits; its last layer is
                linear.
            label: labels -> planes to concatenate with the images along their channels.
            projection: labels -> vectors (N, F), whose product with the features is added to the logit (Miyato and
                Koyama 2018, arXiv:1802.05637, Eq. 8).
        """
        super().__init__()
        self.label = label
        self.main = main
        self.projection = projection

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits (N, 1)."""
        x = images if self.label is None else torch.cat([images, self.label(labels)], 1)
        if self.projection is None:
            return self.main(x)
        *body, last = self.main
        for layer in body:
            x = layer(x)
        return last(x) + (self.projection(labels) * x).sum(1, keepdim=True)


def where_labels_go(code: LabelCode | None, projection: bool) -> tuple[LabelCode | None, LabelCode | None]:
    """Return the code of labels that D takes as input and that of labels compared with its features; one is None."""
    return (None, code) if projection else (code, None)


def label_planes(code: LabelCode | None, num: int, size: int) -> nn.Sequential | None:
    """Return a network from labels to ``num`` planes of ``size`` x ``size`` pixels; None without a code."""
    if code is None:
        return None
    return nn.Sequential(code, nn.Linear(code.width, num * size * size), nn.Unflatten(1, (num, size, size)))


def label_projection(code: LabelCode | None, num_features: int) -> nn.Sequential | None:
    """Return a network from labels to vectors to compare with features, initialized as in arXiv:1802.05637.

    None without a code.
    """
    if code is None:
        return None
    linear = nn.Linear(code.width, num_features, bias=False)
    nn.init.xavier_uniform_(linear.weight)
    return nn.Sequential(code, linear)
