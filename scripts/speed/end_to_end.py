"""Whole runs of train.py from the command line, against a plain script or against another checkout's train.py."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

from data import find_dataroot
from scripts.speed.job import Job
from scripts.speed.reference_data import READ, unpack
from scripts.speed.report import Figures, Row, spread_of
from scripts.speed.side import NAMES, device_name
from scripts.speed.stamps import Stamps

HERE = Path(__file__).parents[2]
ROUNDS = 3
NEVER = 10**9  # images


def check(job: Job) -> None:
    """Raise ValueError when a run is to be timed that cannot be, or has no reference."""
    if not job.is_end_to_end:
        return
    if num_epochs(job) < 2:
        raise ValueError(f"--n_epochs {num_epochs(job)}: the first epoch counts apart, so two are needed")
    if job.bench.against:
        return
    mode = job.config.dataset_mode
    if mode not in READ:
        raise ValueError(
            f"--end_to_end: the reference has no loader for --dataset_mode {mode} (known: {', '.join(READ)}); "
            "--against FOLDER times another checkout instead"
        )
    for name in ("max_dataset_size", "flip", "serial_batches"):
        if getattr(job.config.data, name):
            raise ValueError(f"--{name}: the reference's loader has no such option; --against FOLDER's has")


def num_epochs(job: Job) -> int:
    """Return how many epochs are run: as many as were asked for, else until there was a save after the first."""
    return job.config.run.n_epochs if "n_epochs" in job.given else (job.config.run.save_epoch_freq or 1) + 1


def time_runs(job: Job) -> Row:
    """Run the reference and ours in turn; of several rounds the one in the middle counts."""
    rounds, epochs = job.bench.rounds or ROUNDS, num_epochs(job)
    found: dict[str, list[Figures]] = {name: [] for name in NAMES}
    with tqdm(total=2 * rounds * epochs, leave=False, unit="epoch", dynamic_ncols=True, disable=None) as bar:
        for _ in range(rounds):
            for name in NAMES:
                bar.set_description(f"{job.name}: {name}")
                with tempfile.TemporaryDirectory(prefix="ganvas_benchmark_") as folder:
                    found[name].append(time_run(job, name, Path(folder), bar))
    reference, ours = (
        sorted(runs)[len(runs) // 2]._replace(spread=spread_of([run.ms for run in runs])) for runs in found.values()
    )
    device, against = device_name(job.config.run.device), job.bench.against
    other = Path(against).resolve().name if against else "reference"
    return Row(f"{job.name} end to end", device, job.config.run.batch_size, reference, ours, other)


def time_run(job: Job, name: str, folder: Path, bar: "tqdm[None]") -> Figures:
    """Return the figures of one run; its files go to ``folder``.

    Raises:
        ValueError: it ended with an error.
    """
    command = command_of(job, name, folder)
    stamps, errors = Stamps(folder / "stamps"), folder / "errors"
    start = time.time()
    with errors.open("w") as file:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file)
    try:
        before = bar.n
        while process.poll() is None:
            time.sleep(0.2)
            bar.update(before + max(0, len(stamps.read().get("epoch", [])) - 1) - bar.n)
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        said = errors.read_text().strip().splitlines() or [f"status {process.returncode}"]
        raise ValueError(f"{job.name}, {name}: {said[-1]}")
    bar.update(before + num_epochs(job) - bar.n)
    return figures(stamps.read(), start)


def command_of(job: Job, name: str, folder: Path) -> list[str]:
    """Return the command line of one side, with all that it writes in ``folder``."""
    words = [*job.words, "--n_epochs", str(num_epochs(job)), "--n_epochs_decay", "0"]
    if name == "reference" and not job.bench.against:
        if job.config.dataset_mode == "idx":
            unpack(find_dataroot(job.config.data.dataroot), folder)
        words += ["--workers", str(job.bench.workers)]
        return [
            sys.executable,
            str(HERE / "scripts/speed/reference_run.py"),
            str(folder / "stamps"),
            str(folder),
            *words,
        ]
    if "save_latest_freq" not in job.given:  # tutorials have no such saves
        words += ["--save_latest_freq", str(NEVER)]
    if job.config.dataset_mode == "image_folder" and not {"val_fraction", "val_list"} & job.given:
        words += ["--val_fraction", "0"]  # nor do they hold images out
    words += ["--checkpoints_dir", str(folder), "--name", "run", "--cache_dir", str(folder / "cache")]
    checkout = Path(job.bench.against) if name == "reference" else HERE
    return [sys.executable, str(HERE / "scripts/speed/timed_train.py"), str(checkout), str(folder / "stamps"), *words]


def figures(noted: dict[str, list[float]], start: float) -> Figures:
    """Return what the stamps of a run say that was started at ``start``."""
    (end,), (steps,), begins = noted["end"], noted["steps"], noted["epoch"]
    epoch = (end - begins[1]) / (len(begins) - 1)
    first_step = noted.get("step", [start])[0]
    return Figures(
        ms=1000 * epoch / steps,
        gib=noted["gib"][0],
        start_up=first_step - start,
        epoch=epoch,
        first_epoch=begins[1] - begins[0],
    )
