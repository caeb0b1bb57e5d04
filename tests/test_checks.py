"""Saved states that hold nonsense are refused in one line, and logs that were cut short are not."""

import copy
import os
from pathlib import Path

import pytest
import torch

from tests.bench import Bench
from tests.test_checkpoint import create_parts
from util.displays.logs import LossCsv, read_losses
from util.metrics.record import Quality
from util.training.checkpoint import Checkpoint
from util.training.divergence import Divergence
from util.types import Progress
from util.weights import load_safely, save_whole

NONSENSE: list[object] = [None, -3, -(10**18), 2.5, True, "3", float("nan"), 10**30, [], torch.ones(2)]
COUNTS = [
    ("progress", "epoch"),
    ("progress", "step"),
    ("progress", "images"),
    ("progress", "epoch_step"),
    ("plateau", "num_bad_epochs"),
    ("plateau", "last_epoch"),
    ("quality", "since"),
    ("divergence", "restarts"),
    ("quality", "bytes"),
    ("moving_average", "updates"),
    ("losses_csv", "rows"),
    ("losses_csv", "step"),
    ("logs", "loss_log.txt"),
]


@pytest.fixture
def saved(tmp_path):
    checkpoint = Checkpoint(
        tmp_path, create_parts(tmp_path) | {"quality": Quality(tmp_path, "fid"), "divergence": Divergence("stop")}
    )
    checkpoint.save()
    return checkpoint, load_safely(checkpoint.path)


def test_restarts_are_read_where_earlier_versions_counted_them(saved):
    checkpoint, content = saved
    del content["divergence"]
    content["quality"]["restarts"] = 3
    save_whole(content, checkpoint.path)
    checkpoint.load()
    assert checkpoint.parts["divergence"].factor == 0.125


@pytest.mark.parametrize(("part", "name"), COUNTS)
def test_a_count_that_is_none_is_named(saved, part, name):
    checkpoint, content = saved
    assert name in content[part]
    for value in NONSENSE:
        changed = copy.deepcopy(content)
        changed[part][name] = value
        save_whole(changed, checkpoint.path)
        with pytest.raises(ValueError, match=rf"latest_state.pth .*{part}: {name} is .*--overwrite") as error:
            checkpoint.load()
        assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("progress", "epoch_step", 10**9),
        ("progress", "step", 10**9),
        ("plateau", "factor", -1.0),
        ("plateau", "factor", None),
        ("plateau", "best", "x"),
        ("divergence", "restarts", 10**6),
        ("quality", "best", {"value": 3}),
        ("quality", "best", 7),
        ("quality", "latest", None),
        ("meter", "report", {"G": (torch.ones(3), 1)}),
        ("meter", "report", {"G": (torch.tensor(1.0), 0)}),
        ("meter", "report", {"G": (torch.tensor(1.0), -1)}),
        ("meter", "epoch", {"G": 3}),
        ("meter", "epoch", None),
        ("losses_csv", "names", [3]),
        ("losses_csv", "names", None),
    ],
)
def test_what_cannot_be_is_refused(saved, part, name, value):
    checkpoint, content = saved
    assert name in content[part]
    content[part][name] = value
    save_whole(content, checkpoint.path)
    with pytest.raises(ValueError, match=rf"latest_state.pth .*{part}: .*--overwrite"):
        checkpoint.load()


def test_more_steps_than_an_epoch_has_are_refused_before_anything_is_trained(tmp_path):
    bench = Bench(tmp_path)
    bench.small("--name a --n_epochs 1")
    path = bench.run_dir("a") / "latest_state.pth"
    state = load_safely(path)
    state["progress"] = {"epoch": 1, "step": 10**9, "images": 2 * 10**9, "epoch_step": 10**9}
    save_whole(state, path)
    outcome = bench.train("--name a --continue_train --n_epochs 3")
    assert outcome.status == 1
    assert "step 1000000000 of an epoch of 5" in outcome.err.splitlines()[-1]


# Logs


def written(folder, rows=4):
    log = LossCsv(folder)
    for step in range(1, rows + 1):
        log.write(Progress(1, step, 2 * step, step), {"G": step / 3, "D": 1.0})
    return log


DAMAGE = {
    "whole": (lambda text: text, 4),
    "half a row": (lambda text: text[:-6], 3),
    "half a number": (lambda text: text[:-2], 3),
    "no end of line": (lambda text: text[:-1], 3),
    "two rows less": (lambda text: "\n".join(text.split("\n")[:3]) + "\n", 2),
    "no rows": (lambda text: text.split("\n")[0] + "\n", 0),
    "empty": (lambda text: "", 0),
    "zeros": (lambda text: text[:-30] + "\0" * 30, 1),
    "another file": (lambda text: "a,b\n1,2\n", 0),
    "an empty cell": (lambda text: text.replace("1,3,6,", "1,,6,"), 3),
    "words": (lambda text: text.replace("1,3,6,1,", "1,3,6,x,"), 3),
    "a row too long": (lambda text: text.replace("1,3,6,", "1,3,6,7,8,9,"), 3),
    "deleted": (None, 0),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_of_losses_cut_short_what_is_whole_is_read_and_the_run_goes_on(tmp_path, damage, capsys):
    change, left = DAMAGE[damage]
    log = written(tmp_path)
    state, path = log.state_dict(), log.path
    log.write(Progress(1, 5, 10, 5), {"G": 9.0, "D": 9.0})  # after the save
    whole = path.read_text().removesuffix("1,5,10,9,9\n")
    if change:
        path.write_text(change(whole))
    else:
        path.unlink()
    again = LossCsv(tmp_path)
    again.load_state_dict(state)
    err = capsys.readouterr().err
    assert (f"{4 - left} of the 4 rows before step 4 are lost; the run goes on" in err) == (left < 4)
    assert err.count("\n") == (left < 4)
    assert len(read_losses(path)) == left
    again.write(Progress(1, 5, 10, 5), {"G": 5.0, "D": 1.0})
    assert [at.step for at, _ in read_losses(path)][-1] == 5
    later = LossCsv(tmp_path)
    later.load_state_dict(again.state_dict())
    assert capsys.readouterr().err == ""


def test_a_row_lost_before_a_save_brings_none_back_from_after_it(tmp_path):
    log = written(tmp_path)
    state = log.state_dict()
    log.write(Progress(1, 5, 10, 5), {"G": 9.0, "D": 9.0})
    log.path.write_text(log.path.read_text().replace("1,2,4,0.666666667,1\n", ""))
    log.load_state_dict(state)
    assert [at.step for at, _ in read_losses(log.path)] == [1, 3, 4]


def test_a_resume_with_losses_cut_short_goes_on(tmp_path):
    bench = Bench(tmp_path)
    bench.small("--name a --n_epochs 1 --print_freq 2")
    path = bench.run_dir("a") / "losses.csv"
    path.write_text(path.read_text()[:-9])
    outcome = bench.train("--name a --continue_train --n_epochs 2")
    assert outcome.status == 0, outcome.err
    assert "1 of the 5 rows before step 5 are lost" in outcome.err
    assert [at.step for at, _ in read_losses(path)] == [1, 2, 3, 4, 6, 7, 8, 9, 10]


def test_logs_are_on_disk_before_the_state_that_speaks_of_them(tmp_path, monkeypatch):
    parts, synced = create_parts(tmp_path), []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(str(Path(f"/proc/self/fd/{file}").readlink())))
    logs = [parts["losses_csv"].path, tmp_path / "loss_log.txt", tmp_path / "not there"]
    Checkpoint(tmp_path, parts, logs=lambda: logs).save()
    assert synced[:2] == [str(log) for log in logs[:2]]
    assert "latest_state.pth" in synced[2]
