"""A run that was interrupted and gone on with ends as if it had never stopped."""

import contextlib
import csv
import errno
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from models.step.stepper import Stepper
from tests.bench import SMALL, Bench, in_child
from util import background
from util.training.checkpoint import Checkpoint

REPOSITORY = Path(__file__).parents[1]
# Steps of 2 images, 5 to an epoch. Reports at steps 3, 6, 9, 12, 15; saves at 4, 8, 12 and at the end.
USUAL = "--n_epochs 3 --print_freq 6 --save_latest_freq 8 --save_epoch_freq 2 --ema .9 --flip"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A bench with the run ``whole`` (USUAL), which nothing interrupted."""
    bench = Bench(tmp_path_factory.mktemp("undisturbed"))
    bench.small(f"--name whole {USUAL}")
    return bench


@contextlib.contextmanager
def interrupted(step, action):
    """Within the block, do ``action`` after the optimization of that step."""
    call = Stepper.__call__

    def stepped(self, batch, number):
        losses = call(self, batch, number)
        if number == step:
            action()
        return losses

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stepper, "__call__", stepped)
        yield


def by(number):
    """Return a function that sends a signal to this process, if that would not end the tests."""

    def send():
        if number != signal.SIGKILL:
            assert getattr(signal.getsignal(number), "__self__", None), "nothing waits for the signal"
        os.kill(os.getpid(), number)

    return send


def state(folder):
    return torch.load(folder / "latest_state.pth", weights_only=True)


def assert_same(found, expected, where=""):
    """Compare tensors bit for bit, and all around them."""
    assert type(found) is type(expected), where
    if isinstance(found, dict):
        assert found.keys() == expected.keys(), where
        for key in found:
            assert_same(found[key], expected[key], f"{where}/{key}")
    elif isinstance(found, list | tuple):
        assert len(found) == len(expected), where
        for i, pair in enumerate(zip(found, expected, strict=True)):
            assert_same(*pair, f"{where}/{i}")
    elif isinstance(found, torch.Tensor):
        assert found.dtype == expected.dtype and torch.equal(found, expected), where
    else:
        assert found == expected, where


def assert_same_run(folder, expected):
    """Compare all that two runs left, apart from the clock."""
    states = [state(f) for f in (folder, expected)]
    for s in states:
        del s["logs"]  # lengths of files that hold the clock
    assert_same(*states)
    assert (folder / "losses.csv").read_bytes() == (expected / "losses.csv").read_bytes()
    assert (folder / "web/log.js").read_bytes() == (expected / "web/log.js").read_bytes()
    clock = r"time: \S+, data: [^)]*|Training Loss .*"
    logs = [re.sub(clock, "", (f / "loss_log.txt").read_text()) for f in (folder, expected)]
    assert logs[0] == logs[1]
    timings = [
        {int(line.split(",")[0]) for line in (f / "timing.csv").read_text().splitlines()[1:]}
        for f in (folder, expected)
    ]
    assert timings[0] == timings[1]
    names = [sorted(p.relative_to(f).as_posix() for p in f.rglob("*")) for f in (folder, expected)]
    assert names[0] == names[1]
    for name in names[1]:
        if name.endswith(".png"):
            assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
        elif "_net_" in name:
            assert_same(torch.load(folder / name), torch.load(expected / name), name)


def test_runs_of_the_same_options_are_equal_and_of_another_seed_are_not(undisturbed):
    undisturbed.small(f"--name again {USUAL}")
    assert_same_run(undisturbed.run_dir("again"), undisturbed.run_dir("whole"))
    undisturbed.small(f"--name other {USUAL} --seed 1")
    with pytest.raises(AssertionError):
        assert_same_run(undisturbed.run_dir("other"), undisturbed.run_dir("whole"))


# --- killed


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(3, id="before the first save"),
        pytest.param(5, id="last step of an epoch"),
        pytest.param(8, id="in the middle of epoch 2"),
        pytest.param(15, id="last step of all"),
    ],
)
def test_a_killed_run_goes_on_as_if_nothing_had_been(undisturbed, step):
    name = f"killed-{step}"
    with interrupted(step, by(signal.SIGKILL)):
        assert in_child(lambda: undisturbed.small(f"--name {name} {USUAL}")) == -signal.SIGKILL
    outcome = undisturbed.train(f"--name {name} --continue_train")
    assert outcome.status == 0, outcome.err
    assert outcome.err == ""
    assert_same_run(undisturbed.run_dir(name), undisturbed.run_dir("whole"))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_killed_run_goes_on_exactly_in_every_precision(undisturbed, precision):
    options = f"{USUAL} --precision {precision}"
    undisturbed.small(f"--name {precision} {options}")
    with interrupted(8, by(signal.SIGKILL)):
        assert in_child(lambda: undisturbed.small(f"--name killed-{precision} {options}")) == -signal.SIGKILL
    assert undisturbed.train(f"--name killed-{precision} --continue_train").status == 0
    assert_same_run(undisturbed.run_dir(f"killed-{precision}"), undisturbed.run_dir(precision))
    assert ("scaler" in state(undisturbed.run_dir(precision))) == (precision == "fp16")


def test_a_run_gone_on_with_in_another_precision_says_so(undisturbed):
    undisturbed.small(f"--name other-precision {USUAL} --precision fp32")
    outcome = undisturbed.train("--name other-precision --continue_train --precision bf16 --n_epochs 4")
    assert outcome.status == 0
    assert "resumes on bf16, channels last; results will differ in the last bits from those on fp32" in outcome.err


def test_a_run_may_be_killed_again_and_again(undisturbed):
    with interrupted(7, by(signal.SIGKILL)):
        assert in_child(lambda: undisturbed.small(f"--name often {USUAL}")) == -signal.SIGKILL
    for step in (7, 14):
        with interrupted(step, by(signal.SIGKILL)):
            assert in_child(lambda: undisturbed.train("--name often --continue_train")) == -signal.SIGKILL
    assert undisturbed.train("--name often --continue_train").status == 0
    assert_same_run(undisturbed.run_dir("often"), undisturbed.run_dir("whole"))


@pytest.mark.parametrize(("when", "save"), [("before", 1), ("before", 4), ("before", 6), ("after", 4), ("after", 6)])
def test_a_run_killed_around_a_save_leaves_no_old_network_behind(undisturbed, when, save):
    """The saves: at the start, after steps 4, 8, at the end of epoch 2 (numbered), after step 12, at the end."""
    write, name, calls = Checkpoint.save, f"save-{save}-{when}", []

    def saved(self):
        calls.append(self)
        if len(calls) == save and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        write(self)
        if len(calls) == save:
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "save", saved)
        assert in_child(lambda: undisturbed.small(f"--name {name} {USUAL}")) == -signal.SIGKILL
    if (save, when) == (1, "before"):  # nothing was ever saved, so there is nothing to go on from
        outcome = undisturbed.train(f"--name {name} --continue_train")
        assert outcome.status == 1
        assert outcome.err.count("\n") == 1 and "latest_state.pth" in outcome.err
        return
    assert undisturbed.train(f"--name {name} --continue_train").status == 0
    assert_same_run(undisturbed.run_dir(name), undisturbed.run_dir("whole"))


@contextlib.contextmanager
def killed_at_job(number):
    """Within the block, send SIGKILL to this process when its background has done so many jobs."""
    do, calls = background._Job.__call__, []

    def called(self):
        calls.append(self)
        if len(calls) > number:
            os.kill(os.getpid(), signal.SIGKILL)
        do(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(background._Job, "__call__", called)
        yield


@contextlib.contextmanager
def slow_disk(seconds=0.1):
    """Within the block, let each file of tensors take its time, so that the training is far ahead of it."""
    write = torch.save

    def slowly(content, file):
        time.sleep(seconds)
        write(content, file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "save", slowly)
        yield


@pytest.mark.parametrize("number", [2, 5, 6, 7, 13, 21, 22, 32, 37])
def test_a_run_killed_between_any_two_things_it_writes_goes_on(undisturbed, number):
    name = f"job-{number}"
    with killed_at_job(number):
        assert in_child(lambda: undisturbed.small(f"--name {name} {USUAL}")) == -signal.SIGKILL
    outcome = undisturbed.train(f"--name {name} --continue_train")
    assert outcome.status == 0, outcome.err
    assert_same_run(undisturbed.run_dir(name), undisturbed.run_dir("whole"))


@pytest.mark.parametrize("step", [5, 9, 15])
def test_a_run_killed_far_ahead_of_a_slow_disk_goes_on(undisturbed, step):
    name = f"ahead-{step}"
    with slow_disk(), interrupted(step, by(signal.SIGKILL)):
        assert in_child(lambda: undisturbed.small(f"--name {name} {USUAL}")) == -signal.SIGKILL
    assert state(undisturbed.run_dir(name))["progress"]["step"] < step - 1
    assert undisturbed.train(f"--name {name} --continue_train").status == 0
    assert_same_run(undisturbed.run_dir(name), undisturbed.run_dir("whole"))


def test_a_file_that_a_killed_process_left_half_written_goes(undisturbed):
    write = torch.save

    def half(content, file):
        write(content, file)
        if isinstance(content, dict) and content.get("progress", {}).get("step") == 12:
            file.truncate(1000)
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "save", half)
        assert in_child(lambda: undisturbed.small(f"--name half {USUAL}")) == -signal.SIGKILL
    folder = undisturbed.run_dir("half")
    assert len(list(folder.glob(".latest_state.pth.*.tmp"))) == 1
    assert state(folder)["progress"]["step"] == 10
    assert undisturbed.train("--name half --continue_train").status == 0
    assert_same_run(folder, undisturbed.run_dir("whole"))


def test_the_script_itself_goes_on_in_a_process_of_its_own(undisturbed):
    with interrupted(7, by(signal.SIGKILL)):
        assert in_child(lambda: undisturbed.small(f"--name real {USUAL}")) == -signal.SIGKILL
    command = [sys.executable, str(REPOSITORY / "train.py"), "--name", "real", "--continue_train"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=undisturbed.folder, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "resuming checkpoints/real on cpu" in done.stdout
    assert_same_run(undisturbed.run_dir("real"), undisturbed.run_dir("whole"))


def test_decoding_processes_that_outlive_their_master_do_not_hold_the_run(undisturbed):
    options = f"{USUAL} --cache off --num_threads 2"
    with interrupted(7, by(signal.SIGKILL)):
        assert in_child(lambda: undisturbed.small(f"--name workers {options}")) == -signal.SIGKILL
    outcome = undisturbed.train("--name workers --continue_train --num_threads 0")
    assert outcome.status == 0, outcome.err
    assert_same_run(undisturbed.run_dir("workers"), undisturbed.run_dir("whole"))


# --- asked to stop


@pytest.mark.parametrize(
    ("number", "step"), [(signal.SIGTERM, 1), (signal.SIGINT, 5), (signal.SIGTERM, 8), (signal.SIGINT, 15)]
)
def test_a_run_that_is_asked_to_stop_saves_first(undisturbed, number, step):
    name = f"stopped-{number}-{step}"
    options = f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name {name} {USUAL} --save_latest_freq 100000"
    with interrupted(step, by(number)):
        outcome = undisturbed.train(options)
    assert outcome.status == 128 + number
    assert outcome.out.splitlines()[-1] == (
        f"stopped after step {step}; everything is saved. To resume: python train.py --name {name} --continue_train"
    )
    assert state(undisturbed.run_dir(name))["progress"]["step"] == step
    assert undisturbed.train(f"--name {name} --continue_train").status == 0
    assert_same_run(undisturbed.run_dir(name), undisturbed.run_dir("whole"))
    assert signal.getsignal(number) not in (None, signal.SIG_IGN)


@pytest.mark.parametrize("step", [9, 15])
def test_a_run_that_is_asked_to_stop_or_ends_waits_for_a_slow_disk(undisturbed, step):
    name = f"slow-{step}"
    options = f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name {name} {USUAL}"
    with slow_disk(), interrupted(9, by(signal.SIGTERM)) if step == 9 else contextlib.nullcontext():
        outcome = undisturbed.train(options)
    assert outcome.status == (128 + signal.SIGTERM if step == 9 else 0)
    assert state(undisturbed.run_dir(name))["progress"]["step"] == step
    assert undisturbed.train(f"--name {name} --continue_train").status == 0
    assert_same_run(undisturbed.run_dir(name), undisturbed.run_dir("whole"))


@pytest.mark.parametrize("stop", [True, False])
def test_the_last_save_that_fails_is_told_of(undisturbed, monkeypatch, stop):
    """A stop at step 13, or the end of the run: nothing comes after it that could raise the error."""
    write, name = torch.save, f"full-{stop}"

    def full(content, file):
        if content.get("progress", {}).get("step", 0) > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(content, file)

    options = f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name {name} {USUAL}"
    monkeypatch.setattr(torch, "save", full)
    with interrupted(13, by(signal.SIGTERM)) if stop else contextlib.nullcontext():
        outcome = undisturbed.train(options)
    monkeypatch.undo()
    assert outcome.status == 1
    assert outcome.err == (
        f"train.py: error: cannot save checkpoints/{name}/latest_state.pth: No space left on device; "
        "what was saved there before is still whole\n"
    )
    assert "all is saved" not in outcome.out
    assert state(undisturbed.run_dir(name))["progress"]["step"] == 12
    assert undisturbed.train(f"--name {name} --continue_train").status == 0
    assert_same_run(undisturbed.run_dir(name), undisturbed.run_dir("whole"))


def test_a_run_that_fails_writes_what_it_was_about_to(undisturbed):
    with slow_disk(), interrupted(9, lambda: sys.exit(9)):
        outcome = undisturbed.train(f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name fails {USUAL}")
    assert outcome.status == 9
    assert state(undisturbed.run_dir("fails"))["progress"]["step"] == 8


def test_the_system_sees_the_status_of_a_stopped_process(undisturbed):
    options = f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name status {USUAL}"
    with interrupted(2, by(signal.SIGTERM)):
        assert in_child(lambda: undisturbed.train(options)) == 128 + signal.SIGTERM


def test_ctrl_c_reaches_the_decoding_processes_too_and_the_run_is_saved(undisturbed):
    options = f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name group {USUAL} --cache off --num_threads 2"

    def train():
        os.setpgid(0, 0)
        return undisturbed.train(options)

    with interrupted(7, lambda: os.killpg(0, signal.SIGINT)):
        assert in_child(train) == 128 + signal.SIGINT
    assert state(undisturbed.run_dir("group"))["progress"]["step"] == 7


def test_a_second_ctrl_c_stops_at_once(undisturbed):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with interrupted(2, twice):
        outcome = undisturbed.train(f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name twice {USUAL}")
    assert outcome.status == 128 + signal.SIGINT
    assert "stopped" in outcome.err and outcome.err.count("\n") == 1
    assert state(undisturbed.run_dir("twice"))["progress"]["step"] == 0
    assert undisturbed.train("--name twice --continue_train").status == 0


def test_the_command_to_go_on_that_is_printed_works(undisturbed):
    options = f"--model cgan --dataroot hands --batch_size 2 {SMALL} {USUAL} --checkpoints_dir 'my runs'"
    with interrupted(2, by(signal.SIGTERM)):
        outcome = undisturbed.train(options, "--name", "it's (mine) & 手")
    command = outcome.out.splitlines()[-1].split("To resume: ")[1]
    python, script, *words = shlex.split(command)
    assert (python, script) == ("python", "train.py")
    assert undisturbed.train("", *words).status == 0
    assert_same_run(undisturbed.folder / "my runs" / "it's (mine) & 手", undisturbed.run_dir("whole"))


# --- what may change, and what must not


def test_a_run_trained_further_equals_one_that_was_as_long_from_the_start(undisturbed):
    undisturbed.small(f"--name longer {USUAL} --n_epochs 5")
    undisturbed.small(f"--name further {USUAL}")
    again = undisturbed.train("--name further --continue_train")
    assert again.status == 0
    assert "has had its 3 epochs; a larger --n_epochs trains on" in again.out
    assert_same_run(undisturbed.run_dir("further"), undisturbed.run_dir("whole"))
    assert undisturbed.train("--name further --continue_train --n_epochs 5").status == 0
    assert_same(state(undisturbed.run_dir("further"))["model"], state(undisturbed.run_dir("longer"))["model"])
    assert (undisturbed.run_dir("further") / "losses.csv").read_bytes() == (
        undisturbed.run_dir("longer") / "losses.csv"
    ).read_bytes()


def test_a_run_whose_penalties_come_seldom_goes_on_where_it_was(undisturbed):
    options = f"{USUAL} --gan_mode rpgan --r1_gamma 1 --r2_gamma 1 --penalty_freq 3 --norm_D none"
    undisturbed.small(f"--name lazy {options}")
    with interrupted(7, by(signal.SIGKILL)):
        assert in_child(lambda: undisturbed.small(f"--name lazy-2 {options}")) == -signal.SIGKILL
    assert undisturbed.train("--name lazy-2 --continue_train").status == 0
    assert_same_run(undisturbed.run_dir("lazy-2"), undisturbed.run_dir("lazy"))
    header = (undisturbed.run_dir("lazy") / "losses.csv").read_text().splitlines()[0].split(",")
    assert {"D_pair", "r1", "r2", "G"} <= set(header)


@pytest.mark.parametrize("policy", ["constant", "linear", "step", "cosine", "plateau"])
def test_every_learning_rate_policy_goes_on_where_it_was(undisturbed, monkeypatch, policy):
    monkeypatch.setattr("util.training.schedule.ReduceLROnPlateau", impatient)
    options = f"--n_epochs 1 --n_epochs_decay 3 --lr_policy {policy} --lr_decay_iters 2 --lr .05 --save_epoch_freq 0"
    undisturbed.small(f"--name {policy} {options}")
    with interrupted(13, by(signal.SIGTERM)):
        undisturbed.train(f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name {policy}-2 {options}")
    assert undisturbed.train(f"--name {policy}-2 --continue_train").status == 0
    assert_same_run(undisturbed.run_dir(f"{policy}-2"), undisturbed.run_dir(policy))
    lines = (undisturbed.run_dir(policy) / "web/log.js").read_text().splitlines()
    rates = [entry["lr"] for line in lines if (entry := json.loads(line[7:-2]))["kind"] == "epoch"]
    assert len(rates) == 4
    assert (len(set(rates)) == 1) == (policy == "constant"), rates


def impatient(optimizer, **arguments):
    """A plateau after two epochs, so that it is seen within four."""
    return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **arguments | {"patience": 0, "threshold": 0.9})


@pytest.mark.parametrize(
    "options",
    [
        "--cache ram --num_threads 0 --print_freq 1",
        "--cache disk --print_freq 1000000 --display_freq 2",
        "--cache off --num_threads 0 --save_latest_freq 2",
        "--cache off --num_threads 2 --display none",
        "--save_epoch_freq 1 --verbose",
    ],
)
def test_the_weights_do_not_depend_on_how_fast_or_how_often(undisturbed, options):
    name = options.removeprefix("--").replace(" ", "_")
    undisturbed.small(f"--name {name} {USUAL} {options}")
    found, expected = state(undisturbed.run_dir(name)), state(undisturbed.run_dir("whole"))
    for part in ("model", "optimizer_G", "optimizer_D", "moving_average", "progress"):
        assert_same(found[part], expected[part], part)
    shutil.rmtree(undisturbed.run_dir(name))


def test_the_weights_do_depend_on_what_should_change_them(undisturbed):
    for options in ("--no_flip", "--lr .1"):
        undisturbed.small(f"--name changed {USUAL} {options} --overwrite")
        with pytest.raises(AssertionError):
            assert_same(state(undisturbed.run_dir("changed"))["model"], state(undisturbed.run_dir("whole"))["model"])


@pytest.mark.parametrize(
    "frequencies", ["--print_freq 2 --display_freq 2 --save_latest_freq 2 --num_threads 0 --cache off"]
)
def test_frequencies_changed_on_the_way_do_not_change_the_weights(undisturbed, frequencies):
    with interrupted(7, by(signal.SIGKILL)):
        in_child(lambda: undisturbed.small(f"--name frequent {USUAL}"))
    assert undisturbed.train(f"--name frequent --continue_train {frequencies}").status == 0
    assert_same(state(undisturbed.run_dir("frequent"))["model"], state(undisturbed.run_dir("whole"))["model"])


def test_what_must_not_change_is_refused_and_the_run_left_as_it_was(bench):
    bench.small("--name a --n_epochs 1")
    before = {p: p.read_bytes() for p in bench.run_dir("a").rglob("*") if p.is_file()}
    for options in ("--hidden_G 9", "--batch_size 5", "--model template", "--lr_policy step"):
        outcome = bench.train(f"--name a --continue_train {options}")
        assert outcome.status == 2
        assert outcome.err.count("\n") == 1 and "run 'a' was started with" in outcome.err
    assert {p: p.read_bytes() for p in bench.run_dir("a").rglob("*") if p.is_file()} == before


def test_data_of_other_classes_is_refused(bench):
    bench.small("--name a --n_epochs 1")
    (bench.folder / "hands/rock").rename(bench.folder / "hands/hand")
    outcome = bench.train("--name a --continue_train --n_epochs 2")
    assert outcome.status == 1
    assert outcome.err.count("\n") == 1
    assert "class rock is gone and class hand is new" in outcome.err


def test_the_data_may_have_moved(bench):
    bench.small("--name a --n_epochs 2")
    bench.small("--name b --n_epochs 1")
    (bench.folder / "hands").rename(bench.folder / "moved")
    assert bench.train("--name b --continue_train --n_epochs 2").status == 2
    assert bench.train("--name b --continue_train --n_epochs 2 --dataroot moved").status == 0
    assert_same(state(bench.run_dir("b"))["model"], state(bench.run_dir("a"))["model"])


def test_a_run_that_began_from_another_goes_on_without_it(bench):
    bench.small("--name first --n_epochs 1")
    bench.small("--name second --n_epochs 2 --init_from first")
    bench.small("--name third --n_epochs 1 --init_from first")
    shutil.rmtree(bench.run_dir("first"))
    outcome = bench.train("--name third --continue_train --n_epochs 2")
    assert outcome.status == 0, outcome.err
    assert_same(state(bench.run_dir("third"))["model"], state(bench.run_dir("second"))["model"])


def test_logs_that_were_deleted_do_not_stop_a_run(bench):
    bench.small("--name a --n_epochs 1 --print_freq 2")
    folder = bench.run_dir("a")
    shutil.rmtree(folder / "web")
    for name in ("loss_log.txt", "timing.csv", "losses.csv"):
        (folder / name).unlink()
    outcome = bench.train("--name a --continue_train --n_epochs 2")
    assert outcome.status == 0, outcome.err
    assert len((folder / "losses.csv").read_text().splitlines()) == 1 + 5


def test_the_record_of_a_run_keeps_its_beginning_and_every_resumption(bench):
    bench.small("--name a --n_epochs 1")
    for epochs in (2, 3):
        assert bench.train(f"--name a --continue_train --n_epochs {epochs}").status == 0
    record = yaml.safe_load((bench.run_dir("a") / "options.yaml").read_text())
    assert record["run"]["n_epochs"] == 3
    assert len(record["about"]["resumed"]) == 2
    assert "resumed" not in record["about"]["resumed"][0]
    assert not {"continue_train", "overwrite", "config"} & set(record["run"])


def test_a_diverged_run_keeps_its_last_good_state(bench):
    options = f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name a --n_epochs 3"
    outcome = bench.train(f"{options} --lr 1e30 --print_freq 1000 --save_latest_freq 2")
    assert outcome.status == 1
    assert outcome.err.startswith("train.py: error: training diverged: ") and outcome.err.count("\n") == 1
    saved = state(bench.run_dir("a"))
    assert all(torch.isfinite(value).all() for value in saved["model"].values())


# --- time


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_the_time_of_all_that_was_trained_is_recorded(bench, number):
    """Steps of 2 images, 5 to an epoch, saves at 4, 8, 12: one that is killed does step 9 again, and counts it once."""
    with interrupted(9, by(number)):
        assert in_child(lambda: bench.small(f"--name a {USUAL}")) != 0
    assert bench.train("--name a --continue_train").status == 0
    with (bench.run_dir("a") / "timing.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    ends = [int(row["images"]) for row in rows]
    trained = [round(float(row["seconds"]) * float(row["images_per_second"])) for row in rows]
    assert ends == sorted(set(ends)) and ends[-1] == 30
    assert sum(trained) == pytest.approx(30, abs=2)
