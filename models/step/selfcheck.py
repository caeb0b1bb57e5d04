"""Check fast training steps against plain ones during a run: only the GPU at hand can show what it computes.

Recorded, compiled and low-precision steps can be wrong without an error: a recording may read a stale batch, or hold
a learning rate as a constant. So two plain steps and a fast one are taken from the same state, on the same batch and
random numbers, and what they change is compared; then everything is restored bit for bit.
"""

from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from models.base_model import BaseModel
from models.step.graphs import free_memory
from util.seeding import random_state, set_random_state
from util.training.meter import LossMeter
from util.training.moving_average import MovingAverage
from util.types import Losses

TIMES = 4  # how much more a fast step may differ than two plain ones, whose sums have no fixed order on a GPU
DOUBTFUL = 0.5  # fraction of the allowed distance that is worth a note
PERTURBED = 0.7  # factor for learning rates and the average's share, which exposes frozen ones
SCALE = 1e-3  # of the largest change in a group: tensors that change less, by noise, are compared on this scale

NOISE = 1e-5  # of an optimizer's largest gradient (root mean square of a tensor): smaller ones are rounding
ADAM = 0.3  # floor for weights and their averages: Adam turns the rounding of small gradients into whole steps

State = dict[str, list[Tensor]]


class Bounds(NamedTuple):
    """How far a fast step may be from a plain one, relative to what the step changes."""

    floor: float  # for every group, however well two plain steps agree
    same_arithmetic: bool = True  # False: rounding differs; compare groups as a whole, and weights by length only


EXACT = {
    torch.float32: Bounds(1e-3),
    torch.bfloat16: Bounds(1e-2),
    torch.float16: Bounds(1e-2),
}  # recorded against eager, by the precision of networks
COMPILED = {
    torch.float32: Bounds(0.05, same_arithmetic=False),
    torch.bfloat16: Bounds(0.5, same_arithmetic=False),
    torch.float16: Bounds(0.5, same_arithmetic=False),
}
LOW_PRECISION = Bounds(0.75, same_arithmetic=False)  # against fp32: catches bugs, not rounding


class Finding(NamedTuple):
    """Distance of the fast step from the plain one in one group of tensors."""

    group: str
    distance: float
    allowed: float

    @property
    def ratio(self) -> float:
        return self.distance / self.allowed

    def __str__(self) -> str:
        return f"{self.group} {self.distance:.2g} (allowed {self.allowed:.2g})"


class StepCheck:
    """Compares two ways of taking a training step, without a trace."""

    def __init__(self, model: BaseModel, ema: MovingAverage | None, meter: LossMeter) -> None:
        self.model, self.ema, self.meter = model, ema, meter

    @torch.no_grad()
    def __call__(self, plain: Callable[[], Losses], fast: Callable[[], Losses], bounds: Bounds) -> list[Finding]:
        """Return the distance of the fast step from the plain one for each group of tensors, worst first.

        Args:
            plain, fast: take the same step in two ways.
            bounds: allowed distances.

        Raises:
            torch.OutOfMemoryError: no room for a copy of the state or for a plain step.
        """
        state = self._state()
        steered = self._steered()
        before, numbers, values = _copied(state), random_state(self.model.device), [t.clone() for t in steered]

        def after(step: Callable[[], Losses]) -> State:
            """Return the live state after taking ``step`` from the state before, with perturbed learning rates."""
            _restore(state, before)
            set_random_state(self.model.device, numbers)
            for tensor, value in zip(steered, values, strict=True):
                tensor.copy_(value * PERTURBED)
            with torch.enable_grad():
                return state | {"losses": list(step().values())}

        try:
            first = _copied(after(plain))
            silent = self._silent()
            noise = _distances(before, first, after(plain), bounds, silent)
            found = _distances(before, first, after(fast), bounds, silent)
        finally:
            _restore(state, before)
            set_random_state(self.model.device, numbers)
            for tensor, value in zip(steered, values, strict=True):
                tensor.copy_(value)
            for optimizer in self.model.optimizers.values():
                optimizer.zero_grad(set_to_none=True)
        return sorted((_worst(group, found[group], noise[group], bounds) for group in found), key=lambda f: -f.ratio)

    def difference(
        self, kind: str, plain: Callable[[], Losses], fast: Callable[[], Losses], bounds: Bounds, step: int
    ) -> str:
        """Return how two ways of taking a step differ, "" if they agree; print a note if they barely do."""
        findings: list[Finding] = []
        with suppress(torch.OutOfMemoryError):
            findings = self(plain, fast, bounds)
        if not findings:
            free_memory(self.model)
            tqdm.write(f"{kind} steps are not checked at step {step}: there is not enough memory (--check_steps off)")
            return ""
        worst = ", ".join(str(finding) for finding in findings[:3] if finding.ratio > DOUBTFUL)
        if findings[0].ratio > 1:
            return f"{kind} steps differ from plain ones, relative to what a step changes: {worst}"
        if worst:
            tqdm.write(f"note: {kind} steps barely agree with plain ones at step {step}, relative to a step: {worst}")
        return ""

    def _silent(self) -> set[int]:
        """Return the ids of weights, and of their averages, whose last gradient was only rounding.

        A bias before a norm is one: Adam moves it as far as others, but in a random direction.
        """
        silent: set[int] = set()
        for optimizer in self.model.optimizers.values():
            params = [p for group in optimizer.param_groups for p in group["params"]]
            sizes = {id(p): float(p.grad.square().mean()) for p in params if p.grad is not None}
            silent |= {key for key, size in sizes.items() if size < NOISE**2 * max(sizes.values())}
        for name, net in (self.ema.nets if self.ema else {}).items():
            trained = getattr(self.model, name).parameters()
            silent |= {id(a) for a, p in zip(net.parameters(), trained, strict=True) if id(p) in silent}
        return silent

    def _state(self) -> State:
        """Return all tensors that a step changes, by group."""
        state: State = {"weights": list(self.model.parameters()), "buffers": list(self.model.buffers())}
        for optimizer in self.model.optimizers.values():
            for values in optimizer.state.values():
                for key, value in values.items():
                    state.setdefault(f"optimizers' {key}", []).append(value)
        if self.ema:
            state["moving average"] = [
                t for net in self.ema.nets.values() for t in chain(net.parameters(), net.buffers())
            ]
        state["sums of losses"] = self.meter.sums
        return {group: tensors for group, tensors in state.items() if tensors}

    def _steered(self) -> list[Tensor]:
        """Return the tensors that the loop sets before a step, which a recorded step must read again."""
        rates = [group["lr"] for optimizer in self.model.optimizers.values() for group in optimizer.param_groups]
        return [*rates, self.ema.share] if self.ema else rates


def _copied(state: State) -> State:
    return {group: [t.detach().clone() for t in tensors] for group, tensors in state.items()}


def _restore(state: State, before: State) -> None:
    for group, tensors in state.items():
        for tensor, value in zip(tensors, before[group], strict=True):
            tensor.copy_(value)


def _distances(before: State, first: State, second: State, bounds: Bounds, silent: set[int]) -> dict[str, list[float]]:
    """Return, for each group, the distances of ``second`` from ``first`` relative to what ``first`` changed.

    If arithmetic differs, each group is one vector, and weights are compared by length. ``silent`` tensors are skipped.
    """
    result = {}
    for group, a in first.items():
        old = before.get(group) or [torch.zeros_like(t) for t in a]
        counts = torch.tensor([float(id(t) not in silent) for t in second[group]])
        changed = _norms(a, old) * counts
        apart = _norms(a, second[group]) * counts
        if group == "weights":
            lengths = changed.norm(), (_norms(second[group], old) * counts).norm()
            result["lengths of updates"] = [_part(abs(lengths[0] - lengths[1]), lengths[0])]
        if group == "weights" and not bounds.same_arithmetic:
            continue
        if not bounds.same_arithmetic:
            changed, apart = changed.norm().reshape(1), apart.norm().reshape(1)
        scales = changed.clamp(min=SCALE * float(changed.max()))
        result[group] = [_part(d, s) for d, s in zip(apart, scales, strict=True)]
    return result


def _norms(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Return the norms of the differences, float32 on the host."""
    return torch.stack([(x.detach().float() - y.detach().float()).norm().cpu() for x, y in zip(a, b, strict=True)])


def _part(distance: Tensor, scale: Tensor) -> float:
    """Return ``distance / scale``: infinite if either is not finite, or if anything changed that should not."""
    if not distance.isfinite() or not scale.isfinite():
        return float("inf")
    return float(distance / scale) if scale else float("inf") if distance else 0.0


def _worst(group: str, found: list[float], noise: list[float], bounds: Bounds) -> Finding:
    floor = max(bounds.floor, ADAM) if group in ("weights", "moving average") else bounds.floor
    findings = [Finding(group, d, max(floor, TIMES * n)) for d, n in zip(found, noise, strict=True)]
    return max(findings, key=lambda finding: finding.ratio)
