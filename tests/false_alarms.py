"""How near right steps come to an alarm of the self check: many checks of five models, on the CPU.

    python tests/false_alarms.py [CHECKS]

The fast step has its sums in the order of the plain one ("same"), in that of other kernels ("kernels"), or computes in
bf16 ("bf16"). A row a model and kind: how many checks were made, how many failed, how many of these right after another
that failed, which is what gives recordings up, and how near the worst came to what is allowed.
"""

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from models.step.fast import FastNetworks
from models.step.plan import Speed
from models.step.selfcheck import EXACT, LOW_PRECISION, StepCheck
from tests.tiny_models import create, make_batch
from util.modes import replaced
from util.seeding import seed_all
from util.training.meter import LossMeter
from util.training.moving_average import MovingAverage
from util.types import Losses

CASES = ("cgan conv", "wgan_gp", "cvae_gan 32", "pix2pix wgangp", "cycle_gan")
KINDS = ("same", "kernels", "bf16")


def main(checks: int) -> None:
    """Print the table."""
    for case in CASES:
        for kind in KINDS:
            ratios, groups = run(case, kind, checks)
            failed = [ratio > 1 for ratio in ratios]
            twice = sum(a and b for a, b in pairwise(failed))
            worst = max(zip(ratios, groups, strict=True))
            share = f"at most {worst[0]:.2f} of what is allowed ({worst[1]})"
            print(
                f"{case:16} {kind:8} {len(ratios)} checks, {sum(failed)} failed, {twice} twice in a row, {share}",
                flush=True,
            )


def run(case: str, kind: str, checks: int) -> tuple[list[float], list[str]]:
    """Train, checking every step after the first twelve; return the worst ratio of each check and its group."""
    model, meter = create(case), LossMeter()
    ema = MovingAverage(model, model.averaged, 0.99)
    networks = FastNetworks(model, Speed(torch.bfloat16, channels_last=True) if kind == "bf16" else Speed())
    check, ratios, groups = StepCheck(model, ema, meter), [], []

    def take(step: int) -> Losses:
        losses = model.optimize_parameters(make_batch(case, seed=step), step)
        ema.update()
        meter.add(losses)
        return dict(losses)

    ways: dict[str, tuple[Callable[[int], Losses], Callable[[int], Losses]]] = {
        "same": (take, take),
        "kernels": (take, torch.backends.mkldnn.flags(enabled=False)(take)),
        "bf16": (take, replaced(model, networks.nets)(take)),
    }
    plain, fast = ways[kind]
    for step in range(1, 12 + checks + 1):
        seed_all(0, step)
        ema.advance()
        if step > 12:
            bounds = LOW_PRECISION if kind == "bf16" else EXACT[torch.float32]
            finding = check(lambda step=step: plain(step), lambda step=step: fast(step), bounds)[0]  # type: ignore[misc]
            ratios.append(finding.ratio)
            groups.append(finding.group)
        fast(step)
    return ratios, groups


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
