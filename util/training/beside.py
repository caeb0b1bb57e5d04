"""Pictures and measurements: what is computed beside the steps of a training, and changes nothing of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeVar

import torch

from util.console import warn
from util.modes import evaluating
from util.seeding import forked
from util.training.moving_average import MovingAverage

if TYPE_CHECKING:
    from models.base_model import BaseModel
    from models.step.stepper import Stepper

T = TypeVar("T")


class BesideSteps:
    """Calls functions in evaluation mode, with the moving average of G and a random stream of their own.

    No weight and no random number of the training depends on them.
    """

    def __init__(self, model: "BaseModel", ema: MovingAverage | None, stepper: "Stepper", seed: int) -> None:
        self.model, self.ema, self.stepper, self.seed = model, ema, stepper, seed

    def __call__(self, use: int, function: Callable[[], T]) -> T:
        """Return ``function()``; ``use`` tells its random stream from others.

        When the device has no memory left for it, that of recorded steps is given up, once.
        """
        try:
            return self._as_shown(use, function)
        except torch.OutOfMemoryError as error:
            reason = str(error).partition(". ")[0]
        finally:
            self.stepper.interrupted()
        warn(f"{reason}: memory of recorded steps is given back for it, and they are recorded anew")
        self.stepper.make_room()
        return self._as_shown(use, function)

    def _as_shown(self, use: int, function: Callable[[], T]) -> T:
        averaged: AbstractContextManager[None] = self.ema.in_use() if self.ema else nullcontext()
        with forked(self.seed, use), averaged, evaluating(self.model):
            return function()
