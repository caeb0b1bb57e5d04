"""Optimizers whose learning rate is a tensor on the parameters' device, and what optimizers need around a step."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class Adam(torch.optim.Adam):
    """Adam (Kingma and Ba 2015, arXiv:1412.6980): the numbers of torch.optim.Adam, faster on channels-last weights.

    On a CPU torch's fused form copies weights that are not contiguous back and forth, which takes longer than the
    update; here it gets views that are contiguous.
    """

    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> bool:
        """Fill ``lists`` as torch does: weights, gradients, both moments and more, one entry per weight."""
        has_complex: bool = super()._init_group(group, *lists)
        weights, gradients, *moments = lists[:4]
        for i, entries in enumerate(zip(weights, gradients, *moments, strict=True)):
            if all(map(_is_channels_last, entries)):
                for tensors, tensor in zip(lists, entries, strict=False):
                    tensors[i] = tensor.permute(0, 2, 3, 1)
        return has_complex


def _is_channels_last(tensor: Tensor) -> bool:
    return tensor.ndim == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012, Lecture 6.5 of "Neural Networks for Machine Learning").

    The numbers of torch.optim.RMSprop, which either copies a tensor learning rate to the host at every step or needs a
    GPU. Multiplying by the tensor works on every device, and schedules reach recorded steps.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: Tensor, alpha: float = 0.99, eps: float = 1e-8) -> None:
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take one step; a ``closure`` is not supported."""
        assert closure is None
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["square_avg"] = torch.zeros_like(p)
                state["square_avg"].lerp_(p.grad.square(), 1 - group["alpha"])
                p.sub_(group["lr"] * p.grad / (state["square_avg"].sqrt() + group["eps"]))


def settle(optimizer: Optimizer) -> None:
    """Give the optimizer's learning rates and states the device and memory layout of its parameters.

    Fused updates and recorded steps need the learning rate on the parameters' device, and pair the elements of a
    parameter with those of its moments in memory order, whatever their strides.
    """
    for group in optimizer.param_groups:
        device = group["params"][0].device
        group["lr"] = group["lr"].to(device)
        if "capturable" in group:
            group["capturable"] = device.type == "cuda"
        for p in group["params"]:
            for key, value in optimizer.state[p].items() if p in optimizer.state else ():
                if value.shape == p.shape and value.stride() != p.stride():
                    optimizer.state[p][key] = torch.empty_like(p).copy_(value)


def make_states(optimizer: Optimizer) -> None:
    """Allocate the optimizer's states before the first step.

    Allocated among the activations of a step, they would pin memory blocks that a recording could reuse.
    """
    params = [p for group in optimizer.param_groups for p in group["params"]]
    if optimizer.state or not params:
        return
    for p in params:
        p.grad = torch.zeros_like(p)
    optimizer.step()  # with zero gradients and moments no weight moves
    optimizer.zero_grad(set_to_none=True)
    for state in optimizer.state.values():
        for tensor in state.values():
            tensor.zero_()


@contextmanager
def frozen(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Run the block without gradients for ``parameters``."""
    frozen_now = [p for p in parameters if p.requires_grad]
    for p in frozen_now:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in frozen_now:
            p.requires_grad_(True)
