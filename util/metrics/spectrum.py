"""Fine detail relative to real images: grain (noise) and grid (checkerboards)."""

from typing import NamedTuple

import torch
from torch import Tensor

from util.metrics.features import levels

LEAST = 1e-9  # the power that real images are taken to have at least: flat ones have none


class Fineness(NamedTuple):
    """The power of images relative to that of real ones: 1 where they are alike."""

    grain: float  # in the highest octave of spatial frequencies; below 1: blurred
    grid: float  # on the Nyquist lines, where patterns lie that repeat every two pixels


def fineness(fake: Tensor, real: Tensor) -> Fineness:
    """Return the ratios of the mean powers (N, 2) and (M, 2), as ``fine_power`` gives them."""
    grain, grid = (fake.double().mean(0) / real.double().mean(0).clamp(min=LEAST)).tolist()
    return Fineness(grain, grid)


def fine_power(images: Tensor) -> Tensor:
    """Return the power of each image in its highest octave and on its Nyquist lines, float (N, 2).

    It is the mean square, over pixels and channels, of what is left of an image when only those frequencies are kept:
    of more than 1/4 cycle a pixel in either direction; of 1/2 cycle in either direction, where the side is even. A
    window fades the edges out (Hann's, with weights of mean square 1), which would count as fine detail themselves.

    Args:
        images: (N, C, H, W) in [-1, 1]; they are rounded to 256 levels, as files are.
    """
    height, width = images.shape[-2:]
    windows = (torch.hann_window(n, device=images.device) for n in (height, width))
    rows, columns = (window / window.square().mean().sqrt() for window in windows)
    spectrum = torch.fft.fft2(levels(images.float()) * rows[:, None] * columns)
    power = spectrum.abs().square().mean(1) / (height * width) ** 2
    y, x = (torch.fft.fftfreq(n, device=images.device).abs() for n in (height, width))
    octave = (y > 0.25)[:, None] | (x > 0.25)
    lines = (y == y.max())[:, None] | (x == x.max())
    return torch.stack([(power * where).sum((1, 2)) for where in (octave, octave & lines)], 1)
