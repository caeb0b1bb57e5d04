"""The fast form of a network, which replaces it during training steps: autocast, channels-last, torch.compile."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

Net = TypeVar("Net", bound=nn.Module)


class FastNetwork(nn.Module):
    """Calls a network in low precision, on channels-last images or compiled, and returns fp32.

    It shares the network's parameters and attributes, but not its state dict keys: nothing outside a step sees it.
    """

    def __init__(self, net: nn.Module, dtype: torch.dtype, channels_last: bool, compiled: bool) -> None:
        super().__init__()
        self.net, self.dtype, self.channels_last = net, dtype, channels_last
        self.call: Callable[..., Any] = torch.compile(net.forward, dynamic=False) if compiled else net.__call__

    def forward(self, *inputs: Any, **options: Any) -> Any:
        if self.channels_last:
            inputs = tree_map_only(Tensor, _channels_last, inputs)
        device = next(x.device for x in tree_leaves((inputs, options)) if isinstance(x, Tensor))
        with torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32):
            results = self.call(*inputs, **options)
        return tree_map_only(Tensor, Tensor.float, results)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("net"), name)


def plain(net: Net) -> Net:
    """Return the network itself: fp32 and eager, differentiable any number of times.

    For gradient penalties: a compiled network cannot be differentiated twice, and low precision would round the
    gradient that they measure.
    """
    return cast(Net, net.net) if isinstance(net, FastNetwork) else net


def eager(net: nn.Module) -> nn.Module:
    """Return the network in its training precision but not compiled, so that it can be differentiated twice.

    In fp16, where second-order gradients would underflow, this is ``plain(net)``.
    """
    if not isinstance(net, FastNetwork) or net.dtype == torch.float16:
        return plain(net)
    return FastNetwork(net.net, net.dtype, net.channels_last, compiled=False)


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
