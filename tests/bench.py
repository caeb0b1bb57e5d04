"""Tiny data, and the entry points run within the test process."""

import contextlib
import io
import os
import shlex
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from PIL import Image

import test
import train
from scripts import class_accuracy, compare

# A fast cgan; the second hidden layers have batch norm and dropout.
SMALL = "--netG mlp --netD mlp --hidden_G 8,8 --hidden_D 8,8 --nz 4 --image_size 8 --device cpu"


def save_images(folder: Path, classes: Sequence[str] = ("paper", "rock"), num: int = 6, size: int = 8) -> Path:
    """Write ``num`` different RGB images for each class into folders of that name; return ``folder``."""
    numbers = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(num):
            pixels = numbers.integers(0, 256, (size, size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


class Outcome(NamedTuple):
    """What became of a call of an entry point."""

    status: int
    out: str
    err: str


class Bench:
    """A working folder with the class folders ``hands`` (10 training images), in which train.py and test.py are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        save_images(folder / "hands")

    def train(self, options: str, *words: str) -> Outcome:
        """Train with ``options``, split as a shell would, and further ``words``."""
        return self._call(train.main, options, words)

    def test(self, options: str = "", *words: str) -> Outcome:
        return self._call(test.main, options, words)

    def compare(self, options: str) -> Outcome:
        return self._call(compare.main, options, ())

    def class_accuracy(self, options: str) -> Outcome:
        return self._call(class_accuracy.main, options, ())

    def small(self, options: str, *words: str) -> Outcome:
        """Train a tiny cgan on ``hands`` in steps of two images, five to an epoch; it must succeed."""
        outcome = self.train(f"--model cgan --dataroot hands --batch_size 2 {SMALL} {options}", *words)
        assert outcome.status == 0, outcome.err
        return outcome

    def run_dir(self, name: str) -> Path:
        return self.folder / "checkpoints" / name

    def _call(self, main: Callable[[Sequence[str]], None], options: str, words: Sequence[str]) -> Outcome:
        out, err, status = io.StringIO(), io.StringIO(), 0
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch("os.fsync"),  # it is slow, and guards against what no test can do: cut the power
        ):
            try:
                main([*shlex.split(options), *words])
            except SystemExit as stop:
                status = int(stop.code or 0)
        return Outcome(status, out.getvalue(), err.getvalue())


def in_child(function: Callable[[], Any]) -> int:
    """Call ``function`` in a process of its own; return its exit status, or minus the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            outcome = function()
            status = outcome.status if isinstance(outcome, Outcome) else 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
