"""RMSprop (Tieleman and Hinton 2012, Lecture 6.5 of "Neural Networks for Machine Learning")."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class RMSprop(Optimizer):
    """Divide each gradient by a running root mean square: the numbers of torch.optim.RMSprop.

    torch's own reads a learning rate that is a tensor back to the host at every step, or, where it does not, needs a
    GPU; this one multiplies by it, so that schedules reach recorded steps.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: Tensor, alpha: float = 0.99, eps: float = 1e-8) -> None:
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take one step; there is no ``closure``."""
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
