"""Fast steps are compared with plain ones: what is wrong is found, what is right is not, and no trace is left."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from models.step.graphs import WARM_UP
from models.step.plan import Speed
from models.step.selfcheck import EXACT, StepCheck
from tests.stand_in_graphs import Bench, bench
from tests.tiny_models import make_batch
from util.seeding import seed_all
from util.types import Batch, Losses

__all__ = ["bench"]  # a fixture

CHECKED = Speed(recorded=True, checked=True)
FIVE = ["cgan conv", "wgan_gp", "cvae_gan 32", "pix2pix wgangp", "cycle_gan"]
Replay = Callable[[Batch, int], Losses]


def stale_batch(bench: Bench) -> Replay:
    recorded = make_batch(bench.case, seed=1)
    return lambda batch, step: bench.function(recorded, step)


def stale_seed(bench: Bench) -> Replay:
    def replay(batch: Batch, step: int) -> Losses:
        seed_all(0, 1)
        return bench.function(batch, step)

    return replay


def frozen_rate(bench: Bench) -> Replay:
    """The learning rate was recorded as a number."""
    rates = [group["lr"] for o in bench.model.optimizers.values() for group in o.param_groups]
    recorded = [float(rate) for rate in rates]

    def replay(batch: Batch, step: int) -> Losses:
        now = [float(rate) for rate in rates]
        for rate, value in zip(rates, recorded, strict=True):
            rate.fill_(value)
        losses = bench.function(batch, step)
        for rate, value in zip(rates, now, strict=True):
            rate.fill_(value)
        return losses

    return replay


def frozen_share(bench: Bench) -> Replay:
    recorded = float(bench.ema.share)

    def replay(batch: Batch, step: int) -> Losses:
        now = float(bench.ema.share)
        bench.ema.share.fill_(recorded)
        losses = bench.function(batch, step)
        bench.ema.share.fill_(now)
        return losses

    return replay


def unwritten(tensors: Callable[[Bench], list[Tensor]]) -> Callable[[Bench], Replay]:
    """Return a fault: the replay leaves these tensors as they were."""

    def plant(bench: Bench) -> Replay:
        def replay(batch: Batch, step: int) -> Losses:
            before = [t.clone() for t in tensors(bench)]
            losses = bench.function(batch, step)
            with torch.no_grad():
                for tensor, value in zip(tensors(bench), before, strict=True):
                    tensor.copy_(value)
            return losses

        return replay

    return plant


def states(bench: Bench, key: str) -> list[Tensor]:
    return [s[key] for o in bench.model.optimizers.values() for s in o.state.values()]


def stale_losses(bench: Bench) -> Replay:
    """Adds to the sums what it should, but returns losses of another step."""
    return lambda batch, step: {name: loss * 0 + 0.123 for name, loss in bench.function(batch, step).items()}


FAULTS: dict[str, Callable[[Bench], Replay]] = {
    "stale batch": stale_batch,
    "stale seed": stale_seed,
    "frozen learning rate": frozen_rate,
    "frozen share of the moving average": frozen_share,
    "missing update of the moving average": unwritten(
        lambda bench: [t for net in bench.ema.nets.values() for t in net.parameters()]
    ),
    "unwritten buffers": unwritten(lambda bench: list(bench.model.buffers())),
    "wrong step counters": unwritten(lambda bench: states(bench, "step")),
    "unwritten second moments": unwritten(lambda bench: states(bench, "exp_avg_sq")),
    "one layer not updated": unwritten(lambda bench: [next(bench.model.netG.parameters())]),
    "losses of another step": stale_losses,
    "sums of losses not written": unwritten(lambda bench: bench.meter.sums),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_recorded_step_is_found(bench: Bench, capsys: Any, fault: Any) -> None:
    expected = bench.train("cgan conv", Speed(), WARM_UP + 4)
    state = bench.state()
    capsys.readouterr()
    bench.start("cgan conv", CHECKED)
    losses = [bench.step() for _ in range(WARM_UP + 1)]
    bench.replayed = FAULTS[fault](bench)  # type: ignore[method-assign, assignment]
    losses += [bench.step() for _ in range(3)]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: --cuda_graphs is switched off at step 6: recorded steps differ from plain ones")
    assert bench.stepper.recorder is None
    assert losses == expected  # found from the second replay on, before it did harm
    assert_close(bench.state(), state, rtol=0, atol=0)


def test_a_step_that_diverges_differs(bench: Bench, capsys: Any) -> None:
    bench.start("gan", CHECKED)
    for _ in range(WARM_UP + 1):
        bench.step()
    function = bench.function
    bench.replayed = lambda batch, step: {k: v * float("nan") for k, v in function(batch, step).items()}  # type: ignore[method-assign]
    bench.step()
    bench.step()
    assert "losses inf (allowed 0.001)" in capsys.readouterr().err


@pytest.mark.parametrize("case", FIVE)
def test_right_steps_give_no_alarm(bench: Bench, case: Any) -> None:
    """A short form of tests/false_alarms.py."""
    bench.start(case, CHECKED)
    for _ in range(WARM_UP * 4):
        bench.step()
    check = StepCheck(bench.model, bench.ema, bench.meter)
    recorder, bench.stepper.check = bench.recorder, None
    for _ in range(4):
        bench.step()
        number = bench.at + 1
        batch, variant = make_batch(case, seed=number), bench.model.variant(number)
        seed_all(0, number)
        findings = check(
            partial(recorder.plain, batch, number),
            partial(recorder, variant, batch, number),
            EXACT[torch.float32],
        )
        assert findings[0].ratio == 0
        assert {f.group for f in findings} >= {"weights", "losses", "moving average", "sums of losses"}


def test_a_single_failure_is_forgiven(bench: Bench, capsys: Any) -> None:
    expected = bench.train("gan", Speed(), 12)
    bench.start("gan", CHECKED)
    losses = [bench.step() for _ in range(WARM_UP + 1)]
    function, left = bench.function, [1]

    def once(batch: Batch, step: int) -> Losses:
        wrong = left.pop() if left else 0
        return {name: loss + wrong for name, loss in function(batch, step).items()}

    bench.replayed = once  # type: ignore[method-assign]
    losses += [bench.step() for _ in range(8)]
    assert losses == expected
    assert bench.stepper.recorder
    assert capsys.readouterr().err == ""


def test_a_check_leaves_no_trace(bench: Bench) -> None:
    bench.train("cycle_gan", CHECKED, WARM_UP + 2)
    numbers, state = torch.get_rng_state(), bench.state()
    rates = [float(group["lr"]) for o in bench.model.optimizers.values() for group in o.param_groups]
    step = lambda: bench.function(make_batch("cycle_gan", seed=9), 9)  # noqa: E731
    StepCheck(bench.model, bench.ema, bench.meter)(step, step, EXACT[torch.float32])
    assert_close(bench.state(), state, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), numbers)
    assert [float(group["lr"]) for o in bench.model.optimizers.values() for group in o.param_groups] == rates
    assert all(p.grad is None for p in bench.model.parameters())


def checked_at(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Return a list to which checks add their kind and step, without being made."""
    made: list[tuple[str, int]] = []

    def differ(kind: str, plain: Any, fast: Any, bounds: Any, step: int) -> str:
        made.append((kind, step))
        return ""

    monkeypatch.setattr(bench.stepper.check, "difference", differ)
    return made


def test_replays_are_checked_ever_more_rarely(bench: Bench, monkeypatch: Any) -> None:
    bench.start("gan", CHECKED)
    made = checked_at(bench, monkeypatch)
    for _ in range(WARM_UP + 800):
        bench.step()
    replays = [step - WARM_UP for _, step in made]
    assert replays == [2, 100, 200, 400, 800]


def test_after_the_first_interruption_every_variant_is_checked_again(bench: Bench, monkeypatch: Any) -> None:
    bench.start("wgan_gp", CHECKED)  # n_critic 3
    made = checked_at(bench, monkeypatch)
    for _ in range(18):
        bench.step()
    made.clear()
    bench.stepper.interrupted()
    for _ in range(6):
        bench.step()
    assert [step for _, step in made] == [19, 21]
    made.clear()
    bench.stepper.interrupted()
    for _ in range(6):
        bench.step()
    assert not made


def test_a_check_without_memory_is_left_out_with_a_word(bench: Bench, capsys: Any) -> None:
    expected = bench.train("gan", Speed(), 8)
    bench.start("gan", CHECKED)

    def fail(batch: Batch, step: int) -> Losses:
        raise torch.OutOfMemoryError("out of memory")

    bench.step()
    losses = [bench.step() for _ in range(WARM_UP)]
    bench.recorder.plain = fail
    losses += [bench.step() for _ in range(4)]
    assert losses == expected[1:]
    assert "recorded steps are not checked at step 5: there is not enough memory" in capsys.readouterr().out
    assert bench.stepper.recorder


@pytest.mark.parametrize("case", FIVE)
def test_low_precision_is_checked_once_against_fp32(bench: Bench, capsys: Any, case: Any) -> None:
    bench.train(case, Speed(torch.bfloat16, channels_last=True, checked=True), 8)
    captured = capsys.readouterr()
    assert captured.err == ""
    assert bench.stepper.speed.dtype == torch.bfloat16


def test_a_network_that_is_wrong_in_low_precision_trains_in_fp32(bench: Bench, capsys: Any) -> None:
    bench.start("gan", Speed(torch.bfloat16, checked=True))
    bench.model.netD.register_forward_hook(lambda net, x, y: y * 0.1 if torch.is_autocast_enabled("cpu") else None)
    for _ in range(6):
        bench.step()
    assert "--precision is fp32 from step 3 on: low-precision steps differ" in capsys.readouterr().err
    assert bench.stepper.speed.dtype == torch.float32


def test_a_compiler_that_computes_something_else_is_left(bench: Bench, monkeypatch: Any, capsys: Any) -> None:
    def wrongly(function: Any, dynamic: bool) -> Any:
        return lambda *inputs: function(*inputs) * 1.5

    monkeypatch.setattr(torch, "compile", wrongly)
    bench.start("gan", Speed(compiled=True, checked=True))
    for _ in range(4):
        bench.step()
    assert "--compile is switched off at step 3: compiled steps differ from plain ones" in capsys.readouterr().err
    assert not bench.stepper.speed.compiled


@pytest.mark.parametrize("case, is_told", [("gan", True), ("cgan mlp", False)])
def test_compiled_dropout_draws_other_numbers_and_is_not_compared(
    bench: Bench, monkeypatch: Any, capsys: Any, case: str, is_told: bool
) -> None:
    """cgan's D has dropout, gan's has none."""

    def otherwise(function: Any, dynamic: bool) -> Any:
        def forward(*inputs: Any) -> Any:
            result = function(*inputs)
            return result + 3 * torch.randn_like(result)

        return forward

    monkeypatch.setattr(torch, "compile", otherwise)
    bench.start(case, Speed(compiled=True, checked=True))
    for _ in range(4):
        bench.step()
    assert ("--compile is switched off" in capsys.readouterr().err) == is_told
