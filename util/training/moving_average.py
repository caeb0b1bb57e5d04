"""An exponential moving average of generators, beside the model (Karras et al. 2018, arXiv:1710.10196, Sec. 4)."""

import copy
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from util.checks import count
from util.modes import replaced


class MovingAverage:
    """Averages of some of a model's networks, batch norm's statistics included.

    Not torch.optim.swa_utils.AveragedModel, which reads its count of updates back from the device at every parameter.
    """

    def __init__(self, model: nn.Module, names: Iterable[str], decay: float) -> None:
        """Start from the networks as they are.

        Args:
            model: owns the networks.
            names: its attributes to average, such as ("netG",).
            decay: what remains of the average at each update; smaller for the first updates, so that the initial
                weights are soon forgotten: nothing at the first, at most (1 + n) / (10 + n) at the n-th.
        """
        self.model = model
        self.decay = decay
        self.nets: dict[str, nn.Module] = {n: copy.deepcopy(getattr(model, n)).requires_grad_(False) for n in names}
        self.updates = 0
        device = next(next(iter(self.nets.values())).parameters()).device
        self.share = torch.ones((), device=device)  # of the networks in the average; a tensor, for recorded steps

    def advance(self) -> None:
        """Count an update, before ``update`` makes it."""
        self.updates += 1
        n = self.updates
        self.share.fill_(1 - min(self.decay, (1 + n) / (10 + n)) if n > 1 else 1.0)

    @torch.no_grad()
    def update(self) -> None:
        """Take in the networks after a step; every update runs the same operations."""
        for name, net in self.nets.items():
            for average, value in zip(_tensors(net), _tensors(getattr(self.model, name)), strict=True):
                if average.is_floating_point():
                    average.lerp_(value, self.share.to(average.dtype))
                else:
                    average.copy_(value)

    def in_use(self) -> AbstractContextManager[None]:
        """Put the averages in the networks' places for a block."""
        return replaced(self.model, self.nets)

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self.updates} | {name: net.state_dict() for name, net in self.nets.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.updates = count(state, "updates")
        for name, net in self.nets.items():
            net.load_state_dict(state[name])


def _tensors(net: nn.Module) -> Iterable[Tensor]:
    """Return what training changes: the buffers that are not saved follow from the architecture."""
    return net.state_dict(keep_vars=True).values()
