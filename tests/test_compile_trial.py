"""Whether compiling pays is decided from the steps of the run itself."""

import pytest
import torch

from models.step.compile_trial import COMPILING, SAVED, SETTLING, WINDOW, CompileTrial
from models.step.plan import Speed
from models.step.stepper import Stepper
from tests.tiny_models import create, make_batch
from util.training.meter import LossMeter

CPU = torch.device("cpu")


class Clock:
    """Stands still but for what steps take."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        monkeypatch.setattr("time.perf_counter", lambda: self.seconds)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def decisions(trial: CompileTrial, clock: Clock, seconds: float, first: int = 1) -> list[tuple[int, str]]:
    """Ask before each of the steps of a window, which take ``seconds`` each; return the steps at which it decided."""
    decided: list[tuple[int, str]] = []
    for step in range(first, first + SETTLING + WINDOW + 2):
        if trial.is_over:
            break
        if decision := trial(step, True):
            decided.append((step, decision))
        clock.seconds += seconds
    return decided


def steps_that_pay(seconds: float) -> int:
    """Return the steps that must be left after the window for compiling to pay."""
    return int(COMPILING / SAVED / seconds) + 1


def test_a_long_run_compiles_and_a_short_one_does_not(clock, capsys):
    at = 1 + SETTLING + WINDOW
    left = steps_that_pay(0.5)
    assert decisions(CompileTrial(at + left, CPU), clock, 0.5) == [(at, "compile")]
    trial = CompileTrial(at + left - 2, CPU)
    assert decisions(trial, clock, 0.5) == []
    assert trial.is_over
    assert "--compile is off: it would save about 60 s" in capsys.readouterr().out


def test_only_the_steps_that_a_resumed_run_has_left_count(clock):
    trial = CompileTrial(100_000, CPU)
    assert decisions(trial, clock, 0.5, first=99_900 - SETTLING) == []
    assert trial.is_over


@pytest.mark.parametrize("compiled, expected", [(0.4, []), (0.6, ["leave"])])
def test_compiled_steps_that_are_no_faster_are_left(clock, compiled, expected):
    trial = CompileTrial(100_000, CPU)
    ((step, _),) = decisions(trial, clock, 0.5)
    assert [decision for _, decision in decisions(trial, clock, compiled, first=step + 1)] == expected
    assert trial.is_over


def test_steps_that_warm_up_are_not_timed(clock):
    trial = CompileTrial(100_000, CPU)
    for step in range(1, 50):
        assert trial(step, step % 10 != 0) == ""
        clock.seconds += 1000
    ((step, decision),) = decisions(trial, clock, 0.5, first=50)
    assert (step, decision) == (41 + SETTLING + WINDOW, "compile")
    assert trial.uncompiled == pytest.approx(0.5)


def test_a_run_whose_steps_are_slow_enough_compiles_its_networks(monkeypatch, clock):
    compiled = []

    def compile_(function, dynamic):
        compiled.append(function)
        return function

    monkeypatch.setattr(torch, "compile", compile_)
    model = create("gan")
    stepper = Stepper(model, Speed(tries_compiling=True), meter=LossMeter(), num_steps=1000)
    for step in range(1, 2 * (SETTLING + WINDOW) + 4):
        clock.seconds += 0.5 if not compiled else 0.1
        stepper(make_batch("gan", seed=step), step)
        assert bool(compiled) == (step > 1 + SETTLING + WINDOW)  # before the first step nothing is settled
    assert len(compiled) == 2  # G and D
    assert stepper.is_settled
    assert stepper.speed.compiled
