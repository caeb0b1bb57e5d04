"""Begin a script, before all other imports; what is imported here takes no time in which Ctrl-C would show a traceback.

That is why it is ``_signal``: ``signal`` and ``typing`` take several milliseconds each.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any


def begin(script: str) -> None:
    """Prepare the process of a script, before its imports, for Ctrl-C, little memory, and an output that takes little.

    Until ``interrupts_raise`` Ctrl-C ends it at once: extensions that are being imported make other errors of it.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        os.write(2, f"{script}: stopped\n".encode())
        os._exit(128 + _signal.SIGINT)

    def fail(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        from util.console import one_line
        from util.memory import lack_of_memory

        if lack := lack_of_memory(error):
            print(f"{script}: error: {one_line(f'out of memory: {lack}')}", file=sys.stderr)
        else:
            sys.__excepthook__(kind, error, where)

    sys.excepthook = fail
    if "WORLD_SIZE" in os.environ:  # torch would show its call stack when another process ends
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # not where it is ignored, as under nohup
        _signal.signal(_signal.SIGINT, stop)
    sys.stdout, sys.stderr = _Lasting(sys.stdout), _Lasting(sys.stderr)


def interrupts_raise() -> None:
    """Let Ctrl-C raise KeyboardInterrupt from now on, so that what was begun can be tidied up."""
    if _signal.getsignal(_signal.SIGINT) not in (_signal.SIG_IGN, _signal.default_int_handler):
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)


class _Lasting:
    """A stream that writes ? for letters it has not, and goes on into nothing when its reader has gone."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._try(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, do: Callable[..., object], *arguments: str) -> None:
        try:
            do(*arguments)
        except BrokenPipeError:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)
