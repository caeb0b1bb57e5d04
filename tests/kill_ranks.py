"""Kill processes of a training at random moments; the result must be that of an undisturbed run.

    python -m tests.kill_ranks FOLDER [KILLS [PROCESSES]]

Two processes are a torchrun job, which restarts itself; one process, which also measures, is started again from here.
Not part of the suite, which has a short version (test_ranks.py): every kill costs the start of the processes.
"""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.bench import SMALL, save_images
from tests.test_resume import assert_same, state

REPOSITORY = Path(__file__).parents[1]
OPTIONS = f"--model cgan --dataroot hands {SMALL} --batch_size 2 --print_freq 20 --save_latest_freq 50 --flip --ema .9"
TOGETHER = "--sync_batchnorm off --n_epochs 600"
ALONE = "--n_epochs 900 --val_fraction .4 --eval_freq 30 --eval_images 12 --metrics grain,grid,accuracy"


def start(folder: Path, name: str, processes: int, restarts: int) -> subprocess.Popen[bytes]:
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", f"--nproc_per_node={processes}", f"--max-restarts={restarts}"]
        command += ["--monitor-interval=0.1", "--rdzv_backend=c10d", "--rdzv_endpoint=localhost:0"]
    options = [*OPTIONS.split(), *(TOGETHER if processes > 1 else ALONE).split(), "--display", "none"]
    command += [str(REPOSITORY / "train.py"), *options, "--name", name, "--resume_or_start"]
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})


def workers(parent: int) -> list[int]:
    """Return the processes that train: children of torchrun."""
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(p) for p in found if b"train.py" in Path(f"/proc/{p}/cmdline").read_bytes()]


def kill_often(folder: Path, kills: int, processes: int) -> int:
    """Train, and kill a process ``kills`` times in the midst of steps, saves or starts; return how often it was."""
    numbers, job, done = random.Random(0), start(folder, "killed", processes, kills), 0
    losses = folder / "checkpoints/killed/losses.csv"
    while job.poll() is None and done < kills:
        rows = losses.read_text().count("\n") if losses.exists() else 0
        wanted, since = rows + numbers.randrange(1, 6), time.monotonic()
        while job.poll() is None and time.monotonic() - since < 60:
            if losses.exists() and losses.read_text().count("\n") >= wanted:
                break
            time.sleep(0.01)
        time.sleep(numbers.random() * 0.3)
        if job.poll() is not None or not (alive := workers(job.pid) if processes > 1 else [job.pid]):
            continue
        os.kill(numbers.choice(alive), 9)
        done += 1
        if processes == 1:
            job.wait()
            job = start(folder, "killed", processes, 0)
    assert job.wait() == 0, (folder / "killed.log").read_text()[-3000:]
    return done


def main(folder: Path, kills: int, processes: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_images(folder / "hands")
    begin = time.monotonic()
    assert start(folder, "whole", processes, 0).wait() == 0, (folder / "whole.log").read_text()
    print(f"undisturbed: {time.monotonic() - begin:.0f} s", flush=True)
    begin = time.monotonic()
    done = kill_often(folder, kills, processes)
    print(f"{done} kills: {time.monotonic() - begin:.0f} s", flush=True)
    killed, whole = (folder / "checkpoints" / name for name in ("killed", "whole"))
    assert_same(*({k: v for k, v in state(run).items() if k != "logs"} for run in (killed, whole)))
    same = ["losses.csv", *(("metrics.csv", "best.yaml") if processes == 1 else ())]
    for name in same:
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    print(f"state and {', '.join(same)} are equal")


if __name__ == "__main__":
    number = [int(word) for word in sys.argv[2:]]
    main(Path(sys.argv[1]).absolute(), number[0] if number else 50, number[1] if len(number) > 1 else 2)
