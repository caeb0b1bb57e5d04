"""Learning-rate policies, as factors of the initial rate."""

import math
from typing import Any, Literal

import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau

from util.checks import count, number

Policy = Literal["constant", "linear", "step", "cosine", "plateau"]


def lr_factor(policy: Policy, epoch: int, n_epochs: int, n_epochs_decay: int, lr_decay_iters: int) -> float:
    """Return what the initial rate is multiplied by in ``epoch``, counted from 1.

    linear: 1 for ``n_epochs``, then a line that would reach 0 one epoch after the last.
    step: a tenth after every ``lr_decay_iters`` epochs.
    cosine: half a wave from 1 down to 0 over all epochs (Loshchilov and Hutter 2016, arXiv:1608.03983, Eq. 5).
    constant, plateau: 1.
    """
    if policy == "linear":
        return 1 - max(0, epoch - n_epochs) / (n_epochs_decay + 1)
    if policy == "step":
        return float(0.1 ** ((epoch - 1) // lr_decay_iters))
    if policy == "cosine":
        return (1 + math.cos(math.pi * (epoch - 1) / (n_epochs + n_epochs_decay))) / 2
    return 1.0


class Plateau:
    """The factor of the plateau policy: a fifth whenever the watched value has not fallen for 5 epochs."""

    def __init__(self, exact: bool = False) -> None:
        """Args: exact: any fall counts, as of a metric, which may be below 0; else one of a hundredth or more."""
        unit = SGD([torch.zeros(1)], lr=1.0)  # its rate is the factor, for one rule over all optimizers
        rule: dict[str, Any] = {"threshold": 0.0, "threshold_mode": "abs"} if exact else {"threshold": 0.01}
        self._scheduler = ReduceLROnPlateau(unit, mode="min", factor=0.2, patience=5, **rule)

    @property
    def factor(self) -> float:
        return float(self._scheduler.optimizer.param_groups[0]["lr"])

    def update(self, value: float) -> None:
        """Take note of an epoch's mean."""
        self._scheduler.step(value)

    def state_dict(self) -> dict[str, Any]:
        keys = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")
        return {"factor": self.factor} | {k: getattr(self._scheduler, k) for k in keys}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        counts = {k: count(state, k) for k in ("num_bad_epochs", "cooldown_counter", "last_epoch")}
        if not 0 <= number(state, "factor") <= 1:
            raise ValueError(f"factor is {state['factor']}, not between 0 and 1")
        self._scheduler.optimizer.param_groups[0]["lr"] = state["factor"]
        vars(self._scheduler).update({"best": number(state, "best")} | counts)
