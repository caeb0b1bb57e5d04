"""Adam (Kingma and Ba 2015, arXiv:1412.6980) that takes channels-last weights as they lie in memory."""

from typing import Any

import torch
from torch import Tensor


class Adam(torch.optim.Adam):
    """The numbers of torch.optim.Adam.

    On a CPU its fused form copies weights that are not contiguous to and fro, which takes longer than the update: here
    it is given views in which they are.
    """

    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> bool:
        """Fill ``lists`` with weights, gradients, both moments and more, one entry a weight, as torch does."""
        has_complex: bool = super()._init_group(group, *lists)
        weights, gradients, *moments = lists[:4]
        for i, entries in enumerate(zip(weights, gradients, *moments, strict=True)):
            if all(map(_is_channels_last, entries)):
                for tensors, tensor in zip(lists, entries, strict=False):
                    tensors[i] = tensor.permute(0, 2, 3, 1)
        return has_complex


def _is_channels_last(tensor: Tensor) -> bool:
    return tensor.ndim == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)
