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
from unittest import mock
from xml.etree import ElementTree

import numpy as np
import pytest

from data.loading.loader import Loader
from models.step.stepper import Stepper
from scripts import benchmark
from scripts.speed import job, side
from scripts.speed.end_to_end import figures
from scripts.speed.report import Timing
from scripts.speed.side import Side
from tests.bench import save_images
from util.training.run import Run

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
    words = f"--model cgan {MLP} --image_size 8 --batch_size 4 --steps 2 --rounds 3 --out {out}"
    status, said, err = call(capsys, *words.split())
    assert status == 0, err
    assert re.search(r"cgan_8_b4 nz 4 .*\(cpu\) +ms/step +spread % +img/s +peak GiB +start-up s +first step s\n", said)
    (row,) = rows_of(out)
    assert list(row) == ["job", "device", "reference_ms", "ours_ms", "ratio", "reference_gib", "ours_gib"]
    assert row["job"].startswith("cgan_8_b4 nz 4 netG mlp") and row["device"] == "cpu"
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
        ("--model cgan --device cuda:99", 1, "CUDA device"),
        ("--model cgan --out nowhere/b.csv", 1, "--out nowhere/b.csv: there is no folder nowhere"),
        ("--model cgan --out README.md", 1, "--out README.md is there and holds other columns"),
        ("--model test", 2, "python test.py"),
        ("--model cycle_gan --dataroot emoji_mini --end_to_end --device cpu", 1, "--against FOLDER"),
        ("--model cgan --dataroot rps_mini --end_to_end --flip --device cpu", 1, "--flip: the reference's loader"),
        ("--model cgan --diffaugment color --device cpu", 1, "--diffaugment: the reference has no such option"),
        ("--model cgan --gan_mode rpgan --device cpu", 1, "--gan_mode rpgan: the reference has only vanilla, lsgan"),
        ("--model cgan --r1_gamma 1 --norm_D none --device cpu", 1, "--r1_gamma: the reference has no such option"),
        ("--model gan --device cpu", 1, "--model gan: the reference has no step of it, only of cgan"),
        ("--model cgan --image_size 100 --device cpu", 1, "--netG conv makes images of 32, 64, 128, 256 pixels"),
        (
            "--model cgan --netG mlp --netD mlp --image_size 32 --batch_size 1 --device cpu",
            1,
            "needs two images or more at a time",
        ),
    ],
)
def test_mistakes_end_in_one_line_before_any_work(words, status, complaint, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(side, "Worker", InThisProcess)
    found, _, err = call(capsys, *words.split(), "--plot", str(tmp_path / "p.svg"))
    assert not list(tmp_path.iterdir())
    assert (found, err.count("\n")) == (status, 1), err
    assert complaint in err


class InThisProcess:
    """A worker without a process of its own."""

    def __init__(self, name, job):
        self.name, self.side, self.start_up = name, Side(name, job), 1.0
        self.first = self.side.start()

    def __call__(self, what, *details):
        return getattr(self.side, what)(*details)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_the_loaders_are_timed_where_there_is_data(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(side, "Worker", InThisProcess)
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
    ours = Side("ours", parsed)
    ours.start()
    ours.warm_up(2)
    assert ours.taken == 1 + 2
    ours.step = ours.stepper = mock.Mock()
    type(ours.stepper).is_settled = mock.PropertyMock(side_effect=[False, False, True])
    ours.warm_up(2)
    assert ours.taken == 1 + 2 + 2 + 2 * 2


def run_here(command, **_):
    """Run a command of Python within this process, for want of time."""
    status, errors = 0, io.StringIO()
    with (
        mock.patch.multiple(sys, argv=command[1:], path=list(sys.path)),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(errors),
        mock.patch("os.fsync"),
        mock.patch.object(Loader, "epoch", Loader.epoch),  # this and the next are watched here
        mock.patch.object(Stepper, "__call__", Stepper.__call__),
        mock.patch.object(Run, "__exit__", Run.__exit__),
    ):
        try:
            runpy.run_path(command[1], run_name="__main__")
        except SystemExit as stop:
            status = int(stop.code or 0)
    return subprocess.CompletedProcess(command, status, "", errors.getvalue())


@pytest.fixture
def in_one_process(monkeypatch, tmp_path):
    monkeypatch.setattr("subprocess.run", run_here)
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


def test_times_become_figures():
    times = {"steps": 10, "epochs": [5.0, 9.0, 11.0], "end": 14.0, "first_step": 6.0, "gib": 2.0}
    assert figures(times, start=1.0) == Timing(ms=250, gib=2, start_up=5, epoch=2.5, first_epoch=4)


def test_a_suite_goes_on_after_a_job_that_cannot_be_timed(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(job.JOBS, "small", f"--model cgan {MLP} --image_size 8 --batch_size 4 --steps 1 --rounds 1")
    monkeypatch.setitem(job.JOBS, "misfit", "--model cgan --image_size 100 --device cpu")
    monkeypatch.setattr(job, "SUITES", {"cpu": ("misfit", "small")})
    monkeypatch.setattr(side, "Worker", InThisProcess)
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
