"""Measure a model while it trains, remember which networks were best, and decide when to stop."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from util.metrics.evaluator import Evaluator
from util.metrics.names import cost
from util.metrics.record import Quality, describe_best
from util.metrics.score import Score
from util.training.schedule import Plateau
from util.types import Progress

if TYPE_CHECKING:
    from models.base_model import BaseModel
    from options.train_options import TrainOptions


class Measured(NamedTuple):
    """The result of one measurement."""

    scores: list[Score]
    is_best: bool  # so far

    @property
    def text(self) -> str:
        return "  ".join(f"{f.name} {f.text}" for f in self.scores) + "  best so far" * self.is_best


class Measuring:
    """Evaluates the model every ``--eval_freq`` images.

    Drives the best checkpoint, early stopping and the plateau schedule.
    """

    def __init__(self, opt: "TrainOptions", folder: Path, evaluator: Evaluator | None) -> None:
        """Args: evaluator: None: nothing is ever measured."""
        self.opt, self.evaluator = opt, evaluator
        self.start = time.perf_counter()
        self.quality = Quality(folder, opt.watched_metric if opt.eval_freq else "")
        self.plateau = Plateau(exact=opt.plateau_loss in opt.metrics)
        self.seconds = 0.0  # that measuring took, with what came of it

    def due(self, at: Progress) -> bool:
        """Return whether the model is to be measured after this step."""
        return at.due(self.opt.eval_freq)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the time of the block as spent on measuring."""
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start

    def measure(self, model: "BaseModel") -> list[Score]:
        """Measure ``model``, which must be in evaluation mode.

        Raises:
            FloatingPointError: its images are not finite.
        """
        assert self.evaluator
        return self.evaluator.measure(model)

    def take(self, at: Progress, scores: list[Score]) -> Measured:
        """Record a measurement."""
        return Measured(scores, self.quality.take(at, scores))

    @property
    def best(self) -> str:
        """A description of the best measurement; "" when there is none."""
        return describe_best(self.quality.best) if self.quality.best else ""

    @property
    def is_enough(self) -> bool:
        """Whether ``--early_stop`` ends the run."""
        return 0 < self.opt.early_stop <= self.quality.since

    @property
    def verdict(self) -> str:
        """Why training ends."""
        return (
            f"--early_stop {self.opt.early_stop}: {self.quality.since} measurements without a better "
            f"{self.quality.metric}; best: {self.best or 'none'}"
        )

    def cost(self) -> str:
        """Return how much of the process's time went into measuring, and into preparing for it."""
        seconds = time.perf_counter() - self.start
        before = self.evaluator.seconds if self.evaluator else 0.0
        return f"measured in {self.seconds:.0f} of {seconds:.0f} s, prepared for it in {before:.0f} s before"

    def end_epoch(self, means: dict[str, float], default: str) -> None:
        """Pass the epoch's watched value, if it had one, to the plateau policy; ``default``: see ``watched``."""
        if self.opt.lr_policy == "plateau":
            name, latest = self.watched(means, default), self.quality.latest
            if name in means:
                self.plateau.update(means[name])
            elif name in latest:
                self.plateau.update(cost(name, latest[name]))
        self.quality.latest = {}

    def watched(self, means: dict[str, float], default: str) -> str:
        """Return the name of the loss or metric that the plateau policy watches.

        Args:
            means: mean losses by name.
            default: the model's choice; "": the first loss.

        Raises:
            ValueError: ``--plateau_loss`` is neither a loss nor a metric of this run.
        """
        name = self.opt.plateau_loss or default or next(iter(means))
        measured = self.opt.metrics if self.evaluator else ()
        if name not in means and name not in measured:
            known = f"this model logs {', '.join(means)}, and measured is {', '.join(measured) or 'nothing'}"
            raise ValueError(f"--plateau_loss {name}: {known}")
        return name
