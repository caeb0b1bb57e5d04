"""Training steps recorded as CUDA graphs and replayed (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs)."""

import gc
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from util.types import Batch, Losses

WARM_UP = 3  # eager steps of a variant before it is recorded: by then optimizers have states and libraries their plans


class CannotRecordError(Exception):
    """A step does what a graph cannot do, such as waiting for the device; nothing was computed."""


class Recording(NamedTuple):
    """A step that can be done again on other images."""

    graph: torch.cuda.CUDAGraph
    losses: Losses  # the tensors it writes


class Recorder:
    """Records a step of each variant, all of them in the same memory, and replays them.

    Random numbers are those of the generator as it is seeded at each replay, learning rates those in their tensors.
    """

    def __init__(
        self, function: Callable[[Batch, int], Losses], device: torch.device, free: Callable[[], None]
    ) -> None:
        """Args: function: takes a step; free: gives back all memory that the next step can do without."""
        self.function, self.free = function, free
        self.images = Batch()  # what every step of a recorder reads: warm-up, recording and replay
        self.recordings: dict[Hashable, Recording] = {}
        self.warmed: Counter[Hashable] = Counter()  # eager steps of each variant
        self.stream = torch.cuda.Stream(device)
        self.pool: Any = None

    def __call__(self, variant: Hashable, batch: Batch, step: int) -> Losses:
        """Take a step: eagerly for the first of a variant, then recorded, from then on replayed.

        Raises:
            CannotRecordError: it cannot be recorded.
        """
        self._fill(batch)
        if self.warmed[variant] < WARM_UP:
            self.warmed[variant] += 1
            return self.plain(self.images, step)
        if variant not in self.recordings:
            self.recordings[variant] = self._record(step)
        recording = self.recordings[variant]
        recording.graph.replay()
        return recording.losses

    def forget(self) -> None:
        """Start over, warm-up included."""
        self.recordings.clear()
        self.warmed.clear()
        self.images = Batch()
        self.pool = None

    def _fill(self, batch: Batch) -> None:
        """Copy ``batch`` to where steps read it. Compiled networks see the same tensors from the first step on."""
        if not self.images:
            self.images.update({key: value.clone() for key, value in batch.items() if isinstance(value, Tensor)})
            return
        for key, tensor in self.images.items():
            tensor.copy_(batch[key], non_blocking=True)

    def plain(self, batch: Batch, step: int) -> Losses:
        """Take a step eagerly on ``batch``, on the stream that recordings are made on."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            losses = self.function(Batch(batch), step)  # a copy: objectives leave things in it
        torch.cuda.current_stream().wait_stream(self.stream)
        return losses

    def _record(self, step: int) -> Recording:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        self.free()  # a recording has memory of its own: what the last step leaves would be taken twice
        try:
            # Other threads may go on: they fetch images.
            with (
                _without_garbage_collection(),
                torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"),
            ):
                losses = self.function(Batch(self.images), step)
        except RuntimeError as error:
            torch.cuda.set_stream(stream)  # a failed recording leaves its own stream current
            # The error that ends the recording hides the one that broke it.
            cause = error.__context__ or error
            if not isinstance(cause, Exception):
                raise cause from None  # Ctrl-C
            raise CannotRecordError(first_line(cause)) from None
        self.pool = graph.pool()
        return Recording(graph, losses)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Collect no garbage in the block: cycles may own graphs or events, and freeing those ends a recording."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def renew_generator(device: torch.device) -> None:
    """Give the default generator a fresh state after a recording that failed.

    Before torch 2.12 it believes that it is still being recorded, and the next random number raises.
    """
    generator = torch.cuda.default_generators[device.index or 0]
    fresh = torch.Generator(device).manual_seed(generator.initial_seed())
    generator.graphsafe_set_state(fresh.graphsafe_get_state())


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
