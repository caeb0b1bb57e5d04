"""The discriminator of Projected GANs (Sauer et al. 2021, arXiv:2111.01007): it sees features instead of images."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.networks.dcgan import NormD, norm_D
from models.networks.dropout import Dropout
from models.networks.init import init_weights
from models.networks.labels import LabelCode, label_projection
from util.efficientnet import INSTALL, Lite, create_efficientnet, is_there

FEATURES: Lite = "efficientnet_lite0"  # whose features they are
SMALLEST = 64  # pixels a side to which smaller images are enlarged; the paper's 256 take sixteen times as long
STRIDE = 32  # of the coarsest features
BLOCKS = (3, 5, 11, 16)  # where the network is cut: behind its blocks with strides of 4, 8, 16 and 32 in all
CHANNELS = (1, 3)  # of images


class ProjectedDiscriminator(nn.Module):
    """Image -> features of a network that does not learn, at four scales -> mixed at random -> a small D for each.

    The mixing is that of Sec. 3.2: a random 1 x 1 convolution at each scale mixes channels, and random 3 x 3
    convolutions with bilinear upsampling carry what is mixed from coarse to fine. Neither learns. Their weights are
    buffers in the state; those of the features are not, as they come with their package.
    """

    def __init__(
        self,
        nc: int,
        image_size: tuple[int, int],
        ndf: int,
        eps: float,
        dropout: float = 0.0,
        label_code: LabelCode | None = None,
        norm: NormD = "batch",
    ) -> None:
        """Build the network; the scales have 1, 2, 4 and 8 times ndf channels.

        Args:
            nc: channels of the images: RGB or grey.
            image_size: height and width in pixels.
            ndf: channels of the finest scale.
            eps: the norm's.
            dropout: before the last layers.
            label_code: should be one-hot; a label is compared with the last features of each D.
            norm: of all layers but the last.

        Raises:
            LookupError: the network of the features is not installed; the message says how to.
            ValueError: images have other channels.
        """
        super().__init__()
        if nc not in CHANNELS:
            raise ValueError(f"--netD projected sees images of 1 or 3 channels, not {nc}: use another --netD")
        height, width = (-(-max(side, SMALLEST) // STRIDE) * STRIDE for side in image_size)
        self.looks_at = (height, width)
        self.stages = frozen(backbone(), persistent=False)
        widths = [ndf, 2 * ndf, 4 * ndf, 8 * ndf]
        across = zip(channels(self.stages), widths, strict=True)
        self.channel_mixing = frozen(nn.ModuleList(nn.Conv2d(a, b, 1, bias=False) for a, b in across))
        down = pairwise(widths)
        self.scale_mixing = frozen(nn.ModuleList(nn.Conv2d(b, a, 3, padding=1, bias=False) for a, b in down))
        for conv in (*self.channel_mixing, *self.scale_mixing):
            nn.init.kaiming_normal_(conv.weight)
        kernel = min(4, height // STRIDE, width // STRIDE)
        self.heads = nn.ModuleList(Head(widths[i:], eps, dropout, label_code, norm, kernel) for i in range(4))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits (N, K): of all scales, some for each."""
        maps = self.mixed(images)
        return torch.cat([head(x, labels) for head, x in zip(self.heads, maps, strict=True)], 1)

    def mixed(self, images: Tensor) -> list[Tensor]:
        """Return the mixed features, from fine to coarse; each has half the sides of the one before."""
        x = images.expand(-1, 3, -1, -1)
        if x.shape[2:] != self.looks_at:
            x = interpolate(x, self.looks_at, mode="bilinear")
        maps = []
        for stage, mix in zip(self.stages, self.channel_mixing, strict=True):
            x = stage(x)
            maps.append(mix(x))
        for i in (2, 1, 0):
            maps[i] = maps[i] + interpolate(self.scale_mixing[i](maps[i + 1]), scale_factor=2, mode="bilinear")
        return maps


class Head(nn.Module):
    """The D of a scale: 4 x 4 convolutions that halve the sides to those of the coarsest scale, then logits."""

    def __init__(
        self, widths: list[int], eps: float, dropout: float, label_code: LabelCode | None, norm: NormD, kernel: int
    ) -> None:
        """Args: widths: channels from this scale to the coarsest; kernel: of the last convolution, without padding."""
        super().__init__()
        layers: list[nn.Module] = []
        for before, width in pairwise(widths):
            layers += [nn.Conv2d(before, width, 4, 2, 1, bias=norm == "none")]
            layers += [norm_D(norm, width, eps), nn.LeakyReLU(0.2, True)]
        self.body = nn.Sequential(*layers, Dropout(dropout))
        self.last = nn.Conv2d(widths[-1], 1, kernel, bias=False)
        init_weights(self)
        self.projection = label_projection(label_code, widths[-1])

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        x = self.body(x)
        logits = self.last(x).flatten(1)
        if self.projection is None:
            return logits
        return logits + (self.projection(labels) * x.mean((2, 3))).sum(1, keepdim=True)


def backbone() -> nn.ModuleList:
    """Return EfficientNet-Lite0 in four parts, images to strides of 4, 8, 16 and 32, without batch norm.

    So it does the same in training mode.

    Raises:
        LookupError: it is not installed.
    """
    if not is_there(FEATURES):
        raise LookupError(f"--netD projected needs EfficientNet-Lite0: {INSTALL}")
    net: Any = fold_norms(create_efficientnet(FEATURES).eval())
    first = nn.Sequential(net._conv_stem, net._swish)
    parts = [net._blocks[a:b] for a, b in pairwise((0, *BLOCKS))]
    return nn.ModuleList(nn.Sequential(*(first if i == 0 else ()), *part) for i, part in enumerate(parts))


def fold_norms(net: nn.Module) -> nn.Module:
    """Multiply the scales of an EfficientNet's batch norms, in evaluation mode, into the convolutions before them."""
    pairs = (("_conv_stem", "_bn0"), ("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))
    for module in net.modules():
        for conv, norm in pairs:
            if hasattr(module, conv):
                setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
                setattr(module, norm, nn.Identity())
    return net


def frozen(net: nn.ModuleList, persistent: bool = True) -> nn.ModuleList:
    """Turn all parameters of ``net`` into buffers, which no optimizer sees; return it.

    Args:
        net: anything with parameters.
        persistent: whether its state dict holds them.
    """
    for module in net.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach(), persistent)
    return net


@torch.no_grad()
def channels(stages: nn.ModuleList) -> list[int]:
    """Return how many channels come out of each stage."""
    x, found = torch.zeros(1, 3, STRIDE, STRIDE), []
    for stage in stages:
        x = stage(x)
        found.append(x.shape[1])
    return found
