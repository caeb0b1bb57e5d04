"""Training steps with moving average and loss sums, made fast and checked."""

import time
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from tqdm import tqdm

from models.base_model import BaseModel
from models.networks.segments import has_dropout
from models.optimizers import make_states
from models.step.compile_trial import CompileTrial
from models.step.fast import FastNetworks, why_not_compiled
from models.step.graphs import WARM_UP, CannotRecordError, Recorder, free_memory, renew_generator
from models.step.plan import Speed
from models.step.selfcheck import COMPILED, EXACT, LOW_PRECISION, StepCheck
from util.console import warn
from util.training.meter import LossMeter
from util.training.moving_average import MovingAverage
from util.types import Batch, Losses

CHECKED_AT = (1, 99)  # replays of a variant before a check; after that, whenever their number has doubled


class Stepper:
    """Takes a model's training steps with the optimizations that a Speed lists.

    On a GPU, fast steps are compared with plain ones from time to time (selfcheck.py); an optimization whose steps
    differ too much is switched off, with a warning.
    """

    def __init__(
        self,
        model: BaseModel,
        speed: Speed,
        ema: MovingAverage | None = None,
        meter: LossMeter | None = None,
        num_steps: int = 0,
    ) -> None:
        """Prepare the steps; between them the model has its own networks.

        Args:
            model: in its initial or restored state.
            speed: how to make its steps fast.
            ema: moving average to update after each step, made from the networks as they are now.
            meter: accumulates the losses of each step.
            num_steps: length of the run, to judge whether compiling pays off.
        """
        self.model, self.speed, self.ema, self.meter = model, speed, ema, meter or LossMeter()
        self.networks = FastNetworks(model, speed)
        self.taken: Counter[Hashable] = Counter()  # steps of each variant
        self.replayed: Counter[Hashable] = Counter()  # replays of each variant's latest recording
        self.recorder: Recorder | None = None
        self.check = StepCheck(model, ema, self.meter) if speed.checked else None
        self.unchecked: set[Hashable] = set()  # variants to check at their next replay
        self.was_interrupted = False
        self.doubted: set[Hashable] = set()  # variants whose last check failed
        self.trial = CompileTrial(num_steps, model.device) if speed.tries_compiling else None
        if speed.recorded:
            self.recorder = Recorder(self._step, model.device, partial(free_memory, model))
            for optimizer in model.optimizers.values():
                make_states(optimizer)
                optimizer.register_load_state_dict_post_hook(self._forget)

    def __call__(self, batch: Batch, step: int) -> Losses:
        """Take step number ``step`` with torch's generators as they are seeded; return its losses.

        Read them before the next step, which may overwrite them.
        """
        variant, start = self.model.variant(step), time.perf_counter()
        if self.trial:
            self._try_compiling(self.trial, step)
        if self.ema:
            self.ema.advance()
        if self.check:
            self._check_networks(self.check, variant, batch, step)
            self._check_recording(self.check, variant, batch, step)
        is_compiled = self.speed.compiled
        losses = self._unless_compiler_fails(variant, batch, step)
        if is_compiled and self.speed.compiled and not self.taken[variant]:
            if self.model.device.type == "cuda":
                torch.cuda.synchronize(self.model.device)
            tqdm.write(f"compiling, once: {time.perf_counter() - start:.0f} s")
        self.taken[variant] += 1
        return losses

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to compile, to record or to decide, so that steps take their final time."""
        return not self.trial and self._is_recorded

    @property
    def _is_recorded(self) -> bool:
        return not self.recorder or all(variant in self.recorder.recordings for variant in self.taken)

    def make_room(self) -> None:
        """Release the memory that recordings hold; the next steps record again."""
        self._forget()
        free_memory(self.model)

    def interrupted(self) -> None:
        """Note that something else ran on the device, such as a preview; after the first time, replays are checked."""
        if not self.was_interrupted:
            self.unchecked |= set(self.taken)
        self.was_interrupted = True

    def _forget(self, *_: object) -> None:
        """Discard recordings, for example after a load, which replaces tensors of the optimizer."""
        self.replayed.clear()
        if self.recorder:
            self.recorder.forget()

    def _step(self, batch: Batch, step: int) -> Losses:
        with self.networks.in_use():
            losses = self.model.optimize_parameters(batch, step)
        if self.ema:
            self.ema.update()
        self.meter.add(losses)
        return losses

    def _plain(self, batch: Batch, step: int) -> Losses:
        """Take an eager step, neither recorded nor replayed."""
        return self.recorder.plain(batch, step) if self.recorder else self._step(Batch(batch), step)

    def _unless_compiler_fails(self, variant: Hashable, batch: Batch, step: int) -> Losses:
        """Take a step; if torch.compile fails, take it and all later steps uncompiled."""
        try:
            return self._unless_recording_fails(variant, batch, step)
        except Exception as error:
            reason = why_not_compiled(error) if self.speed.compiled else ""
            if not reason:
                raise
        # Outside the except block: inside it the error keeps everything alive that the failed step computed.
        # Backward graphs compile lazily, so D may already be updated; this step then updates it twice.
        warn(f"--compile is switched off: {reason}")
        self._leave_compiled()
        free_memory(self.model)
        return self._step(Batch(batch), step)

    def _unless_recording_fails(self, variant: Hashable, batch: Batch, step: int) -> Losses:
        """Take a step, recorded if there is a recorder; drop the recorder if the step cannot be recorded."""
        if not self.recorder:
            return self._step(batch, step)
        if variant in self.doubted:
            return self.recorder.plain(batch, step)
        try:
            losses = self.recorder(variant, batch, step)
            self.replayed[variant] += variant in self.recorder.recordings
            return losses
        except CannotRecordError as error:
            reason = str(error)
        warn(f"--cuda_graphs is switched off, a step cannot be recorded: {reason}")
        self._leave_recorded()
        renew_generator(self.model.device)
        return self._step(batch, step)

    def _leave_recorded(self) -> None:
        self.recorder, self.speed = None, self.speed._replace(recorded=False)
        free_memory(self.model)

    def _leave_compiled(self) -> None:
        self.trial = None
        self._change(self.speed._replace(compiled=False))

    def _change(self, speed: Speed) -> None:
        """Take steps as ``speed`` says from now on."""
        self.speed, self.networks = speed, FastNetworks(self.model, speed)
        self._forget()

    @contextmanager
    def _networks_of(self, speed: Speed) -> Iterator[None]:
        """Take steps with the networks that ``speed`` asks for in the block."""
        networks, self.networks = self.networks, FastNetworks(self.model, speed)
        try:
            yield
        finally:
            self.networks = networks

    def _try_compiling(self, trial: CompileTrial, step: int) -> None:
        """Compile the networks once steps have shown that it pays off; stop if they are no faster for it."""
        decision = trial(step, bool(self.taken) and self._is_recorded)
        if decision == "compile":
            self._change(self.speed._replace(compiled=True))
            self.taken.clear()
        elif decision == "leave":
            self._leave_compiled()
        if trial.is_over:
            self.trial = None

    def _check_networks(self, check: StepCheck, variant: Hashable, batch: Batch, step: int) -> None:
        """Check compiled networks and low precision once per variant, at its last step before it is recorded."""
        if self.taken[variant] != WARM_UP - 1 or has_dropout(self.model):
            return
        plain, dtype = partial(self._plain, batch, step), self.speed.dtype
        uncompiled = self._networks_of(self.speed._replace(compiled=False))(plain)
        if self.speed.compiled:
            difference = check.difference("compiled", uncompiled, plain, COMPILED[dtype], step)
            if difference:
                warn(f"--compile is switched off at step {step}: {difference}")
                self._leave_compiled()
        if dtype != torch.float32:
            fp32 = self._networks_of(Speed())(plain)
            difference = check.difference("low-precision", fp32, uncompiled, LOW_PRECISION, step)
            if difference:
                warn(f"--precision is fp32 from step {step} on: {difference}")
                self._change(self.speed._replace(dtype=torch.float32))

    def _check_recording(self, check: StepCheck, variant: Hashable, batch: Batch, step: int) -> None:
        """Check the next replay if a check is due.

        Recording is switched off after two failures in a row, with eager steps in between: about once in a hundred
        checks, rounding that flips a ReLU looks like a fault.
        """
        recorder = self.recorder
        if not recorder or variant not in recorder.recordings or not self._is_due(variant):
            return
        plain, replay = partial(self._plain, batch, step), partial(recorder, variant, batch, step)
        difference = check.difference("recorded", plain, replay, EXACT[self.speed.dtype], step)
        self.unchecked.discard(variant)
        if not difference:
            self.doubted.discard(variant)
        elif variant in self.doubted:
            warn(f"--cuda_graphs is switched off at step {step}: {difference}")
            self._leave_recorded()
        else:
            self.doubted.add(variant)

    def _is_due(self, variant: Hashable) -> bool:
        count = self.replayed[variant]
        first, second = CHECKED_AT
        doubled = count > second and (count + 1) % (second + 1) == 0 and ((count + 1) // (second + 1)).bit_count() == 1
        return variant in self.unchecked | self.doubted or count in (first, second) or doubled
