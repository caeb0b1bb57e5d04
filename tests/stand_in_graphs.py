"""A stand-in for CUDA graphs on the CPU: what is called while it records has no effect until it is replayed."""

import copy
from typing import Any

import pytest
import torch

from models.step.plan import Speed
from models.step.stepper import Stepper
from tests.tiny_models import CPU, create, make_batch, snapshot
from util.seeding import seed_all
from util.training.meter import LossMeter
from util.training.moving_average import MovingAverage
from util.types import Batch, Losses


class Stream:
    """Does all at once."""

    def __init__(self, device: torch.device = CPU) -> None:
        pass

    def wait_stream(self, other: "Stream") -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


class Graph:
    """Like torch.cuda.CUDAGraph; a replay is the recorded function called again, on what it reads now."""

    def __init__(self, bench: "Bench") -> None:
        self.bench, self.step, self.replays = bench, 0, 0
        bench.graphs.append(self)

    def pool(self) -> str:
        return "pool"

    def replay(self) -> None:
        self.replays += 1
        (recording,) = [r for r in self.bench.recorder.recordings.values() if r.graph is self]
        losses = self.bench.replayed(Batch(self.bench.recorder.images), self.step)
        for name, loss in recording.losses.items():
            loss.copy_(losses[name])


class Recording:
    """Like torch.cuda.graph: afterwards all is as it was."""

    def __init__(self, bench: "Bench", graph: Graph, pool: Any, capture_error_mode: str) -> None:
        assert capture_error_mode == "thread_local"
        assert pool == ("pool" if bench.recorder.recordings else None)
        self.bench = bench
        bench.recording = graph

    def __enter__(self) -> None:
        bench = self.bench
        self.before = snapshot(bench.model)
        self.averages, self.numbers = copy.deepcopy(bench.ema.state_dict()), torch.get_rng_state()
        self.sums = [total.clone() for total in bench.meter.sums]

    def __exit__(self, *error: object) -> None:
        bench = self.bench
        if bench.refuses:  # as torch does: what it complains of last is not what was wrong
            raise RuntimeError("operation failed due to a previous error during capture")
        bench.recording = None
        bench.model.load_state_dict(self.before["model"])
        for name, optimizer in bench.model.optimizers.items():
            for state, before in zip(optimizer.state.values(), self.before[name]["state"].values(), strict=True):
                for key, value in before.items():
                    state[key].copy_(value)
        bench.ema.load_state_dict(self.averages)
        for total, value in zip(bench.meter.sums, self.sums, strict=True):
            total.copy_(value)
        torch.set_rng_state(self.numbers)


class Bench:
    """A tiny model with a moving average, in training."""

    def __init__(self) -> None:
        self.graphs: list[Graph] = []
        self.recording: Graph | None = None
        self.refuses: BaseException | None = None  # what recording raises
        self.streams: list[Stream] = []  # that were gone back to
        self.emptied = 0  # times that cached memory was given back
        self.renewed = 0  # times that the generator got a fresh state

    def start(self, case: str, speed: Speed, **options: Any) -> None:
        """Build the model of a case and what takes its steps."""
        self.case, self.model, self.meter, self.at = case, create(case, **options), LossMeter(), 0
        self.ema = MovingAverage(self.model, self.model.averaged, 0.9)
        self.stepper = Stepper(self.model, speed, self.ema, self.meter, num_steps=1000)
        self.recorder: Any = self.stepper.recorder
        self.function = self.stepper._step
        if self.recorder:
            self.recorder.function = self._noted

    def step(self) -> dict[str, float]:
        """Take the next step on a batch of its own; return its losses."""
        self.at += 1
        seed_all(0, self.at)
        losses = self.stepper(make_batch(self.case, seed=self.at), self.at)
        self.meter.count(losses)
        return {name: float(loss) for name, loss in losses.items()}

    def train(self, case: str, speed: Speed, steps: int, **options: Any) -> list[dict[str, float]]:
        """Take steps; return the losses of each."""
        self.start(case, speed, **options)
        return [self.step() for _ in range(steps)]

    def state(self) -> Any:
        """Return copies of all that a step changes."""
        return snapshot(self.model), copy.deepcopy(self.ema.state_dict()), copy.deepcopy(self.meter.state_dict())

    def replayed(self, batch: Batch, step: int) -> Losses:
        """Do what a replay does; a test may put a wrong one in its place."""
        return self.function(batch, step)

    def _noted(self, batch: Batch, step: int) -> Losses:
        if self.recording:
            self.recording.step = step
            if self.refuses:
                raise self.refuses
        return self.function(batch, step)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench, and a stand-in for the parts of torch.cuda that recording needs."""
    bench = Bench()

    def count(what: str) -> None:
        setattr(bench, what, getattr(bench, what) + 1)

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "set_stream", bench.streams.append)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: Graph(bench))
    monkeypatch.setattr(torch.cuda, "graph", lambda graph, pool, stream, **how: Recording(bench, graph, pool, **how))
    monkeypatch.setattr("models.step.stepper.free_memory", lambda model: count("emptied"))
    monkeypatch.setattr("models.step.stepper.renew_generator", lambda device: count("renewed"))
    return bench
