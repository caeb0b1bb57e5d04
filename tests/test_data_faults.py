"""Data that changes while it is trained on, decoded image by image as it is needed."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.bench import SMALL, save_images
from tests.test_resume import interrupted

OPTIONS = f"--batch_size 2 --val_fraction 0 --cache off --num_threads 0 --no_html --name a {SMALL}"
CYCLE = (
    "--model cycle_gan --dataroot pairs --name c --load_size 16 --crop_size 16 --ngf 2 --ndf 2 --netD pixel "
    "--netG resnet_1blocks --device cpu --n_epochs 2 --n_epochs_decay 0 --no_html --cache off --num_threads 0 "
)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def other_size(path: Path) -> None:
    Image.fromarray(np.zeros((24, 9, 3), np.uint8)).save(path)


HARM = {
    "deleted": Path.unlink,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:60]),
    "emptied": lambda path: path.write_bytes(b""),
    "a text": lambda path: path.write_text("no image " * 9),
    "a folder": folder_instead,
    "grey": lambda path: Image.fromarray(np.zeros((16, 16), np.uint8)).save(path),
    "another size": other_size,
}


@pytest.mark.parametrize(
    ("how", "preprocess"),
    [*((how, "none") for how in HARM), ("another size", "crop"), ("another size", "resize_and_crop")],
)
def test_a_file_that_is_no_longer_what_it_was_is_told_of_and_training_goes_on(bench, how, preprocess):
    bad = save_images(bench.folder / "pairs", ("trainA", "trainB"), num=6, size=16) / "trainA/3.png"
    with interrupted(6, lambda: HARM[how](bad)):
        outcome = bench.train(f"{CYCLE} --batch_size 2 --preprocess {preprocess}".replace("n_epochs 2", "n_epochs 4"))
    assert outcome.status == 0, outcome.err
    is_image = how == "grey" or (how == "another size" and preprocess == "resize_and_crop")
    assert outcome.err.count("another image takes its place") == (not is_image)
    assert ("3.png cannot be read" in outcome.err) == (not is_image)


def test_a_folder_that_goes_ends_the_run_in_one_line_and_the_last_save_goes_on(bench):
    hands = bench.folder / "hands"
    with interrupted(4, lambda: hands.rename(bench.folder / "elsewhere")):
        outcome = bench.train(f"--model cgan --dataroot hands --save_latest_freq 2 --n_epochs 2 {OPTIONS}")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1), outcome
    assert "cannot be read" in outcome.err and "is hands the right folder, and all of it there?" in outcome.err
    shutil.move(bench.folder / "elsewhere", hands)
    outcome = bench.train("--name a --continue_train")
    assert outcome.status == 0, outcome.err


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_decoding_process_that_is_killed_is_one_line(bench, number):
    def kill():
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        os.kill(int(children[-1]), number)

    options = OPTIONS.replace("--num_threads 0", "--num_threads 1")
    save_images(bench.folder / "hands", num=60)
    with interrupted(3, kill):
        outcome = bench.train(f"--model cgan --dataroot hands --n_epochs 2 {options}")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1), outcome
    assert "a process that decodes images was killed" in outcome.err
    assert "--num_threads" in outcome.err
    assert bench.train("--name a --continue_train --num_threads 0").status == 0
