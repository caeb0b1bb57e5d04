"""Discriminators that judge an image patch by patch, from pix2pix (Isola et al. 2017, arXiv:1611.07004, Sec. 3.2.2)."""

from torch import Tensor, nn

from models.networks.architecture import DiscriminatorArchitecture
from models.networks.norm import needs_bias, norm_layer
from models.networks.sides import BlurDown, check_sides


class PatchDiscriminator(nn.Module):
    """Images -> a map of logits, one for each of many overlapping patches.

    In the notation of pix2pix (Sec. 6.1.2), with 3 layers and ndf 64: C64-C128-C256-C512, then one channel. The
    first ``num_layers`` halve the sides.

    Attributes:
        min_size: both sides of the images must be at least this, pixels.
        receptive_field: side of a patch, pixels: 16, 34, 70, 142, 286 with 1 to 5 layers; more with ``antialias``.
    """

    def __init__(self, arch: DiscriminatorArchitecture, num_layers: int = 3) -> None:
        super().__init__()
        ndf, norm = arch.ndf, arch.norm
        self.min_size = 3 * 2**num_layers
        self.receptive_field = 9 * 2**num_layers - 2 + arch.antialias * 2 * (2**num_layers - 1)
        layers: list[nn.Module] = []
        before = arch.input_nc
        for i in range(num_layers + 1):
            width, halves = min(8, 2**i) * ndf, i < num_layers
            stride = 2 if halves and not arch.antialias else 1
            layers += [nn.Conv2d(before, width, 4, stride, 1, bias=needs_bias(norm) or i == 0)]
            layers += [norm_layer(norm, width)] if i else []
            layers += [nn.LeakyReLU(0.2, True), *([BlurDown(width)] if halves and arch.antialias else [])]
            before = width
        self.model = nn.Sequential(*layers, nn.Conv2d(before, 1, 4, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, 1, h, w)."""
        check_sides(images, 1, self.min_size)
        return self.model(images)


class PixelDiscriminator(nn.Module):
    """Images -> one logit per pixel, which depends on other pixels through the norm alone.

    Attributes:
        min_size: both sides of the images must be at least this, pixels.
        receptive_field: side of a patch, pixels.
    """

    def __init__(self, arch: DiscriminatorArchitecture) -> None:
        super().__init__()
        ndf, norm = arch.ndf, arch.norm
        self.min_size = 2 if norm == "instance" else 1  # a single pixel has no variance
        self.receptive_field = 1
        bias = needs_bias(norm)
        self.net = nn.Sequential(
            nn.Conv2d(arch.input_nc, ndf, 1),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(ndf, 2 * ndf, 1, bias=bias),
            norm_layer(norm, 2 * ndf),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(2 * ndf, 1, 1, bias=bias),  # no norm follows, yet the known weights have it so
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, 1, H, W)."""
        check_sides(images, 1, self.min_size)
        return self.net(images)
