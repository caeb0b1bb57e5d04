"""Encoder, decoder, discriminator and classifier of the CVAE-GAN, for 28 pixels and for 32 to 256.

At 28 pixels the layers are small, as digits need them; channels are given for ngf = ndf = 64, and scale with them.
"""

from torch import Tensor, nn

from models.networks import dcgan
from models.networks.dcgan import DCGANDiscriminator, DCGANGenerator, NormD
from models.networks.init import init_weights
from models.networks.labels import LabelCode, LabelledGenerator
from models.networks.one_size import Conv28Discriminator

SIZES = (28, *dcgan.SIZES)  # pixels


class Encoder(nn.Module):
    """Images -> mean and log variance of z.

    28 pixels: 16, 32 and 32 channels; the first two layers halve the sides, to 7 x 7. Others: ngf to 8 * ngf, to 4 x 4.
    Batch norm and LeakyReLU after each convolution.
    """

    def __init__(self, nc: int, size: int, ngf: int, nz: int, eps: float) -> None:
        """Build the network for images (nc, size, size); ``eps`` is batch norm's; ``size`` is one of SIZES."""
        super().__init__()
        assert size in SIZES, size
        if size == 28:
            quarter, half = max(1, ngf // 4), max(1, ngf // 2)
            widths, strides, side = [quarter, half, half], [2, 2, 1], 7
        else:
            widths = [min(8, 2**i) * ngf for i in range(size.bit_length() - 3)]
            strides, side = [2] * len(widths), 4
        layers: list[nn.Module] = []
        for before, width, stride in zip([nc, *widths], widths, strides, strict=False):
            kernel = 4 if stride == 2 else 3
            layers += [
                nn.Conv2d(before, width, kernel, stride, 1, bias=False),
                nn.BatchNorm2d(width, eps),
                nn.LeakyReLU(0.2, True),
            ]
        self.main = nn.Sequential(*layers, nn.Flatten())
        self.mean = nn.Linear(widths[-1] * side * side, nz)
        self.logvar = nn.Linear(widths[-1] * side * side, nz)
        init_weights(self)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, each (N, nz)."""
        x = self.main(images)
        return self.mean(x), self.logvar(x)


class Decoder28(LabelledGenerator):
    """z and the one-hot label -> 32 x 7 x 7 -> 16 x 14 x 14 -> image of 28 x 28."""

    def __init__(self, nz: int, nc: int, ngf: int, eps: float, label_code: LabelCode) -> None:
        """Build the network for images (nc, 28, 28); ``eps`` is batch norm's."""
        half, quarter = max(1, ngf // 2), max(1, ngf // 4)
        main = nn.Sequential(
            nn.Linear(nz + label_code.width, half * 49),
            nn.Unflatten(1, (half, 7, 7)),
            nn.BatchNorm2d(half, eps),
            nn.ReLU(True),
            nn.ConvTranspose2d(half, quarter, 4, 2, 1),
            nn.BatchNorm2d(quarter, eps),
            nn.ReLU(True),
            nn.ConvTranspose2d(quarter, nc, 4, 2, 1),
            nn.Tanh(),
        )
        super().__init__(main, label_code)


def create_decoder(nz: int, nc: int, size: int, ngf: int, eps: float, num_classes: int) -> nn.Module:
    """Return the network that turns z and labels into images (nc, size, size)."""
    code = LabelCode(num_classes, "onehot", num_classes)
    if size == 28:
        return Decoder28(nz, nc, ngf, eps, code)
    return DCGANGenerator(nz, nc, size, ngf, eps, code)


def create_classifier(nc: int, size: int, ndf: int, eps: float, num_logits: int, norm: NormD = "batch") -> nn.Module:
    """Return a network from images to logits (N, num_logits): one for D, one per class for the classifier C."""
    if size == 28:
        return Conv28Discriminator(nc, ndf, num_logits=num_logits)
    return DCGANDiscriminator(nc, size, ndf, eps, norm=norm, num_logits=num_logits)
