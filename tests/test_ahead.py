"""Items made ahead by a thread: all of them, in order, errors included, and no thread left."""

import itertools
import threading
import time

import pytest

from data.loading.prefetch import ahead


def is_over(thread_count: int) -> bool:
    for _ in range(100):
        if threading.active_count() == thread_count:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("num", [1, 2, 7])
def test_all_come_in_their_order(num):
    before = threading.active_count()
    assert list(ahead(iter(range(20)), num)) == list(range(20))
    assert list(ahead([], num)) == []
    assert is_over(before)


def test_so_many_are_made_in_advance_and_no_more():
    made = []
    items = ahead((made.append(i) or i for i in itertools.count()), 3)  # type: ignore[func-returns-value]
    assert next(items) == 0
    for _ in range(100):
        if len(made) == 5:  # one was taken, three wait, one is in the hand of the thread
            break
        time.sleep(0.02)
    time.sleep(0.05)
    assert made == [0, 1, 2, 3, 4]
    items.close()


def test_an_error_comes_in_its_place():
    def failing():
        yield 1
        yield 2
        raise OSError("the disk is gone")

    items = ahead(failing())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(OSError, match="the disk is gone"):
        next(items)


def test_a_consumer_that_leaves_leaves_no_thread():
    before = threading.active_count()
    items = ahead(itertools.count())
    next(items)
    assert threading.active_count() == before + 1
    items.close()
    assert is_over(before)
