"""U-Net generators for image translation, after Ronneberger et al. 2015 (arXiv:1505.04597)."""

import torch
from torch import Tensor, nn

from models.networks.architecture import GeneratorArchitecture
from models.networks.dropout import Dropout
from models.networks.norm import needs_bias, norm_layer
from models.networks.segments import Segments
from models.networks.sides import check_sides, doubling


class UNetGenerator(nn.Module):
    """Image -> image in [-1, 1]: halve the sides ``levels`` times, double them as often, with skip connections.

    pix2pix's generator (Isola et al. 2017, arXiv:1611.07004, Sec. 6.1.1), which has 8 levels for 256 pixels. The
    levels have 1, 2, 4 and then 8 times ngf channels; the innermost has neither norm nor dropout, and the first of
    those with 8 times ngf has no dropout.

    Attributes:
        size_multiple: both sides of the images must be multiples of it.
        min_size: both sides must be at least this, pixels.
        receptive_field: side of the square of input pixels that an output pixel sees through the convolutions;
            instance norm sees the whole image.
    """

    def __init__(self, arch: GeneratorArchitecture, levels: int = 8) -> None:
        """Build the network; dropout (0.5) goes into the levels between the fourth and the innermost."""
        super().__init__()
        ngf, norm, upsample = arch.ngf, arch.norm, arch.upsample
        self.size_multiple = self.min_size = 2**levels
        self.receptive_field = 5 * 2**levels - 2
        bias = needs_bias(norm)
        widths = [min(8, 2**i) * ngf for i in range(levels)]
        inner: list[nn.Module] = []
        for i in reversed(range(1, levels)):  # from the innermost level outwards
            outside, inside = widths[i - 1], widths[i]
            down: list[nn.Module] = [nn.LeakyReLU(0.2), nn.Conv2d(outside, inside, 4, 2, 1, bias=bias)]
            down += [norm_layer(norm, inside)] if inner else []
            up = [nn.ReLU(True), *doubling(upsample, 2 * inside if inner else inside, outside, 4, bias)]
            up += [norm_layer(norm, outside)]
            if arch.dropout and 4 <= i < levels - 1:
                up += [Dropout(0.5)]
            inner = [UNetLevel(down, inner, up)]
        down = [nn.Conv2d(arch.input_nc, ngf, 4, 2, 1, bias=bias)]
        up = [nn.ReLU(True), *doubling(upsample, 2 * ngf, arch.output_nc, 4), nn.Tanh()]
        self.model = nn.Sequential()
        self.model.add_module("model", Segments(down, inner, up))  # twice "model", as the keys have it

    def forward(self, images: Tensor) -> Tensor:
        check_sides(images, self.size_multiple, self.min_size)
        return self.model(images)


class UNetLevel(nn.Module):
    """One level with everything inside it; its output is concatenated with its input."""

    def __init__(self, down: list[nn.Module], inner: list[nn.Module], up: list[nn.Module]) -> None:
        super().__init__()
        self.model = Segments(down, inner, up)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.model(x)], 1)
