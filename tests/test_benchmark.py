"""The benchmark: the reference computes what ours computes, and the script measures both."""

import csv
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from torch.testing import assert_close

from scripts import benchmark
from scripts.speed import worker
from scripts.speed.reference import OURS_ALONE, STEPS, create_reference
from scripts.speed.side import Side
from tests.tiny_models import LEARNERS, TINY, create, make_batch
from util.seeding import seed_all
from util.types import Batch

COMPARED = [case for case in LEARNERS if not any(TINY[case][0].get(name) for name in OURS_ALONE)]


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
def test_the_reference_computes_the_losses_of_our_step(case):
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
    words = f"--model wgan --netG mlp --image_size 8 --batch_size 4 --steps 2 --rounds 3 --device cpu --out {out}"
    status, said, err = call(capsys, *words.split())
    assert status == 0, err
    assert re.search(r"wgan_8_b4 \(cpu\) +ms/step +img/s +peak GiB +start-up s +first step s\n", said)
    (row,) = csv.DictReader(out.open())
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
        ("--model cgan --diffaugment color --device cpu", 1, "--diffaugment: the reference has no such loss"),
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
        self.__dict__ = {"name": name, "steps": side.steps, "gib": side.gib, "data": side.data}
        self.first = self.start_up = 1.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass
