"""Work behind the training: what a thread writes, file after file, while the main thread goes on."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from util.types import Progress

MAX_JOBS = 100  # that are not done: more must wait
MAX_BYTES = 2**28  # of tensors that they hold; the last one may go beyond

Do = Callable[..., None]  # is given a function and its arguments


def at_once(function: Callable[..., object], *arguments: Any) -> None:
    """Call ``function``, where there is no Background to leave it to."""
    function(*arguments)


class Background:
    """Does jobs in a thread, one after another, in the order in which they come.

    The thread lives as long as there is something to do. After an error it drops what waits, as a state must not be
    saved without the networks and pictures before it; the next call, or ``wait``, raises the error.
    """

    def __init__(self) -> None:
        self._jobs: deque[_Job] = deque()  # the first one is under way
        self._thread: threading.Thread | None = None  # the latest
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def __call__(self, function: Callable[..., object], *arguments: Any) -> None:
        """Leave a call to the thread, with copies of the arguments as they are now; wait when there is too much to do.

        Raises:
            BaseException: what an earlier job raised.
        """
        with self._changed:
            self._changed.wait_for(self._has_room)
            self._raise()
            job = _Job(function, arguments)
            if not self._jobs:
                self._thread = threading.Thread(target=self._work, name="background", daemon=True)
                self._thread.start()
            self._jobs.append(job)

    def wait(self) -> None:
        """Return when all is done; raise what a job raised."""
        with self._changed:
            self._changed.wait_for(lambda: not self._jobs)
        if self._thread and self._thread.is_alive():
            self._thread.join()  # the process aborts if it ends while a thread is still freeing tensors
        with self._changed:
            self._raise()

    def drop(self) -> None:
        """Forget all jobs but the one under way."""
        with self._changed:
            while len(self._jobs) > 1:
                self._jobs.pop()

    def _has_room(self) -> bool:
        return len(self._jobs) < MAX_JOBS and sum(job.bytes for job in self._jobs) < MAX_BYTES

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error:
            raise error

    def _work(self) -> None:
        with self._changed:  # held until the first job is there, unless Ctrl-C came in between
            is_left = bool(self._jobs)
        while is_left:
            is_left = self._do_next()

    def _do_next(self) -> bool:
        """Do the first job; say whether another is left: if none is, the thread ends, and the next job starts one."""
        error = None
        try:
            self._jobs[0]()
        except BaseException as raised:  # it is the main thread's to answer
            error = raised
        if self._jobs[0].is_pinned and len(self._jobs) == 1:
            self._jobs[0].arguments = ()
            give_back_pinned_memory()  # while it is under way: once nothing is, the process may end
        with self._changed:
            self._jobs.popleft()
            if error:
                self._error = error
                self._jobs.clear()
            self._changed.notify_all()
            return bool(self._jobs)


class Nothing(Background):
    """Does no job: in the place of a Background where another process does them."""

    def __call__(self, function: Callable[..., object], *arguments: Any) -> None:
        pass


def give_back_pinned_memory() -> None:
    """Return pinned memory that no tensor uses to the system; torch would keep as much as a save takes."""
    torch._C._host_emptyCache()


class _Job:
    """A call to be made later, with copies of its arguments, tensors on the host."""

    def __init__(self, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self.function = function
        self.bytes = 0
        self._gpu: torch.device | None = None  # that makes some of the copies
        self.arguments = self._copy(arguments)
        self.is_pinned = self._gpu is not None
        self._copied = torch.cuda.Event(blocking=True) if self._gpu else None
        if self._copied:
            self._copied.record(torch.cuda.current_stream(self._gpu))

    def __call__(self) -> None:
        if self._copied:
            self._copied.synchronize()
        self.function(*self.arguments)

    def _copy(self, value: Any) -> Any:
        """Return what training changes as it is now, in nested containers too; all else is passed on."""
        if isinstance(value, Tensor):
            return self._copy_tensor(value)
        if isinstance(value, Progress):
            return replace(value)
        if isinstance(value, dict):
            result = type(value)((key, self._copy(part)) for key, part in value.items())
            if hasattr(value, "_metadata"):  # of a module's state dict: the versions of its layers
                result._metadata = value._metadata  # type: ignore[attr-defined]
            return result
        if isinstance(value, list | tuple):
            parts = [self._copy(part) for part in value]
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        return value

    def _copy_tensor(self, value: Tensor) -> Tensor:
        """Copy without waiting for a GPU, which takes the steps to come only after it has copied."""
        result = torch.empty_like(value, device="cpu", requires_grad=False, pin_memory=value.is_cuda)
        result.copy_(value.detach(), non_blocking=value.is_cuda)
        self.bytes += result.nbytes
        self._gpu = value.device if value.is_cuda else self._gpu
        return result
