"""The clock of a training run, which stops while the model is measured."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from util.types import Batch, Progress


class Lap(NamedTuple):
    """Time and progress between two moments."""

    seconds: float
    data_seconds: float  # of them, waiting for images
    images: int
    steps: int

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.images / max(self.seconds, 1e-9)


class Stopwatch:
    """Counts laps of several kinds beside each other, such as from report to report and from epoch to epoch."""

    def __init__(self) -> None:
        self._held: float | None = None  # when the clock was stopped
        self._paused = 0.0
        self._began: dict[str, Lap] = {}
        self._waited = 0.0
        self._start = Lap(0.0, 0.0, 0, 0)

    def start(self, at: Progress) -> None:
        """Begin laps of all kinds here."""
        self._began, self._start = {}, self._now(at)

    def timed(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield ``batches``, and count the time spent waiting for each."""
        start = time.perf_counter()
        for batch in batches:
            self._waited += time.perf_counter() - start
            yield batch
            start = time.perf_counter()

    def lap(self, kind: str, at: Progress) -> Lap:
        """End a lap of this kind, which began with the last one or at the start, and begin the next."""
        now = self._now(at)
        began = self._began.get(kind, self._start)
        self._began[kind] = now
        return Lap(
            now.seconds - began.seconds,
            now.data_seconds - began.data_seconds,
            now.images - began.images,
            now.steps - began.steps,
        )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock during the block."""
        self._held = time.perf_counter()
        try:
            yield
        finally:
            self._paused += time.perf_counter() - self._held
            self._held = None

    def _now(self, at: Progress) -> Lap:
        moment = time.perf_counter() if self._held is None else self._held
        return Lap(moment - self._paused, self._waited, at.images, at.step)
