"""Residual G and D of SNGAN (Miyato et al. 2018, arXiv:1802.05957) and, with labels, of arXiv:1802.05637.

For 32 pixels the networks of Table 4, for more those of Table 6: 16 * ngf channels at the smallest side, half as many
each time that the sides double. With labels G has a batch norm for each class, and D compares them with its features.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from models.networks import res
from models.networks.labels import LabelCode, label_projection

SIZES = tuple(size for size in res.SIZES if size >= 32)  # pixels


class SNGANGenerator(nn.Module):
    """z -> 4 to 7 pixels a side -> residual blocks that double the sides -> batch norm, ReLU, 3 x 3 convolution."""

    def __init__(self, nz: int, nc: int, size: int, ngf: int, eps: float, label_code: LabelCode | None = None) -> None:
        """Build the network for images (nc, size, size); ``eps`` is batch norm's; ``label_code`` should be one-hot."""
        super().__init__()
        side, widths = res.levels(size, ngf, most=16)
        if size == 32:
            widths = [4 * ngf] * 3
        before = widths[-1] if size == 32 else 16 * ngf
        self.label = label_code
        num_codes = label_code.width if label_code else 0
        self.seed = nn.Sequential(nn.Linear(nz, before * side * side), nn.Unflatten(1, (before, side, side)))
        self.blocks = nn.ModuleList()
        for width in reversed(widths):
            self.blocks.append(BlockG(before, width, eps, num_codes))
            before = width
        self.last = nn.Sequential(
            nn.BatchNorm2d(before, eps), nn.ReLU(True), nn.Conv2d(before, nc, 3, padding=1), nn.Tanh()
        )
        draw_weights(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        codes = None if self.label is None else self.label(labels)
        x = self.seed(z)
        for block in self.blocks:
            x = block(x, codes)
        return self.last(x)


class SNGANDiscriminator(nn.Module):
    """Image -> residual blocks, all but the last of which halve the sides -> ReLU, sum over the pixels -> logits."""

    def __init__(self, nc: int, size: int, ndf: int, label_code: LabelCode | None = None) -> None:
        """Build the network for images (nc, size, size); ``label_code`` should be one-hot."""
        super().__init__()
        widths = [*res.levels(size, ndf, most=16)[1], 16 * ndf]
        halving = len(widths) - 1  # blocks that halve the sides; the others keep them
        if size == 32:
            widths, halving = [2 * ndf] * 4, 2
        pairs = enumerate(pairwise(widths), 1)
        blocks = [BlockD(a, b, halves=i < halving) for i, (a, b) in pairs]
        self.blocks = nn.Sequential(FirstBlockD(nc, widths[0]), *blocks)
        self.last = nn.Linear(widths[-1], 1)
        draw_weights(self)
        self.projection = label_projection(label_code, widths[-1])

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits (N, 1)."""
        features = relu(self.blocks(images)).sum((2, 3))
        logits = self.last(features)
        return logits if self.projection is None else logits + (self.projection(labels) * features).sum(1, keepdim=True)


class ClassNorm(nn.Module):
    """Batch norm whose scales and shifts are those of the image's class (Dumoulin et al. 2017, arXiv:1610.07629)."""

    def __init__(self, channels: int, eps: float, num_codes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps, affine=False)
        self.scale = nn.Linear(num_codes, channels, bias=False)
        self.shift = nn.Linear(num_codes, channels, bias=False)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        """Args: codes: of the labels, one-hot (N, num_codes)."""
        return self.norm(x) * self.scale(codes)[:, :, None, None] + self.shift(codes)[:, :, None, None]


class BlockG(nn.Module):
    """Norm, ReLU, nearest neighbours to twice the sides, 3 x 3; norm, ReLU, 3 x 3; beside it 1 x 1 (Fig. 10 b)."""

    def __init__(self, before: int, after: int, eps: float, num_codes: int) -> None:
        """Args: num_codes: classes that have scales and shifts of their own; 0: all have the same."""
        super().__init__()
        self.norms = nn.ModuleList(
            ClassNorm(num, eps, num_codes) if num_codes else nn.BatchNorm2d(num, eps) for num in (before, after)
        )
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, codes: Tensor | None) -> Tensor:
        told = () if codes is None else (codes,)
        first, second = self.norms
        y = self.conv1(interpolate(relu(first(x, *told)), scale_factor=2))
        y = self.conv2(relu(second(y, *told)))
        return y + interpolate(self.shortcut(x), scale_factor=2)  # 1 x 1 before or after it: the same, and cheaper


class BlockD(nn.Module):
    """ReLU, 3 x 3; ReLU, 3 x 3; beside it 1 x 1 where something changes; then perhaps the mean of 2 x 2 (Fig. 10 a)."""

    def __init__(self, before: int, after: int, halves: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, before, 3, padding=1)
        self.conv2 = nn.Conv2d(before, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1) if halves or before != after else nn.Identity()
        self.halves = halves

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(relu(self.conv1(relu(x)))) + self.shortcut(x)
        return avg_pool2d(y, 2) if self.halves else y


class FirstBlockD(nn.Module):
    """The block that sees the image: no ReLU before it, and its shortcut sees the halved image."""

    def __init__(self, nc: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(nc, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.shortcut = nn.Conv2d(nc, width, 1)

    def forward(self, images: Tensor) -> Tensor:
        y = self.conv2(relu(self.conv1(images)))
        return avg_pool2d(y, 2) + self.shortcut(avg_pool2d(images, 2))


def draw_weights(net: nn.Module) -> None:
    """Draw weights as the authors did: Glorot's, twice their variance where a 3 x 3 convolution is; biases become 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d) or (isinstance(module, nn.Linear) and module.bias is not None):
            is_wide = isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)
            nn.init.xavier_uniform_(module.weight, 2**0.5 if is_wide else 1.0)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
