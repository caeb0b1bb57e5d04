"""A training step: the model's, with the moving average, recorded as a CUDA graph where that is faster."""

import time
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from models.base_model import BaseModel
from models.fast import is_of_compiler, leave_compiled, make_fast
from models.speed import Speed
from util.console import warn
from util.moving_average import MovingAverage
from util.types import Batch, Losses

WARM_UP = 3  # steps of a variant before it is recorded: by then optimizers have their states, libraries their plans


class Stepper:
    """Takes the steps of a model as a Speed says."""

    def __init__(self, model: BaseModel, speed: Speed, ema: MovingAverage | None = None) -> None:
        """Args: ema: the moving average that takes in each step, made of the networks as they are now."""
        self.model, self.speed, self.ema = model, speed, ema
        make_fast(model, speed)
        self.seen: set[Hashable] = set()  # variants of steps
        self.recorder = Recorder(self._step, model.device) if speed.recorded else None
        for optimizer in model.optimizers.values():
            optimizer.register_load_state_dict_post_hook(self._forget)

    def __call__(self, batch: Batch, step: int) -> Losses:
        """Take step number ``step``, whose random numbers torch's generators are seeded for; return its losses.

        They are to be read before the next step, which may overwrite them.
        """
        variant, start = self.model.variant(step), time.perf_counter()
        if self.ema:
            self.ema.advance()
        try:
            losses = self._taken(variant, batch, step)
        except Exception as error:
            if not is_of_compiler(error):
                raise
            # Backward passes are compiled when they are first needed: D may have had its update, and has another one.
            warn(f"--compile is switched off: {first_line(error)}")
            leave_compiled(self.model)
            losses = self._step(Batch(batch), step)
        if self.speed.compiled and variant not in self.seen:
            if self.model.device.type == "cuda":
                torch.cuda.synchronize(self.model.device)
            tqdm.write(f"compiling, once: {time.perf_counter() - start:.0f} s")
        self.seen.add(variant)
        return losses

    def _forget(self, *_: object) -> None:
        """Record anew after a load: an optimizer has other tensors then than those that were recorded."""
        if self.recorder:
            self.recorder.forget()

    def _step(self, batch: Batch, step: int) -> Losses:
        losses = self.model.optimize_parameters(batch, step)
        if self.ema:
            self.ema.update()
        return losses

    def _taken(self, variant: Hashable, batch: Batch, step: int) -> Losses:
        """Take a step, recorded where there is a recorder, which is left when it cannot record."""
        if not self.recorder:
            return self._step(batch, step)
        try:
            return self.recorder(variant, batch, step)
        except CannotRecordError as error:
            warn(f"--cuda_graphs is switched off, a step cannot be recorded: {error}")
            self.recorder = None
            return self._step(batch, step)


class CannotRecordError(Exception):
    """A step does what a graph cannot do, such as waiting for the device; nothing was computed."""


class Recording(NamedTuple):
    """A step that can be done again on other images."""

    graph: torch.cuda.CUDAGraph
    batch: Batch  # whose tensors it reads
    losses: Losses  # the tensors it writes


class Recorder:
    """Records a step of each variant, all of them in the same memory, and replays them.

    Random numbers are those of the generator as it is seeded at each replay, learning rates those in their tensors.
    """

    def __init__(self, function: Callable[[Batch, int], Losses], device: torch.device) -> None:
        self.function = function
        self.recordings: dict[Hashable, Recording] = {}
        self.warmed: Counter[Hashable] = Counter()  # steps of each variant before it is recorded
        self.stream = torch.cuda.Stream(device)
        self.pool: Any = None

    def __call__(self, variant: Hashable, batch: Batch, step: int) -> Losses:
        """Take a step: as it is written for the first of a variant, then recorded, from then on replayed.

        Raises:
            CannotRecordError: it cannot be recorded.
        """
        if self.warmed[variant] < WARM_UP:
            self.warmed[variant] += 1
            return self._warm_up(batch, step)
        if variant not in self.recordings:
            self.recordings[variant] = self._record(batch, step)
        recording = self.recordings[variant]
        for key, tensor in recording.batch.items():
            tensor.copy_(batch[key], non_blocking=True)
        recording.graph.replay()
        return recording.losses

    def forget(self) -> None:
        """Begin anew, warm-up included."""
        self.recordings.clear()
        self.warmed.clear()
        self.pool = None

    def _warm_up(self, batch: Batch, step: int) -> Losses:
        """Take a step as it is written, where recordings will be made: on a stream of their own."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            losses = self.function(batch, step)
        torch.cuda.current_stream().wait_stream(self.stream)
        return losses

    def _record(self, batch: Batch, step: int) -> Recording:
        if self.recordings:
            images = next(iter(self.recordings.values())).batch
        else:
            images = Batch({key: value.clone() for key, value in batch.items() if isinstance(value, Tensor)})
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            # Other threads may go on: they fetch images.
            with torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"):
                losses = self.function(Batch(images), step)  # a batch of its own, as objectives leave things in it
        except RuntimeError as error:
            torch.cuda.set_stream(stream)  # which a recording that fails does not do
            # What ends a recording complains of it; why it failed is what came before.
            raise CannotRecordError(first_line(error.__context__ or error)) from None
        self.pool = graph.pool()
        return Recording(graph, images, losses)


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
