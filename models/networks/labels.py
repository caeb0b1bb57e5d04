"""How a class label enters a network."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

LabelInput = Literal["embedding", "onehot"]


class LabelCode(nn.Module):
    """Turns labels int64 (N,) into vectors float (N, width): learned ones, or one-hot."""

    def __init__(self, num_classes: int, kind: LabelInput, width: int) -> None:
        """Args: width: of the learned vectors; one-hot ones are as long as there are classes."""
        super().__init__()
        self.width = width if kind == "embedding" else num_classes
        if kind == "embedding":
            self.weight = nn.Parameter(torch.randn(num_classes, width))
        else:
            self.register_buffer("weight", torch.eye(num_classes), persistent=False)

    def forward(self, labels: Tensor) -> Tensor:
        return embedding(labels, self.weight)
