"""Residual generators for image translation, after Johnson et al. 2016 (arXiv:1603.08155)."""

from typing import Any

from torch import Tensor, nn

from models.networks.architecture import GeneratorArchitecture
from models.networks.dropout import Dropout
from models.networks.norm import Norm, needs_bias, norm_layer
from models.networks.segments import Segments
from models.networks.sides import BlurDown, ReflectionPad2d, check_sides, doubling


class ResnetGenerator(nn.Module):
    """Image -> image in [-1, 1]: halve the sides twice, N residual blocks, double them twice.

    In the notation of CycleGAN (Zhu et al. 2017, arXiv:1703.10593, Sec. 7.2), with 9 blocks and ngf 64:
    c7s1-64, d128, d256, 9 x R256, u128, u64, c7s1-3; tanh at the end. With antialias and upsample blur
    it is that of CUT (Park et al. 2020, arXiv:2007.15651).

    Attributes:
        size_multiple: both sides of the images must be multiples of it.
        min_size: both sides must be at least this, pixels.
        receptive_field: side of the square of input pixels that an output pixel sees through the convolutions;
            instance norm sees the whole image.
    """

    def __init__(self, arch: GeneratorArchitecture, num_blocks: int = 9) -> None:
        """Build the network; dropout (0.5, in each block) shifts the block's later keys by 1."""
        super().__init__()
        ngf, norm = arch.ngf, arch.norm
        self.size_multiple = 4
        self.min_size = 8  # 2 x 2 features are the least that reflection padding takes
        self.receptive_field = 25 + 16 * num_blocks + 6 * arch.antialias + 8 * (arch.upsample == "blur")
        self.input_nc = arch.input_nc
        bias = needs_bias(norm)
        first = nn.Conv2d(arch.input_nc, ngf, 7, bias=bias)
        segments: list[list[nn.Module]] = [[ReflectionPad2d(3), first, norm_layer(norm, ngf), nn.ReLU(True)]]
        layers: list[nn.Module]
        for width in (ngf, 2 * ngf):
            layers = [nn.Conv2d(width, 2 * width, 3, 1 if arch.antialias else 2, 1, bias=bias)]
            layers += [norm_layer(norm, 2 * width), nn.ReLU(True), *([BlurDown(2 * width)] if arch.antialias else [])]
            segments.append(layers)
        segments += [[ResnetBlock(4 * ngf, norm, bool(arch.dropout))] for _ in range(num_blocks)]
        for width in (2 * ngf, ngf):
            layers = doubling(arch.upsample, 2 * width, width, 3, bias)
            segments.append([*layers, norm_layer(norm, width), nn.ReLU(True)])
        self.model = Segments(*segments, [ReflectionPad2d(3), nn.Conv2d(ngf, arch.output_nc, 7), nn.Tanh()])

    def forward(self, images: Tensor, taps: tuple[int, ...] = ()) -> Any:
        """Return what it makes of ``images``; with ``taps``, what comes out of these layers instead, a list.

        A norm that is tapped is seen behind its ReLU, which works in place.
        """
        check_sides(images, self.size_multiple, self.min_size)
        return self.model(images, taps)

    def channels(self, taps: tuple[int, ...]) -> list[int]:
        """Return how many channels come out of these layers; raise ValueError when there is no such layer."""
        if not taps or list(taps) != sorted(set(taps)) or taps[0] < 0 or taps[-1] >= len(self.model):
            said, last = ",".join(map(str, taps)), len(self.model) - 1
            raise ValueError(f"--nce_layers {said}: name some of this generator's layers, 0 to {last}, in their order")
        found = [self.input_nc]
        for layer in self.model:
            widths = [m.out_channels for m in layer.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
            found.append(widths[-1] if widths else found[-1])
        return [found[tap + 1] for tap in taps]


class ResnetBlock(nn.Module):
    """Two 3 x 3 convolutions whose result is added to the input; no activation after the sum."""

    def __init__(self, channels: int, norm: Norm, dropout: bool) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            *self.convolution(channels, norm),
            nn.ReLU(True),
            *([Dropout(0.5)] if dropout else []),
            *self.convolution(channels, norm),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)

    @staticmethod
    def convolution(channels: int, norm: Norm) -> list[nn.Module]:
        convolution = nn.Conv2d(channels, channels, 3, bias=needs_bias(norm))
        return [ReflectionPad2d(1), convolution, norm_layer(norm, channels)]
