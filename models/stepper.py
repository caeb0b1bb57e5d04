"""A training step: the model's, with the moving average, recorded as a CUDA graph where that is faster."""

import time
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from models.base_model import BaseModel
from models.fast import make_fast
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
        self.seen: Counter[Hashable] = Counter()
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
        losses = self._recorded(self.recorder, batch, step) if self.recorder else self._step(batch, step)
        self.seen[variant] += 1
        if self.speed.compiled and self.seen[variant] == 1:
            if self.model.device.type == "cuda":
                torch.cuda.synchronize(self.model.device)
            tqdm.write(f"compiling, once: {time.perf_counter() - start:.0f} s")
        return losses

    def _forget(self, *_: object) -> None:
        """Record anew after a load: an optimizer has other tensors then than those that were recorded."""
        if self.recorder:
            self.recorder.recordings.clear()
            self.seen.clear()

    def _step(self, batch: Batch, step: int) -> Losses:
        losses = self.model.optimize_parameters(batch, step)
        if self.ema:
            self.ema.update()
        return losses

    def _recorded(self, recorder: "Recorder", batch: Batch, step: int) -> Losses:
        variant = self.model.variant(step)
        if self.seen[variant] < WARM_UP:
            return recorder.warm_up(batch, step)
        try:
            return recorder.replay(variant, batch, step)
        except RuntimeError as error:
            if variant in recorder.recordings:
                raise
            warn(f"--cuda_graphs is switched off, a step cannot be recorded: {str(error).strip().splitlines()[0]}")
            self.recorder = None
            return self._step(batch, step)


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
        self.stream = torch.cuda.Stream(device)
        self.pool: Any = None

    def warm_up(self, batch: Batch, step: int) -> Losses:
        """Take a step as it is written, where recordings will be made: on a stream of their own."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            losses = self.function(batch, step)
        torch.cuda.current_stream().wait_stream(self.stream)
        return losses

    def replay(self, variant: Hashable, batch: Batch, step: int) -> Losses:
        """Take a step of ``variant`` on ``batch``; the first one of each is recorded before.

        Raises:
            RuntimeError: the step does what a graph cannot do, such as waiting for the device; nothing was computed.
        """
        if variant not in self.recordings:
            self.recordings[variant] = self._record(batch, step)
        recording = self.recordings[variant]
        for key, tensor in recording.batch.items():
            tensor.copy_(batch[key], non_blocking=True)
        recording.graph.replay()
        return recording.losses

    def _record(self, batch: Batch, step: int) -> Recording:
        images = {key: value.clone() for key, value in batch.items() if isinstance(value, Tensor)}
        if self.recordings:
            images = next(iter(self.recordings.values())).batch
        else:
            self.pool = None
        graph = torch.cuda.CUDAGraph()
        # Other threads may go on: they fetch images.
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"):
            losses = self.function(Batch(images), step)  # a batch of its own, as objectives leave things in it
        self.pool = graph.pool()
        return Recording(graph, Batch(images), losses)
