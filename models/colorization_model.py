"""Colorization: pix2pix (arXiv:1611.07004, Sec. 4.2) from the lightness of an image to its colours."""

import torch
from torch import Tensor

from models.pix2pix_model import Pix2PixModel
from util.color import lab_to_rgb, rgb_to_lab
from util.types import Batch, Visuals


class ColorizationModel(Pix2PixModel):
    """pix2pix whose A is L / 50 - 1 and whose B is a / 110 and b / 110 of CIELAB; what it shows is RGB."""

    dataset_mode = "colorization"

    def forward(self, batch: Batch) -> Visuals:
        real_A, fake_B = batch["A"], self.translate(batch["A"])
        return {"real_A": real_A, "real_B_rgb": rgb(real_A, batch["B"]), "fake_B_rgb": rgb(real_A, fake_B)}

    def recolor(self, images: Tensor) -> Tensor:
        """Return RGB images float (N, 3, H, W) in [-1, 1] with their own lightness and G's colours."""
        A = rgb_to_lab(images)[:, :1] / 50 - 1
        return rgb(A, self.translate(A))


def rgb(A: Tensor, B: Tensor) -> Tensor:
    """Return images float (N, 3, H, W) in [-1, 1] for A (N, 1, H, W) and B (N, 2, H, W)."""
    return lab_to_rgb(torch.cat([50 * (A + 1), 110 * B], 1))
