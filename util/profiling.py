"""Profile training steps: a trace of some of them, and a table of where the time goes."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function, schedule
from tqdm import tqdm

from util.console import warn
from util.files import write_text
from util.types import Batch

FOLDER, TRACE, TABLE = "profile", "trace.json.gz", "table.txt"
SKIPPED = 10  # first steps, at least, which compile, record, and choose among algorithms
TABLE_ROWS = 20  # rows of the table
PARTS = "step: "  # what names of parts of a step begin with, as given to torch.profiler.record_function


class Profiler:
    """Traces ``num`` steps of a run, from the eleventh on or later, or sooner where the run is too short for that."""

    def __init__(self, folder: Path, num: int, num_steps: int, device: torch.device, n_critic: int = 1) -> None:
        """Start to watch.

        Args:
            folder: of the run; the results go to ``profile/`` in it.
            num: steps to trace.
            num_steps: that the run has before it.
            device: the one that trains.
            n_critic: steps until all kinds of them have been there.

        Raises:
            ValueError: the run has too few steps.
        """
        if num_steps < num + 2:  # one before the trace and one to warm up the profiler
            raise ValueError(f"--profile {num}: this run has {num_steps} steps before it: at most {num_steps - 2}")
        self.folder, self.num, self.device = folder / FOLDER, num, device
        activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
        skipped = min(max(SKIPPED, 4 * n_critic), num_steps - num - 1)
        plan = schedule(skip_first=skipped, wait=0, warmup=1, active=num, repeat=1)
        self.profile: Any = profile(activities=activities, schedule=plan, on_trace_ready=self._write)
        self.profile.start()
        self.left = skipped + 1 + num

    def step(self) -> None:
        """Note the end of a step."""
        if self.left:
            self.left -= 1
            self.profile.step()
            if not self.left:
                self.profile.stop()

    def close(self) -> None:
        """Warn when the run ended before the last step to trace."""
        if self.left:
            self.left, self.profile.on_trace_ready = 0, None
            self.profile.stop()
            warn(f"--profile {self.num}: the run ended before the last of these steps, so there is no trace")

    def _write(self, traced: Any) -> None:
        self.folder.mkdir(exist_ok=True)
        traced.export_chrome_trace(str(self.folder / TRACE))
        table = describe(traced.key_averages(), self.num, self.device)
        write_text(self.folder / TABLE, table)
        tqdm.write(f"{table}trace: {self.folder / TRACE} (for https://ui.perfetto.dev or chrome://tracing)")


def labelled(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the batches, and let a trace show how long they were waited for."""
    source = iter(batches)
    while True:
        with record_function(f"{PARTS}wait for data"):
            batch = next(source, None)
        if batch is None:
            return
        yield batch


def describe(events: Any, num: int, device: torch.device) -> str:
    """Return a table of the time that each operation takes a step, the longest first, and of the parts of a step.

    Args:
        events: of torch.profiler, averaged by name.
        num: steps that were traced.
        device: the one whose time counts; operations that wait for one another do not count twice.
    """
    on_gpu = device.type == "cuda"
    if on_gpu:  # an operation has the time of its kernels, which are events themselves
        parts = [e for e in events if e.device_type.name == "CPU"]
        events = [e for e in events if e.device_type.name == "CUDA" and not e.is_user_annotation]
    else:
        parts = events
    own = {e.key: (e.self_device_time_total if on_gpu else e.self_cpu_time_total) for e in events}
    names = [n for n in own if not n.startswith((PARTS, "ProfilerStep", "Optimizer.", "autograd::"))]
    total = sum(own[n] for n in names) or 1.0
    calls = {e.key: e.count for e in events}
    lines = [f"{'ms a step':>10} {'share':>6} {'calls':>7}  operation, on the {'GPU' if on_gpu else 'CPU'}"]
    for name in sorted(names, key=lambda n: -own[n])[:TABLE_ROWS]:
        lines.append(f"{own[name] / 1e3 / num:10.3f} {own[name] / total:6.1%} {calls[name] / num:7.1f}  {name[:80]}")
    lines += [
        f"{total / 1e3 / num:10.3f} {1:6.1%} {'':7}  all",
        f"{'ms a step':>10}  part of a step, as the host sees it",
    ]
    for event in sorted((e for e in parts if e.key.startswith(PARTS)), key=lambda e: -e.cpu_time_total):
        lines.append(f"{event.cpu_time_total / 1e3 / num:10.3f}  {event.key.removeprefix(PARTS)}")
    return "\n".join(lines) + "\n"
