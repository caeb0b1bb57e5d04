"""Convert between sRGB and CIE L*a*b*, on whole batches and on their device."""

from functools import cache

import torch
from torch import Tensor

# Linear sRGB to CIE XYZ for the white point D65, IEC 61966-2-1:1999.
_TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
_EDGE = 6 / 29  # of the cube root and its linear continuation, CIE 15:2004 equations 8.6 to 8.11


def rgb_to_lab(images: Tensor) -> Tensor:
    """Return sRGB float (..., 3, H, W) in [-1, 1] as L*a*b* of D65: L in [0, 100], a and b within about +-110.

    The transfer curve is that of IEC 61966-2-1, L*a*b* that of CIE 15:2004.
    """
    rgb = (images + 1) / 2
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)
    x, y, z = _mixed(_to_white(), linear).unbind(-3)
    fx, fy, fz = (
        torch.where(t > _EDGE**3, t.clamp(min=_EDGE**3) ** (1 / 3), t / (3 * _EDGE**2) + 4 / 29) for t in (x, y, z)
    )
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], -3)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Return L*a*b* (..., 3, H, W) as sRGB float in [-1, 1]; colours that sRGB does not have are clipped.

    The inverse of ``rgb_to_lab``.
    """
    L, a, b = lab.unbind(-3)
    fy = (L + 16) / 116
    f = torch.stack([fy + a / 500, fy, fy - b / 200], -3)
    xyz = torch.where(f > _EDGE, f**3, 3 * _EDGE**2 * (f - 4 / 29))
    linear = _mixed(_from_white(), xyz).clamp(0, 1)
    rgb = torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)
    return rgb.clamp(0, 1) * 2 - 1


@cache  # numbers, not tensors: constants wherever this is compiled or exported
def _to_white() -> list[list[float]]:
    """Return the matrix (3, 3) to XYZ in the white point's units: white is (1, 1, 1), so that grey has no colour."""
    matrix = torch.tensor(_TO_XYZ, dtype=torch.float64)
    return (matrix / matrix.sum(1, keepdim=True)).tolist()


@cache
def _from_white() -> list[list[float]]:
    return torch.linalg.inv(torch.tensor(_to_white(), dtype=torch.float64)).tolist()


def _mixed(rows: list[list[float]], images: Tensor) -> Tensor:
    """Multiply the colour (3,) of each pixel of (..., 3, H, W) by the matrix (3, 3) of ``rows``.

    Written out, because a matrix product would round in TF32 on some GPUs.
    """
    r, g, b = images.unbind(-3)
    return torch.stack([row[0] * r + row[1] * g + row[2] * b for row in rows], -3)
