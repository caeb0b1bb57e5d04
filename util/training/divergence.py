"""What a run does when a loss, a weight or an image is not finite: end, or go back and on at a lower rate."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn
from tqdm import tqdm

from util.metrics.record import Quality
from util.types import Progress

RESTARTED, MAX_RESTARTS = 0.5, 5  # of the learning rate that remains after each return to an earlier state


def check_finite(modules: Mapping[str, nn.Module]) -> None:
    """Raise FloatingPointError when a weight or buffer, such as batch norm's variance, is NaN or infinite."""
    tensors = {
        f"{prefix}{name}": tensor
        for prefix, module in modules.items()
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
        if tensor.is_floating_point()
    }
    names = list(tensors)
    finite = torch.stack([t.isfinite().all() for t in tensors.values()]).tolist()  # the device is waited for once
    if not all(finite):
        raise FloatingPointError(
            f"training diverged: {names[finite.index(False)]} is not finite, so the last save is kept; try a lower --lr"
        )


class Divergence:
    """Answers a FloatingPointError as ``--on_nan`` says."""

    def __init__(self, on_nan: Literal["stop", "restart"], quality: Quality, at: Progress) -> None:
        """Args: quality: remembers the restarts, and is saved with the run; at: where the run is."""
        self.on_nan, self.quality, self.at = on_nan, quality, at

    @property
    def factor(self) -> float:
        """What is left of the learning rate."""
        return float(RESTARTED**self.quality.restarts)

    @contextmanager
    def caught(self, go_back: Callable[[], None], save: Callable[[], None]) -> Iterator[None]:
        """Go back when the block finds what is not finite, if ``--on_nan restart`` says so.

        Args:
            go_back: restores the last save.
            save: saves that state again.

        Raises:
            FloatingPointError: it does not say so, or the run went back MAX_RESTARTS times.
        """
        try:
            yield
        except FloatingPointError as error:
            restarts = self.quality.restarts + 1
            if self.on_nan != "restart":
                raise FloatingPointError(f"{error}; --on_nan restart does both by itself") from None
            if restarts > MAX_RESTARTS:
                raise FloatingPointError(f"{error}; --on_nan restart has gone back {MAX_RESTARTS} times") from None
            go_back()
            self.quality.restarts = restarts
            save()  # so that a run that is killed now does not forget the lower rate
            tqdm.write(
                f"warning: {error}: --on_nan restart goes back to step {self.at.step}, now at "
                f"{self.factor:g} of the learning rate",
                file=sys.stderr,
            )
