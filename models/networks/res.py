"""G and D for the objective of R3GAN: plain convolutions, or its residual blocks, with antialiased resampling."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, normalize, pad

from models.networks.coded import Coded, Palette, PixelNoise
from models.networks.dcgan import NormD, norm_D
from models.networks.dropout import Dropout
from models.networks.labels import LabelCode, LabelledDiscriminator, LabelledGenerator, label_projection

SIZES = (28, *range(32, 257, 32))  # pixels
EXPANSION, GROUP = 2, 16  # of a residual block: how many times its channels it has inside, channels of a group there


class ResGenerator(LabelledGenerator):
    """z on the sphere and the label's code -> 4 to 7 pixels a side -> each level doubles the sides.

    Levels are bilinear upsampling with a 3 x 3 convolution, and behind it batch norm, or ``num_blocks`` residual blocks
    and no norm, as in Huang et al. 2024 (arXiv:2501.05441, Sec. 3.3). ``noise_inputs`` add noise to each pixel of each
    level; ``palette`` is the number of colours that each image is mixed from, 0 for any.
    """

    def __init__(
        self,
        nz: int,
        nc: int,
        size: int,
        ngf: int,
        eps: float,
        label_code: LabelCode | None = None,
        num_blocks: int = 0,
        noise_inputs: bool = False,
        palette: int = 0,
    ) -> None:
        """Build the network for images (nc, size, size); ``eps`` is batch norm's; ``size`` is one of SIZES."""
        side, widths = levels(size, ngf)
        before, total = widths[-1], num_blocks * len(widths)
        code_width = nz + (label_code.width if label_code else 0)
        layers: list[nn.Module] = [
            nn.Linear(code_width, before * side * side),
            nn.LeakyReLU(0.2, True),
            nn.Unflatten(1, (before, side, side)),
        ]
        for width in reversed(widths):
            side *= 2
            layers.append(UpConv2d(before, width, 3))
            layers += [PixelNoise(nz, width, side)] if noise_inputs else []
            layers += [Residual(width, total) for _ in range(num_blocks)]
            layers += [] if num_blocks else [nn.BatchNorm2d(width, eps), nn.LeakyReLU(0.2, True)]
            before = width
        layers.append(nn.Conv2d(before, palette or nc, 3, padding=1))
        scale_weights(layers, last=0.3)
        super().__init__(Coded(*layers, Palette(code_width, palette, nc, size) if palette else nn.Tanh()), label_code)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().forward(normalize(z, dim=1) * math.sqrt(z.shape[1]), labels)


class ResDiscriminator(LabelledDiscriminator):
    """Image -> each level halves the sides -> 4 to 7 pixels a side -> features -> logits; the mirror of G.

    Levels are a convolution of 4 x 4 with stride 2; or ``num_blocks`` residual blocks, a 3 x 3 convolution and the mean
    of 2 x 2 pixels. A label is compared with the features.
    """

    def __init__(
        self,
        nc: int,
        size: int,
        ndf: int,
        eps: float,
        dropout: float = 0.0,
        label_code: LabelCode | None = None,
        norm: NormD = "none",
        num_blocks: int = 0,
    ) -> None:
        """Build the network for images (nc, size, size); ``eps`` is the norm's; ``label_code`` should be one-hot."""
        side, widths = levels(size, ndf)
        total = num_blocks * len(widths)
        layers: list[nn.Module] = [nn.Conv2d(nc, widths[0], 3, padding=1)]
        layers += [] if num_blocks else [nn.LeakyReLU(0.2, True)]
        for before, width in zip(widths, [*widths[1:], widths[-1]], strict=True):
            if num_blocks:
                layers += [*(Residual(before, total) for _ in range(num_blocks)), DownConv2d(before, width, 3)]
            else:
                layers += [nn.Conv2d(before, width, 4, 2, 1), norm_D(norm, width, eps), nn.LeakyReLU(0.2, True)]
        num = 8 * ndf
        layers += [nn.Flatten(), nn.Linear(widths[-1] * side * side, num), nn.LeakyReLU(0.2, True), Dropout(dropout)]
        layers.append(nn.Linear(num, 1))
        scale_weights(layers, last=0.1)
        super().__init__(nn.Sequential(*layers), None, label_projection(label_code, num))


class UpConv2d(nn.Conv2d):
    """Bilinear upsampling to twice the sides, then a 3 x 3 convolution: one transposed convolution does both.

    Neighbours weigh 1 3 3 1, which is 1 1 three times convolved with itself; beyond the edges all is 0. Nearest
    neighbours, 1 1, would take half the time, and leave streaks that repeat every four pixels.
    """

    def forward(self, input: Tensor) -> Tensor:
        kernel = spread(spread(spread(self.weight.flip(2, 3)))) / 16  # (O, I, 6, 6)
        return conv_transpose2d(input, kernel.transpose(0, 1), self.bias, stride=2, padding=2)


class DownConv2d(nn.Conv2d):
    """A 3 x 3 convolution, then the mean of each 2 x 2 pixels: one strided convolution of 4 x 4 does both."""

    def forward(self, input: Tensor) -> Tensor:
        return conv2d(input, spread(self.weight) / 4, self.bias, stride=2, padding=1)


class Residual(nn.Module):
    """An inverted bottleneck: to twice the channels, 3 x 3 in groups, and back, added to what came in.

    In place of a norm there is the initialization of Zhang et al. 2019 (Fixup, arXiv:1901.09321): the last layer begins
    at 0, those before it are scaled by the number of blocks in the network.
    """

    def __init__(self, channels: int, num_blocks: int) -> None:
        super().__init__()
        inner = EXPANSION * channels
        groups = inner // GROUP if inner % GROUP == 0 else 1
        self.main = nn.Sequential(
            nn.Conv2d(channels, inner, 1),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(inner, inner, 3, padding=1, groups=groups),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(inner, channels, 1, bias=False),
        )
        self.gain = num_blocks**-0.25  # L^(-1 / (2m - 2)) with m = 3 layers

    def forward(self, x: Tensor) -> Tensor:
        return x + self.main(x)


def spread(weight: Tensor) -> Tensor:
    """Return kernels (O, I, K, K) convolved with one of 2 x 2 ones: (O, I, K + 1, K + 1)."""
    wide = pad(weight, (0, 1)) + pad(weight, (1, 0))
    return pad(wide, (0, 0, 0, 1)) + pad(wide, (0, 0, 1, 0))


def levels(size: int, width: int, most: int = 8) -> tuple[int, list[int]]:
    """Return the smallest side, 4 to 7 pixels, and the channels at ``size`` and its halves, without the smallest side.

    They double as the sides halve, from ``width`` to ``most`` times that.
    """
    assert size in SIZES, size
    num = int(math.log2(size // 4))
    return size >> num, [min(most, 2**i) * width for i in range(num)]


def scale_weights(layers: Sequence[nn.Module], last: float) -> None:
    """Draw weights so that activations keep their scale (He et al. 2015, arXiv:1502.01852, Eq. 14); biases become 0.

    Args:
        layers: the last is linear or a convolution.
        last: what the weights of that one are multiplied by.
    """
    modules = [m for layer in layers for m in layer.modules()]
    linear = [m for m in modules if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        for layer in linear:
            nn.init.kaiming_normal_(layer.weight, 0.2)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        linear[-1].weight *= last
        for block in (m for m in modules if isinstance(m, Residual)):
            first, middle, final = (m for m in block.main if isinstance(m, nn.Conv2d))
            first.weight *= block.gain
            middle.weight *= block.gain
            nn.init.zeros_(final.weight)
