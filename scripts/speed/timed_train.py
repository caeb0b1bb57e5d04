"""Run the train.py of a checkout as its command line would, and note when its first step and its epochs came.

    python scripts/speed/timed_train.py CHECKOUT STAMPS OPTION...

STAMPS is a file: steps N of an epoch, epoch T for the begin of each, step T for the end of the first step, end T, and
gib X for the memory in use at most.
"""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = str(Path(__file__).parents[2])


def main() -> None:
    checkout, stamps, *words = sys.argv[1:]
    sys.path[0] = HERE
    from scripts.speed.stamps import Stamps, peak_gib

    sys.path[0] = checkout  # from here on all that is imported is the checkout's own
    sys.argv = [str(Path(checkout) / "train.py"), *words]
    watch(stamp := Stamps(Path(stamps)))
    runpy.run_path(sys.argv[0], run_name="__main__")
    import torch

    stamp("gib", peak_gib("cuda" if torch.cuda.is_initialized() else "cpu"))


def watch(stamp: Callable[..., None]) -> None:
    """Note the begin of each epoch, the end of the first step, and the end of the training."""
    import torch

    from data.loading.loader import Loader
    from models.step.stepper import Stepper
    from util.training.run import Run

    epoch, step, leave = Loader.epoch, Stepper.__call__, Run.__exit__
    seen: set[str] = set()

    def once(word: str, number: float | None = None) -> None:
        if word not in seen:
            seen.add(word)
            stamp(word, number)

    def noted_epoch(loader: Loader, number: int, first: int = 0) -> Any:
        once("steps", len(loader))
        stamp("epoch")
        return epoch(loader, number, first)

    def noted_step(stepper: Stepper, batch: Any, number: int) -> Any:
        losses = step(stepper, batch, number)
        if torch.cuda.is_initialized() and "step" not in seen:
            torch.cuda.synchronize()
        once("step")
        return losses

    def noted_leave(run: Run, *error: Any) -> None:
        once("end")
        leave(run, *error)

    for owner, name, noted in (
        (Loader, "epoch", noted_epoch),
        (Stepper, "__call__", noted_step),
        (Run, "__exit__", noted_leave),
    ):
        setattr(owner, name, noted)


if __name__ == "__main__":
    main()
