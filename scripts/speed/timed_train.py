"""Run the train.py of a checkout as its command line would, and write down when its epochs and its first step came.

    python scripts/speed/timed_train.py CHECKOUT FILE OPTION...

FILE is JSON: seconds since 1970 at the begin of each epoch, at the end of the first step and at the end of all; the
steps of an epoch; and the GiB in use at most.
"""

import json
import resource
import runpy
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    checkout, file, *words = sys.argv[1:]
    sys.path[0] = checkout  # all that is imported is the checkout's own
    sys.argv = [str(Path(checkout) / "train.py"), *words]
    times = watch()
    runpy.run_path(sys.argv[0], run_name="__main__")
    import torch

    times["gib"] = peak_gib("cuda" if torch.cuda.is_initialized() else "cpu")
    Path(file).write_text(json.dumps(times), encoding="utf-8")


def watch() -> dict[str, Any]:
    """Return what a training of this process will fill: the times named above."""
    import torch

    from data.loading.loader import Loader
    from models.step.stepper import Stepper
    from util.training.run import Run

    epoch, step, leave = Loader.epoch, Stepper.__call__, Run.__exit__
    times: dict[str, Any] = {"epochs": []}

    def noted_epoch(loader: Loader, number: int, first: int = 0) -> Any:
        times["epochs"].append(time.time())
        times["steps"] = len(loader)
        return epoch(loader, number, first)

    def noted_step(stepper: Stepper, batch: Any, number: int) -> Any:
        losses = step(stepper, batch, number)
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        times["first_step"] = time.time()
        Stepper.__call__ = step  # type: ignore[method-assign]
        return losses

    def noted_leave(run: Run, *error: Any) -> None:
        times["end"] = time.time()
        leave(run, *error)

    Loader.epoch, Stepper.__call__, Run.__exit__ = noted_epoch, noted_step, noted_leave  # type: ignore[method-assign,assignment]
    return times


def peak_gib(device: str) -> float:
    """Return how much memory was in use at most, in GiB: by tensors on a GPU, elsewhere by this process."""
    import torch

    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    status = Path("/proc/self/status")
    if status.exists():  # unlike ru_maxrss, VmHWM begins anew when a process starts another program
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)


if __name__ == "__main__":
    main()
