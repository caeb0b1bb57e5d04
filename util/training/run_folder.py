"""The folder of a training run: who may write in it, and the record of what was asked for."""

import platform
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from util.config_file import read_section
from util.console import warn
from util.files import FolderLock
from util.runs import OPTIONS_FILE


def check_run_folder(folder: Path, continue_train: bool, overwrite: bool) -> None:
    """Check that a run may be written to ``folder``.

    Raises:
        FileExistsError: it holds a run, and neither flag was given; or ``overwrite`` was, and it holds something else.
    """
    if continue_train or not _contents(folder):
        return
    if not overwrite:
        raise FileExistsError(
            f"{folder} exists: resume it with --continue_train, replace it with --overwrite, or choose another --name"
        )
    if not (folder / OPTIONS_FILE).exists():
        raise FileExistsError(
            f"--overwrite: {folder} holds no run of train.py, so it is left alone; choose another --name"
        )


def open_run_folder(folder: Path, continue_train: bool, overwrite: bool) -> FolderLock:
    """Take a run's folder for this process; ``overwrite`` empties it, else what a killed process left unfinished goes.

    Raises:
        FileExistsError: as ``check_run_folder`` says.
        BlockingIOError: another process trains there.
    """
    check_run_folder(folder, continue_train, overwrite)
    try:
        lock = FolderLock(folder)
    except BlockingIOError:
        raise
    except OSError as error:
        raise OSError(
            f"--checkpoints_dir {folder.parent}: {folder.name} cannot be made or written there ({error.strerror}): "
            "choose another folder"
        ) from None
    if overwrite and not continue_train:
        for path in _contents(folder):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in folder.rglob(".*.tmp"):
        path.unlink()
    return lock


def _contents(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if p.name != ".lock" and not p.match(".*.tmp")] if folder.exists() else []


def describe_process(device: torch.device, speed: str, previous: Path | None) -> dict[str, Any]:
    """Return the entries of a run's record that are not options.

    Args:
        device: the one that trains.
        speed: how its steps are made fast, for people.
        previous: options.yaml of the run that is resumed, whose record is kept; None for a new run.
    """
    now = {
        "command": shlex.join(["python", *sys.argv]),
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "cpu_threads": torch.get_num_threads(),
        "speed": speed,
    }
    if not previous:
        return now
    first: dict[str, Any] = read_section(previous, "about") or now
    resumed: list[Any] = list(first.get("resumed") or [])
    last = resumed[-1] if resumed else first
    for key in ("device", "speed"):
        if key in last and last[key] != now[key]:
            warn(f"resumes on {now[key]}; results will differ in the last bits from those on {last[key]}")
    return first | {"resumed": [*resumed, now]}


def _commit() -> str:
    """Return the commit of the code, with a + when files differ from it; "" when git does not tell."""
    command = ["git", "-C", str(Path(__file__).parents[2]), "describe", "--always", "--dirty=+", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
