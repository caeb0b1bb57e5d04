"""A run that is killed before its first save leaves a name that can be used, by the way that messages say."""

import os
import signal
from pathlib import Path

import pytest

import util.training.run
from tests.bench import SMALL, in_child

OPTIONS = f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name a --n_epochs 1"


def kill(*_args, **_more):
    os.kill(os.getpid(), signal.SIGKILL)


def killed(bench, monkeypatch, place):
    """Train in a child that is killed at a place of Run's beginning."""
    if place == "while options.yaml is written":
        monkeypatch.setattr(Path, "replace", kill)
    elif place == "before the displays":
        monkeypatch.setattr("util.training.reporter.create_displays", kill)
    elif place == "after the displays":
        monkeypatch.setattr("util.training.reporter.Visualizer", kill)
    else:
        monkeypatch.setattr(util.training.run, "format_options", kill)
    assert in_child(lambda: bench.train(OPTIONS)) == -signal.SIGKILL
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("place", "begun"),
    [
        ("while options.yaml is written", False),
        ("before the displays", True),
        ("after the displays", True),
        ("before the first save", True),
    ],
)
def test_the_name_of_a_run_killed_at_its_beginning_can_be_used(bench, monkeypatch, place, begun):
    killed(bench, monkeypatch, place)
    assert bench.run_dir("a").exists()
    goes_on = bench.train("--name a --continue_train")
    assert goes_on.status in (1, 2)
    if begun:
        assert "ended before its first save; begin again by --overwrite" in goes_on.err
        assert "--overwrite" in bench.train(OPTIONS).err
    outcome = bench.train(OPTIONS + " --overwrite" * begun)
    assert outcome.status == 0, outcome.err
    assert not list(bench.run_dir("a").glob(".*.tmp"))


@pytest.mark.parametrize("place", ["a_file", "/proc/x"])
def test_a_place_where_no_run_can_be_is_named(bench, place):
    (bench.folder / "a_file").write_text("")
    outcome = bench.train(f"{OPTIONS} --checkpoints_dir {place}")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1), outcome
    assert f"--checkpoints_dir {place}: a cannot be made or written there" in outcome.err


def test_options_that_cannot_be_written_leave_a_name_that_can_be_used(bench, monkeypatch):
    def full(_file):
        raise OSError(27, "File too large")

    with monkeypatch.context() as patch:
        patch.setattr(util.training.run, "write_text", lambda *_: full(0))
        assert bench.train(OPTIONS).status == 1
    assert bench.train(OPTIONS).status == 0
