"""Find runs by name; knows only that a run is a folder with an options.yaml."""

from pathlib import Path

from util.registry import did_you_mean

OPTIONS_FILE = "options.yaml"
OPTIONS_TABLE = "train_opt.txt"  # what pytorch-CycleGAN-and-pix2pix leaves beside its weights
TEST_TABLE = "test_opt.txt"  # what its tests leave there
STATE_FILE = "latest_state.pth"  # what --continue_train resumes from


def list_runs(checkpoints_dir: Path) -> list[Path]:
    """Return the folders of all runs, the one that was active last first."""
    files = list(checkpoints_dir.glob(f"*/{OPTIONS_FILE}"))
    return [f.parent for f in sorted(files, key=_last_active, reverse=True)]


def _last_active(options_file: Path) -> float:
    state = options_file.with_name("latest_state.pth")
    return max(f.stat().st_mtime for f in (options_file, state) if f.exists())


def find_run(checkpoints_dir: Path, name: str) -> Path:
    """Return the folder of run ``name``, of the newest run when ``name`` is empty.

    Raises:
        FileNotFoundError: there is none; the message names the nearest.
    """
    runs = list_runs(checkpoints_dir)
    if not runs:
        raise FileNotFoundError(f"there is no run in {checkpoints_dir}/; train one first, or give --checkpoints_dir")
    if not name:
        return runs[0]
    folder = checkpoints_dir / name
    if folder not in runs:
        raise FileNotFoundError(f"no run {name!r} in {checkpoints_dir}/{did_you_mean(name, [r.name for r in runs])}")
    return folder


def find_trained(checkpoints_dir: Path, name: str) -> Path:
    """Return the folder of run ``name``, as ``find_run`` does, or a folder of that name that holds weights alone.

    Raises:
        FileNotFoundError: there is neither.
    """
    folder = checkpoints_dir / name
    if name and not (folder / OPTIONS_FILE).exists() and any(folder.glob("*_net_*.pth")):
        return folder
    return find_run(checkpoints_dir, name)


def free_name(checkpoints_dir: Path, stem: str) -> str:
    """Return ``stem``, or ``stem-2``, ``stem-3`` ..., whichever is the first that no folder bears."""
    number = 1
    while (checkpoints_dir / (name := stem if number == 1 else f"{stem}-{number}")).exists():
        number += 1
    return name
