"""Several processes that work together, for tests: forked, so that they need not import anything again."""

import os
import pickle
import signal
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from util import distributed


def together(function: Callable[[], Any], folder: Path, num: int = 2, starts: bool = True) -> list[Any]:
    """Call ``function`` in ``num`` processes; return what each returned that was not killed.

    They are of one gloo group, or ``function`` has to see to that itself by the environment.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pids = [_fork(function, folder / f"{rank}.pickle", rank, num, port, starts) for rank in range(num)]
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert set(statuses) <= {0, -signal.SIGKILL}, statuses
    files = [folder / f"{rank}.pickle" for rank, status in enumerate(statuses) if status == 0]
    return [pickle.loads(file.read_bytes()) for file in files]


def _fork(function: Callable[[], Any], result: Path, rank: int, num: int, port: int, starts: bool) -> int:
    if pid := os.fork():
        return pid
    status = 1
    try:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": num, "MASTER_PORT": port, "MASTER_ADDR": "127.0.0.1"}
        os.environ.update({name: str(value) for name, value in place.items()})
        if starts:
            distributed.start("gloo", 60)
        result.write_bytes(pickle.dumps(function()))
        if starts:
            distributed.meet()  # the first process has what the others meet by
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def alone() -> None:
    """Forget the others."""
    distributed._group = None


class Drawn:
    """Random numbers as the processes ``ranks`` draw them, side by side in the first dimension."""

    NAMES = ("randn", "rand", "randn_like", "rand_like", "randint_like", "randint")

    def __init__(self, *ranks: int) -> None:
        self.generators = [torch.Generator().manual_seed(rank) for rank in ranks]
        self.own = {name: getattr(torch, name) for name in self.NAMES}

    def __enter__(self) -> None:
        own = self.own

        def shape(sizes):
            return tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes

        def joined(draw, sizes):
            if not sizes:  # one number for a whole batch: here it is the same for all
                return draw((), torch.Generator().manual_seed(0))
            num, rest = divmod(sizes[0], len(self.generators))
            assert not rest, sizes
            return torch.cat([draw((num, *sizes[1:]), g) for g in self.generators])

        def integers(low_high, sizes):
            limits = (0, *low_high) if len(low_high) == 1 else low_high
            return joined(lambda size, g: own["randint"](*limits, size, generator=g), tuple(sizes))

        for name in ("randn", "rand"):

            def draw(size, g, name=name):
                return own[name](size, generator=g)

            setattr(torch, name, lambda *sizes, draw=draw, **_: joined(draw, shape(sizes)))
            setattr(torch, f"{name}_like", lambda x, draw=draw, **_: joined(draw, tuple(x.shape)))
        torch.randint_like = lambda x, *low_high, **_: integers(low_high, x.shape)  # type: ignore[assignment]
        torch.randint = lambda *args, **_: integers(args[:-1], args[-1])

    def __exit__(self, *_: object) -> None:
        for name, function in self.own.items():
            setattr(torch, name, function)
