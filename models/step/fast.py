"""Networks that compute in low precision, channels-last or compiled while they train, and plainly otherwise."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from models.base_model import BaseModel, settle
from models.step.plan import Speed


class FastForward:
    """Stands in for the forward of a network, which it calls in its own way in training mode.

    What comes out is fp32, so that losses are. In evaluation mode, and within ``plainly``, all is fp32 and eager.
    """

    is_on = True  # for all networks; only ``plainly`` changes it

    def __init__(self, net: nn.Module, speed: Speed) -> None:
        self.net, self.speed = net, speed
        self.plain: Callable[..., Any] = net.forward
        self.fast = self.plain
        if speed.compiled:
            self.compile()

    def __call__(self, *inputs: Tensor | None) -> Any:
        if not (FastForward.is_on and self.net.training):
            return self.plain(*inputs)
        speed = self.speed
        device = next(self.net.parameters()).device.type
        if speed.channels_last:
            inputs = tree_map_only(Tensor, _channels_last, inputs)
        with torch.autocast(device, speed.dtype, enabled=speed.dtype != torch.float32):
            results = self.fast(*inputs)
        return tree_map_only(Tensor, Tensor.float, results)

    def compile(self) -> None:
        self.fast = torch.compile(self.plain, dynamic=False)


def make_fast(model: BaseModel, speed: Speed) -> None:
    """Let the networks of ``model`` train as ``speed`` says; what optimizers hold follows them.

    Copies of a network that are to stay plain, such as its moving average, must have been made before.
    """
    if speed == Speed():
        return
    for net in model.nets.values():
        if next(net.parameters(), None) is None:
            continue
        if speed.channels_last:
            net.to(memory_format=torch.channels_last)
        net.forward = FastForward(net, speed)
    for optimizer in model.optimizers.values():
        settle(optimizer)


@contextmanager
def plainly() -> Iterator[None]:
    """Run the block with all networks as they are written: in fp32, eager, in any order of differentiation."""
    before, FastForward.is_on = FastForward.is_on, False
    try:
        yield
    finally:
        FastForward.is_on = before


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def start_compiled(model: BaseModel) -> None:
    """Compile the networks of ``model`` for the training steps from now on."""
    for forward in _fast_forwards(model):
        forward.compile()


def leave_compiled(model: BaseModel) -> None:
    """Let the networks of ``model`` train uncompiled from now on."""
    for forward in _fast_forwards(model):
        forward.fast = forward.plain


@contextmanager
def uncompiled(model: BaseModel) -> Iterator[None]:
    """Run the block with the networks of ``model`` eager, in the precision that they train in."""
    forwards = list(_fast_forwards(model))
    compiled = [forward.fast for forward in forwards]
    leave_compiled(model)
    try:
        yield
    finally:
        for forward, fast in zip(forwards, compiled, strict=True):
            forward.fast = fast


def leave_low_precision(model: BaseModel) -> None:
    """Let the networks of ``model`` train in fp32 from now on."""
    for forward in _fast_forwards(model):
        forward.speed = forward.speed._replace(dtype=torch.float32)


def _fast_forwards(model: BaseModel) -> Iterator[FastForward]:
    return (net.forward for net in model.nets.values() if isinstance(net.forward, FastForward))


def is_of_compiler(error: Exception) -> bool:
    """Say whether torch.compile failed, in one of its hundred ways, and not the model."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor", "triton"))
