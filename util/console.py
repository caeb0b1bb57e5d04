"""What a script says to its user when it must stop."""

import io
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def warn(text: str) -> None:
    """Tell the user, in one line, of something that does not stop the process."""
    print(f"warning: {text}", file=sys.stderr)


@contextmanager
def one_line_errors(script: str, verbose: bool, *kinds: type[Exception]) -> Iterator[None]:
    """End the process with status 1 and one line when the block raises one of ``kinds``; ``verbose`` adds where.

    Ctrl-C, where nothing else is planned for it, ends it with status 130 and one line.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # not every terminal can show the name of every file
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
    except kinds as error:
        if verbose:
            traceback.print_exc()
        print(f"{script}: error: {' '.join(str(error).split())}", file=sys.stderr)
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
