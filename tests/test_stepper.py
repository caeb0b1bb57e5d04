"""Steps that are recorded and replayed, with a stand-in for CUDA graphs: which calls are made, and what comes out."""

import gc
import weakref
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from models.step.graphs import WARM_UP
from models.step.plan import Speed
from tests.stand_in_graphs import Bench, bench
from tests.tiny_models import make_batch, snapshot
from util.seeding import seed_all
from util.types import Batch, Losses

__all__ = ["bench"]  # a fixture

RECORDED = Speed(recorded=True)


@pytest.mark.parametrize("speed", [RECORDED, Speed(recorded=True, checked=True)], ids=["recorded", "checked"])
@pytest.mark.parametrize("case", ["cgan mlp mismatch", "cycle_gan wgangp", "cgan conv rpgan", "pix2pix wgangp"])
def test_recorded_steps_learn_what_plain_ones_do(bench: Bench, case: Any, speed: Any) -> None:
    expected = bench.train(case, Speed(), 18)
    state = bench.state()
    variants = [bench.model.variant(step) for step in range(1, 19)]
    assert bench.train(case, speed, 18) == expected
    assert_close(bench.state(), state, rtol=0, atol=0)
    often = [v for v in set(variants) if variants.count(v) > WARM_UP]
    assert len(bench.graphs) == len(often)
    if not speed.checked:
        assert sum(graph.replays for graph in bench.graphs) == 18 - WARM_UP * len(often) - sum(
            v not in often for v in variants
        )


def test_what_cannot_be_recorded_is_told_of_once_and_done_as_it_is_written(bench: Bench, capsys: Any) -> None:
    expected = bench.train("cgan mlp", Speed(), 8)
    bench.refuses = RuntimeError("operation not permitted when stream is capturing\nmore")
    assert bench.train("cgan mlp", RECORDED, 8) == expected
    lines = capsys.readouterr().err.splitlines()
    said = "--cuda_graphs is switched off, a step cannot be recorded: operation not permitted when stream is capturing"
    assert lines == [f"warning: {said}"]
    assert bench.stepper.recorder is None
    assert (len(bench.streams), bench.renewed) == (1, 1)


def test_a_failed_recording_holds_no_memory_when_the_step_is_taken_again(bench: Bench, monkeypatch: Any) -> None:
    """An error keeps the frames, and so the activations, of the step that raised it until it is handled."""
    made: list[Any] = []
    alive: list[bool] = []

    class Activations:
        pass

    def fail(batch: Batch, step: int) -> Losses:
        if bench.recording:
            held = Activations()
            made.append(weakref.ref(held))
            raise torch.OutOfMemoryError("out of memory")
        return bench.function(batch, step)

    bench.refuses = RuntimeError("never raised: the step below does")
    bench.start("cgan mlp", RECORDED)
    bench.recorder.function = fail

    def freed(model: Any) -> None:
        gc.collect()
        alive.append(any(ref() is not None for ref in made))

    monkeypatch.setattr("models.step.stepper.free_memory", freed)
    for _ in range(WARM_UP + 1):
        bench.step()
    assert alive == [False]


@pytest.mark.parametrize("version", ["stuck", "free"])
def test_random_numbers_go_on_after_a_failed_recording(monkeypatch, version):
    """torch before 2.12 leaves the default generator waiting for the end of the recording."""
    from models.step import graphs

    class Generator:
        def __init__(self, device: Any = None) -> None:
            self.seed = 0
            self.state: list[Any] = [version]

        def initial_seed(self) -> int:
            return 7

        def manual_seed(self, seed: int) -> "Generator":
            self.seed, self.state = seed, ["free", seed]
            return self

        def graphsafe_get_state(self) -> list[Any]:
            return self.state

        def graphsafe_set_state(self, state: list[Any]) -> None:
            self.state = state

    default = Generator()
    monkeypatch.setattr(torch, "Generator", Generator)
    monkeypatch.setattr(torch.cuda, "default_generators", (None, default))
    graphs.renew_generator(torch.device("cuda", 1))
    assert default.state == ["free", 7]


def test_a_second_ctrl_c_while_a_step_is_recorded_stays_one(bench: Bench) -> None:
    bench.refuses = KeyboardInterrupt()
    bench.start("cgan mlp", RECORDED)
    for _ in range(WARM_UP):
        bench.step()
    with pytest.raises(KeyboardInterrupt):
        bench.step()


def test_no_garbage_is_collected_while_a_step_is_recorded(bench: Bench) -> None:
    bench.start("cgan mlp", RECORDED)
    collecting: list[tuple[bool, bool]] = []
    function = bench.recorder.function

    def noted(batch: Batch, step: int) -> Losses:
        collecting.append((bool(bench.recording), gc.isenabled()))
        losses: Losses = function(batch, step)
        return losses

    bench.recorder.function = noted
    for _ in range(WARM_UP + 1):
        bench.step()
    assert collecting == [(False, True)] * WARM_UP + [(True, False)]
    assert gc.isenabled()


def test_warm_up_reads_the_tensors_that_are_recorded(bench: Bench) -> None:
    """A compiled network would be compiled again for a view in the batch, and that within the recording."""
    bench.start("cgan mlp", RECORDED)
    seen: list[int] = []
    function = bench.recorder.function

    def noted(batch: Batch, step: int) -> Losses:
        seen.append(batch["image"].data_ptr())
        losses: Losses = function(batch, step)
        return losses

    bench.recorder.function = noted
    for _ in range(WARM_UP + 2):
        bench.step()
    assert len(set(seen)) == 1


def test_after_a_load_steps_are_recorded_anew(bench: Bench) -> None:
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


def test_room_is_made_by_forgetting_recordings_and_nothing_else(bench: Bench) -> None:
    expected = bench.train("cgan mlp", Speed(), 12)
    bench.start("cgan mlp", RECORDED)
    losses = [bench.step() for _ in range(6)]
    assert bench.recorder.recordings
    bench.stepper.make_room()
    assert not bench.recorder.recordings
    assert bench.emptied == 2  # before the recording, and now
    assert losses + [bench.step() for _ in range(6)] == expected
    assert bench.recorder.recordings


def test_an_error_of_a_replayed_step_is_not_hidden(bench: Bench) -> None:
    bench.train("cgan mlp", RECORDED, 5)

    def fail(batch: Batch, step: int) -> Losses:
        raise RuntimeError("out of memory")

    bench.replayed = fail  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="out of memory"):
        bench.step()


def test_compiling_is_told_of_once_for_each_variant(bench: Bench, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: function)
    bench.train("wgan_gp", Speed(compiled=True), 9)  # n_critic 3
    assert capsys.readouterr().out.count("compiling, once: ") == 2


def test_a_stepper_is_settled_once_every_variant_is_recorded(bench: Bench) -> None:
    bench.start("wgan_gp", RECORDED)  # n_critic 3
    settled = []
    for _ in range(14):
        bench.step()
        settled.append(bench.stepper.is_settled)
    assert settled == [False] * 11 + [True] * 3
