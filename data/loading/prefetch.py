"""Items made ahead of their use, in a thread."""

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T], num: int = 2) -> Generator[T, None, None]:
    """Yield ``items`` in their order, ``num`` of them made in advance by a thread, which ends with the iterator.

    Errors of ``items`` come where the item would have come.
    """
    made: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(num)
    is_over = threading.Event()

    def put(item: T | None, error: BaseException | None) -> None:
        while not is_over.is_set():
            with contextlib.suppress(queue.Full):
                made.put((item, error), timeout=0.1)
                return

    def make() -> None:
        try:
            for item in items:
                put(item, None)
                if is_over.is_set():
                    return
            put(None, StopIteration())
        except BaseException as error:
            put(None, error)

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while True:
            item, error = made.get()
            if isinstance(error, StopIteration):
                return
            if error:
                raise error
            yield item  # type: ignore[misc]
    finally:
        is_over.set()
        thread.join()
