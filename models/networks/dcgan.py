"""Convolutional G and D for 32 to 256 pixels, after Radford et al. 2015 (DCGAN, arXiv:1511.06434), with labels."""

from typing import Literal

import torch
from torch import Tensor, nn

from models.networks.dropout import Dropout
from models.networks.init import init_normal, init_weights
from models.networks.labels import (
    LabelCode,
    LabelledDiscriminator,
    LabelledGenerator,
    label_planes,
    label_projection,
    where_labels_go,
)
from models.networks.norm import norm_layer
from models.networks.sides import Upsample, doubling

SIZES = (32, 64, 128, 256)  # pixels

NormD = Literal["batch", "instance", "none"]


def norm_D(kind: NormD, channels: int, eps: float) -> nn.Module:
    """Return a normalization layer for D; "none" is an identity, so that later keys stay the same."""
    layer = norm_layer(kind, channels)
    if isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d):
        layer.eps = eps
    return layer


class ConvGenerator(nn.Module):
    """z -> 4 x 4 features, plus one 4 x 4 plane from the label; then each layer doubles the sides.

    With 128 pixels, ngf 64 and nz 100 this is the generator of the conditional GAN on hand gestures:
    512 + 1, 512, 256, 128, 64 and 3 channels.
    """

    def __init__(
        self,
        nz: int,
        nc: int,
        size: int,
        ngf: int,
        eps: float,
        label_code: LabelCode | None = None,
        upsample: Upsample = "deconv",
    ) -> None:
        """Build the network for images (nc, size, size); ``eps`` is batch norm's; ``size`` is one of SIZES."""
        super().__init__()
        assert size in SIZES, size
        self.seed = nn.Sequential(nn.Linear(nz, 8 * ngf * 16), nn.LeakyReLU(0.2), nn.Unflatten(1, (8 * ngf, 4, 4)))
        self.label = label_planes(label_code, 1, 4)
        widths = [min(8, 2**i) * ngf for i in reversed(range(size.bit_length() - 4))]  # 128 px: 8, 4, 2, 1 times ngf
        before = 8 * ngf + (1 if label_code else 0)
        self.main = _growing(before, widths, nc, eps, upsample)
        init_normal(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.seed(z)  # (N, 8 * ngf, 4, 4)
        if self.label is not None:
            x = torch.cat([x, self.label(labels)], 1)
        return self.main(x)


class ConvDiscriminator(LabelledDiscriminator):
    """Image, plus planes made from the label -> one logit.

    The first convolution halves the sides, three more divide them by three; 128 pixels end at 3 x 3.
    """

    def __init__(
        self,
        nc: int,
        size: int,
        ndf: int,
        eps: float,
        dropout: float,
        label_code: LabelCode | None = None,
        norm: NormD = "batch",
        projection: bool = False,
    ) -> None:
        """Build the network for images (nc, size, size); ``eps`` is the norm's."""
        assert size in SIZES, size
        joined, compared = where_labels_go(label_code, projection)
        planes = label_planes(joined, nc, size)
        layers = [nn.Conv2d(nc * (2 if planes else 1), ndf, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
        side, before = size // 2, ndf
        for width in (2 * ndf, 4 * ndf, 8 * ndf):
            layers += [
                nn.Conv2d(before, width, 4, 3, 2, bias=False),
                norm_D(norm, width, eps),
                nn.LeakyReLU(0.2, True),
            ]
            side, before = side // 3 + 1, width
        num = before * side * side
        main = nn.Sequential(*layers, nn.Flatten(), Dropout(dropout), nn.Linear(num, 1))
        super().__init__(main, planes, label_projection(compared, num))
        init_normal(self)


class DCGANGenerator(LabelledGenerator):
    """z and the label code -> 4 x 4 features; then each layer doubles the sides and halves the channels (Fig. 1).

    Batch norm and ReLU after every layer but the last. With 64 pixels: 8, 4, 2, 1 times ngf channels; larger images add
    layers of 8 * ngf channels at the start.
    """

    def __init__(
        self,
        nz: int,
        nc: int,
        size: int,
        ngf: int,
        eps: float,
        label_code: LabelCode | None = None,
        upsample: Upsample = "deconv",
    ) -> None:
        """Build the network for images (nc, size, size); ``eps`` is batch norm's; ``size`` is one of SIZES."""
        assert size in SIZES, size
        first, *widths = _doublings(size, ngf)[::-1]
        seed = [
            nn.Linear(nz + (label_code.width if label_code else 0), first * 16, bias=False),
            nn.Unflatten(1, (first, 4, 4)),
            nn.BatchNorm2d(first, eps),
            nn.ReLU(True),
        ]
        super().__init__(nn.Sequential(*seed, *_growing(first, widths, nc, eps, upsample)), label_code)
        init_weights(self)


class DCGANDiscriminator(LabelledDiscriminator):
    """Image, plus a plane made from the label -> each convolution halves the sides -> 4 x 4 features -> logits.

    LeakyReLU after every convolution, the norm after every one but the first (Sec. 3).
    """

    def __init__(
        self,
        nc: int,
        size: int,
        ndf: int,
        eps: float,
        dropout: float = 0.0,
        label_code: LabelCode | None = None,
        norm: NormD = "batch",
        projection: bool = False,
        num_logits: int = 1,
    ) -> None:
        """Build the network for images (nc, size, size); ``eps`` is the norm's."""
        assert size in SIZES, size
        joined, compared = where_labels_go(label_code, projection)
        planes = label_planes(joined, 1, size)
        layers: list[nn.Module] = []
        before = nc + (1 if planes else 0)
        for i, width in enumerate(_doublings(size, ndf)):
            layers += [
                nn.Conv2d(before, width, 4, 2, 1, bias=norm == "none" or not i),
                *([norm_D(norm, width, eps)] if i else []),
                nn.LeakyReLU(0.2, True),
            ]
            before = width
        num = before * 16
        main = nn.Sequential(*layers, nn.Flatten(), Dropout(dropout), nn.Linear(num, num_logits))
        init_weights(main)
        super().__init__(main, planes, label_projection(compared, num))


def _doublings(size: int, width: int) -> list[int]:
    """Return the channels at size / 2, size / 4 ... down to 4 pixels."""
    return [min(8, 2**i) * width for i in range(size.bit_length() - 3)]


def _growing(before: int, widths: list[int], nc: int, eps: float, upsample: Upsample) -> nn.Sequential:
    """Return layers that double the sides, with batch norm and ReLU between, and end in ``nc`` channels and tanh."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [*doubling(upsample, before, width, 4, bias=False), nn.BatchNorm2d(width, eps), nn.ReLU(True)]
        before = width
    return nn.Sequential(*layers, *doubling(upsample, before, nc, 4, bias=False), nn.Tanh())
