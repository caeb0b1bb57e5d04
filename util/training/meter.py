"""Average losses without waiting for the device."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from util.checks import count
from util.types import Losses


class LossMeter:
    """Means of each loss since the last report, and since the epoch began.

    The sums are tensors that keep their place, so that a recorded step can add to them; the counts are the host's.
    """

    def __init__(self) -> None:
        self._report, self._epoch = _Sums(), _Sums()

    def add(self, losses: Losses) -> None:
        """Add one step's losses on their device; a step may have only some of the names."""
        for sums in (self._report, self._epoch):
            for name, value in losses.items():
                if name not in sums.totals:
                    sums.totals[name] = torch.zeros_like(value)
        totals = [sums.totals[name] for sums in (self._report, self._epoch) for name in losses]
        torch._foreach_add_(totals, [*losses.values()] * 2)  # one launch on a GPU

    def count(self, names: Iterable[str]) -> None:
        """Count a step whose losses of these ``names`` were added."""
        for name in names:
            self._report.counts[name] += 1
            self._epoch.counts[name] += 1

    @property
    def sums(self) -> list[Tensor]:
        """The tensors that ``add`` changes."""
        return [*self._report.totals.values(), *self._epoch.totals.values()]

    def report(self) -> dict[str, float]:
        """Return the means since the last report; waits for the device.

        Raises:
            FloatingPointError: a mean is NaN or infinite.
        """
        return self._report.means()

    def epoch(self) -> dict[str, float]:
        """Return the means since the last call; raise FloatingPointError when one is not finite."""
        return self._epoch.means()

    def state_dict(self) -> dict[str, Any]:
        return {"report": self._report.state(), "epoch": self._epoch.state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._report.load(_checked(state["report"]))
        self._epoch.load(_checked(state["epoch"]))

    def to(self, device: torch.device) -> None:
        """Move the sums to where the losses are."""
        for sums in (self._report, self._epoch):
            sums.totals = {name: total.to(device) for name, total in sums.totals.items()}


class _Sums:
    """Sums of losses by name, and how many were added."""

    def __init__(self) -> None:
        self.totals: dict[str, Tensor] = {}
        self.counts: Counter[str] = Counter()

    def means(self) -> dict[str, float]:
        """Return the mean of each name that was counted, and start over."""
        names = [name for name in self.totals if self.counts[name]]
        values = torch.stack([self.totals[name] for name in names]).tolist() if names else []
        means = {name: value / self.counts[name] for name, value in zip(names, values, strict=True)}
        self.counts.clear()
        for total in self.totals.values():
            total.zero_()
        if bad := [name for name, mean in means.items() if not math.isfinite(mean)]:
            raise FloatingPointError(
                f"training diverged: loss {', '.join(bad)} is not finite; try a lower --lr, or go on from the last save"
            )
        return means

    def state(self) -> dict[str, tuple[Tensor, int]]:
        return {name: (self.totals[name].clone(), count) for name, count in self.counts.items() if count}

    def load(self, state: dict[str, tuple[Tensor, int]]) -> None:
        self.totals = {name: total.clone() for name, (total, _) in state.items()}
        self.counts = Counter({name: count for name, (_, count) in state.items()})


def _checked(sums: Any) -> dict[str, tuple[Tensor, int]]:
    """Return saved sums and counts; raise ValueError when they are none."""
    for name, (total, _) in sums.items():
        if not isinstance(total, Tensor) or total.shape or total.is_meta:
            raise ValueError(f"{name:.40} is no sum of losses")
        if count({name: sums[name][1]}, name) == 0:
            raise ValueError(f"{name:.40} is a sum of nothing")
    return dict(sums)
