"""The clock of a run."""

import pytest

from util.training.stopwatch import Stopwatch
from util.types import Batch, Progress


class Clock(Stopwatch):
    """A stopwatch whose time is set by hand."""

    time = 100.0


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("util.training.stopwatch.time.perf_counter", lambda: clock.time)
    return clock


def test_laps_of_two_kinds_are_counted_beside_each_other(clock):
    clock.start(Progress(1, 10, 40))
    clock.time += 2

    def batches():
        clock.time += 1  # is waited for
        yield Batch()

    assert len(list(clock.timed(batches()))) == 1
    assert clock.lap("report", Progress(1, 12, 48)) == (3, 1, 8, 2)
    clock.time += 2
    assert clock.lap("report", Progress(1, 13, 52)) == (2, 0, 4, 1)
    assert clock.lap("epoch", Progress(1, 13, 52)) == (5, 1, 12, 3)
    clock.time += 9
    clock.start(Progress(2, 13, 52))
    clock.time += 1
    assert clock.lap("epoch", Progress(2, 14, 56)) == (1, 0, 4, 1)


def test_it_stands_still(clock):
    clock.start(Progress())
    clock.time += 1
    with clock.paused():
        clock.time += 50
        assert clock.lap("row", Progress()).seconds == 1  # what is saved within the block does not count it
        clock.time += 50
    clock.time += 2
    assert clock.lap("row", Progress()).seconds == 2
    assert clock.lap("epoch", Progress()).seconds == 3
