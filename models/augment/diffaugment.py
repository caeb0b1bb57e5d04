"""Differentiable augmentation of what D sees, real and generated alike (Zhao et al. 2020, arXiv:2006.10738)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

Kind = Literal["color", "translation", "cutout"]
SHIFT, HOLE = 1 / 8, 1 / 2  # of the sides: the largest translation, and the size of what cutout blanks


def augment(images: Tensor, kinds: Sequence[Kind]) -> Tensor:
    """Return ``images`` (N, C, H, W), each changed at random in the ways that ``kinds`` names, gradients kept."""
    for kind in kinds:
        images = _KINDS[kind](images)
    return images


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    """Return one number in [low, high) for each image, (N, 1, 1, 1)."""
    return low + (high - low) * torch.rand(len(images), 1, 1, 1, device=images.device)


def _color(images: Tensor) -> Tensor:
    """Change brightness by up to a half, saturation up to twofold, contrast by up to a half."""
    images = images + _uniform(images, -0.5, 0.5)
    grey = images.mean(1, keepdim=True)
    images = torch.lerp(grey, images, _uniform(images, 0, 2))
    return torch.lerp(images.mean((1, 2, 3), keepdim=True), images, _uniform(images, 0.5, 1.5))


def _translation(images: Tensor) -> Tensor:
    """Move each image by up to an eighth of its sides; what comes in is 0."""
    num, _, height, width = images.shape
    down, right = round(height * SHIFT), round(width * SHIFT)
    y = (
        torch.randint(0, 2 * down + 1, (num, 1, 1), device=images.device)
        + torch.arange(height, device=images.device)[:, None]
    )
    x = torch.randint(0, 2 * right + 1, (num, 1, 1), device=images.device) + torch.arange(width, device=images.device)
    padded = pad(images, [right, right, down, down]).permute(0, 2, 3, 1)
    each = torch.arange(num, device=images.device)[:, None, None]
    return padded[each, y, x].permute(0, 3, 1, 2)


def _cutout(images: Tensor) -> Tensor:
    """Set a square of half the sides, anywhere, partly outside too, to 0."""
    height, width = images.shape[-2:]
    y = torch.arange(height, device=images.device)[:, None] - _uniform(images, 0, height).floor()
    x = torch.arange(width, device=images.device) - _uniform(images, 0, width).floor()
    rows, columns = round(height * HOLE), round(width * HOLE)
    hole = (y >= -(rows // 2)) & (y < rows - rows // 2) & (x >= -(columns // 2)) & (x < columns - columns // 2)
    return images * ~hole


_KINDS = {"color": _color, "translation": _translation, "cutout": _cutout}
