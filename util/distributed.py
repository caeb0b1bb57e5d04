"""Processes that train one model together, started by torchrun or ``--num_processes``; alone, nothing happens here.

Each takes the same steps on its own part of every batch, and sees the same averaged gradients and losses, so that all
decide alike. The first one alone writes, draws and measures.
"""

import itertools
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

T = TypeVar("T")
BEAT = 2.0  # seconds between signs of life of a process that others wait for


class _Group:
    """What this process knows of the others."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.calls = seconds, itertools.count()
        store, rank, world = next(rendezvous("env://", timeout=timedelta(seconds=seconds)))
        # torchrun may keep the store when it restarts processes, with the addresses and results of those before.
        self.store = PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        self.rank, self.world = int(rank), int(world)
        self.host: Any = None  # the group of the processes' hosts, which talk without waiting for a GPU


_group: _Group | None = None


def num_asked() -> int:
    """Return how many processes the launcher says there are, before they have met."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """Return the number of this process on its machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def start(backend: str, seconds: float) -> None:
    """Meet the other processes, if the launcher says that there are any; give up on one that is silent for ``seconds``.

    Raises:
        ConnectionError: one of them does not come.
    """
    global _group
    if num_asked() == 1 or _group:
        return
    with _told():
        _group, timeout = _Group(seconds), timedelta(seconds=seconds)
        dist.init_process_group(backend, store=_group.store, rank=_group.rank, world_size=_group.world, timeout=timeout)
        _group.host = dist.new_group(backend="gloo", timeout=timeout)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def stop() -> None:
    """Leave the others, when all is done."""
    global _group
    if _group:
        _group = None
        dist.destroy_process_group()


def world() -> int:
    """Return how many processes there are."""
    return _group.world if _group else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return _group.rank if _group else 0


def is_first() -> bool:
    """Whether this is the process that writes, draws and measures."""
    return rank() == 0


def hides_bars() -> bool | None:
    """Return tqdm's ``disable`` for a bar of each process's own share: the first one shows its, on a terminal."""
    return None if is_first() else True


@torch.no_grad()
def average(tensors: Sequence[Tensor]) -> None:
    """Replace tensors of one dtype, of which every process has the same, by their means over the processes."""
    if world() == 1:
        return
    flat = torch.cat([t.reshape(-1) for t in tensors])
    with _told():
        dist.all_reduce(flat)
    flat /= world()
    for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))


class _Total(torch.autograd.Function):
    """A sum over the processes; its gradient is the sum of theirs, however often it is differentiated."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        result = tensor.clone(memory_format=torch.contiguous_format)
        with _told():
            dist.all_reduce(result)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return total(gradient)


def total(tensor: Tensor) -> Tensor:
    """Return the sum of ``tensor`` over the processes, with its gradient."""
    result: Tensor = _Total.apply(tensor)
    return result


def highest(number: int) -> int:
    """Return the largest ``number`` of all processes."""
    if not _group:
        return number
    found = torch.tensor(number)
    with _told():
        dist.all_reduce(found, dist.ReduceOp.MAX, group=_group.host)
    return int(found)


def gather(value: Any) -> list[Any]:
    """Return the ``value`` of each process, on the first one; [] on others."""
    if not _group:
        return [value]
    everyone: list[Any] = [None] * _group.world if is_first() else []
    with _told():
        dist.gather_object(value, everyone if is_first() else None, dst=0, group=_group.host)
    return everyone


def in_order(own: Sequence[T]) -> list[T]:
    """Return, on the first process, what all made in turns, in order; [] on others."""
    everyone = gather(list(own))
    return [parts[i] for i in range(len(everyone[0]) if everyone else 0) for parts in everyone if i < len(parts)]


def share(value: T) -> T:
    """Return the ``value`` of the first process."""
    values = [value]
    if _group:
        with _told():
            dist.broadcast_object_list(values, src=0, group=_group.host)
    return values[0]


def from_first(function: Callable[[], T]) -> T:
    """Call ``function`` in the first process alone; return in all what it returned, or raise what it raised.

    The others wait as long as it takes, if the first process lives.
    """
    return _by_one(function, shares=True)


def on_first(function: Callable[[], T]) -> T | None:
    """Call ``function`` in the first process alone, while the others wait; they return None or raise what it raised."""
    return _by_one(function, shares=False)


def on_first_here(function: Callable[[], object]) -> None:
    """Call ``function`` in the first process of each machine, while the others there wait."""
    _by_one(function, shares=False, here=True)


def meet() -> None:
    """Wait until all processes are here."""
    highest(0)


def is_first_to_fail() -> bool:
    """Whether no other process has ended with an error before: the first error is the cause of all others."""
    if not _group:
        return True
    try:
        return bool(_group.store.add("failed", 1) == 1)
    except RuntimeError:  # the store has gone with its process
        return True


def _by_one(function: Callable[[], Any], shares: bool, here: bool = False) -> Any:
    if not _group:
        return function()
    machine = os.environ.get("GROUP_RANK", "0") if here else ""
    key = f"by_one/{next(_group.calls)}/{machine}"
    value, error = None, None
    if local_rank() == 0 if here else is_first():
        with _beating(_group, key):
            try:
                value = function()
            except Exception as raised:
                error = raised
        _group.store.set(key, pickle.dumps((value if shares else None, error)))  # type: ignore[arg-type]
    else:
        value, error = pickle.loads(_awaited(_group, key))  # from the first process; no file is read this way
    if error:
        raise error
    return value


@contextmanager
def _beating(group: _Group, key: str) -> Iterator[None]:
    """Show the others during the block that this process lives."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT):
            group.store.add(f"{key}/beats", 1)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _awaited(group: _Group, key: str) -> bytes:
    """Return what another process puts under ``key``; raise ConnectionError when it shows no sign of life."""
    beats, since = 0, time.monotonic()
    with _told():
        while not group.store.check([key]):
            time.sleep(0.02)
            if (now := group.store.add(f"{key}/beats", 0)) != beats:
                beats, since = now, time.monotonic()
            if time.monotonic() - since > max(group.seconds, 3 * BEAT):
                raise ConnectionError(f"the first process was silent for {group.seconds:g} s (--dist_timeout)")
        return bytes(group.store.get(key))


@contextmanager
def _told() -> Iterator[None]:
    """Say of an error in the block what it means: that another process has ended or hangs."""
    try:
        yield
    except RuntimeError as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise ConnectionError(
            f"another process has ended, or is silent for longer than --dist_timeout ({reason:.200})"
        ) from None


def _end_with(parent: int) -> None:
    """Ask this process to save and end once its launcher has been killed, which would have ended it otherwise."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
