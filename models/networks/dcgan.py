"""Convolutional G and D for 32 to 256 pixels, after Radford et al. 2015 (DCGAN, arXiv:1511.06434), with labels."""

import torch
from torch import Tensor, nn

from models.networks.init import init_normal
from models.networks.labels import LabelCode

SIZES = (32, 64, 128, 256)  # pixels


class ConvGenerator(nn.Module):
    """z -> 4 x 4 features, beside them one 4 x 4 plane from the label; then each layer doubles the sides.

    With 128 pixels, ngf 64 and nz 100 this is the generator of the conditional GAN on hand gestures:
    512 + 1, 512, 256, 128, 64 and 3 channels.
    """

    def __init__(self, nz: int, nc: int, size: int, ngf: int, eps: float, label_code: LabelCode | None = None) -> None:
        """Build the network for images (nc, size, size); ``eps`` is batch norm's; ``size`` is one of SIZES."""
        super().__init__()
        assert size in SIZES, size
        self.seed = nn.Sequential(nn.Linear(nz, 8 * ngf * 16), nn.LeakyReLU(0.2), nn.Unflatten(1, (8 * ngf, 4, 4)))
        self.label = None
        if label_code:
            self.label = nn.Sequential(label_code, nn.Linear(label_code.width, 16), nn.Unflatten(1, (1, 4, 4)))
        widths = [min(8, 2**i) * ngf for i in reversed(range(size.bit_length() - 4))]  # 128 px: 8, 4, 2, 1 times ngf
        layers: list[nn.Module] = []
        before = 8 * ngf + (1 if label_code else 0)
        for width in widths:
            layers += [
                nn.ConvTranspose2d(before, width, 4, 2, 1, bias=False),
                nn.BatchNorm2d(width, eps),
                nn.ReLU(True),
            ]
            before = width
        self.main = nn.Sequential(*layers, nn.ConvTranspose2d(before, nc, 4, 2, 1, bias=False), nn.Tanh())
        init_normal(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.seed(z)  # (N, 8 * ngf, 4, 4)
        if self.label is not None:
            x = torch.cat([x, self.label(labels)], 1)
        return self.main(x)


class ConvDiscriminator(nn.Module):
    """Image, beside it planes made from the label -> one logit.

    The first convolution halves the sides, three more divide them by three; at 128 pixels 3 x 3 are left.
    """

    def __init__(
        self, nc: int, size: int, ndf: int, eps: float, dropout: float, label_code: LabelCode | None = None
    ) -> None:
        """Build the network for images (nc, size, size); ``eps`` is batch norm's."""
        super().__init__()
        assert size in SIZES, size
        self.label = None
        if label_code:
            plane = nn.Linear(label_code.width, nc * size * size)
            self.label = nn.Sequential(label_code, plane, nn.Unflatten(1, (nc, size, size)))
        layers = [nn.Conv2d(nc * (2 if label_code else 1), ndf, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
        side, before = size // 2, ndf
        for width in (2 * ndf, 4 * ndf, 8 * ndf):
            layers += [
                nn.Conv2d(before, width, 4, 3, 2, bias=False),
                nn.BatchNorm2d(width, eps),
                nn.LeakyReLU(0.2, True),
            ]
            side, before = side // 3 + 1, width
        self.main = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout), nn.Linear(before * side * side, 1))
        init_normal(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits (N, 1)."""
        x = images if self.label is None else torch.cat([images, self.label(labels)], 1)
        return self.main(x)
