"""The benchmark: the reference computes what ours computes, and the script measures both."""

import contextlib
import csv
import io
import re
import runpy
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock
from xml.etree import ElementTree

import numpy as np
import pytest
from torch.testing import assert_close

from data.loading.loader import Loader
from models.adversarial import AdversarialModel
from models.step.stepper import Stepper
from scripts import benchmark
from scripts.speed import end_to_end, job, worker
from scripts.speed.end_to_end import figures
from scripts.speed.reference import OURS_ALONE, STEPS, create_reference
from scripts.speed.report import Figures
from scripts.speed.side import Side
from tests.bench import save_images
from tests.tiny_models import LEARNERS, TINY, create, make_batch
from util.seeding import seed_all
from util.training.run import Run
from util.types import Batch

COMPARED = [case for case in LEARNERS if not any(TINY[case][0].get(name) for name in OURS_ALONE)]
ROOT = Path(__file__).parents[1]
MLP = "--netG mlp --netD mlp --hidden_G 8,8 --hidden_D 8,8,8 --nz 4 --device cpu"


def save_idx(folder, num=12):
    """Write grey images of 28 pixels and their labels as MNIST has them."""
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (num, 28, 28), np.uint8)
    head = b"\0\0\x08\x03" + struct.pack(">3I", *pixels.shape)
    (folder / "train-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
    labels = (np.arange(num) % 3).astype(np.uint8)
    (folder / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + struct.pack(">I", num) + labels.tobytes())


def rows_of(file):
    return list(csv.DictReader(file.read_text().splitlines()))


def draw_once(reference):
    """Let every draw of a step give what its first gave, as our step has it; return what ends a step."""
    kept: list[Any] = []
    draw = reference.draw

    def draw_first(batch):
        if not kept:
            kept.append(draw(batch))
        return kept[0]

    reference.draw = draw_first
    return kept.clear


@pytest.mark.parametrize("case", COMPARED)
def test_the_reference_computes_the_losses_of_our_step(case, monkeypatch):
    # In one pass for real and generated images dropout draws other numbers; tests/test_adversarial.py compares the two.
    monkeypatch.setattr(AdversarialModel, "together", lambda self, use, net, *groups: [use(net, *g) for g in groups])
    pool = {}
    if (
        "pool_size" in TINY[case][0]
    ):  # as long as it fills, it is no matter of chance; its coins go before the penalty's
        pool = {"pool_size": 0 if "wgangp" in case else 50}
    ours, theirs = create(case, **pool), create(case, **pool)
    reference = create_reference(case.split()[0], theirs)
    forget = draw_once(reference) if hasattr(reference, "draw") else list
    for step in range(1, 1 + max(2, getattr(ours.opt, "n_critic", 1))):
        batch = make_batch(case, seed=step)
        seed_all(0, step)
        wanted = ours.optimize_parameters(Batch(batch), step)
        seed_all(0, step)
        forget()
        losses = {name: loss.detach() for name, loss in reference(Batch(batch), step).items()}
        assert_close({name: losses[name] for name in wanted}, wanted, rtol=1e-4, atol=1e-4)
        assert set(losses) == set(wanted)


def test_every_model_that_trains_has_a_reference():
    assert {case.split()[0] for case in COMPARED} == set(STEPS) == {case.split()[0] for case in LEARNERS}


def call(capsys, *words):
    """Run the script in this process; return its status and what it said."""
    status = 0
    try:
        benchmark.main(words)
    except SystemExit as stop:
        status = int(stop.code or 0)
    said = capsys.readouterr()
    return status, said.out, said.err


def test_both_sides_are_timed_and_written(tmp_path, capsys):
    out = tmp_path / "b.csv"
    words = f"--model wgan --image_size 8 --batch_size 4 --steps 2 --rounds 3 --device cpu --out {out}"
    status, said, err = call(capsys, *words.split())
    assert status == 0, err
    assert re.search(r"wgan_8_b4 \(cpu\) +ms/step +spread % +img/s +peak GiB +start-up s +first step s\n", said)
    (row,) = rows_of(out)
    assert list(row) == ["job", "device", "reference_ms", "ours_ms", "ratio", "reference_gib", "ours_gib"]
    assert (row["job"], row["device"]) == ("wgan_8_b4", "cpu")
    figures = {name: float(value) for name, value in row.items() if name not in ("job", "device")}
    assert figures["ratio"] == pytest.approx(figures["reference_ms"] / figures["ours_ms"], rel=0.01)
    assert all(0.05 < figures[f"{side}_gib"] < 4 for side in ("reference", "ours"))
    assert ElementTree.parse(out.with_suffix(".svg")).getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        ("", 2, "--model is required: one of cgan"),
        ("--model cgn", 2, "did you mean 'cgan'?"),
        ("--model cgan --stesp 3", 2, "there is no option --stesp here; did you mean '--steps'?"),
        ("--model cgan --batch_sise 3", 2, "did you mean '--batch_size'?"),
        ("--model cgan --batch_size 0", 2, "--batch_size: 0 is too small"),
        ("--job cyclegan_256", 2, "'cyclegan_256' is no job; did you mean 'cyclegan_256_b"),
        ("--suite --model cgan", 2, "leave --job and --model out"),
        ("--model cgan --end_to_end", 2, "name it by --dataroot"),
        ("--model cgan --dataroot rps_mini --against nowhere", 2, "--against nowhere: no train.py there"),
        ("--model cgan --device cuda:99", 1, "--device cuda:99: this machine shows torch"),
        ("--model cgan --out nowhere/b.csv", 1, "--out nowhere/b.csv: there is no folder nowhere"),
        ("--model cgan --out README.md", 1, "--out README.md is there and holds other columns"),
        ("--model test", 2, "python test.py"),
        ("--model cycle_gan --dataroot emoji_mini --end_to_end --device cpu", 1, "--against FOLDER"),
        ("--model cgan --dataroot rps_mini --end_to_end --flip --device cpu", 1, "--flip: the reference's loader"),
        ("--model cgan --diffaugment color --device cpu", 1, "--diffaugment: the reference has no such loss"),
        ("--model cgan --gan_mode rpgan --device cpu", 1, "--gan_mode: the reference has no such loss"),
        ("--model gan --r1_gamma 1 --device cpu", 1, "--r1_gamma: the reference has no such loss"),
        ("--model cgan --image_size 100 --device cpu", 1, "--netG conv makes images of 32, 64, 128, 256 pixels"),
        ("--model gan --batch_size 1 --device cpu", 1, "needs two images or more at a time"),
    ],
)
def test_mistakes_end_in_one_line_before_any_work(words, status, complaint, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(worker, "Worker", InThisProcess)
    found, _, err = call(capsys, *words.split(), "--plot", str(tmp_path / "p.svg"))
    assert not list(tmp_path.iterdir())
    assert (found, err.count("\n")) == (status, 1), err
    assert complaint in err


class InThisProcess:
    """A worker without a process of its own."""

    def __init__(self, name, job):
        side = Side(name, job)
        self.__dict__ = {what: getattr(side, what) for what in ("name", "warm_up", "steps", "gib", "data")}
        self.first = self.start_up = 1.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_the_loaders_are_timed_where_there_is_data(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(worker, "Worker", InThisProcess)
    monkeypatch.chdir(tmp_path)
    save_images(tmp_path / "hands")
    save_idx(tmp_path / "digits")
    for data in ("--dataroot hands --image_size 8 --workers 0", "--dataroot digits"):
        status, said, err = call(capsys, *f"--model cgan {MLP} --batch_size 4 --steps 1 --rounds 1 {data}".split())
        assert status == 0, err
        assert re.search(r" data ms .*\nreference( +[\d.]+){6}\nours( +[\d.]+){6}\nratio", said)
    assert (tmp_path / "results/speed.svg").exists()


def test_the_warm_up_goes_on_until_steps_are_as_they_will_be():
    (parsed,) = job.parse_jobs("", f"--model cgan {MLP} --image_size 8 --batch_size 4".split())
    side = Side("ours", parsed)
    side.warm_up(2)
    assert side.taken == 2
    side.stepper = mock.Mock(**{"__class__": object})
    type(side.stepper).is_settled = mock.PropertyMock(side_effect=[False, False, True])
    side.warm_up(2)
    assert side.taken == 2 + 2 + 2 * 2


class Here:
    """A process of Python that is run within this one, for want of time."""

    def __init__(self, command, stdout, stderr):
        self.returncode = 0
        with (
            mock.patch.multiple(sys, argv=command[1:], path=list(sys.path)),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(stderr),
            mock.patch("os.fsync"),
            mock.patch.object(Loader, "epoch", Loader.epoch),  # this and the next are watched here
            mock.patch.object(Stepper, "__call__", Stepper.__call__),
            mock.patch.object(Run, "__exit__", Run.__exit__),
        ):
            try:
                runpy.run_path(command[1], run_name="__main__")
            except SystemExit as stop:
                self.returncode = int(stop.code or 0)

    def poll(self):
        return self.returncode

    wait = kill = poll


@pytest.fixture
def in_one_process(monkeypatch, tmp_path):
    monkeypatch.setattr(end_to_end, "subprocess", SimpleNamespace(Popen=Here, DEVNULL=subprocess.DEVNULL))
    monkeypatch.chdir(tmp_path)
    save_images(tmp_path / "hands")
    save_idx(tmp_path / "digits")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (f"--job mnist_cgan_mlp --dataroot digits --batch_size 4 {MLP}", "reference"),
        (f"--model cgan --dataroot hands --image_size 8 --workers 0 --batch_size 4 {MLP} --end_to_end", "reference"),
        (f"--model gan --dataroot hands --image_size 8 --batch_size 4 {MLP} --n_epochs 2 --against {ROOT}", ROOT.name),
    ],
)
def test_whole_runs_are_timed(words, name, in_one_process, capsys):
    status, said, err = call(capsys, *words.split(), "--rounds", "1", "--save_epoch_freq", "1", "--out", "runs.csv")
    assert status == 0, err
    assert re.search(rf"\n{name}( +[\d.]+){{6}}\nours( +[\d.]+){{6}}\nratio", said)
    assert re.search(r" end to end \(cpu\) +ms/step +img/s +peak GiB +start-up s +epoch s +first epoch s\n", said)
    (row,) = rows_of(Path("runs.csv"))
    assert row["job"].endswith(" end to end")


def test_what_stops_a_run_is_said(in_one_process, capsys):
    words = f"--model cgan --dataroot hands --image_size 8 --workers 0 --batch_size 40 {MLP} --end_to_end"
    status, _, err = call(capsys, *words.split())
    assert (status, err.count("\n")) == (1, 1)
    assert "--batch_size 40 is more than the 12 images there are" in err
    assert call(capsys, *words.split(), "--n_epochs", "1")[0] == 1


def test_stamps_become_figures():
    noted = {"steps": [10.0], "epoch": [5.0, 9.0, 11.0], "end": [14.0], "step": [6.0], "gib": [2.0]}
    found = figures(noted, start=1.0)
    assert found == Figures(ms=250, gib=2, start_up=5, epoch=2.5, first_epoch=4)


def test_a_suite_goes_on_after_a_job_that_cannot_be_timed(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(job.JOBS, "small", f"--model cgan {MLP} --image_size 8 --batch_size 4 --steps 1 --rounds 1")
    monkeypatch.setitem(job.JOBS, "misfit", "--model cgan --image_size 100 --device cpu")
    monkeypatch.setattr(job, "SUITES", {"cpu": ("misfit", "small")})
    monkeypatch.setattr(worker, "Worker", InThisProcess)
    status, said, err = call(capsys, "--suite", "--device", "cpu", "--out", str(tmp_path / "s.csv"))
    assert status == 1
    assert "warning: --netG conv makes images of" in err
    assert err.endswith("benchmark.py: error: not timed: misfit\n")
    assert "small (cpu)" in said
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 2


def test_jobs_are_named_after_what_was_asked_for(capsys):
    for words, name in (
        ("--model cgan --image_size 64 --device cpu --lr .1 --steps 3", "cgan_64_b128 lr 0.1"),
        ("--job pix2pix_256_b1 --crop_size 128 --netG unet_128", "pix2pix_256_b1 netG unet_128 crop_size 128"),
    ):
        (one,) = job.parse_jobs("", words.split())
        assert one.name == name
    assert (one.config.data.crop_size, one.config.data.load_size) == (128, 128)
    kinds = [job.parse_job("", name, ["--dataroot", "rps_mini"] * (name[:3] in ("mni", "rps"))) for name in job.JOBS]
    assert [kind.name for kind in kinds] == list(job.JOBS)
    assert {name for names in job.SUITES.values() for name in names} == set(job.JOBS)
