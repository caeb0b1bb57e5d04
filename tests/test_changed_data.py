"""A run that goes on when its data changed: what did is said, and how to go on all the same."""

import csv
import gzip
import json

import pytest

from tests.bench import SMALL, Bench, save_images
from util.training import data_record

CGAN = f"--model cgan --dataroot hands --name a --batch_size 2 --val_fraction 0 --n_epochs 1 --no_html {SMALL}"
CYCLE = (
    "--model cycle_gan --dataroot pairs --name c --batch_size 2 --load_size 16 --crop_size 16 --ngf 2 --ndf 2 "
    "--netD pixel --netG resnet_1blocks --device cpu --n_epochs 1 --n_epochs_decay 0 --num_threads 1 --no_html"
)
GO_ON = "--continue_train --n_epochs 2"


@pytest.fixture
def run(bench):
    assert bench.train(CGAN).status == 0
    return bench


@pytest.fixture
def cycle(bench):
    save_images(bench.folder / "pairs", ("trainA", "trainB"), num=6, size=16)
    assert bench.train(CYCLE).status == 0
    return bench


def refused(outcome, *parts):
    assert (outcome.status, outcome.err.count("\n")) == (1, 1), outcome
    assert "the data is not what it was when this run was started: " in outcome.err
    for part in (*parts, "--accept_data resumes", "--init_from"):
        assert part in outcome.err


def went_on(bench, name, *parts):
    outcome = bench.train(f"--name {name} {GO_ON} --accept_data")
    assert outcome.status == 0, outcome.err
    for part in parts:
        assert part in outcome.err
    with (bench.run_dir(name) / "losses.csv").open() as file:
        assert {row["epoch"] for row in csv.DictReader(file)} >= {"1", "2"}
    again = bench.train(f"--name {name} --continue_train --n_epochs 3")  # what was accepted is the record now
    assert again.status == 0, again.err


def remove(folder, *names):
    for name in names:
        (folder / name).unlink()


def test_images_that_are_gone_are_named_and_counted(run):
    remove(run.folder / "hands", "rock/1.png", "rock/4.png", "paper/0.png", "paper/2.png")
    expected = "4 images (paper/0.png, paper/2.png, rock/1.png, ...) gone, so that there are 8, not 12"
    refused(run.train(f"--name a {GO_ON}"), expected)
    went_on(run, "a", expected)


def test_one_for_another_of_the_same_number_is_noticed(run):
    (run.folder / "hands/rock/1.png").rename(run.folder / "hands/rock/new.png")
    refused(run.train(f"--name a {GO_ON}"), "1 image (rock/1.png) gone", "1 image (rock/new.png) new")
    went_on(run, "a")


@pytest.mark.parametrize("side", "AB")
@pytest.mark.parametrize("grows", [False, True])
def test_either_side_of_an_unpaired_set_is_watched(cycle, side, grows):
    folder = cycle.folder / f"pairs/train{side}"
    if grows:
        (folder / "more.png").write_bytes((folder / "0.png").read_bytes())
        expected = f"1 image (more.png) new, so that there are 7 of {side}, not 6"
    else:
        remove(folder, "5.png")
        expected = f"1 image (5.png) gone, so that there are 5 of {side}, not 6"
    refused(cycle.train(f"--name c {GO_ON}"), expected)
    went_on(cycle, "c", expected)


def test_a_class_that_is_gone_or_new_is_named(run):
    (run.folder / "hands/rock").rename(run.folder / "rock")
    save_images(run.folder / "hands", ("lizard",))
    refused(run.train(f"--name a {GO_ON}"), "class rock is gone and class lizard is new")
    outcome = run.train(f"--name a {GO_ON} --accept_data")
    assert outcome.status == 1
    assert "has the class lizard; the model knows paper, rock" in outcome.err


def test_what_was_damaged_since_is_skipped_and_named(run):
    """As in a first run: twelve images, of which one cannot be read any more."""
    (run.folder / "hands/rock/3.png").write_bytes(b"no image")
    outcome = run.train(f"--name a {GO_ON}")
    assert outcome.status == 0, outcome.err
    assert "damaged since this run was started, and skipped: 1 image (rock/3.png)" in outcome.err


def test_a_stop_in_the_last_steps_of_an_epoch_is_no_damage_when_images_are_gone(run, monkeypatch):
    """The epoch under way was at step 5 of 6, and now has 4."""
    folder = run.run_dir("a")
    names = json.loads(gzip.decompress((folder / "images.json.gz").read_bytes()))
    assert [len(some) for some in names.values()] == [12]
    bench = Bench(run.folder)
    remove(run.folder / "hands", *(f"rock/{i}.png" for i in range(4)))
    import torch

    state = torch.load(folder / "latest_state.pth", weights_only=False)
    state["progress"].update(epoch=1, epoch_step=5)
    torch.save(state, folder / "latest_state.pth")
    outcome = bench.train(f"--name a {GO_ON} --accept_data")
    assert outcome.status == 0, outcome.err


def test_a_run_without_the_record_goes_by_the_number(run):
    (run.run_dir("a") / "images.json.gz").unlink()
    remove(run.folder / "hands", "rock/1.png")
    refused(run.train(f"--name a {GO_ON}"), "it has 11 images, 12 before")


DAMAGE = {
    "cut short": lambda content: content[:40],
    "a flipped bit": lambda content: content[:30] + bytes([content[30] ^ 16]) + content[31:],
    "no gzip": lambda content: b"{}",
    "no lists": lambda content: gzip.compress(b'{"image": {"a": 1}}'),
    "numbers": lambda content: gzip.compress(b'{"image": [1, [2]]}'),
    "no dict": lambda content: gzip.compress(b"[1]"),
    "deep": lambda content: gzip.compress(b"[" * 100_000),
    "a bomb": lambda content: gzip.compress(b'{"image": ["' + bytes(1000) + b'"]}'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_is_none(tmp_path, damage, monkeypatch):
    monkeypatch.setattr(data_record, "MAX_BYTES", 900)
    data_record.note_names(tmp_path, {"image": [f"{i}.png" for i in range(40)]})
    path = tmp_path / data_record.NAMES_FILE
    assert data_record._read_names(tmp_path)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert data_record._read_names(tmp_path) is None


def test_the_flag_alone_means_nothing(bench):
    outcome = bench.train(f"{CGAN} --accept_data")
    assert "--accept_data" in outcome.err and "only --continue_train uses it" in outcome.err
