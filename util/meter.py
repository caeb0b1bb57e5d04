"""Average losses without waiting for the device."""

import math
from typing import Any

import torch
from torch import Tensor

from util.checks import count
from util.types import Losses


class LossMeter:
    """Means of each loss since the last report, and since the epoch began."""

    def __init__(self) -> None:
        self._report: dict[str, tuple[Tensor, int]] = {}
        self._epoch: dict[str, tuple[Tensor, int]] = {}

    def update(self, losses: Losses) -> None:
        """Add one step's losses; a step may report only some of the names."""
        for sums in (self._report, self._epoch):
            for name, value in losses.items():
                total, count = sums.get(name, (torch.zeros_like(value), 0))
                sums[name] = (total + value, count + 1)

    def report(self) -> dict[str, float]:
        """Return the means since the last report; waits for the device.

        Raises:
            FloatingPointError: a mean is NaN or infinite.
        """
        means, self._report = _means(self._report), {}
        return means

    def epoch(self) -> dict[str, float]:
        """Return the means since the last call; raise FloatingPointError when one is not finite."""
        means, self._epoch = _means(self._epoch), {}
        return means

    def state_dict(self) -> dict[str, Any]:
        return {"report": dict(self._report), "epoch": dict(self._epoch)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._report, self._epoch = _checked(state["report"]), _checked(state["epoch"])

    def to(self, device: torch.device) -> None:
        """Move the sums to where the losses are."""
        for sums in (self._report, self._epoch):
            sums.update({name: (total.to(device), count) for name, (total, count) in sums.items()})


def _checked(sums: Any) -> dict[str, tuple[Tensor, int]]:
    """Return saved sums and counts; raise ValueError when they are none."""
    for name, (total, _) in sums.items():
        if not isinstance(total, Tensor) or total.shape or total.is_meta:
            raise ValueError(f"{name:.40} is no sum of losses")
        if count({name: sums[name][1]}, name) == 0:
            raise ValueError(f"{name:.40} is a sum of nothing")
    return dict(sums)


def _means(sums: dict[str, tuple[Tensor, int]]) -> dict[str, float]:
    means = {name: float(total) / count for name, (total, count) in sums.items()}
    if bad := [name for name, mean in means.items() if not math.isfinite(mean)]:
        raise FloatingPointError(
            f"training diverged: loss {', '.join(bad)} is not finite; try a lower --lr, or go on from the last save"
        )
    return means
