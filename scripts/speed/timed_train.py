"""Run the train.py of a checkout as its command line would, and note when its first step and its epochs came.

    python scripts/speed/timed_train.py CHECKOUT STAMPS OPTION...

STAMPS is a file: steps N of an epoch, epoch T for the begin of each, step T for the end of the first step, end T, and
gib X for the memory in use at most.
"""

import runpy
import sys
from collections.abc import Callable, Iterator
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
    """Have the loop's own calls noted: ``Run.epochs``, and the first ``Run.log``, which follows the first step."""
    import torch

    from util.training.run import Run as Watched

    Run: Any = Watched

    epochs, log = Run.epochs, Run.log

    def noted_epochs(run: Any, steps: int, *rest: Any) -> Iterator[int]:
        stamp("steps", steps)
        for epoch in epochs(run, steps, *rest):
            stamp("epoch")
            yield epoch
        stamp("end")

    def noted_log(run: Any, losses: Any) -> None:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        stamp("step")
        Run.log = log
        log(run, losses)

    Run.epochs, Run.log = noted_epochs, noted_log


if __name__ == "__main__":
    main()
