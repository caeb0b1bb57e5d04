"""Points of z: between two, and nearer to the middle of all."""

import math
from typing import Literal

import torch
from torch import Tensor

Interpolation = Literal["lerp", "slerp"]


def truncated(z: Tensor, threshold: float) -> Tensor:
    """Turn standard normal ``z`` into as many numbers of the normal distribution cut off at -threshold and threshold.

    Brock et al. 2018 (arXiv:1809.11096, Sec. 3.1) draw anew what lies beyond the threshold; here each number goes to
    the same quantile of the distribution that this gives, so that z changes continuously with the threshold and image
    i stays a function of its own noise. The smaller the threshold, the more typical and the less varied the images.

    Args:
        z: any shape.
        threshold: 0 stands for none: z stays as it is.
    """
    if not threshold:
        return z
    low = 0.5 * math.erfc(threshold / math.sqrt(2))  # the part below -threshold
    quantile = low + torch.special.ndtr(z.double()) * (1 - 2 * low)
    return torch.special.ndtri(quantile).clamp(-threshold, threshold).to(z.dtype)


def walk(start: Tensor, end: Tensor, num: int, kind: Interpolation) -> Tensor:
    """Return ``num`` points (num, nz) from ``start`` to ``end`` (nz,), both included, in equal steps.

    lerp: on the straight line, whose middle is shorter than z usually is. slerp: angle and length each change evenly
    (Shoemake 1985, doi:10.1145/325165.325242; for latent vectors White 2016, arXiv:1609.04468, Sec. 2.1).
    """
    t = torch.linspace(0, 1, num, device=start.device)[:, None]  # (num, 1)
    if kind == "lerp":
        return torch.lerp(start, end, t)
    lengths = start.norm(), end.norm()
    u, v = start / lengths[0], end / lengths[1]
    angle = torch.arccos((u @ v).clamp(-1, 1))
    if angle.sin() < 1e-4:  # the same direction, or the opposite one, between which there is no one way
        return torch.lerp(start, end, t)
    directions = (((1 - t) * angle).sin() * u + (t * angle).sin() * v) / angle.sin()
    return directions * torch.lerp(*lengths, t)
