"""A training step: the model's, with the moving average and the sums of losses, made fast and checked."""

import gc
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import torch
from torch import nn
from tqdm import tqdm

from models.base_model import BaseModel
from models.optimizers import make_states
from models.step.compile_trial import CompileTrial
from models.step.fast import FastNetworks, why_not_compiled
from models.step.graphs import WARM_UP, CannotRecordError, Recorder, renew_generator
from models.step.plan import Speed
from models.step.selfcheck import COMPILED, DOUBTFUL, EXACT, LOW_PRECISION, Bounds, Finding, StepCheck
from util.console import warn
from util.training.meter import LossMeter
from util.training.moving_average import MovingAverage
from util.types import Batch, Losses

CHECKED_AT = (1, 99)  # replays of a variant before one is checked; then whenever their number has doubled


class Stepper:
    """Takes the steps of a model as a Speed says.

    On a GPU, fast steps are compared with plain ones now and then (selfcheck.py); those that differ too much are given
    up, with a warning.
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
            model: with its first or restored state.
            speed: how its steps are made fast.
            ema: the moving average that takes in each step, made of the networks as they are now.
            meter: sums up the losses of each step.
            num_steps: of the whole run, to judge whether compiling pays.
        """
        self.model, self.speed, self.ema, self.meter = model, speed, ema, meter or LossMeter()
        self.networks = FastNetworks(model, speed)
        self.taken: Counter[Hashable] = Counter()  # steps of each variant
        self.replayed: Counter[Hashable] = Counter()  # of these, replays of its latest recording
        self.recorder: Recorder | None = None
        self.check = StepCheck(model, ema, self.meter) if speed.checked else None
        self.unchecked: set[Hashable] = set()  # variants to check at the next replay: something else ran on the device
        self.was_interrupted = False
        self.doubted: set[Hashable] = set()  # variants whose last check failed
        self.trial = CompileTrial(num_steps, model.device) if speed.tries_compiling else None
        if speed.recorded:
            self.recorder = Recorder(self._step, model.device, partial(free_memory, model))
            for optimizer in model.optimizers.values():
                make_states(optimizer)
                optimizer.register_load_state_dict_post_hook(self._forget)

    def __call__(self, batch: Batch, step: int) -> Losses:
        """Take step number ``step``, whose random numbers torch's generators are seeded for; return its losses.

        They are to be read before the next step, which may overwrite them.
        """
        variant, start = self.model.variant(step), time.perf_counter()
        if self.trial:
            self._try_compiling(self.trial, step)
        if self.ema:
            self.ema.advance()
        if self.check:
            self._check_networks(variant, batch, step)
            self._check_recording(variant, batch, step)
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
        """Whether steps are taken as they will be from now on: nothing is left to compile, to record or to decide."""
        return not self.trial and self._is_recorded

    @property
    def _is_recorded(self) -> bool:
        return not self.recorder or all(variant in self.recorder.recordings for variant in self.taken)

    def make_room(self) -> None:
        """Give up the memory that recordings hold; they are made again at the next steps."""
        self._forget()
        free_memory(self.model)

    def interrupted(self) -> None:
        """Note that something else ran on the device, such as a preview: after the first time, replays are checked."""
        if not self.was_interrupted:
            self.unchecked |= set(self.taken)
        self.was_interrupted = True

    def _forget(self, *_: object) -> None:
        """Record anew after a load: an optimizer then has other tensors than those that were recorded."""
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
        """Take a step without recording or replaying."""
        return self.recorder.plain(batch, step) if self.recorder else self._step(Batch(batch), step)

    def _unless_compiler_fails(self, variant: Hashable, batch: Batch, step: int) -> Losses:
        """Take a step; if torch.compile fails at it, take it without, and all that follow."""
        try:
            return self._unless_recording_fails(variant, batch, step)
        except Exception as error:
            reason = why_not_compiled(error) if self.speed.compiled else ""
            if not reason:
                raise
        # Outside the except block: until it ends, the error holds everything that the failed step computed.
        # Backward graphs compile lazily, so D may already be updated; this step then updates it twice.
        warn(f"--compile is switched off: {reason}")
        self._leave_compiled()
        free_memory(self.model)
        return self._step(Batch(batch), step)

    def _unless_recording_fails(self, variant: Hashable, batch: Batch, step: int) -> Losses:
        """Take a step, recorded where there is a recorder, which is given up when it cannot record."""
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
        """From now on take steps as ``speed`` says."""
        self.speed, self.networks = speed, FastNetworks(self.model, speed)
        self._forget()

    @contextmanager
    def _networks_of(self, speed: Speed) -> Iterator[None]:
        """Take steps in the block with networks as ``speed`` has them."""
        networks, self.networks = self.networks, FastNetworks(self.model, speed)
        try:
            yield
        finally:
            self.networks = networks

    def _try_compiling(self, trial: CompileTrial, step: int) -> None:
        """Compile the networks once the steps have shown that it pays, and stop when they are no faster for it."""
        decision = trial(step, bool(self.taken) and self._is_recorded)
        if decision == "compile":
            self._change(self.speed._replace(compiled=True))
            self.taken.clear()
        elif decision == "leave":
            self._leave_compiled()
        if trial.is_over:
            self.trial = None

    def _check_networks(self, variant: Hashable, batch: Batch, step: int) -> None:
        """Check compiled networks and low precision, once for each variant: at its last step before it is recorded."""
        if self.taken[variant] != WARM_UP - 1 or has_dropout(self.model):
            return
        plain, dtype = partial(self._plain, batch, step), self.speed.dtype
        uncompiled = self._networks_of(self.speed._replace(compiled=False))(plain)
        if self.speed.compiled:
            told = self._differ("compiled", uncompiled, plain, COMPILED[dtype], step)
            if told:
                warn(f"--compile is switched off at step {step}: {told}")
                self._leave_compiled()
        if dtype != torch.float32:
            told = self._differ("low-precision", self._networks_of(Speed())(plain), uncompiled, LOW_PRECISION, step)
            if told:
                warn(f"--precision is fp32 from step {step} on: {told}")
                self._change(self.speed._replace(dtype=torch.float32))

    def _check_recording(self, variant: Hashable, batch: Batch, step: int) -> None:
        """Check the replay that comes next, if that is due.

        It takes two failures in a row to give up recordings, and between them steps are taken plainly: once in some
        hundred checks, rounding that tips a ReLU over looks like a fault.
        """
        recorder = self.recorder
        if not recorder or variant not in recorder.recordings or not self._is_due(variant):
            return
        plain, replay = partial(self._plain, batch, step), partial(recorder, variant, batch, step)
        told = self._differ("recorded", plain, replay, EXACT[self.speed.dtype], step)
        self.unchecked.discard(variant)
        if not told:
            self.doubted.discard(variant)
        elif variant in self.doubted:
            warn(f"--cuda_graphs is switched off at step {step}: {told}")
            self._leave_recorded()
        else:
            self.doubted.add(variant)

    def _is_due(self, variant: Hashable) -> bool:
        count = self.replayed[variant]
        first, second = CHECKED_AT
        doubled = count > second and (count + 1) % (second + 1) == 0 and ((count + 1) // (second + 1)).bit_count() == 1
        return variant in self.unchecked | self.doubted or count in (first, second) or doubled

    def _differ(
        self, kind: str, plain: Callable[[], Losses], fast: Callable[[], Losses], bounds: Bounds, step: int
    ) -> str:
        """Return how two ways of taking a step differ, "" when they agree; print it when they hardly do."""
        assert self.check
        findings: list[Finding] = []
        with suppress(torch.OutOfMemoryError):
            findings = self.check(plain, fast, bounds)
        if not findings:
            free_memory(self.model)
            tqdm.write(
                f"{kind} steps are not checked at step {step}: there is no memory left for it (--check_steps off)"
            )
            return ""
        worst = ", ".join(str(finding) for finding in findings[:3] if finding.ratio > DOUBTFUL)
        if findings[0].ratio > 1:
            return f"{kind} steps differ from plain ones, in units of what a step changes: {worst}"
        if worst:
            tqdm.write(f"note: {kind} steps hardly agree with plain ones at step {step}, in units of a step: {worst}")
        return ""


def has_dropout(model: BaseModel) -> bool:
    """Return whether a network of ``model`` draws random numbers: others when it is compiled, or in other precision."""
    return any(isinstance(module, nn.Dropout | nn.Dropout2d) and module.p > 0 for module in model.modules())


def free_memory(model: BaseModel) -> None:
    """Give back what earlier steps still hold on the device: gradients, garbage, and memory that is kept for more."""
    for optimizer in model.optimizers.values():
        optimizer.zero_grad(set_to_none=True)
    gc.collect()
    if model.device.type == "cuda":
        torch.cuda.empty_cache()
