"""A model's networks in low precision, channels-last or compiled while a step is taken, and as written otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from models.base_model import BaseModel
from models.networks.fast import FastNetwork
from models.optimizers import settle
from models.step.graphs import first_line
from models.step.plan import Speed


class FastNetworks:
    """The networks of a model as a Speed has them compute; between steps the model has its own."""

    def __init__(self, model: BaseModel, speed: Speed) -> None:
        """Lay the weights of ``model`` out in memory as ``speed`` says; what optimizers hold follows them.

        Copies of a network that are to stay as they are, such as its moving average, must have been made before.
        """
        self.model = model
        self.nets: dict[str, FastNetwork] = {}  # by attribute; empty: the model's own
        if speed.channels_last:
            for net in model.nets.values():
                net.to(memory_format=torch.channels_last)
            for optimizer in model.optimizers.values():
                settle(optimizer)
        if speed.channels_last or speed.compiled or speed.dtype != torch.float32:
            self.nets = {
                f"net{name}": FastNetwork(net, speed.dtype, speed.channels_last, speed.compiled)
                for name, net in model.nets.items()
                if any(True for _ in net.parameters())
            }

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Put them in the places of the model's own networks for the block."""
        own = {name: fast.net for name, fast in self.nets.items()}
        for name, fast in self.nets.items():
            setattr(self.model, name, fast)
        try:
            yield
        finally:
            for name, net in own.items():
                setattr(self.model, name, net)


def why_not_compiled(error: Exception) -> str:
    """Return why torch.compile cannot be used after ``error``; "" when the error is none of the compiler's."""
    if "double backward" in str(error):
        return "a loss differentiates a compiled network twice: its model must use plain(net) for that"
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor", "triton")):
        return first_line(error)
    return ""
