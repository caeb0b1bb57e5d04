"""Record training steps as CUDA graphs and replay them (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs)."""

import gc
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from models.base_model import BaseModel
from util.types import Batch, Losses

WARM_UP = 3  # eager steps of a variant before it is recorded: optimizer states and library plans exist by then


class CannotRecordError(Exception):
    """A step does what a graph cannot hold, such as waiting for the device; nothing was computed."""


class Recording(NamedTuple):
    """A recorded step, which can be replayed on other images."""

    graph: torch.cuda.CUDAGraph
    losses: Losses  # the tensors that a replay overwrites


class Recorder:
    """Records one step of each variant, all in one memory pool, and replays them.

    A replay uses the generator's current seed and the current values of the learning rate tensors.
    """

    def __init__(
        self, function: Callable[[Batch, int], Losses], device: torch.device, free: Callable[[], None]
    ) -> None:
        """Args: function: takes a step; free: releases all memory that the next step does not need."""
        self.function, self.free = function, free
        self.images = Batch()  # the tensors that every step reads: warm-up, recording and replay
        self.recordings: dict[Hashable, Recording] = {}
        self.warmed: Counter[Hashable] = Counter()  # eager steps of each variant
        self.stream = torch.cuda.Stream(device)
        self.pool: Any = None

    def __call__(self, variant: Hashable, batch: Batch, step: int) -> Losses:
        """Take a step: eagerly during a variant's warm-up, then recorded, then replayed.

        Raises:
            CannotRecordError: the step cannot be recorded.
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
        """Copy ``batch`` to where steps read it; compiled networks see the same tensors from the first step on."""
        if not self.images:
            self.images.update({key: value.clone() for key, value in batch.items() if isinstance(value, Tensor)})
            return
        for key, tensor in self.images.items():
            tensor.copy_(batch[key], non_blocking=True)

    def plain(self, batch: Batch, step: int) -> Losses:
        """Take an eager step on the recording stream."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            losses = self.function(Batch(batch), step)  # a copy: objectives add to it
        torch.cuda.current_stream().wait_stream(self.stream)
        return losses

    def _record(self, step: int) -> Recording:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        self.free()  # a recording has its own pool: memory that the last step holds would be allocated twice
        try:
            # thread_local: other threads keep fetching images.
            with (
                _without_garbage_collection(),
                torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"),
            ):
                losses = self.function(Batch(self.images), step)
        except RuntimeError as error:
            torch.cuda.set_stream(stream)  # a failed recording leaves its own stream current
            # The error that ends a capture hides the one that broke it.
            cause = error.__context__ or error
            if not isinstance(cause, Exception):
                raise cause from None  # Ctrl-C
            raise CannotRecordError(first_line(cause)) from None
        self.pool = graph.pool()
        return Recording(graph, losses)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Disable garbage collection in the block: freeing a graph or event held by a cycle would end the recording."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def renew_generator(device: torch.device) -> None:
    """Give the default generator a fresh state after a failed recording.

    Before torch 2.12 it still counts as being recorded, and drawing a random number raises.
    """
    generator = torch.cuda.default_generators[device.index or 0]
    fresh = torch.Generator(device).manual_seed(generator.initial_seed())
    generator.graphsafe_set_state(fresh.graphsafe_get_state())


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def free_memory(model: BaseModel) -> None:
    """Release what earlier steps hold on the device: gradients, garbage and cached memory."""
    for optimizer in model.optimizers.values():
        optimizer.zero_grad(set_to_none=True)
    gc.collect()
    if model.device.type == "cuda":
        torch.cuda.empty_cache()
