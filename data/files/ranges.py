"""Choose which numbers become black and white: as given, estimated from a sample, or all that the type allows."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from data.files.decode import BadImageError
from data.files.header import Header
from data.files.pixels import numbers, read_header, value_limits
from util.console import warn
from util.member import ImageFile

LOOKED_AT = 10  # files of which all numbers are looked at
PER_FILE = 100_000  # numbers of a file that are looked at, from all over it
TAILS = 0.1  # per cent of the numbers at either end that an automatic range may leave out, when they lie far off
FAR = 0.5  # of the rest's span: how far off that is
USED = 0.25  # numbers that use less than this part of what their type holds are warned of
CLIPPED = 0.1  # and a range that clips more than this part of the numbers
Range = tuple[float, ...]  # (lo, hi), or () for all that the type allows
Asked = tuple[float | Literal["auto"], ...]  # the same as an option, or ("auto",)


class Numbers(NamedTuple):
    """Some of the numbers in some files."""

    values: np.ndarray  # float64, sorted
    limit: int  # the largest that the type holds, or what the file says is white; 0: of no use, as for floats

    def ends(self) -> str:
        return f"{self.values[0]:g} to {self.values[-1]:g}"


def check(name: str, asked: Asked) -> None:
    """Raise ValueError when option ``name`` is no range."""
    if asked in ((), ("auto",)):
        return
    lo, hi = (*asked, 0, 0)[:2]
    if len(asked) != 2 or "auto" in asked or lo >= hi:  # type: ignore[operator]
        shown = ",".join(v if isinstance(v, str) else f"{v:g}" for v in asked)
        raise ValueError(f"--{name} {shown}: two numbers are needed, the smaller one first, or auto")


def sample(files: Sequence[ImageFile]) -> Numbers | None:
    """Return numbers of files from all over the list; None when none of these can be read."""
    found, limits = [], set()
    for i in np.linspace(0, len(files) - 1, min(len(files), LOOKED_AT)).round().astype(int):
        try:
            header = read_header(files[i])
            pixels = numbers(files[i], header)
        except (BadImageError, OSError):  # named, counted and skipped later, with the rest
            continue
        limits.add(header.white or (int(np.iinfo(pixels.dtype).max) if pixels.dtype.kind == "u" else 0))
        values = pixels.reshape(-1)[:: max(1, pixels.size // PER_FILE)].astype(np.float64)
        found.append(values[np.isfinite(values)])
    values = np.sort(np.concatenate(found)) if found else np.empty(0)
    return Numbers(values, limits.pop() if len(limits) == 1 else 0) if len(values) else None


def resolve(name: str, asked: Asked, files: Sequence[ImageFile], side: str = "") -> Range:
    """Return the range that option ``name`` asks for; what auto finds, for ``side`` where there are two, is printed."""
    if asked != ("auto",):
        return tuple(float(v) for v in asked)
    if not (found := sample(files)):
        return ()
    lo, hi = found.values[[0, -1]]
    inner = np.percentile(found.values, (TAILS, 100 - TAILS))
    room = FAR * (inner[1] - inner[0])
    lo, hi = (lo if lo >= inner[0] - room else inner[0]), (hi if hi <= inner[1] + room else inner[1])
    if lo == hi:
        raise ValueError(f"--{name} auto: all numbers in {files[0]} and others are {lo:g}")
    print(f"--{name} auto{side and f' for {side}'}: {lo:g},{hi:g} (the numbers go from {found.ends()})")
    return float(lo), float(hi)


def warn_of_range(flag: str, limits: Range, found: Numbers | None, is_settled: bool = False) -> None:
    """Warn when the numbers use little of what they are read by, or are clipped much; of the latter alone in tests.

    Args:
        flag: sets the range.
        limits: the range.
        found: some of the numbers.
        is_settled: whether the range is that of a training that is over.
    """
    if not found:
        return
    lo, hi = found.values[[0, -1]]
    if limits:
        clipped = float(np.mean((found.values < limits[0]) | (found.values > limits[1])))
        if clipped > CLIPPED:
            shown = ",".join(f"{v:g}" for v in limits)
            remedy = "the run was trained on others" if is_settled else f"--{flag} auto"
            warn(f"--{flag} {shown} clips {clipped:.0%} of the numbers, which go from {found.ends()}: {remedy}")
    elif not is_settled and found.limit and 0 < hi - lo < USED * found.limit:
        warn(
            f"the numbers go from {found.ends()}, little of the 0 to {found.limit} that their type holds: "
            f"--{flag} {lo:g},{hi:g} (or auto) makes these black and white"
        )


def ask_for_range(flag: str, limits: Range, headers: Mapping[Any, Header]) -> None:
    """Raise ValueError when there is a file whose numbers, by their type, may be any, and no range."""
    for path, header in headers.items():
        if header.depth == 32 and not limits:
            lo, hi = value_limits(path)
            raise ValueError(
                f"{path} holds {header.type or 'float'} numbers from {lo:g} to {hi:g}: say which are black and white, "
                f"with --{flag} {lo:g},{hi:g} or another range that suits all files, or --{flag} auto"
            )
