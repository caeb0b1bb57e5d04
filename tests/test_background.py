"""What is left to a thread is done in order, on copies, and its errors come back; the thread holds up nothing."""

import subprocess
import sys
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.bench import in_child
from util import background
from util.background import Background, at_once
from util.types import Grid, Progress

REPOSITORY = Path(__file__).parents[1]


class Gate:
    """A job that is under way until it is opened."""

    def __init__(self, do):
        self.begun, self.open = threading.Event(), threading.Event()
        do(self)
        assert self.begun.wait(10)

    def __call__(self):
        self.begun.set()
        assert self.open.wait(10)


def fail(error):
    raise error


def in_time(condition):
    """Say whether a condition comes true soon."""
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    return condition()


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "background"]


def test_jobs_are_done_one_by_one_in_order_beside_the_main_thread():
    do = Background()
    done: list[int] = []
    under_way: list[int] = []

    def job(number):
        under_way.append(number)
        assert threading.current_thread() is not threading.main_thread()
        if number % 50 == 0:
            time.sleep(0.001)
        done.append(number)
        assert under_way == [number]
        under_way.clear()

    for number in range(2000):
        do(job, number)
        if number % 3 == 0:
            time.sleep(1e-5)  # so that the thread ends, now and then, as the next job comes
    do.wait()
    assert done == list(range(2000))


def test_a_thread_is_there_only_while_there_is_something_to_do():
    do = Background()
    do.wait()
    assert not threads()
    gate = Gate(do)
    assert len(threads()) == 1
    gate.open.set()
    do.wait()
    assert in_time(lambda: not threads())


def test_a_job_gets_what_there_was_when_it_came():
    do = Background()
    got: list[Any] = []
    gate = Gate(do)
    net, at, mean = nn.BatchNorm2d(2), Progress(1, 2, 3, 4), torch.tensor(0.5)
    losses = {"G": mean, "pair": (mean, 7)}
    grid = Grid(torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last), 2, ("rock", "paper"))
    function = print
    do(lambda *arguments: got.append(arguments), net.state_dict(), at, [losses], {"fake": grid}, function, "text")
    with torch.no_grad():
        net.weight.fill_(9)
    at.step, losses["later"] = 99, mean
    mean.fill_(9)
    grid.images.fill_(9)
    gate.open.set()
    do.wait()
    ((state, when, (loss,), grids, *rest),) = got
    assert type(state) is OrderedDict and list(state) == list(net.state_dict())
    assert vars(state) == vars(net.state_dict()) != {}  # the versions of its layers
    assert torch.equal(state["weight"], torch.ones(2)) and not state["weight"].requires_grad
    assert when == Progress(1, 2, 3, 4)
    assert loss == {"G": torch.tensor(0.5), "pair": (torch.tensor(0.5), 7)}
    assert type(grids["fake"]) is Grid and grids["fake"].rows == ("rock", "paper")
    assert torch.equal(grids["fake"].images, torch.zeros(2, 3, 4, 5))
    assert grids["fake"].images.stride() == grid.images.stride()
    assert rest == [function, "text"]


def test_an_error_drops_what_waits_and_is_raised_once():
    do = Background()
    done: list[int] = []
    gate = Gate(do)
    do(done.append, 1)
    do(fail, OSError("no room"))
    do(done.append, 2)
    gate.open.set()
    assert in_time(lambda: done == [1] and not threads())
    with pytest.raises(OSError, match="no room"):
        do(done.append, 3)
    do.wait()
    do(done.append, 4)
    do.wait()
    assert done == [1, 4]
    do(fail, SystemExit(3))
    with pytest.raises(SystemExit):
        do.wait()


@pytest.mark.parametrize("limit", ["MAX_JOBS", "MAX_BYTES"])
def test_what_waits_is_bounded(monkeypatch, limit):
    monkeypatch.setattr(background, limit, 3 if limit == "MAX_JOBS" else 2 * 4000)
    do = Background()
    came: list[int] = []
    gate = Gate(do)

    def come():
        for number in range(4):
            do(lambda _: None, torch.zeros(1000))
            came.append(number)

    other = threading.Thread(target=come)
    other.start()
    assert in_time(lambda: len(came) == 2)
    time.sleep(0.05)
    assert len(came) == 2
    gate.open.set()
    other.join(10)
    do.wait()
    assert len(came) == 4


def test_what_waits_can_be_dropped():
    do = Background()
    done: list[int] = []
    do.drop()
    gate = Gate(do)
    do(done.append, 1)
    do(done.append, 2)
    do.drop()
    gate.open.set()
    do.wait()
    do(done.append, 3)
    do.wait()
    assert done == [3]


def test_a_process_that_is_forked_while_a_job_is_under_way_has_its_own():
    do = Background()
    gate = Gate(do)

    def child():
        other = Background()
        done: list[int] = []
        other(done.append, 1)
        other.wait()
        assert done == [1]

    assert in_child(child) == 0
    gate.open.set()
    do.wait()


def test_a_process_ends_whatever_is_under_way():
    code = "import time; from util.background import Background; Background()(time.sleep, 60); 1 / 0"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=50)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_without_a_thread_all_is_done_at_once():
    done: list[int] = []
    at_once(done.append, 1)
    assert done == [1]


@pytest.mark.parametrize("is_pinned", [True, False])
def test_pinned_memory_is_given_back_when_all_is_done(monkeypatch, is_pinned):
    given_back: list[bool] = []
    monkeypatch.setattr(background, "give_back_pinned_memory", lambda: given_back.append(True))

    class Job(background._Job):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.is_pinned = is_pinned

    monkeypatch.setattr(background, "_Job", Job)
    do = Background()
    gate = Gate(do)
    do(lambda: None)
    assert not given_back
    gate.open.set()
    do.wait()
    assert len(given_back) == is_pinned  # before nothing is under way, as the process may end then


def test_torch_can_give_pinned_memory_back():
    background.give_back_pinned_memory()  # by a function of torch that is not documented


def test_no_thread_is_left_when_all_is_done():
    """A process that ends while its thread still frees tensors aborts: `terminate called without ...`."""

    class Slow:
        def __del__(self):
            time.sleep(0.05)

    do = Background()
    for _ in range(3):
        do(lambda slow: None, Slow())
        do.wait()
        assert not threads()
