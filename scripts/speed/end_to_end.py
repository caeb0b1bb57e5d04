"""Whole runs of train.py from the command line, against a plain script or against another checkout's train.py."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scripts.speed.job import Job
from scripts.speed.report import Row, Timing, spread_of
from scripts.speed.side import NAMES, device_name

HERE = Path(__file__).parents[2]
ROUNDS = 3
NEVER = 10**9  # images


def check(job: Job) -> None:
    """Raise ValueError when a run is to be timed that cannot be, or has no reference."""
    from scripts.speed.reference_run import READ  # with torchvision

    if num_epochs(job) < 2:
        raise ValueError(f"--n_epochs {num_epochs(job)}: the first epoch counts apart, so two are needed")
    if job.bench.against:
        return
    otherwise = "--against FOLDER times another checkout instead"
    if (mode := job.config.dataset_mode) not in READ:
        known = ", ".join(READ)
        raise ValueError(f"--end_to_end: the reference has no loader for --dataset_mode {mode} ({known}); {otherwise}")
    for name in ("max_dataset_size", "flip", "serial_batches"):
        if getattr(job.config.data, name):
            raise ValueError(f"--{name}: the reference's loader has no such option; {otherwise}")


def num_epochs(job: Job) -> int:
    """Return how many epochs are run: as many as were asked for, else until there was a save after the first."""
    opt = job.config.run
    return opt.n_epochs if "n_epochs" in job.config.given else (opt.save_epoch_freq or 1) + 1


def time_runs(job: Job) -> Row:
    """Run the reference and ours in turn; of several rounds the one in the middle counts."""
    rounds, found = job.bench.rounds or ROUNDS, dict[str, list[Timing]]()
    with tqdm(total=2 * rounds, desc=job.name, leave=False, unit="run", dynamic_ncols=True, disable=None) as bar:
        for name in rounds * NAMES:
            with tempfile.TemporaryDirectory(prefix="ganvas_benchmark_") as folder:
                found.setdefault(name, []).append(time_run(job, name, Path(folder)))
            bar.update()
    reference, ours = (
        sorted(runs)[len(runs) // 2]._replace(spread=spread_of([run.ms for run in runs])) for runs in found.values()
    )
    device, against = device_name(job.config.run.device), job.bench.against
    other = Path(against).resolve().name if against else "reference"
    return Row(f"{job.name} end to end", device, job.config.run.batch_size, reference, ours, other)


def time_run(job: Job, name: str, folder: Path) -> Timing:
    """Return the figures of one run, whose files go to ``folder``; raise ValueError when it ends with an error."""
    start = time.time()
    done = subprocess.run(command_of(job, name, folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise ValueError(f"{job.name}, {name}: {said[-1]}")
    return figures(json.loads((folder / "times.json").read_text(encoding="utf-8")), start)


def command_of(job: Job, name: str, folder: Path) -> list[str]:
    """Return the command line of one side, with all that it writes in ``folder``."""
    times, given = str(folder / "times.json"), job.config.given
    words = [*job.words, "--n_epochs", str(num_epochs(job)), "--n_epochs_decay", "0"]
    if name == "reference" and not job.bench.against:
        script = str(HERE / "scripts/speed/reference_run.py")
        return [sys.executable, script, str(folder), times, *words, "--workers", str(job.bench.workers)]
    if "save_latest_freq" not in given:  # tutorials have no such saves
        words += ["--save_latest_freq", str(NEVER)]
    if job.config.dataset_mode == "image_folder" and not {"val_fraction", "val_list"} & given:
        words += ["--val_fraction", "0"]  # nor do they hold images out
    words += ["--checkpoints_dir", str(folder), "--name", "run", "--cache_dir", str(folder / "cache")]
    checkout = job.bench.against if name == "reference" else str(HERE)
    return [sys.executable, str(HERE / "scripts/speed/timed_train.py"), checkout, times, *words]


def figures(times: dict[str, Any], start: float) -> Timing:
    """Return the figures of a run that was started at ``start``."""
    first, second = times["epochs"][:2]
    epoch = (times["end"] - second) / (len(times["epochs"]) - 1)
    start_up, ms = times["first_step"] - start, 1000 * epoch / times["steps"]
    return Timing(ms=ms, gib=times["gib"], start_up=start_up, epoch=epoch, first_epoch=second - first)
