"""Translate images that are too large for memory, tile by tile."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor
from tqdm import tqdm


def tiled(
    translate: Callable[[Tensor], Tensor],
    images: Tensor,
    tile: int,
    overlap: int,
    device: torch.device | None = None,
) -> Tensor:
    """Compute ``translate(images)`` in overlapping tiles, blended linearly over the overlap.

    Images that fit into one tile give exactly ``translate(images)``. In others, layers that see beyond their tile, such
    as instance norm, give another result. A convolution that sees r pixels to each side differs only within r pixels of
    a tile border inside the image: with an overlap from 2 r up to half a tile, by at most 4 r / (overlap + 1) times the
    largest error of a single tile there.

    Args:
        translate: (N, C, H, W) -> (N, C', H, W), called on ``device``.
        images: float (N, C, H, W) on any device; the result is put together there.
        tile: side of a tile in pixels; cut to the image where that is smaller.
        overlap: pixels that neighbouring tiles share, less than ``tile``; the last two may share more.
        device: where the tiles are computed; None: where the images are.

    Returns:
        (N, C', H, W), of the type that ``translate`` returns, on the device of ``images``.
    """
    assert 0 <= overlap < tile, (overlap, tile)
    home, device = images.device, device or images.device
    height, width = images.shape[-2:]
    if max(height, width) <= tile:
        return translate(images.to(device)).to(home)
    places = list(product(shares(height, tile, overlap), shares(width, tile, overlap)))
    result = dtype = None
    for (rows, share_y), (columns, share_x) in tqdm(places, "tiles", leave=False, disable=None):
        piece = translate(images[..., rows, columns].to(device)).to(home)
        if result is None:  # only now the number of channels is known
            dtype = piece.dtype
            precise = torch.promote_types(dtype, torch.float32)
            result = torch.zeros(*piece.shape[:2], height, width, dtype=precise, device=home)
        share = share_y[:, None] * share_x  # (h, w)
        assert piece.shape[-2:] == share.shape, (piece.shape, share.shape)
        result[..., rows, columns] += share.to(result) * piece
    assert result is not None
    return result.to(dtype)


def shares(side: int, tile: int, overlap: int) -> list[tuple[slice, Tensor]]:
    """Return the position of each tile along a side and its weights, float64 (length,), which sum to 1 at every pixel.

    A tile starts ``tile - overlap`` pixels after the previous one; the last is shifted to end with the side. Weights
    fall linearly over ``overlap`` pixels towards a neighbour, but never to 0.
    """
    starts = [*range(0, side - tile, tile - overlap), max(0, side - tile)]
    places = [slice(start, min(start + tile, side)) for start in starts]
    ramp = (torch.arange(1, min(tile, side) + 1, dtype=torch.float64) / (overlap + 1)).clamp(max=1)
    weights = torch.zeros(len(places), side, dtype=torch.float64)
    for row, place in zip(weights, places, strict=True):
        row[place] = 1
        if place.start > 0:
            row[place] = ramp
        if place.stop < side:
            row[place] = torch.minimum(row[place], ramp.flip(0))
    weights /= weights.sum(0)
    return [(place, row[place]) for row, place in zip(weights, places, strict=True)]


def check_tile(tile: int, overlap: int, multiple: int, receptive_field: int) -> None:
    """Check ``--tile`` and ``--tile_overlap``.

    Args:
        tile: side of a tile, pixels.
        overlap: pixels that neighbouring tiles share.
        multiple: the network needs sides that are multiples of it.
        receptive_field: side of the square of pixels that the network sees around each pixel.

    Raises:
        ValueError: every pixel of a tile would differ from the whole image, or the network needs another size.
    """
    smallest = -(-receptive_field // multiple) * multiple
    if tile < receptive_field:
        sees = f"{receptive_field} x {receptive_field} pixels that the network sees around each pixel"
        raise ValueError(f"--tile {tile} is smaller than the {sees}: at least {smallest}")
    if tile % multiple:
        nearest = max(smallest, (tile + multiple // 2) // multiple * multiple)
        raise ValueError(
            f"--tile {tile} is not a multiple of {multiple}, as the network needs: the nearest is {nearest}"
        )
    if not 0 <= overlap < tile:
        raise ValueError(
            f"--tile_overlap {overlap} is not from 0 to below --tile {tile}: {tile // 4} is a quarter of it"
        )
