"""The network F of contrastive translation: features of image patches, ready to be compared."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Places = list[Tensor]  # of each layer: int64 (S,), counted row by row


class PatchFeatures(nn.Module):
    """Features at some places of each tapped layer, through a small network of their own, scaled to unit length.

    Park et al. 2020, arXiv:2007.15651, Sec. 3 (H_l). Keys are those of CUT's netF: mlp_0, mlp_1 ... Whatever other
    networks compute in, this one does in fp32: its initial weights make features too small for fp16.
    """

    def __init__(self, channels: Sequence[int], width: int = 256) -> None:
        """Args: channels: of the tapped layers; width: of both layers of each network, 0: features as they are."""
        super().__init__()
        self.width = width
        for i, nc in enumerate(channels if width else ()):
            mlp = nn.Sequential(nn.Linear(nc, width), nn.ReLU(), nn.Linear(width, width))
            self.add_module(f"mlp_{i}", mlp)

    def forward(self, features: list[Tensor], places: Places) -> list[Tensor]:
        """Return the features (N, S, width) at the ``places`` of each of ``features``."""
        found = []
        with torch.autocast(features[0].device.type, enabled=False):
            for i, (layer, place) in enumerate(zip(features, places, strict=True)):
                x = layer.flatten(2).index_select(2, place).transpose(1, 2)  # (N, S, C)
                if self.width:
                    x = self.get_submodule(f"mlp_{i}")(x)
                found.append(x / (x.norm(dim=2, keepdim=True) + 1e-7))
        return found


def random_places(features: list[Tensor], most: int, is_mirrored: Tensor | None = None) -> tuple[Places, Places]:
    """Draw, on their device, ``most`` different places of each of ``features`` (N, C, H, W), or take all.

    Returns:
        The places, and where in ``features`` they are found: elsewhere if these are mirrored, left for right, which a
        tensor says that the host does not wait for.
    """
    places = [torch.rand(layer[0, 0].numel(), device=layer.device).argsort()[:most] for layer in features]
    if is_mirrored is None:
        return places, places
    widths = [layer.shape[3] for layer in features]
    turned = [place + width - 1 - 2 * (place % width) for place, width in zip(places, widths, strict=True)]
    return places, [torch.where(is_mirrored, *pair) for pair in zip(turned, places, strict=True)]
