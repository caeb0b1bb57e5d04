"""What happens to a batch of decoded images on the device: float conversion and random flips."""

import numpy as np
import torch
from torch import Tensor

from util.seeding import draws


def to_float(images: Tensor) -> Tensor:
    """Return uint8 images (..., C, H, W) as float32 in [-1, 1]."""
    return images.to(torch.float32).div_(127.5).sub_(1)


def flip_some(images: Tensor, indices: np.ndarray, *key: int) -> Tensor:
    """Mirror half of the images (N, C, H, W), chosen by (key, index) alone.

    Args:
        images: a batch.
        indices: int64 (N,), the sample behind each image.
        key: what else the choice follows from, such as seed and epoch.
    """
    flipped = torch.from_numpy(draws(indices, *key) < 0.5).to(images.device, non_blocking=True)
    return torch.where(flipped[:, None, None, None], images.flip(-1), images)
