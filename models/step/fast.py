"""Autocast, channels-last and torch.compile for training steps; plain fp32 eager networks otherwise."""

from contextlib import AbstractContextManager

import torch

from models.base_model import BaseModel
from models.networks.fast import FastNetwork
from models.optimizers import settle
from models.step.graphs import first_line
from models.step.plan import Speed
from util.modes import replaced


class FastNetworks:
    """The fast forms of a model's networks, which replace them for the length of a step."""

    def __init__(self, model: BaseModel, speed: Speed) -> None:
        """Prepare the networks of ``model`` for ``speed``; the memory layout of its weights and optimizers changes now.

        Copies that should keep their layout, such as a moving average, must be made before.
        """
        self.model = model
        self.nets: dict[str, FastNetwork] = {}  # by attribute of the model; empty: its own are used
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

    def in_use(self) -> AbstractContextManager[None]:
        """Put them in the places of the model's own networks for a block."""
        return replaced(self.model, self.nets)


def why_not_compiled(error: Exception) -> str:
    """Return why to stop compiling after ``error``; "" if it came from the model rather than from the compiler."""
    if "double backward" in str(error):
        return "a loss differentiates a compiled network twice: its model must use plain(net) or eager(net) there"
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor", "triton")):
        return first_line(error)
    return ""
