"""How networks for image translation change the sides of an image, and which sides they take."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad

Upsample = Literal["deconv", "resize", "blur"]


def doubling(kind: Upsample, before: int, after: int, kernel: int, bias: bool = True) -> list[nn.Module]:
    """Return the layers that double the sides and turn ``before`` channels into ``after``.

    deconv: a transposed convolution with ``kernel`` 3 or 4.
    resize: nearest neighbours, then a 3 x 3 convolution, which every output pixel sees alike: no checkerboards
    (Odena et al. 2016, "Deconvolution and Checkerboard Artifacts", doi:10.23915/distill.00003).
    blur: a fixed low-pass filter, then a 3 x 3 convolution, as in CUT (Park et al. 2020, arXiv:2007.15651).
    """
    if kind == "deconv":
        return [nn.ConvTranspose2d(before, after, kernel, 2, 1, output_padding=kernel % 2, bias=bias)]
    if kind == "blur":
        return [BlurUp(before), nn.Conv2d(before, after, 3, 1, 1, bias=bias)]
    return [nn.Sequential(nn.Upsample(scale_factor=2), ReflectionConv2d(before, after, 3, bias=bias))]


class Blur(nn.Module):
    """A fixed low-pass filter over each channel by itself (Zhang 2019, arXiv:1904.11486).

    The filter is a buffer, which state dicts of CUT (Park et al. 2020) hold too.
    """

    filt: Tensor

    def __init__(self, channels: int, row: list[float], gain: float) -> None:
        """Args: row: of the filter, which is its outer product with itself; gain: what the filter sums up to."""
        super().__init__()
        taps = torch.tensor(row)
        square = gain * taps.outer(taps) / taps.sum() ** 2
        self.register_buffer("filt", square.repeat(channels, 1, 1, 1))


class BlurDown(Blur):
    """Halve the sides without aliasing."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, [1.0, 2.0, 1.0], gain=1)

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(mirrored(x, 1), self.filt, stride=2, groups=x.shape[1])


class BlurUp(Blur):
    """Double the sides by linear interpolation, which 1-3-3-1 between zeros is."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, [1.0, 3.0, 3.0, 1.0], gain=4)

    def forward(self, x: Tensor) -> Tensor:
        return conv_transpose2d(edged(edged(x, -1), -2), self.filt, stride=2, padding=3, groups=x.shape[1])


class ReflectionPad2d(nn.ReflectionPad2d):
    """Reflection padding as ``mirrored`` does it."""

    def forward(self, input: Tensor) -> Tensor:
        return mirrored(input, self.padding[0])


class ReflectionConv2d(nn.Conv2d):
    """A convolution that keeps the sides: what it sees beyond the edges is reflected."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(mirrored(input, self.kernel_size[0] // 2))


def mirrored(images: Tensor, margin: int) -> Tensor:
    """Return ``images`` (N, C, H, W) with ``margin`` pixels more on all sides, by reflection.

    On a GPU it is composed of flips: PyTorch's own has no repeatable gradient there (and refuses
    torch.use_deterministic_algorithms), and copies channels-last images to and fro.
    """
    if not images.is_cuda:
        return pad(images, [margin] * 4, mode="reflect")
    return reflected(reflected(images, -1, margin), -2, margin)


def reflected(images: Tensor, dim: int, margin: int) -> Tensor:
    """Return ``images`` with ``margin`` pixels more before and behind in ``dim``, by reflection."""
    length = images.shape[dim]
    before = images.narrow(dim, 1, margin).flip(dim)
    behind = images.narrow(dim, length - 1 - margin, margin).flip(dim)
    return torch.cat([before, images, behind], dim)


def edged(images: Tensor, dim: int) -> Tensor:
    """Return ``images`` with the first and the last pixel in ``dim`` repeated once; its gradient is repeatable."""
    return torch.cat([images.narrow(dim, 0, 1), images, images.narrow(dim, images.shape[dim] - 1, 1)], dim)


def check_sides(images: Tensor, multiple: int, smallest: int) -> None:
    """Raise ValueError unless the sides of ``images`` are multiples of ``multiple`` from ``smallest`` on."""
    height, width = images.shape[-2:]
    if height % multiple or width % multiple or min(height, width) < smallest:
        rule = f"that are multiples of {multiple}, at least {smallest}" if multiple > 1 else f"of at least {smallest}"
        raise ValueError(f"images of {width} x {height} pixels: this network needs sides {rule}")


def padded(net: nn.Module, images: Tensor) -> Tensor:
    """Return ``net(images)`` for images of any sides: padded to sides that the network takes, and cropped back.

    Args:
        net: keeps the sides of an image; takes multiples of its ``size_multiple`` from its ``min_size`` on. One
            without these attributes gets the images as they are.
        images: float (N, C, H, W). Reflection pads them at all four sides, evenly, the odd pixel below and right.

    Returns:
        Float (N, C', H, W).
    """
    height, width = images.shape[-2:]
    fitting = fitted(net, images)
    if fitting is images:
        return net(images)
    top, left = (fitting.shape[-2] - height) // 2, (fitting.shape[-1] - width) // 2
    return net(fitting)[..., top : top + height, left : left + width]


def fitted(net: nn.Module, images: Tensor) -> Tensor:
    """Return ``images`` padded to sides that ``net`` takes, as ``padded`` pads them; as they are when they fit."""
    multiple, smallest = getattr(net, "size_multiple", 0), getattr(net, "min_size", 1)
    if not multiple:
        return images
    height, width = (fitting_side(side, multiple, smallest) for side in images.shape[-2:])
    return reflect(reflect(images, -2, height), -1, width)


def fitting_side(side: int, multiple: int, smallest: int) -> int:
    """Return the least multiple of ``multiple`` that is neither below ``side`` nor below ``smallest``."""
    return -(-max(side, smallest) // multiple) * multiple


def reflect(images: Tensor, dim: int, length: int) -> Tensor:
    """Return ``images`` with ``dim`` prolonged to ``length`` by reflection, evenly before and behind.

    Reflects back and forth where the padding is larger than the image; a single pixel is repeated. The gradient is
    repeatable on CUDA with torch.use_deterministic_algorithms, and by itself while a pixel has no more than one
    reflection: the sum of two numbers knows no order.
    """
    side = images.shape[dim]
    if side == length:
        return images
    period = max(1, 2 * (side - 1))  # there and back: neither end is repeated
    before = (length - side) // 2
    place = torch.arange(-before, length - before, device=images.device) % period
    return images.index_select(dim, torch.minimum(place, period - place))
