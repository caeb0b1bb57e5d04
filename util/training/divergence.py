"""What a run does when a loss, a weight or an image is not finite: end, or go back and continue at a lower rate."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from util.checks import count

RESTARTED = 0.5  # of the learning rate remains after each return to the last save
MAX_RESTARTS = 5


def check_finite(modules: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer] = MappingProxyType({})) -> None:
    """Raise FloatingPointError when a weight, a buffer or a moment is NaN or infinite.

    A weight whose second moment is infinite never moves again, and looks sound.
    """
    tensors = {
        f"{prefix}{name}": tensor
        for prefix, module in modules.items()
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
        if tensor.is_floating_point()
    }
    named = list(tensors.items()) + [
        (f"{key} of optimizer {name}", moment)
        for name, optimizer in optimizers.items()
        for state in optimizer.state.values()
        for key, moment in state.items()
        if isinstance(moment, Tensor) and key != "step"  # which may lie on another device
    ]
    names = [name for name, _ in named]
    finite = torch.stack([t.isfinite().all() for _, t in named]).tolist()  # the device is waited for once
    if not all(finite):
        raise FloatingPointError(
            f"training diverged: {names[finite.index(False)]} is not finite, so the last save is kept; try a lower --lr"
        )


class Divergence:
    """Counts how often a run went back to its last save, each time at half the learning rate."""

    def __init__(self, on_nan: Literal["stop", "restart"]) -> None:
        """Args: on_nan: whether it may go back at all."""
        self.on_nan = on_nan
        self.restarts = 0

    @property
    def factor(self) -> float:
        """What is left of the learning rate."""
        return float(RESTARTED**self.restarts)

    def next_restart(self, error: FloatingPointError) -> int:
        """Return the number of the restart that answers ``error``.

        Raises:
            FloatingPointError: ``--on_nan`` is stop, or the run went back MAX_RESTARTS times.
        """
        if self.on_nan != "restart":
            raise FloatingPointError(f"{error}; --on_nan restart does both by itself") from None
        if self.restarts >= MAX_RESTARTS:
            raise FloatingPointError(f"{error}; --on_nan restart has gone back {MAX_RESTARTS} times") from None
        return self.restarts + 1

    def state_dict(self) -> dict[str, int]:
        return {"restarts": self.restarts}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.restarts = count(state, "restarts", most=1000)
