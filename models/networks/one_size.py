"""Convolutional G and D for images of one size each: 28, 32 and 128 pixels.

Channels are given for ngf = ndf = 64, and scale with them.
"""

from torch import nn

from models.networks.dcgan import NormD, norm_D
from models.networks.dropout import Dropout
from models.networks.labels import (
    LabelCode,
    LabelledDiscriminator,
    LabelledGenerator,
    label_planes,
    label_projection,
    where_labels_go,
)


class Conv28Generator(LabelledGenerator):
    """z -> one plane of 56 x 56 -> convolutions to 64, 32 and the image's channels; the last halves the sides.

    Every pixel of the image corresponds to 2 x 2 features, so that none is computed differently from its neighbours.
    """

    def __init__(self, nz: int, nc: int, ngf: int, eps: float, label_code: LabelCode | None = None) -> None:
        """Build the network for images (nc, 28, 28); ``eps`` is batch norm's."""
        main = nn.Sequential(
            nn.Linear(nz + (label_code.width if label_code else 0), 56 * 56),
            nn.Unflatten(1, (1, 56, 56)),
            nn.BatchNorm2d(1, eps),
            nn.ReLU(True),
            nn.Conv2d(1, ngf, 3, padding=1),
            nn.BatchNorm2d(ngf, eps),
            nn.ReLU(True),
            nn.Conv2d(ngf, _part(ngf, 2), 3, padding=1),
            nn.BatchNorm2d(_part(ngf, 2), eps),
            nn.ReLU(True),
            nn.Conv2d(_part(ngf, 2), nc, 3, 2, 1),
            nn.Tanh(),
        )
        super().__init__(main, label_code)


class Conv28Discriminator(LabelledDiscriminator):
    """Image, plus a plane made from the label -> 32 and 64 channels, each pooled -> 1024 -> logits; no norm."""

    def __init__(
        self,
        nc: int,
        ndf: int,
        dropout: float = 0.0,
        label_code: LabelCode | None = None,
        projection: bool = False,
        num_logits: int = 1,
    ) -> None:
        joined, compared = where_labels_go(label_code, projection)
        planes = label_planes(joined, 1, 28)
        num = 16 * ndf
        main = nn.Sequential(
            nn.Conv2d(nc + (1 if planes else 0), _part(ndf, 2), 5, padding=2),
            nn.LeakyReLU(0.2, True),
            nn.AvgPool2d(2),
            nn.Conv2d(_part(ndf, 2), ndf, 5, padding=2),
            nn.LeakyReLU(0.2, True),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(ndf * 49, num),
            nn.LeakyReLU(0.2, True),
            Dropout(dropout),
            nn.Linear(num, num_logits),
        )
        super().__init__(main, planes, label_projection(compared, num))


class Conv32Generator(LabelledGenerator):
    """z -> 256 x 4 x 4 -> transposed convolutions to 128 (9 x 9), 64 (17 x 17) and the image's channels."""

    def __init__(self, nz: int, nc: int, ngf: int, eps: float, label_code: LabelCode | None = None) -> None:
        """Build the network for images (nc, 32, 32); ``eps`` is batch norm's."""
        main = nn.Sequential(
            nn.Linear(nz + (label_code.width if label_code else 0), 4 * ngf * 16),
            nn.Unflatten(1, (4 * ngf, 4, 4)),
            nn.BatchNorm2d(4 * ngf, eps),
            nn.ReLU(True),
            nn.ConvTranspose2d(4 * ngf, 2 * ngf, 3, 2),
            nn.BatchNorm2d(2 * ngf, eps),
            nn.ReLU(True),
            nn.ConvTranspose2d(2 * ngf, ngf, 3, 2, 1),
            nn.BatchNorm2d(ngf, eps),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf, nc, 4, 2, 2),
            nn.Tanh(),
        )
        super().__init__(main, label_code)


class Conv32Discriminator(LabelledDiscriminator):
    """Image, plus a plane made from the label -> 16, 32, 64 channels, halving the sides -> 128 -> one logit."""

    def __init__(
        self,
        nc: int,
        ndf: int,
        eps: float,
        dropout: float,
        label_code: LabelCode | None = None,
        norm: NormD = "batch",
        projection: bool = False,
    ) -> None:
        """Build the network for images (nc, 32, 32); ``eps`` is the norm's, which the first layer lacks."""
        joined, compared = where_labels_go(label_code, projection)
        planes = label_planes(joined, 1, 32)
        layers: list[nn.Module] = []
        before = nc + (1 if planes else 0)
        for width in (_part(ndf, 4), _part(ndf, 2), ndf):
            layers += [nn.Conv2d(before, width, 3, 2, 1), *([norm_D(norm, width, eps)] if layers else [])]
            layers.append(nn.LeakyReLU(0.2, True))
            before = width
        layers += [nn.Conv2d(ndf, 2 * ndf, 4), nn.LeakyReLU(0.2, True), nn.Flatten(), Dropout(dropout)]
        features = label_projection(compared, 2 * ndf)
        super().__init__(nn.Sequential(*layers, nn.Linear(2 * ndf, 1)), planes, features)


class ConvK8Generator(LabelledGenerator):
    """z -> 3 x 11 x 11 -> transposed convolutions with kernel 8 to 256 (28 x 28), 256 (62 x 62) and the image."""

    def __init__(self, nz: int, nc: int, ngf: int, eps: float, label_code: LabelCode | None = None) -> None:
        """Build the network for images (nc, 128, 128); ``eps`` is batch norm's."""
        width = 4 * ngf
        main = nn.Sequential(
            nn.Linear(nz + (label_code.width if label_code else 0), 3 * 11 * 11),
            nn.LeakyReLU(0.2, True),
            nn.Unflatten(1, (3, 11, 11)),
            nn.ConvTranspose2d(3, width, 8, 2),
            nn.BatchNorm2d(width, eps),
            nn.LeakyReLU(0.2, True),
            nn.ConvTranspose2d(width, width, 8, 2),
            nn.BatchNorm2d(width, eps),
            nn.LeakyReLU(0.2, True),
            nn.ConvTranspose2d(width, nc, 8, 2, 1),
            nn.Tanh(),
        )
        super().__init__(main, label_code)


class ConvK8Discriminator(LabelledDiscriminator):
    """Image, plus a plane made from the label -> 256, 256 and 3 channels with kernel 8 -> one logit."""

    def __init__(
        self,
        nc: int,
        ndf: int,
        eps: float,
        dropout: float,
        label_code: LabelCode | None = None,
        norm: NormD = "batch",
        projection: bool = False,
    ) -> None:
        """Build the network for images (nc, 128, 128); ``eps`` is the norm's."""
        joined, compared = where_labels_go(label_code, projection)
        planes = label_planes(joined, 1, 128)
        width = 4 * ndf
        main = nn.Sequential(
            nn.Conv2d(nc + (1 if planes else 0), width, 8, 2, 1),
            norm_D(norm, width, eps),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(width, width, 8, 2),
            norm_D(norm, width, eps),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(width, 3, 8, 2),
            nn.LeakyReLU(0.2, True),
            nn.Flatten(),
            Dropout(dropout),
            nn.Linear(3 * 11 * 11, 1),
        )
        super().__init__(main, planes, label_projection(compared, 3 * 11 * 11))


def _part(width: int, divisor: int) -> int:
    return max(1, width // divisor)
