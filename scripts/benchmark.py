"""Time our training steps against plain eager PyTorch in one run, or whole runs against plain scripts.

    python scripts/benchmark.py --model cgan --image_size 32 --batch_size 16 --steps 5 --device cpu --out b.csv
    python scripts/benchmark.py --job cyclegan_256_b1
    python scripts/benchmark.py --suite --out speed.csv
    python scripts/benchmark.py --job mnist_cgan_mlp --device cpu
    python scripts/benchmark.py --model cgan --dataroot rps_mini --against ../ganvas_of_yesterday

Each side runs in a process of its own, in turn, on random numbers of the right size; docs/speed.md says what is
measured. All options of train.py and of the model go to ours, and those that are about the method to both.
"""

import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.speed.job import Job, parse_jobs

if TYPE_CHECKING:
    from scripts.speed.report import Row

ROUNDS = 5


def main(argv: Sequence[str] | None = None) -> None:
    """Time all jobs; a user's mistake ends in one line and status 2 (options) or 1."""
    jobs = parse_jobs(__doc__ or "", sys.argv[1:] if argv is None else list(argv))
    from util.console import one_line_errors

    with one_line_errors("benchmark.py", jobs[0].config.run.verbose, ValueError, OSError, LookupError):
        benchmark(jobs)


def benchmark(jobs: list[Job]) -> None:
    """Time jobs one after the other; print, write and draw what came out as each ends."""
    from scripts.speed.end_to_end import check, time_runs
    from scripts.speed.report import append_csv, check_csv, table, write_plot
    from util.console import warn
    from util.device import pick_device

    bench = jobs[0].bench
    out = Path(bench.out) if bench.out else None
    plot = Path(bench.plot) if bench.plot else out.with_suffix(".svg") if out else Path("results/speed.svg")
    if out:
        check_csv(out)
    if bench.plot and not plot.parent.is_dir():
        raise FileNotFoundError(f"--plot {plot}: there is no folder {plot.parent}")
    pick_device(jobs[0].config.run.device)
    for job in jobs:
        if job.is_end_to_end:
            check(job)
    plot.parent.mkdir(exist_ok=True)
    rows, failed = [], []
    for job in jobs:
        try:
            rows.append(time_runs(job) if job.is_end_to_end else time_steps(job))
        except (ValueError, OSError, LookupError) as error:
            if len(jobs) == 1:
                raise
            warn(str(error))  # the other jobs of a suite can do without this one
            failed.append(job.name)
            continue
        print(f"\n{table(rows[-1])}", flush=True)
        if out:
            append_csv(out, rows[-1])
        write_plot(plot, rows)
    print(f"\nplot: {plot}" + (f"  rows: {out}" if out else ""))
    if failed:
        raise ValueError(f"not timed: {', '.join(failed)}")


def time_steps(job: Job) -> "Row":
    """Time rounds of steps, the reference's and ours in turn."""
    from tqdm import tqdm

    from scripts.speed.report import Row, Timing, spread_of
    from scripts.speed.side import NAMES, Worker, device_name

    bench, n_critic = job.bench, getattr(job.config.model, "n_critic", 1)
    rounds = bench.rounds or ROUNDS
    steps = -(-bench.steps // n_critic) * n_critic  # a whole turn of updates, as G's takes longer
    seconds: dict[str, list[float]] = {name: [] for name in NAMES}
    with ExitStack() as stack:
        sides = [stack.enter_context(Worker(name, job)) for name in NAMES]
        for side in sides:
            side("warm_up", max(bench.warmup, 2 * n_critic))
        for _ in tqdm(range(rounds), job.name, leave=False, unit="round", dynamic_ncols=True, disable=None):
            for side in sides:
                seconds[side.name].append(side("steps", steps))
        found = [
            Timing(
                ms=1000 * median(seconds[side.name]) / steps,
                gib=side("gib"),  # before the loader adds its own
                start_up=side.start_up,
                first=side.first,
                data_ms=1000 * side("data"),
                spread=spread_of(seconds[side.name]),
            )
            for side in sides
        ]
    return Row(job.name, device_name(job.config.run.device), job.config.run.batch_size, found[0], found[1])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended too
    main()
