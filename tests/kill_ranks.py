"""Kill processes of a torchrun job at random moments; the result must be that of an undisturbed run.

    python -m tests.kill_ranks FOLDER [KILLS]

Not part of the suite, which has a short version (test_ranks.py): every kill costs the start of two processes.
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


def start(folder: Path, name: str, restarts: int) -> subprocess.Popen[bytes]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--max-restarts={restarts}"]
    torchrun += ["--monitor-interval=0.1", "--rdzv_backend=c10d", "--rdzv_endpoint=localhost:0"]
    options = [*OPTIONS.split(), "--sync_batchnorm", "off", "--n_epochs", "600", "--display", "none"]
    command = [*torchrun, str(REPOSITORY / "train.py"), *options, "--name", name, "--resume_or_start"]
    log = (folder / f"{name}.log").open("wb")
    return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})


def workers(parent: int) -> list[int]:
    """Return the processes that train, children of torchrun."""
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(p) for p in found if b"train.py" in Path(f"/proc/{p}/cmdline").read_bytes()]


def main(folder: Path, kills: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_images(folder / "hands")
    begin = time.monotonic()
    assert start(folder, "whole", 0).wait() == 0, (folder / "whole.log").read_text()
    print(f"undisturbed: {time.monotonic() - begin:.0f} s", flush=True)
    begin, numbers, job, done = time.monotonic(), random.Random(0), start(folder, "killed", kills), 0
    losses = folder / "checkpoints/killed/losses.csv"
    while job.poll() is None and done < kills:
        rows = losses.read_text().count("\n") if losses.exists() else 0
        wanted, since = rows + numbers.randrange(1, 6), time.monotonic()
        while job.poll() is None and time.monotonic() - since < 60:  # in the midst of steps, saves or the start
            if losses.exists() and losses.read_text().count("\n") >= wanted:
                break
            time.sleep(0.01)
        time.sleep(numbers.random() * 0.3)
        if job.poll() is None and (alive := workers(job.pid)):
            os.kill(numbers.choice(alive), 9)
            done += 1
    assert job.wait() == 0, (folder / "killed.log").read_text()[-3000:]
    print(f"{done} kills: {time.monotonic() - begin:.0f} s", flush=True)
    killed, whole = (folder / "checkpoints" / name for name in ("killed", "whole"))
    assert_same(*({k: v for k, v in state(run).items() if k != "logs"} for run in (killed, whole)))
    assert losses.read_bytes() == (whole / "losses.csv").read_bytes()
    print("state and losses.csv are equal")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), int(sys.argv[2]) if len(sys.argv) > 2 else 50)
