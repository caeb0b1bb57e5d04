"""Steps that are recorded and replayed, with a stand-in for CUDA graphs: which calls are made, and what comes out."""

import copy
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from models.speed import Speed
from models.stepper import WARM_UP, Stepper
from tests.tiny_models import CPU, create, make_batch, snapshot
from util.moving_average import MovingAverage
from util.seeding import seed_all
from util.types import Batch, Losses

RECORDED = Speed(recorded=True)


class Stream:
    """Does all at once."""

    def __init__(self, device: torch.device) -> None:
        pass

    def wait_stream(self, other: "Stream") -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


class Graph:
    """Like torch.cuda.CUDAGraph: what is called while it records has no effect until ``replay`` calls it again."""

    def __init__(self) -> None:
        self.step, self.replays = 0, 0
        bench.graphs.append(self)

    def pool(self) -> str:
        return "pool"

    def replay(self) -> None:
        self.replays += 1
        (recording,) = [r for r in bench.recorder.recordings.values() if r.graph is self]
        losses = bench.function(Batch(recording.batch), self.step)
        for name, loss in recording.losses.items():
            loss.copy_(losses[name])


class Recording:
    """Like torch.cuda.graph: afterwards all is as it was."""

    def __init__(self, graph: Graph, pool: Any, stream: Stream, capture_error_mode: str) -> None:
        assert capture_error_mode == "thread_local"
        assert pool == ("pool" if len(bench.graphs) > 1 else None)
        bench.recording = graph

    def __enter__(self) -> None:
        self.before = snapshot(bench.model)
        self.averages, self.numbers = copy.deepcopy(bench.ema.state_dict()), torch.get_rng_state()

    def __exit__(self, *error: object) -> None:
        if bench.refuses:  # as torch does: what it complains of last is not what was wrong
            raise RuntimeError("operation failed due to a previous error during capture")
        bench.recording = None
        bench.model.load_state_dict(self.before["model"])
        for name, optimizer in bench.model.optimizers.items():
            for state, before in zip(optimizer.state.values(), self.before[name]["state"].values(), strict=True):
                for key, value in before.items():
                    state[key].copy_(value)
        bench.ema.load_state_dict(self.averages)
        torch.set_rng_state(self.numbers)


class Bench:
    """A tiny model with a moving average, in training."""

    def __init__(self) -> None:
        self.graphs: list[Graph] = []
        self.recording: Graph | None = None
        self.refuses = False
        self.streams: list[Stream] = []  # that were gone back to

    def train(self, case: str, speed: Speed, steps: int) -> list[dict[str, float]]:
        """Take steps; return the losses of each."""
        self.model = create(case)
        self.ema = MovingAverage(self.model, self.model.averaged, 0.9)
        self.stepper = Stepper(self.model, speed, self.ema)
        self.recorder: Any = self.stepper.recorder
        if self.recorder:
            self.function, self.recorder.function = self.recorder.function, self._noted
        losses = []
        for step in range(1, steps + 1):
            seed_all(0, step)
            losses.append({k: float(v) for k, v in self.stepper(make_batch(case, seed=step), step).items()})
        return losses

    def state(self) -> Any:
        return snapshot(self.model), self.ema.state_dict()

    def _noted(self, batch: Batch, step: int) -> Losses:
        if self.recording:
            self.recording.step = step
            if self.refuses:
                raise RuntimeError("operation not permitted when stream is capturing\nmore")
        return self.function(batch, step)


bench: Any = None


@pytest.fixture(autouse=True)
def cuda(monkeypatch):
    """Stands in for the parts of torch.cuda that recording needs."""
    monkeypatch.setattr(f"{__name__}.bench", Bench())
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: Stream(CPU))
    monkeypatch.setattr(torch.cuda, "set_stream", bench.streams.append)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", Recording)


@pytest.mark.parametrize("case", ["cgan mlp mismatch", "cycle_gan wgangp", "cgan conv rpgan", "pix2pix wgangp"])
def test_recorded_steps_learn_what_plain_ones_do(case):
    expected = bench.train(case, Speed(), 18)
    state = bench.state()
    variants = [bench.model.variant(step) for step in range(1, 19)]
    assert bench.train(case, RECORDED, 18) == expected
    assert_close(bench.state(), state, rtol=0, atol=0)
    often = [v for v in set(variants) if variants.count(v) > WARM_UP]
    assert len(bench.graphs) == len(often)
    assert sum(graph.replays for graph in bench.graphs) == 18 - WARM_UP * len(often) - sum(
        v not in often for v in variants
    )


def test_what_cannot_be_recorded_is_told_of_once_and_done_as_it_is_written(capsys):
    expected = bench.train("cgan mlp", Speed(), 8)
    bench.refuses = True
    assert bench.train("cgan mlp", RECORDED, 8) == expected
    lines = capsys.readouterr().err.splitlines()
    said = "--cuda_graphs is switched off, a step cannot be recorded: operation not permitted when stream is capturing"
    assert lines == [f"warning: {said}"]
    assert bench.stepper.recorder is None
    assert len(bench.streams) == 1


def test_after_a_load_steps_are_recorded_anew():
    for speed in (Speed(), RECORDED):
        bench.train("wgan_gp", speed, 16)
        before = snapshot(bench.model)
        more = [bench.stepper(make_batch("wgan_gp", seed=step), step) for step in (17, 18)]
        assert more
        bench.model.load_state_dict(before["model"])
        for name, optimizer in bench.model.optimizers.items():
            optimizer.load_state_dict(before[name])
        if bench.recorder:
            assert not bench.recorder.recordings
            bench.graphs.clear()
        for step in range(17, 40):
            seed_all(0, step)
            bench.stepper(make_batch("wgan_gp", seed=step), step)
        if speed == Speed():
            expected = snapshot(bench.model)
    assert len(bench.graphs) == 2
    assert_close(snapshot(bench.model), expected, rtol=0, atol=0)


def test_an_error_of_a_replayed_step_is_not_hidden():
    bench.train("cgan mlp", RECORDED, 5)

    def fail(batch: Batch, step: int) -> Losses:
        raise RuntimeError("out of memory")

    bench.function = fail
    with pytest.raises(RuntimeError, match="out of memory"):
        bench.stepper(make_batch("cgan mlp"), 6)


def test_compiling_is_told_of_once_for_each_variant(monkeypatch, capsys):
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: function)
    bench.train("wgan_gp", Speed(compiled=True), 9)  # n_critic 3
    assert capsys.readouterr().out.count("compiling, once: ") == 2
