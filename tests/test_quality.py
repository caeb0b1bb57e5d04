"""Measurements during training and by test.py: they change nothing, survive a stop, and keep the best networks."""

import csv
import functools
import json
import math
import re
import signal

import pytest
import torch
import yaml

from models.noise import NoiseModel
from tests.bench import SMALL, in_child, save_images
from tests.test_resume import assert_same, assert_same_run, by, interrupted, killed_at_job, slow_disk, state
from util import efficientnet
from util.metrics import features
from util.metrics.evaluator import of_pairs
from util.metrics.features import Extractor
from util.metrics.record import Quality, read_best, read_metrics
from util.metrics.score import Score
from util.types import Progress

# Steps of 2 images, 4 to an epoch. Measurements after steps 3, 6, 9, 12; saves at 4, 8 and 12.
USUAL = "--n_epochs 3 --print_freq 6 --save_latest_freq 8 --save_epoch_freq 2 --ema .9 --flip"
EVERY = "--eval_freq 6 --eval_images 12 --metrics kid,recall --val_fraction .4"


@pytest.fixture(autouse=True)
def stub(monkeypatch):
    """Features without a network: the pixels."""

    def find(wanted, size, device, learnt_from):
        return Extractor("stub", size or 8, lambda images: images.flatten(1), device)

    monkeypatch.setattr("util.metrics.evaluator.find_extractor", find)


def figures(folder, name="metrics.csv"):
    with (folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


def entries(folder):
    lines = (folder / "web/log.js").read_text().splitlines()
    return [e for e in (json.loads(line[7:-2]) for line in lines) if e["kind"] == "metrics"]


# --- what they leave alone


def test_no_frequency_of_measuring_changes_a_weight(bench):
    names = {"none": "", "rare": EVERY, "often": f"{EVERY} --eval_freq 2 --metrics kid,frechet --eval_images 40"}
    for name, options in names.items():
        assert bench.small(f"--name {name} {USUAL} --val_fraction .4 {options}").status == 0
    folders = [bench.run_dir(name) for name in names]
    first, *others = folders
    for other in others:
        assert (other / "losses.csv").read_bytes() == (first / "losses.csv").read_bytes()
        states = [state(f) for f in (first, other)]
        for s in states:
            del s["quality"], s["logs"]
        assert_same(*states)
    assert not (first / "metrics.csv").exists()
    assert len(figures(others[0])) == 2 * 4  # both metrics after steps 3, 6, 9 and 12
    assert len(figures(others[1])) == 2 * 12


def test_each_figure_has_its_settings_beside_it(bench):
    bench.small(f"--name a {USUAL} {EVERY} --seed 7 --feature_size 4")
    row = figures(bench.run_dir("a"))[0]
    assert {k: row[k] for k in ("epoch", "step", "images", "metric", "name")} == {
        "epoch": "1",
        "step": "3",
        "images": "6",
        "metric": "kid",
        "name": "kid_stub",
    }
    assert (row["num_fake"], row["num_real"], row["features"], row["size"], row["seed"]) == (
        "12",
        "4",
        "stub",
        "4",
        "7",
    )
    assert float(row["std"]) >= 0
    entry = entries(bench.run_dir("a"))[0]
    assert entry["settings"] == "12 images against 4 real ones, stub at 4 px, seed 7"
    assert entry["values"]["kid_stub"] == pytest.approx(float(row["value"]), rel=1e-5)


def test_features_of_real_images_are_kept_until_the_images_change(bench, monkeypatch):
    options = f"{EVERY} --n_epochs 1 --cache_dir kept"
    bench.small(f"--name a {options}")
    (kept,) = (bench.folder / "kept/metrics").iterdir()
    before = kept.stat().st_mtime_ns
    bench.small(f"--name b {options}")
    assert kept.stat().st_mtime_ns == before
    kept.write_bytes(b"damaged")
    outcome = bench.small(f"--name c {options}")
    assert re.search(r"warning: kept/metrics/\S+ is damaged.*: it is made anew\n", outcome.err)
    assert figures(bench.run_dir("a")) == figures(bench.run_dir("b")) == figures(bench.run_dir("c"))
    save_images(bench.folder / "hands", num=7)
    bench.small(f"--name d {options}")
    assert len(list((bench.folder / "kept/metrics").iterdir())) == 2


# --- a run that is stopped


@pytest.mark.parametrize("step", [4, 7, 9])
def test_a_killed_run_measures_on_as_if_nothing_had_been(bench, step):
    bench.small(f"--name whole {USUAL} {EVERY}")
    with interrupted(step, by(signal.SIGKILL)):
        assert in_child(lambda: bench.small(f"--name killed {USUAL} {EVERY}")) == -signal.SIGKILL
    outcome = bench.train("--name killed --continue_train")
    assert outcome.status == 0, outcome.err
    assert_same_run(bench.run_dir("killed"), bench.run_dir("whole"))
    for name in ("metrics.csv", "best.yaml"):
        assert (bench.run_dir("killed") / name).read_bytes() == (bench.run_dir("whole") / name).read_bytes()


def test_a_run_killed_between_any_two_things_it_writes_has_the_best_it_speaks_of(bench):
    bench.small(f"--name whole {USUAL} {EVERY}")
    for number in range(3, 15, 2):
        name = f"job-{number}"
        start = functools.partial(bench.small, f"--name {name} {USUAL} {EVERY}")
        with killed_at_job(number):
            assert in_child(start) == -signal.SIGKILL
        assert bench.train(f"--name {name} --continue_train").status == 0
        assert_same_run(bench.run_dir(name), bench.run_dir("whole"))
        assert (bench.run_dir(name) / "best.yaml").read_bytes() == (bench.run_dir("whole") / "best.yaml").read_bytes()


def test_a_run_of_before_measurements_goes_on(bench):
    bench.small(f"--name a {USUAL} --n_epochs 1 --val_fraction .4")
    path = bench.run_dir("a") / "latest_state.pth"
    saved = state(bench.run_dir("a"))
    del saved["quality"]
    torch.save(saved, path)
    outcome = bench.train("--name a --continue_train --n_epochs 2 --eval_freq 4 --eval_images 12 --metrics kid")
    assert outcome.status == 0, outcome.err
    assert {row["epoch"] for row in figures(bench.run_dir("a"))} == {"2"}


# --- the best


@pytest.fixture
def worse(bench, monkeypatch):
    """A run whose learning rate is raised a hundred times after two epochs of six; its figures."""
    monkeypatch.setattr("util.training.loop.lr_factor", lambda policy, epoch, *_: 1.0 if epoch <= 2 else 300.0)
    bench.small(f"--name worse {EVERY} --n_epochs 6 --lr .002 --save_epoch_freq 1 --eval_freq 6")
    return [row for row in figures(bench.run_dir("worse")) if row["metric"] == "kid"]


def test_of_a_run_that_gets_worse_the_best_is_kept(bench, worse):
    values = [float(row["value"]) for row in worse]
    best = min(range(len(values)), key=values.__getitem__)
    assert values[-1] > 1.5 * values[best]  # it did get worse
    folder = bench.run_dir("worse")
    record = yaml.safe_load((folder / "best.yaml").read_text())["best"]
    assert (record["step"], record["name"]) == (int(worse[best]["step"]), "kid_stub")
    assert record["value"] == pytest.approx(values[best])
    nets = [torch.load(folder / f"{label}_net_G.pth", weights_only=True) for label in ("best", "latest")]
    with pytest.raises(AssertionError):
        assert_same(*nets)
    text = f"kid_stub {values[best]:.4g} after epoch {record['epoch']}, step {record['step']}"
    assert entries(folder)[-1]["best"].startswith(text)

    for label in ("best", "latest"):
        outcome = bench.test(f"--name worse --epoch {label} --num_test 4 --metrics kid --eval_images 12")
        assert outcome.status == 0, outcome.err
        page = (bench.folder / f"results/worse/test_{label}/index.html").read_text()
        assert (f"best: {text}" in page) == (label == "best")
        (row,) = figures(bench.folder / f"results/worse/test_{label}")
        expected = values[best] if label == "best" else values[-1]
        if label == "best" or worse[-1]["step"] == str(state(folder)["progress"]["step"]):
            assert float(row["value"]) == pytest.approx(expected, rel=1e-4)


def test_a_larger_value_is_better_where_it_is(bench):
    bench.small(f"--name a {USUAL} {EVERY} --best_metric recall")
    best = yaml.safe_load((bench.run_dir("a") / "best.yaml").read_text())["best"]
    values = [float(row["value"]) for row in figures(bench.run_dir("a")) if row["metric"] == "recall"]
    assert best["value"] == max(values)


def test_a_run_ends_when_nothing_gets_better(bench, monkeypatch):
    monkeypatch.setattr("util.metrics.evaluator.kid", lambda *_: (1.0, 0.1))  # never better than the first time
    outcome = bench.small(f"--name a {USUAL} {EVERY} --early_stop 2 --n_epochs 9 --eval_freq 4")
    assert "--early_stop 2: 2 measurements without a better kid; best: kid_stub 1 after epoch 1, step 2" in (
        outcome.out + outcome.err
    )
    assert state(bench.run_dir("a"))["progress"]["step"] == 6
    again = bench.train("--name a --continue_train")
    assert again.status == 0, again.err
    assert "was ended by --early_stop 2" in again.out
    assert bench.train("--name a --continue_train --early_stop 3").status == 0
    assert state(bench.run_dir("a"))["progress"]["step"] == 8


def test_the_plateau_policy_can_watch_a_metric(bench, monkeypatch):
    monkeypatch.setattr("util.metrics.evaluator.kid", lambda *_: (-0.5, 0.1))
    bench.small(f"--name a {EVERY} --lr_policy plateau --plateau_loss kid --n_epochs 8 --eval_freq 4")
    assert state(bench.run_dir("a"))["plateau"]["factor"] == pytest.approx(0.2)
    outcome = bench.train(
        f"--model cgan --dataroot hands --batch_size 2 {SMALL} --lr_policy plateau --plateau_loss kdi --n_epochs 1"
    )
    assert outcome.status == 1
    assert "--plateau_loss kdi: this model logs D_real, D_fake, G, and measured is nothing" in outcome.err


def measurement(metric, value):
    return [Score(metric, metric, value, None, 4, 4, "pixels", 0, 0)]


def test_a_perfect_figure_is_the_best_and_none_is_not(tmp_path):
    quality = Quality(tmp_path, "psnr")
    values = [30.0, math.nan, math.inf, 40.0, math.inf, -math.inf]
    found = [quality.take(Progress(), measurement("psnr", v)) for v in values]
    assert found == [True, False, True, False, False, False]
    assert quality.best and quality.best["value"] == math.inf
    assert quality.since == 3
    quality.write_best()
    assert read_best(tmp_path)["value"] == math.inf
    assert read_metrics(tmp_path / "metrics.csv")[2][1].value == math.inf
    quality = Quality(tmp_path, "kid")
    assert [quality.take(Progress(), measurement("kid", v)) for v in (math.nan, math.inf, 2.0)] == [False, False, True]


def test_the_mean_of_perfect_and_other_pairs_has_no_deviation():
    values = torch.tensor([math.inf, 30.0])
    figure = of_pairs("psnr", values, seed=0)
    assert (figure.value, figure.std, figure.text) == (math.inf, None, "inf")


def test_what_measuring_cost_is_told_with_its_preparation(bench):
    outcome = bench.small(f"--name a {USUAL} {EVERY}")
    assert re.search(r"measured in \d+ of \d+ s, prepared for it in \d+ s before\n", outcome.out)


# --- what is not finite


def spoil(run, times):
    """Make a weight of G NaN, the first ``times`` times it is called."""
    left = [times]

    def action():
        if left[0]:
            left[0] -= 1
            with torch.no_grad():
                next(run[0].model.netG.parameters()).fill_(float("nan"))

    return action


@pytest.fixture
def spoiled(monkeypatch):
    """Return a function that spoils the next runs at step 6, so many times."""
    from util.training.run import Run

    made: list[Run] = []
    enter = Run.__enter__

    def noted(self):
        made.insert(0, self)
        return enter(self)

    monkeypatch.setattr(Run, "__enter__", noted)
    return lambda times: interrupted(6, spoil(made, times))


def test_what_is_not_finite_ends_the_run_with_the_last_good_state(bench, spoiled):
    options = f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name a {USUAL}"
    with spoiled(1):
        outcome = bench.train(options)
    assert outcome.status == 1
    (line,) = [line for line in outcome.err.splitlines() if "error" in line]
    assert re.search(r"training diverged: .* is not finite.*; --on_nan restart", line)
    saved = state(bench.run_dir("a"))
    assert saved["progress"]["step"] == 4
    assert all(v.isfinite().all() for v in saved["model"].values() if v.is_floating_point())


def test_a_run_can_go_back_and_on_at_a_lower_rate(bench, spoiled):
    with spoiled(2):
        outcome = bench.small(f"--name a {USUAL} {EVERY} --on_nan restart")
    warnings = [line for line in outcome.err.splitlines() if "goes back to step 4" in line]
    assert ["0.5 of the learning rate" in line for line in warnings] == [True, False]
    assert "0.25 of the learning rate" in warnings[1]
    final = state(bench.run_dir("a"))
    assert final["divergence"]["restarts"] == 2
    assert float(final["optimizer_G"]["param_groups"][0]["lr"]) == pytest.approx(0.25 * 2e-4)
    steps = [int(row["step"]) for row in figures(bench.run_dir("a"))]
    assert steps == sorted(steps)
    rows = (bench.run_dir("a") / "losses.csv").read_text()
    assert "nan" not in rows


def test_a_run_goes_back_to_its_last_save_on_a_slow_disk_too(bench, spoiled):
    with spoiled(1), slow_disk():
        outcome = bench.small(f"--name a {USUAL} {EVERY} --on_nan restart")
    (line,) = [line for line in outcome.err.splitlines() if "goes back to" in line]
    assert "goes back to step 4, now at 0.5 of the learning rate" in line


def test_a_run_that_always_diverges_ends(bench, spoiled):
    with spoiled(99):
        outcome = bench.train(f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name a {USUAL} --on_nan restart")
    assert outcome.status == 1
    assert "--on_nan restart has gone back 5 times" in outcome.err


# --- classes, pairs, and what cannot be measured


def test_classes_are_told_by_a_classifier_that_is_kept(bench, monkeypatch):
    monkeypatch.setattr("util.metrics.classifier.STEPS", 3)
    options = f"{EVERY} --n_epochs 1 --metrics accuracy,shares --cache_dir kept"
    outcome = bench.small(f"--name a {options}")
    assert re.search(r"metrics: the classifier puts [\d.]+ % of 4 held-out images right", outcome.out)
    rows = {row["name"]: float(row["value"]) for row in figures(bench.run_dir("a"))}
    assert set(rows) == {"accuracy", "class_entropy", "share_paper", "share_rock"}
    assert rows["share_paper"] + rows["share_rock"] == pytest.approx(1)
    monkeypatch.setattr("util.metrics.classifier.train_classifier", None)
    bench.small(f"--name b {options}")
    assert figures(bench.run_dir("a")) == figures(bench.run_dir("b"))
    outcome = bench.test("--name a --metrics accuracy --eval_images 6 --cache_dir kept --num_test 2")
    samples = (bench.folder / "results/a/test_latest/samples.csv").read_text().splitlines()
    assert samples[0].endswith(",seen,probability") and all(
        re.search(r",(paper|rock),[01]\.\d{4}$", s) for s in samples[1:]
    )
    assert outcome.status == 0, outcome.err  # other held-out images are no reason to train another
    script = bench.class_accuracy("a b --num_test 4 --cache_dir kept")
    assert script.status == 0, script.err
    right = re.search(r"puts ([\d.]+) % of 4 held-out", outcome.out)
    assert right and f"classifier on 4 held-out real images: {float(right[1]) / 100:.4f}" in script.out


def test_pairs_and_collections_are_measured(bench):
    for folder in ("trainA", "trainB", "testA", "testB"):
        save_images(bench.folder / "pairs", (folder,), num=5, size=32)
    shape = "--load_size 32 --crop_size 32 --ngf 4 --ndf 4 --netD n_layers --n_layers_D 1 --device cpu --n_epochs 1"
    fast = f"--dataroot pairs --n_epochs_decay 0 --eval_freq 5 --eval_images 5 {shape}"
    outcome = bench.train(
        f"--model pix2pix --dataset_mode aligned --name p --netG unet_32 {fast} --metrics psnr,ssim,l1,kid"
    )
    assert outcome.status == 0, outcome.err
    rows = {row["name"]: row for row in figures(bench.run_dir("p"))}
    assert list(rows) == ["psnr", "ssim", "l1", "kid_stub"]
    assert rows["psnr"]["features"] == "pixels"
    outcome = bench.test("--name p --metrics l1,kid --epoch best")
    assert outcome.status == 0, outcome.err
    tested = {row["name"]: float(row["value"]) for row in figures(bench.folder / "results/p/test_best")}
    assert tested["l1"] == pytest.approx(float(rows["l1"]["value"]), rel=1e-4)

    outcome = bench.train(f"--model cycle_gan --name c --netG resnet_1blocks {fast} --metrics kid")
    assert outcome.status == 0, outcome.err
    assert [row["name"] for row in figures(bench.run_dir("c"))] == ["kid_stub", "kid_stub_A"]
    outcome = bench.test("--name c --metrics psnr")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert "--metrics psnr: this data has no pairs" in outcome.err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--model gan --metrics accuracy", "this model takes no labels; use shares"),
        ("--model gan --metrics kid --val_fraction .1", "2 held-out images are too few"),
        ("--model gan --metrics ssim", "this data has no pairs"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is_written(bench, monkeypatch, options, complaint):
    monkeypatch.setattr("util.metrics.classifier.STEPS", 3)
    outcome = bench.train(f"--dataroot hands --batch_size 2 {SMALL} --name a --eval_freq 2 --eval_images 12 {options}")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1), outcome.err
    assert complaint in outcome.err
    assert not bench.run_dir("a").exists()


def test_a_run_that_is_never_measured_is_told_so(bench):
    outcome = bench.small(f"--name a {EVERY} --n_epochs 1 --eval_freq 9999")
    assert "warning: --eval_freq 9999: this run sees 8 images only, so it is never measured\n" in outcome.err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--metrics fdi", "did you mean 'fid'?"),
        ("--best_metric fid", "--best_metric fid is not among --metrics kid"),
        ("--early_stop 3", "set --eval_freq"),
        ("--lr_policy plateau --plateau_loss kid", "kid is never measured: set --eval_freq"),
        ("--lr_policy plateau --plateau_loss fid --eval_freq 9", "--plateau_loss fid is not among --metrics kid"),
    ],
)
def test_mistaken_options_are_one_line(bench, options, complaint):
    outcome = bench.train(f"--model cgan --dataroot hands {options}")
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert complaint in outcome.err


def test_missing_packages_are_said_before_anything_is_written(bench, monkeypatch):
    monkeypatch.setattr("util.metrics.evaluator.find_extractor", features.find_extractor)
    monkeypatch.setattr(efficientnet, "is_installed", lambda _: False)
    outcome = bench.train(
        f"--model cgan --dataroot hands --batch_size 2 {SMALL} --eval_freq 4 --val_fraction .4 --name a"
    )
    assert outcome.status == 1
    assert outcome.err == (
        "train.py: error: metrics of features need a network that makes them: pip install -r requirements-metrics.txt\n"
    )
    assert not bench.run_dir("a").exists()


def test_what_is_recorded_is_read_back(bench):
    bench.small(f"--name a {USUAL} {EVERY}")
    found = read_metrics(bench.run_dir("a") / "metrics.csv")
    assert [(at.step, figure.metric) for at, figure in found[:3]] == [(3, "kid"), (3, "recall"), (6, "kid")]
    assert read_metrics(bench.run_dir("a") / "none.csv") == []


# --- options that mean nothing


def left_out(outcome):
    """Return the options that a call warns of, with the reasons."""
    assert outcome.status == 0, outcome.err
    return dict(re.findall(r"warning: --(\w+) has no effect: (.*)", outcome.err))


def test_options_of_measuring_without_it_are_told_of(bench):
    never = "nothing is measured without --eval_freq"
    outcome = bench.small("--name a --n_epochs 1 --eval_images 12 --features inception --feature_size 4 --metrics kid")
    assert left_out(outcome) == dict.fromkeys(("eval_images", "features", "feature_size", "metrics"), never)
    assert left_out(bench.train("--name a --continue_train --n_epochs 2")) == {}
    assert left_out(bench.train("--config checkpoints/a/options.yaml --name again --features auto")) == {
        "features": never,
        "eval_images": never,
        "feature_size": never,
    }
    of_classes = f"--n_epochs 1 {EVERY} --metrics accuracy --feature_size 4"
    assert left_out(bench.small(f"--name b {of_classes}")) == {
        "feature_size": "no metric on features, such as kid, is measured"
    }
    without = left_out(bench.test("--name a --num_test 2 --eval_images 9"))
    assert without == {"eval_images": "nothing is measured without --metrics"}


def test_options_of_other_learning_rates_are_told_of(bench):
    outcome = bench.small("--name a --n_epochs 1 --lr_decay_iters 3 --plateau_loss G")
    assert re.findall("warning: --(.*)", outcome.err) == [
        "lr_decay_iters 3 has no effect without --lr_policy step",
        "plateau_loss G has no effect without --lr_policy plateau",
    ]
    assert "no effect" not in bench.small("--name b --n_epochs 1 --lr_policy step --lr_decay_iters 3").err


def test_what_is_tested_is_measured_as_it_is_asked_for(bench, monkeypatch):
    bench.small("--name a --n_epochs 1 --val_fraction .4")
    sizes = []
    sample = NoiseModel.sample

    def noted(self, z, labels):
        sizes.append(len(z))
        return sample(self, z, labels)

    monkeypatch.setattr(NoiseModel, "sample", noted)
    few = "--num_test 2 --eval_images 12 --metrics recall"
    outcome = bench.test(f"--name a {few} --max_dataset_size 4 --batch_size 5 --labels rock")
    assert "--labels only selects the samples shown" in left_out(outcome)["labels"]
    (row,) = figures(bench.folder / "results/a/test_latest")
    assert (row["num_fake"], row["num_real"]) == ("12", "4")
    assert sizes == [2, 5, 5, 2]
    outcome = bench.test(f"--name a {few} --max_dataset_size 3")
    assert "3 held-out images are too few" in outcome.err


def test_scripts_tell_of_options_that_they_do_not_heed(bench, monkeypatch):
    monkeypatch.setattr("util.metrics.classifier.STEPS", 3)
    bench.small("--name a --n_epochs 1 --val_fraction .4")
    bench.small("--name b --n_epochs 1 --val_fraction .4")
    given = "a b --metrics kid --eval_images 9 --num_test 4 --device cpu"
    assert set(left_out(bench.compare(given))) == {"metrics", "eval_images", "num_test"}
    assert set(left_out(bench.class_accuracy(given))) == {"metrics", "eval_images"}
    for call in (bench.compare, bench.class_accuracy):
        outcome = call("a b --name=c")
        assert (outcome.status, outcome.err.count("\n")) == (2, 1)
        assert "error: give names of runs or --name, not both" in outcome.err


def test_spectra_are_measured_of_any_model_and_need_no_network(bench, monkeypatch):
    def refuse(wanted, size, device):
        raise AssertionError("no features are needed")

    monkeypatch.setattr("util.metrics.evaluator.find_extractor", refuse)
    bench.small("--name fine --n_epochs 2 --eval_freq 8 --eval_images 8 --metrics grid,grain --val_fraction .4")
    rows = figures(bench.run_dir("fine"))
    assert [row["name"] for row in rows] == ["grid", "grain"] * 2
    assert all(float(row["value"]) > 0 for row in rows)
    assert (rows[0]["num_fake"], rows[0]["num_real"], rows[0]["features"]) == ("8", "4", "pixels")
    best = read_best(bench.run_dir("fine"))
    nearest = min((row for row in rows if row["name"] == "grid"), key=lambda row: abs(math.log(float(row["value"]))))
    assert best["value"] == pytest.approx(float(nearest["value"]))
