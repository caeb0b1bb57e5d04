"""Errors and warnings of one line, and requests to stop."""

import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType

from util.memory import lack_of_memory

LONGEST = 900  # letters of a message


def one_line(text: str) -> str:
    """Return ``text`` as one line without control characters; of a long one the middle is left out."""
    line = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 205]} ... {line[-200:]}"


def is_first_process() -> bool:
    """Whether this is the first of the processes that a launcher has started, or the only one."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


@contextmanager
def said_once() -> Iterator[None]:
    """Say nothing during the block in any process but the first, where all would say the same."""
    with ExitStack() as silent:
        if not is_first_process():
            nothing = silent.enter_context(Path(os.devnull).open("w"))
            silent.enter_context(redirect_stdout(nothing))
            silent.enter_context(redirect_stderr(nothing))
        yield


@contextmanager
def never_restarted() -> Iterator[None]:
    """Have torchrun end instead of starting its processes again when the block ends with another status than 0."""
    try:
        yield
    except SystemExit as stop:
        if stop.code:
            end_torchrun()
        raise


def end_torchrun() -> None:
    """Ask torchrun, where it has started this process, not to start it again: it would end by the same mistake.

    torchrun itself restarts whatever ends with another status than 0.
    """
    if os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0") != "0" and os.environ["LOCAL_RANK"] == "0":
        os.kill(os.getppid(), signal.SIGTERM)


def only_first_speaks() -> None:
    """Print nothing from now on, but for errors, in any process but the first."""
    if not is_first_process():
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  until the process ends


def warn(text: str) -> None:
    """Tell the user, in one line, of something that does not stop the process; once for all processes."""
    if not is_first_process():
        return
    print(f"warning: {one_line(text)}", file=sys.stderr)


@contextmanager
def one_line_errors(script: str, verbose: bool, *kinds: type[Exception]) -> Iterator[None]:
    """End the process with status 1 and one line when the block raises one of ``kinds``, or memory runs out.

    ``verbose`` adds where.

    Ctrl-C, where nothing else is planned for it, ends it with status 130 and one line.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # not every terminal can show the name of every file
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
    except Exception as error:
        lack = lack_of_memory(error)
        if not (lack or isinstance(error, kinds)):
            raise
        if verbose:
            traceback.print_exc()
        others = sys.modules.get("util.distributed")  # which torch comes with
        if not others or others.is_first_to_fail():
            text = f"out of memory: {lack}" if lack else str(error)
            print(f"{script}: error: {one_line(text)}", file=sys.stderr, flush=True)
        if not isinstance(error, OSError) or isinstance(error, FileNotFoundError | FileExistsError):
            end_torchrun()  # others, such as a process that is silent or a full disk, may pass
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print(f"{script}: stopped", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None


class StopRequest:
    """Notes Ctrl-C and SIGTERM, so that the step under way can end and be saved; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.signal = 0  # number of the signal that came, 0 for none

    def __enter__(self) -> "StopRequest":
        self._before = {s: signal.signal(s, self._note) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number
