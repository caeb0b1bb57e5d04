"""Distances between an image and its ground truth."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import conv2d

WINDOW, SIGMA = 11, 1.5  # pixels

PairMetric = Callable[[Tensor, Tensor], Tensor]  # two float (N, C, H, W) in [-1, 1] -> (N,)


def l1(fake: Tensor, real: Tensor) -> Tensor:
    """Return the mean absolute difference of the pixels, on their scale from -1 to 1, as pix2pix's loss has it."""
    return (fake - real).abs().flatten(1).mean(1)


def psnr(fake: Tensor, real: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio in dB; infinite for equal images."""
    return 10 * torch.log10(4 / (fake - real).square().flatten(1).mean(1))  # the range of 2, squared


def ssim(fake: Tensor, real: Tensor) -> Tensor:
    """Return the mean structural similarity (Wang et al. 2004, doi:10.1109/TIP.2003.819861, Eq. 13), at most 1.

    Of each channel by itself, in Gaussian windows of 11 pixels within the image; a smaller image is one window. Black
    is 0, as the comparison of luminances (Eq. 6) wants it.
    """
    fake, real = fake + 1, real + 1
    window = _window(*(min(side, WINDOW) for side in fake.shape[-2:])).to(fake)
    channels = fake.shape[1]

    def blur(images: Tensor) -> Tensor:
        return conv2d(images, window.expand(channels, 1, *window.shape), groups=channels)

    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    x, y = blur(fake), blur(real)
    xx, yy, xy = blur(fake * fake) - x * x, blur(real * real) - y * y, blur(fake * real) - x * y
    similar = (2 * x * y + c1) * (2 * xy + c2) / ((x * x + y * y + c1) * (xx + yy + c2))
    return similar.flatten(1).mean(1)


def _window(height: int, width: int) -> Tensor:
    sides = [torch.arange(n) - (n - 1) / 2 for n in (height, width)]
    y, x = (torch.softmax(-(side**2) / (2 * SIGMA**2), 0) for side in sides)
    return y[:, None] * x
