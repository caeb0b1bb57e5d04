"""What happens to a batch of decoded images on the device: crops, float conversion and random flips."""

import numpy as np
import torch
from torch import Tensor

from util.seeding import draws

MIDDLE = np.array([0.5, 0.5])  # where images are cropped when nothing is random
HALF_OF_16_BITS = 32768  # subtracted from 16-bit values to fit int16: torch does little with uint16


def to_float(images: Tensor) -> Tensor:
    """Return decoded images (..., C, H, W) as float32 in [-1, 1].

    uint8 and int16 (16-bit values less 32768) span their whole range; float32 is in [-1, 1] already.
    """
    if images.dtype == torch.uint8:
        return images.to(torch.float32).div_(127.5).sub_(1)
    if images.dtype == torch.int16:
        return images.to(torch.float32).add_(HALF_OF_16_BITS).div_(32767.5).sub_(1)
    assert images.dtype == torch.float32, images.dtype
    return images


def flip_some(images: Tensor, indices: np.ndarray, *key: int) -> Tensor:
    """Mirror half of the images (N, C, H, W), chosen by (key, index) alone.

    Args:
        images: a batch.
        indices: int64 (N,), the sample behind each image.
        key: what else the choice follows from, such as seed and epoch.
    """
    flipped = torch.from_numpy(draws(indices, *key) < 0.5).to(images.device, non_blocking=True)
    return torch.where(flipped[:, None, None, None], images.flip(-1), images)


def crop(image: Tensor, size: int, place: np.ndarray) -> Tensor:
    """Return a square of ``size`` pixels of an image (C, H, W).

    Args:
        image: at least ``size`` pixels high and wide.
        size: side of the square in pixels; 0 returns the image as it is.
        place: (2,) in [0, 1), from the top and from the left: where the square is; 0.5 is the middle.
    """
    if size == 0:
        return image
    top, left = _corners(place, image.shape, size).tolist()
    return image[:, top : top + size, left : left + size]


def crop_all(images: Tensor, size: int, places: np.ndarray) -> Tensor:
    """Return ``crop`` of each image (N, C, H, W), on their device, all at once.

    Args:
        images: a batch.
        size: side of the squares in pixels; 0 returns the images as they are.
        places: (N, 2), one for each image, or (2,), one for all.
    """
    num, channels, *sides = images.shape
    if size == 0 or sides == [size, size]:
        return images
    corners = torch.from_numpy(_corners(np.broadcast_to(places, (num, 2)), images.shape, size)).to(
        images.device, non_blocking=True
    )
    steps = torch.arange(size, device=images.device)
    rows, columns = (corners[:, :, None] + steps).unbind(1)  # (N, size) each
    images = images.gather(2, rows[:, None, :, None].expand(num, channels, size, sides[1]))
    return images.gather(3, columns[:, None, None, :].expand(num, channels, size, size))


def _corners(places: np.ndarray, shape: torch.Size, size: int) -> np.ndarray:
    """Return the top and left pixels (..., 2), int64, of squares in images of ``shape`` (..., H, W)."""
    room = np.array([shape[-2] - size + 1, shape[-1] - size + 1])
    assert (room > 0).all(), f"a crop of {size} pixels from {tuple(shape)}"
    return np.floor(places * room).astype(np.int64)
