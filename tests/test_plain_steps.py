"""Steps of our models compute what plain PyTorch does: the benchmark's reference, and tests/plain_steps.py."""

from typing import Any
from unittest import mock

import pytest
from torch.testing import assert_close

from scripts.speed.reference import CRITERIA, OURS_ALONE, STEPS, create_reference
from tests.plain_steps import PLAIN
from tests.tiny_models import LEARNERS, TINY, create, make_batch
from util.seeding import seed_all
from util.types import Batch

EXTRAS = OURS_ALONE.keys() - {"optimizer"}  # which plain steps do not know either
COMPARED = [
    case
    for case in LEARNERS
    if case.split()[0] in PLAIN and not any(name in EXTRAS and value for name, value in TINY[case][0].items())
]


def without_chance(case):
    """Return options by which the history of images is no matter of chance: as long as it fills, or none.

    Its coins would come before the numbers of the gradient penalty, and the reference's are other ones.
    """
    return {"pool_size": 0 if "wgangp" in case else 50} if "pool_size" in TINY[case][0] else {}


def draw_once(plain):
    """Let every draw of a step give what its first gave, as our step has it; return what ends a step."""
    kept: list[Any] = []
    draw = plain.draw

    def draw_first(batch):
        if not kept:
            kept.append(draw(batch))
        return kept[0]

    plain.draw = draw_first
    return kept.clear


def compare(case, create_plain):
    """Take steps of our model and of the plain one, a whole turn of updates at least; the losses are the same."""
    ours, theirs = create(case, **without_chance(case)), create(case, **without_chance(case))
    plain = create_plain(theirs)
    forget = draw_once(plain) if hasattr(plain, "draw") else list
    apart = mock.patch("models.adversarial.has_batch_norm", lambda net: True)  # one pass for both rounds otherwise
    for step in range(1, 1 + max(2, getattr(ours.opt, "n_critic", 1))):
        batch = make_batch(case, seed=step)
        seed_all(0, step)
        with apart:
            wanted = ours.optimize_parameters(Batch(batch), step)
        seed_all(0, step)
        forget()
        losses = {name: loss.detach() for name, loss in plain(Batch(batch), step).items()}
        allowed = 1e-6 if step == 1 else 1e-4  # Adam makes whole steps of the rounding of small gradients
        assert_close({name: losses[name] for name in wanted}, wanted, rtol=allowed, atol=allowed)
        assert set(losses) == set(wanted)


@pytest.mark.parametrize("case", COMPARED)
def test_a_step_computes_what_plain_pytorch_does(case):
    compare(case, PLAIN[case.split()[0]])


TIMED = [case for case in COMPARED if case.split()[0] in STEPS and TINY[case][0].get("gan_mode", "lsgan") in CRITERIA]


@pytest.mark.parametrize("case", TIMED)
def test_what_the_benchmark_times_computes_the_same(case):
    compare(case, lambda model: create_reference(case.split()[0], model))


def test_every_model_with_a_plain_step_is_compared():
    assert {case.split()[0] for case in COMPARED} == set(PLAIN)
    assert {case.split()[0] for case in TIMED} == set(STEPS)
