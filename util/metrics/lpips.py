"""LPIPS, the distance of two images by what AlexNet makes of them (Zhang et al. 2018, arXiv:1801.03924, Eq. 1)."""

import importlib.util
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from util.weights import load_safely

ALEXNET = "alexnet-owt-7be5be79.pth"
URL = f"https://download.pytorch.org/models/{ALEXNET}"
LPIPS_SIZE = 32  # pixels: the least that the layers of AlexNet can work on
LAYERS = (0, 2, 5, 8, 10, 12)  # where AlexNet's layers are cut: each part ends with a ReLU that is compared
MEAN, STD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of its training images, on the scale from -1 to 1


class LPIPS(nn.Module):
    """Maps two batches, float (N, 1 or 3, H, W) in [-1, 1] of at least 32 pixels, to their distances (N,)."""

    mean: Tensor
    std: Tensor

    def __init__(self, alexnet: nn.Module, weights: dict[str, Tensor]) -> None:
        """Args: weights: how much each channel counts, (1, channels, 1, 1) by the names of torchmetrics' file."""
        super().__init__()
        features = alexnet.get_submodule("features")
        assert isinstance(features, nn.Sequential)
        self.parts = nn.ModuleList(features[first:last] for first, last in pairwise(LAYERS))
        self.weights = [weights[f"lin{i}.model.1.weight"] for i in range(len(self.parts))]
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(STD)[:, None, None])

    @torch.no_grad()
    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        x, y = ((images - self.mean) / self.std for images in (fake, real))  # grey becomes RGB
        distance = torch.zeros(len(fake), device=fake.device)
        for part, weight in zip(self.parts, self.weights, strict=True):
            x, y = part(x), part(y)
            difference = (normalize(x, dim=1) - normalize(y, dim=1)).square()
            distance += (difference * weight.to(x.device)).sum(1).mean((1, 2))
        return distance


def create_lpips(device: torch.device) -> LPIPS:
    """Return LPIPS from the weights that are on this machine.

    Raises:
        LookupError: AlexNet's weights, or torchmetrics with those of LPIPS, are missing; nothing is downloaded.
        ValueError: a file is damaged.
    """
    file = Path(torch.hub.get_dir()) / "checkpoints" / ALEXNET
    if not file.exists():
        raise LookupError(f"lpips needs AlexNet's weights: download {URL} to {file.parent}/, or leave lpips out")
    spec = importlib.util.find_spec("torchmetrics")
    if not (spec and spec.origin):
        raise LookupError("lpips needs torchmetrics: pip install torchmetrics, or leave lpips out")
    from torchvision.models import alexnet

    net = alexnet()
    net.load_state_dict(load_safely(file))
    linear = load_safely(Path(spec.origin).parent / "functional" / "image" / "lpips_models" / "alex.pth")
    return LPIPS(net.eval(), linear).to(device)
