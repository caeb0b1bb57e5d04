"""Layers of a generator that take the latent code, z and the label's, as a second input."""

import math

import numpy as np
import torch
from torch import Tensor, nn

HIDDEN = 128  # width of the network that chooses a palette's colours
GAIN = 4.0  # multiplies the logits of the shares: edges become sharp sooner


class Coded(nn.Sequential):
    """Layers one after the other; the first takes the code, and so do those of this file."""

    def forward(self, code: Tensor) -> Tensor:
        x = code
        for layer in self:
            x = layer(x, code) if isinstance(layer, PixelNoise | Palette) else layer(x)
        return x


class PixelNoise(nn.Module):
    """Adds noise to each pixel, scaled by a weight for each channel (Karras et al. 2018, arXiv:1812.04948, Sec. 2).

    It is a fixed random projection of z, so that one z has one image, also when it is drawn again, resumed or exported.
    The noise of all images lies in ``nz`` dimensions: with few, they share their patterns.
    """

    planes: Tensor

    def __init__(self, nz: int, channels: int, side: int) -> None:
        super().__init__()
        self.nz, self.side = nz, side
        self.scale = nn.Parameter(torch.zeros(channels, 1, 1))
        # RandomState, since NumPy promises that it draws the same numbers for ever.
        drawn = np.random.RandomState(side).standard_normal((nz, side * side))
        planes = torch.tensor(drawn, dtype=torch.get_default_dtype()) / math.sqrt(nz)
        self.register_buffer("planes", planes, persistent=False)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Args: x: (N, channels, side, side); code: begins with z of length sqrt(nz)."""
        noise = code[:, : self.nz] @ self.planes  # of variance 1 over the planes
        return x + self.scale * noise.view(-1, 1, self.side, self.side)


class Palette(nn.Module):
    """Mixes colours that the code chooses; softmax over the channels of ``x`` gives each one's share of a pixel.

    A colour may change evenly from side to side and from top to bottom. Where one has all of a pixel, the image is as
    flat as drawings are; a network that draws red, green and blue has to learn that for every surface.
    """

    across: Tensor

    def __init__(self, code_width: int, num_colours: int, nc: int, size: int) -> None:
        super().__init__()
        self.num_colours = num_colours
        self.colours = nn.Sequential(
            nn.Linear(code_width, HIDDEN), nn.LeakyReLU(0.2, True), nn.Linear(HIDDEN, 3 * nc * num_colours)
        )
        self.register_buffer("across", torch.linspace(-1, 1, size), persistent=False)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Args: x: (N, num_colours, size, size). Return images (N, nc, size, size) in [-1, 1]."""
        batch, _, height, width = x.shape
        mixed = self.colours(code).view(batch, -1, self.num_colours) @ (GAIN * x).softmax(1).flatten(2)
        level, right, down = mixed.view(batch, 3, -1, height, width).unbind(1)
        return torch.tanh(level + right * self.across + down * self.across[:, None])
