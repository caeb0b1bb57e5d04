"""Layers of a generator that see the code, z and what stands for the label, beside what comes from the layer before."""

import math

import torch
from torch import Tensor, nn

HIDDEN = 128  # of the network that chooses a palette's colours
GAIN = 4.0  # of what shares are made of: areas are of one colour sooner, and edges sharper


class Coded(nn.Sequential):
    """Layers one after the other; the first takes the code, and so do those of this file."""

    def forward(self, code: Tensor) -> Tensor:
        x = code
        for layer in self:
            x = layer(x, code) if isinstance(layer, PixelNoise | Palette) else layer(x)
        return x


class PixelNoise(nn.Module):
    """Adds noise to each pixel, in each channel to a learnt degree (Karras et al. 2018, arXiv:1812.04948, Sec. 2).

    It is a fixed random projection of z, so that one z has one image, also when it is drawn again, resumed or exported.
    """

    planes: Tensor

    def __init__(self, nz: int, channels: int, side: int) -> None:
        super().__init__()
        self.nz, self.side = nz, side
        self.scale = nn.Parameter(torch.zeros(channels, 1, 1))
        planes = torch.randn(nz, side * side, generator=torch.Generator().manual_seed(side), device="cpu")
        self.register_buffer("planes", planes / math.sqrt(nz), persistent=False)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        noise = code[:, : self.nz] @ self.planes  # of variance 1, since z is on the sphere
        return x + self.scale * noise.view(-1, 1, self.side, self.side)


class Palette(nn.Module):
    """Colours that the code has, mixed in the shares that softmax makes of the channels of ``x``.

    A colour may change evenly from side to side and from top to bottom. Where one has all of a pixel, the image is as
    flat as drawings are; a network that draws red, green and blue has to learn that for every surface.
    """

    across: Tensor

    def __init__(self, code_width: int, num: int, nc: int, size: int) -> None:
        """Args: num: of colours, each of nc channels."""
        super().__init__()
        self.num = num
        self.colours = nn.Sequential(
            nn.Linear(code_width, HIDDEN), nn.LeakyReLU(0.2, True), nn.Linear(HIDDEN, 3 * nc * num)
        )
        self.register_buffer("across", torch.linspace(-1, 1, size), persistent=False)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Args: x: (N, num, size, size). Return images (N, nc, size, size) in [-1, 1]."""
        num, _, height, width = x.shape
        mixed = self.colours(code).view(num, -1, self.num) @ (GAIN * x).softmax(1).flatten(2)
        level, right, down = mixed.view(num, 3, -1, height, width).unbind(1)
        return torch.tanh(level + right * self.across + down * self.across[:, None])
