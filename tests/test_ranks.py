"""Runs of two processes: they keep together, only one of them writes, and nothing is lost when they stop."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from models.step.stepper import Stepper
from tests.bench import SMALL, Bench, save_images
from tests.ranks import together
from tests.test_resume import assert_same_run, by, interrupted, state
from tests.tiny_models import LEARNERS, create, make_batch
from util import distributed
from util.seeding import seed_all
from util.training.reporter import Reporter, Silent

REPOSITORY = Path(__file__).parents[1]
# Steps of 2 images, one a process, 5 to an epoch; what batch norm knows differs from process to process.
USUAL = "--batch_size 1 --n_epochs 3 --print_freq 6 --save_latest_freq 8 --save_epoch_freq 2 --ema .9 --flip"
USUAL += " --sync_batchnorm off --netG conv --netD conv --image_size 32 --ngf 2 --ndf 2"
TERMINATE = by(signal.SIGTERM)


def both(bench, options, folder, at=0, action=TERMINATE):
    """Train in two processes, the second of which does ``action`` at step ``at``; return how both ended."""

    def train():
        command = f"--model cgan --dataroot hands {SMALL} {options}" if "--model" not in options else options
        if at and distributed.local_rank() == 1:
            with interrupted(at, action):
                return bench.train(command)
        return bench.train(command)

    folder.mkdir(exist_ok=True)
    return together(train, folder, starts=False)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A bench with the run ``whole`` of two processes, which nothing interrupted."""
    bench = Bench(tmp_path_factory.mktemp("undisturbed"))
    first, second = both(bench, f"--name whole {USUAL}", bench.folder / "out")
    assert (first.status, second.status) == (0, 0), first.err + second.err
    assert "2 processes with 1 images each, 2 per training step" in first.out
    assert first.err.count("--sync_batchnorm off") == 1
    assert (second.out, second.err) == ("", "")
    return bench


def test_a_run_of_two_processes_counts_the_images_of_both(undisturbed):
    saved = state(undisturbed.run_dir("whole"))
    assert saved["progress"] == {"epoch": 4, "step": 15, "images": 30, "epoch_step": 0}
    own = saved["processes"]["buffers"]
    assert len(own) == 2 and any("running_mean" in name for name in own[0])
    assert any(not torch.equal(own[0][name], own[1][name]) for name in own[0])


def test_a_signal_to_one_process_stops_both_at_one_step_and_the_run_goes_on_as_if_nothing_had_been(undisturbed):
    stopped = both(undisturbed, f"--name stopped {USUAL}", undisturbed.folder / "out", at=7)
    assert [outcome.status for outcome in stopped] == [128 + signal.SIGTERM] * 2
    assert "stopped after step 7" in stopped[0].out
    resumed = both(undisturbed, "--model cgan --name stopped --continue_train", undisturbed.folder / "out")
    assert [outcome.status for outcome in resumed] == [0, 0], resumed[0].err
    assert_same_run(undisturbed.run_dir("stopped"), undisturbed.run_dir("whole"))


def test_one_process_goes_on_with_a_run_of_two_and_says_that_it_is_not_exact(undisturbed):
    both(undisturbed, f"--name fewer {USUAL}", undisturbed.folder / "out", at=7)
    outcome = undisturbed.train("--name fewer --continue_train --num_processes 1")
    assert outcome.status == 0, outcome.err
    assert "resumes with 1 processes instead of 2" in outcome.err
    assert state(undisturbed.run_dir("fewer"))["progress"]["images"] == 30


def test_the_first_process_measures_and_both_know_the_outcome(bench):
    for folder in ("trainA", "trainB", "testA", "testB"):
        save_images(bench.folder / "pairs", (folder,), num=8, size=32)
    options = "--model pix2pix --dataset_mode aligned --dataroot pairs --netG unet_32 --ngf 4 --ndf 4 --netD n_layers"
    options += (
        " --n_layers_D 1 --load_size 32 --crop_size 32 --device cpu --batch_size 1 --n_epochs 4 --n_epochs_decay 0"
    )
    options += " --name p --n_epochs 4 --eval_freq 8 --metrics psnr --early_stop 1"
    outcomes = both(bench, options, bench.folder / "out")
    assert [outcome.status for outcome in outcomes] == [0, 0], outcomes[0].err
    folder = bench.run_dir("p")
    rows = (folder / "metrics.csv").read_text().splitlines()
    assert 1 < len(rows) <= 5
    assert state(folder)["progress"]["images"] == 8 * (len(rows) - 1)  # both ended at the same step
    assert (folder / "best.yaml").exists()


def steps():
    """Take 20 steps of each kind of model, each process on its own images and numbers; return the bytes of weights."""
    weights = {}
    for case in sorted({"pix2pix wgangp", "gan ada", *{case.split()[0]: case for case in LEARNERS}.values()}):
        model = create(case)
        for step in range(1, 21):
            batch = make_batch(case, seed=10 * step + distributed.rank())
            seed_all(0, step, distributed.rank())
            model.optimize_parameters(batch, step)
        weights[case] = torch.cat([p.detach().flatten() for p in model.parameters()]).numpy().tobytes()
    return weights


def test_weights_of_every_model_stay_equal_bit_for_bit(tmp_path):
    first, second = together(steps, tmp_path)
    assert len({case.split()[0] for case in first}) == len({case.split()[0] for case in LEARNERS})
    for case in first:
        assert first[case] == second[case], case


@pytest.mark.parametrize(("options", "status"), [("--name new --netG cnv", 2), ("--name old", 1)])
def test_a_mistake_is_one_line_before_anything_is_started(bench, options, status):
    (bench.run_dir("old") / "web").mkdir(parents=True)
    start = time.monotonic()
    outcome = bench.train(f"--model cgan --dataroot hands {SMALL} --num_processes 2 {options}")
    assert outcome.status == status
    assert outcome.err.count("\n") == 1
    assert time.monotonic() - start < 5


def test_num_processes_starts_them(tmp_path):
    save_images(tmp_path / "hands")
    command = [sys.executable, str(REPOSITORY / "train.py"), "--model", "cgan", "--dataroot", "hands", *SMALL.split()]
    command += ["--num_processes", "2", "--batch_size", "2", "--n_epochs", "1", "--display", "none", "--name", "two"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert state(tmp_path / "checkpoints/two")["progress"]["images"] == 8


@pytest.mark.parametrize("step", [pytest.param(1, id="soon"), pytest.param(9, id="in the middle of epoch 2")])
def test_after_a_killed_process_the_same_command_goes_on_as_if_nothing_had_been(undisturbed, step):
    options = f"--name killed-{step} {USUAL} --resume_or_start"
    survivor = both(undisturbed, options, undisturbed.folder / "out", at=step, action=by(signal.SIGKILL))[0]
    assert survivor.status == 1
    assert survivor.err.splitlines()[-1].startswith("train.py: error: another process has ended")
    again = both(undisturbed, options, undisturbed.folder / "out")
    assert [outcome.status for outcome in again] == [0, 0], again[0].err
    assert_same_run(undisturbed.run_dir(f"killed-{step}"), undisturbed.run_dir("whole"))


def test_a_process_that_hangs_is_given_up_after_dist_timeout(undisturbed):
    options = f"--name hangs {USUAL} --dist_timeout 2"
    start = time.monotonic()
    outcomes = both(undisturbed, options, undisturbed.folder / "out", at=3, action=lambda: time.sleep(8))
    assert time.monotonic() - start < 60
    assert [outcome.status for outcome in outcomes] == [1, 1]
    assert "--dist_timeout" in outcomes[0].err


def test_numbers_that_are_not_finite_in_one_process_end_both_and_the_last_state_is_sound(undisturbed):
    def train():
        call = Stepper.__call__

        def spoiled(self, batch, step):
            if step == 6 and distributed.rank() == 1:
                batch["image"] = batch["image"] * float("nan")
            return call(self, batch, step)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Stepper, "__call__", spoiled)
            return undisturbed.train(f"--model cgan --dataroot hands {SMALL} --name nan {USUAL}")

    first, second = together(train, undisturbed.folder / "out", starts=False)
    assert (first.status, second.status) == (1, 1)
    told = [line for line in (first.err + second.err).splitlines() if "not finite" in line]
    assert len(told) == 1, first.err + second.err
    assert state(undisturbed.run_dir("nan"))["progress"]["step"] < 6
    weights = torch.load(undisturbed.run_dir("nan") / "latest_net_G.pth", weights_only=True)
    assert all(weight.isfinite().all() for weight in weights.values())


def test_a_silent_process_overrides_all_that_a_reporter_shows():
    said = {name for name, member in vars(Reporter).items() if callable(member) and not name.startswith("_")}
    assert said - vars(Silent).keys() == {"begin_epoch", "seconds_left"}  # a bar that is off, and a question
