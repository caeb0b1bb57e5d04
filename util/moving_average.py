"""An exponential moving average of generators, beside the model (Karras et al. 2018, arXiv:1710.10196, Sec. 4)."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class MovingAverage:
    """Averages of some of a model's networks, batch norm's statistics included."""

    def __init__(self, model: nn.Module, names: Iterable[str], decay: float) -> None:
        """Start from the networks as they are.

        Args:
            model: owns the networks.
            names: its attributes to average, such as ("netG",).
            decay: what remains of the average at each update; smaller for the first updates, so that the initial
                weights are soon forgotten: at most (1 + n) / (10 + n) after n of them.
        """
        self.model = model
        self.decay = decay
        self.nets = {n: AveragedModel(getattr(model, n), multi_avg_fn=self._average, use_buffers=True) for n in names}
        self.updates = 0

    def update(self) -> None:
        """Take in the networks after a step."""
        self.updates += 1
        for name, net in self.nets.items():
            net.update_parameters(getattr(self.model, name))

    @torch.no_grad()
    def _average(self, averages: Sequence[Tensor], values: Sequence[Tensor], _num_averaged: Tensor | int) -> None:
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for average, value in zip(averages, values, strict=True):
            if average.is_floating_point():
                average.lerp_(value.to(average.dtype), 1 - decay)
            else:
                average.copy_(value)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Put the averages in the networks' places for the block."""
        trained = {name: getattr(self.model, name) for name in self.nets}
        for name, net in self.nets.items():
            setattr(self.model, name, net.module)
        try:
            yield
        finally:
            for name, net in trained.items():
                setattr(self.model, name, net)

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self.updates} | {name: net.state_dict() for name, net in self.nets.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.updates = state["updates"]
        for name, net in self.nets.items():
            net.load_state_dict(state[name])
