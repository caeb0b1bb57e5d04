"""Memory that runs out is one line with what takes less, and costs no checkpoint; pictures are made beside it."""

import errno
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from data.files.decode import decode_image
from data.files.pixels import read_pixels
from models.cgan_model import CGANModel
from models.step.stepper import Stepper
from tests.bench import in_child, save_images
from util.memory import lack_of_memory
from util.weights import load_safely

ROOT = Path(__file__).resolve().parent.parent

MLP = "--model cgan --netG mlp --netD mlp --hidden_G 8 --hidden_D 4 --nz 4 --image_size 8 --batch_size 2"
OOM = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 24 GiB")


def failing(monkeypatch: pytest.MonkeyPatch, times: int) -> list[str]:
    """Let the first pictures after a step fail for want of memory; return what is called."""
    calls: list[str] = []
    grids, make_room = CGANModel.grids, Stepper.make_room

    def tight(self: CGANModel, batch: Any) -> Any:
        calls.append("pictures")
        if calls.count("pictures") <= times:
            raise OOM
        return grids(self, batch)

    def noted(self: Stepper) -> None:
        calls.append("make room")
        make_room(self)

    monkeypatch.setattr(CGANModel, "grids", tight)
    monkeypatch.setattr(Stepper, "make_room", noted)
    return calls


def test_pictures_without_memory_are_made_once_recordings_are_given_up(bench, monkeypatch):
    calls = failing(monkeypatch, 1)
    outcome = bench.train(f"{MLP} --dataroot hands --n_epochs 1 --name a")
    assert outcome.status == 0
    assert calls[:3] == ["pictures", "make room", "pictures"]
    assert outcome.err.count("CUDA out of memory") == 1
    assert "memory of recorded steps is given back for it" in outcome.err


def test_a_second_failure_is_final(bench, monkeypatch):
    failing(monkeypatch, 2)
    outcome = bench.train(f"{MLP} --dataroot hands --n_epochs 1 --name a")
    assert outcome.status == 1
    assert outcome.err.splitlines()[-1].startswith("train.py: error: out of memory: CUDA out of memory")


# What is said


def allocate():
    return torch.empty(2**45)


def of_numpy():
    return np.empty(2**45)


LACKS = {
    "torch": allocate,
    "numpy": of_numpy,
    "python": lambda: bytearray(2**60),
    "CUDA": OOM,
    "CUDA's own": RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be ..."),
    "cuBLAS": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    "oneDNN": RuntimeError("could not create a primitive descriptor for a convolution forward propagation primitive"),
    "threads": RuntimeError("can't start new thread"),
    "C++": RuntimeError("std::bad_alloc"),
    "OpenCV": cv2.error("OpenCV(4.9.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes"),
    "a process": OSError(errno.ENOMEM, "Cannot allocate memory"),
    "a library": ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    "a worker": RuntimeError("Caught RuntimeError in worker\nTraceback ...\nRuntimeError: can't start new thread\n"),
}


def raised(what):
    if callable(what):
        with pytest.raises((MemoryError, RuntimeError)) as error:
            what()
        return error.value
    return what


@pytest.mark.parametrize("kind", LACKS)
def test_lack_of_memory_is_known_in_every_tongue(kind):
    text = lack_of_memory(raised(LACKS[kind]))
    assert text
    assert "\n" not in text
    assert "GPU 0 has" not in text


@pytest.mark.parametrize(
    "error",
    [
        ValueError("--name 'out of memory' is not there"),
        FileNotFoundError(errno.ENOENT, "No such file", "out of memory.png"),
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("size mismatch for main.0.weight"),
    ],
)
def test_other_errors_are_not_taken_for_it(error):
    assert lack_of_memory(error) == ""


def test_a_step_that_finds_no_memory_is_one_line_and_the_last_checkpoint_is_whole(bench, monkeypatch):
    options = f"{MLP} --dataroot hands --n_epochs 2 --save_latest_freq 4"
    bench.train(f"{options} --name whole")
    step, steps = CGANModel.optimize_parameters, []

    def greedy(self, batch, number):
        steps.append(number)
        if number == 7:
            allocate()
        return step(self, batch, number)

    monkeypatch.setattr(CGANModel, "optimize_parameters", greedy)
    outcome = bench.train(f"{options} --name a")
    monkeypatch.undo()
    assert outcome.status == 1
    (line,) = [line for line in outcome.err.splitlines() if "error" in line]
    assert line == (
        "train.py: error: out of memory: can't allocate memory: you tried to allocate 140737488355328 bytes; with "
        "--batch_size 2, images of 8x8, --precision auto; less memory is taken by --batch_size 1, --accumulate 2, "
        "--precision bf16, --cache disk or off, --num_threads 1, smaller images; what was saved is whole"
    )
    assert load_safely(bench.run_dir("a") / "latest_state.pth")["progress"]["step"] == 6
    again = bench.train("--name a --continue_train")
    assert again.status == 0, again.err
    a, whole = (load_safely(bench.run_dir(name) / "latest_net_G.pth") for name in ("a", "whole"))
    assert all(torch.equal(a[key], whole[key]) for key in whole)


def test_a_gpu_that_is_full_is_helped_by_other_options(bench, monkeypatch):
    def full(*_):
        raise OOM

    bench.train(f"{MLP} --dataroot hands --n_epochs 1 --name a")
    monkeypatch.setattr(CGANModel, "optimize_parameters", full)
    outcome = bench.train("--name a --continue_train --n_epochs 2 --num_threads 8 --precision fp32")
    assert outcome.status == 1
    line = outcome.err.splitlines()[-1]
    assert "out of memory: CUDA out of memory. Tried to allocate 2.00 GiB; with --batch_size 2, images of 8x8" in line
    assert "less memory is taken by --precision bf16, --cache ram, smaller images" in line  # the batch must stay


def test_a_process_with_little_memory_really_ends_so(bench):
    """The address space is limited in a process of its own once all is imported, so that nothing there is pretended."""
    save_images(bench.folder / "faces", num=3, size=8)

    def train():
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + 2**28,) * 2)
        options = "--model cgan --netG mlp --netD mlp --nz 4 --image_size 4096 --batch_size 2 --num_threads 1"
        outcome = bench.train(f"{options} --dataroot faces --device cpu --name b --n_epochs 1")
        (bench.folder / "error").write_text(outcome.err)
        return outcome

    assert in_child(train) == 1
    (line,) = (bench.folder / "error").read_text().splitlines()
    assert line.startswith("train.py: error: out of memory: ")
    assert "with --batch_size 2, images of 4096x4096, --precision auto; less memory is taken by --batch_size 1" in line


def test_threads_that_cannot_be_started_are_one_line(bench, monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    outcome = bench.train(f"{MLP} --dataroot hands --n_epochs 1 --name a")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert "out of memory: can't start new thread; with --batch_size 2" in outcome.err


def test_the_first_import_may_find_no_memory(tmp_path):
    command = f"ulimit -v 400000; exec {sys.executable} {ROOT / 'train.py'} --model cgan --dataroot x"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("train.py: error: out of memory: ")


@pytest.mark.parametrize(
    "read", [lambda path: decode_image(str(path), (8, 8), 3), lambda path: read_pixels(path, 3, 8)]
)
def test_images_are_not_taken_for_damaged(tmp_path, monkeypatch, read):
    path = save_images(tmp_path) / "rock/0.png"

    def full(*_args, **_more):
        raise RuntimeError("std::bad_alloc")

    for module in ("decode", "pixels"):
        monkeypatch.setattr(f"data.files.{module}.upright", full)
    with pytest.raises(RuntimeError, match="bad_alloc"):
        read(path)
