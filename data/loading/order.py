"""The order of an epoch's samples."""

import numpy as np
import torch
from torch import Tensor

RUN = 256  # samples of a block, which lie one after another in a shard
MIXED = 16  # blocks whose samples are mixed


def in_blocks(shards: np.ndarray, generator: torch.Generator) -> Tensor:
    """Return an order of samples that reads a few places at a time, for storage that is slow at random places.

    The shards are cut into blocks, the blocks shuffled, and then the samples within every few blocks.

    Args:
        shards: int64 (N,), the number of each sample's shard, in the order in which they lie in these.
        generator: what the order follows from.
    """
    places = np.arange(len(shards))
    is_first = np.diff(shards, prepend=-1) != 0
    since_first = places - np.maximum.accumulate(np.where(is_first, places, 0))
    blocks = np.split(places, np.flatnonzero(since_first % RUN == 0)[1:])
    shuffled = [blocks[i] for i in torch.randperm(len(blocks), generator=generator).tolist()]
    order = []
    for i in range(0, len(shuffled), MIXED):
        some = torch.from_numpy(np.concatenate(shuffled[i : i + MIXED]))
        order.append(some[torch.randperm(len(some), generator=generator)])
    return torch.cat(order)
