"""A process of its own that takes steps of one side when asked to, and otherwise sleeps: its memory is its own too."""

import contextlib
import multiprocessing
import signal
import time
from multiprocessing.connection import Connection

import torch

from scripts.speed.job import Job
from scripts.speed.side import Side, SideName


class Worker:
    """One side of a job: ``with Worker(name, job) as worker`` starts its process and ends it."""

    def __init__(self, name: SideName, job: Job) -> None:
        """Start the process and wait until it has taken its first step.

        Raises:
            ValueError: it cannot, and why.
        """
        self.name, self.job = name, job
        context, start = multiprocessing.get_context("spawn"), time.perf_counter()
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, name, job), daemon=True)
        self.process.start()
        theirs.close()
        try:
            self.first = self._answer()
        except BaseException:
            self.__exit__()
            raise
        self.start_up = time.perf_counter() - start  # seconds

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.join()

    def steps(self, num: int) -> float:
        """Take ``num`` steps; return the seconds that they took."""
        return self._ask("steps", num)

    def warm_up(self, num: int) -> float:
        """Take ``num`` steps or more, until steps are as they will be; return the seconds that they took."""
        return self._ask("warm_up", num)

    def data(self) -> float:
        """Return the seconds that a batch takes the loader alone, 0 when there is no data."""
        return self._ask("data")

    def gib(self) -> float:
        """Return the memory in use at most so far, GiB."""
        return self._ask("gib")

    def _ask(self, what: str, *details: int) -> float:
        self.pipe.send((what, *details))
        return self._answer()

    def _answer(self) -> float:
        try:
            answer = self.pipe.recv()
        except EOFError:
            self.process.join()
            raise ValueError(
                f"{self.job.name}, {self.name}: its process ended with status {self.process.exitcode}; -9 means that "
                "there was too little memory: use a smaller --batch_size"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return float(answer)


def work(pipe: Connection, name: SideName, job: Job) -> None:
    """Be the process: build, take the first step, then do what is asked for until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other end says what there is to say
    try:
        side = Side(name, job)
        pipe.send(side.steps(1))
        with contextlib.suppress(EOFError):
            while True:
                what, *details = pipe.recv()
                pipe.send(getattr(side, what)(*details))
    except torch.OutOfMemoryError:
        pipe.send(ValueError(f"{job.name}, {name}: out of memory: use a smaller --batch_size"))
    except (ValueError, OSError, LookupError, RuntimeError) as error:
        pipe.send(ValueError(f"{job.name}, {name}: {error}"))
