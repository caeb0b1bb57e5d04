"""Download a file that may be cut off at any time: resumed where it stopped, from one server or another, checked."""

import errno
import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from data.download.catalogue import Remote
from util.files import length, write_text

PATIENCE = 5  # attempts in a row that bring nothing new, then the next server is asked
WAIT = 1.0  # seconds before another attempt, doubled for each that brought nothing
TIMEOUT = 30.0  # seconds without an answer
CHUNK = 1 << 16  # bytes that are read at a time
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _CutError(Exception):
    """The connection failed or ended before the file did; another attempt may go further."""


class _UnreachableError(_CutError):
    """There was no connection at all."""


class _Offer(NamedTuple):
    """What a server said of the file when the part on the disk was begun."""

    url: str = ""
    validator: str = ""  # ETag or date that says whether it is still the same file; "" when the server gives none
    total: int = 0  # bytes, 0 when not known


def fetch(remote: Remote, path: Path) -> None:
    """Download to ``path``, going on with ``path`` + ".part" if that is there.

    Raises:
        ConnectionError: no server has the file; the message names each address. The part is kept.
        ValueError: the file of one server or more was not the right one.
        OSError: the disk is full or cannot be written. The part is kept.
    """
    if path.exists():
        try:
            _check(path, remote)  # left by a run that failed later, or put there by hand
            return
        except ValueError:
            path.unlink()
    reasons: list[str] = []
    kind: type[ConnectionError] | type[ValueError] = ConnectionError
    for url in remote.urls:
        try:
            _fetch_from(url, remote, path)
            return
        except (ConnectionError, ValueError) as error:
            reasons.append(f"{url} ({error})")
            kind = ValueError if isinstance(error, ValueError) else kind
    raise kind(", ".join(reasons))


def part_of(path: Path) -> Path:
    """Return the file that holds what has arrived of ``path`` so far."""
    return path.with_name(f"{path.name}.part")


def _fetch_from(url: str, remote: Remote, path: Path) -> None:
    part, note = part_of(path), path.with_name(f"{path.name}.part.json")
    if not remote.checksum and _read_note(note).url != url:
        part.unlink(missing_ok=True)  # nothing would tell whether it is the beginning of this file
    for is_last in (False, True):
        in_one_go = _download(url, remote, part, note)
        try:
            _check(part, remote)
            break
        except ValueError as error:
            part.unlink()
            note.unlink()
            if in_one_go or is_last:
                raise
            tqdm.write(f"{path.name}: {error}; the parts do not fit together, starting again")
    part.replace(path)
    note.unlink(missing_ok=True)


def _read_note(note: Path) -> _Offer:
    try:
        return _Offer(**json.loads(note.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # none, or not one of ours
        return _Offer()


def _download(url: str, remote: Remote, part: Path, note: Path) -> bool:
    """Fill ``part``, in as many attempts as it takes; return whether one was enough.

    Raises:
        ConnectionError: the server cannot be reached, refuses, or has stopped sending.
        ValueError: it sends something else.
    """
    arrived, idle, attempts, is_reached = length(part), 0, 0, False
    in_one_go = arrived == 0
    while True:
        attempts += 1
        try:
            _attempt(url, remote, part, note)
            return in_one_go and attempts == 1
        except _CutError as error:
            is_reached = is_reached or not isinstance(error, _UnreachableError)
            idle = 0 if length(part) > arrived else idle + 1
            if idle == PATIENCE or not is_reached:
                raise ConnectionError(str(error)) from None
            arrived = max(arrived, length(part))
        time.sleep(WAIT * 2**idle)


def _attempt(url: str, remote: Remote, part: Path, note: Path) -> None:
    """Ask once for what is missing of ``part`` and append it."""
    start, known = length(part), _read_note(note)
    total = remote.size or (known.total if known.url == url else 0)
    if total and start == total:
        return
    headers = {"User-Agent": "ganvas", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if known.url == url and known.validator:
            headers["If-Range"] = known.validator
    try:
        response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416:  # the part is no beginning of this file
            part.unlink(missing_ok=True)
            raise _CutError("the server's file is shorter than the part") from None
        if error.code in (408, 429) or error.code >= 500:
            raise _CutError(f"HTTP {error.code} {error.reason}") from None
        raise ConnectionError(f"HTTP {error.code} {error.reason}") from None
    except URLError as error:
        raise _UnreachableError(_reason(error)) from error
    except (OSError, HTTPException) as error:
        raise _CutError(_reason(error)) from error
    with response:
        start, offer = _read_offer(url, remote, response, start)
        if start and known.url == url and known.total != offer.total:
            part.unlink()
            raise _CutError("the server's file has another size than before")
        _check_space(part, offer.total - start)
        going_on = f", going on at {start} of {offer.total} bytes" if start else ""
        tqdm.write(f"{part.name.removesuffix('.part')} from {url}{going_on}")
        with naming_full_disk(part.parent, lambda: f"{length(part)} bytes of {part.name} are kept"):
            write_text(note, json.dumps(offer._asdict()))
            _append(response, part, start, remote.size or offer.total)
    if offer.total and length(part) < offer.total:
        raise _CutError(f"the connection was cut after {length(part)} of {offer.total} bytes")


def _read_offer(url: str, remote: Remote, response: HTTPResponse, asked: int) -> tuple[int, _Offer]:
    """Return the position from which the server sends, and what it says of the whole file.

    Raises:
        ValueError: it is not the file that was asked for.
    """
    headers: Any = response.headers
    if headers.get_content_type() == "text/html":
        raise ValueError("the server sent a web page")
    sent = int(headers.get("Content-Length") or 0)
    start, total = 0, sent  # also the answer of a server that knows no ranges, or whose file has changed
    if response.status == 206:
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range") or "")
        if span is None or int(span[1]) != asked:
            raise ValueError(f"asked from byte {asked} on, the server sent {headers.get('Content-Range')}")
        start, total = asked, int(span[2])
    if remote.size and total and total != remote.size:
        raise ValueError(f"its size is {total} bytes, expected {remote.size}")
    etag = headers.get("ETag") or ""
    validator = etag if etag.startswith('"') else headers.get("Last-Modified") or ""  # a weak ETag proves nothing
    return start, _Offer(url, validator, total)


def _append(response: HTTPResponse, part: Path, start: int, total: int) -> None:
    """Write what the server sends to ``part`` from byte ``start`` on; where ``total`` is known, at most a byte more.

    That byte tells that the file is not the right one.
    """
    bar = tqdm(
        desc=part.name.removesuffix(".part"),
        total=total or None,
        initial=start,
        unit="B",
        unit_scale=True,
        leave=False,
        disable=None,
    )
    with bar, part.open("ab" if start else "wb") as file:
        for chunk in _chunks(response):
            file.write(chunk[: total + 1 - start] if total else chunk)
            start += len(chunk)
            bar.update(len(chunk))
            if total and start > total:
                return


@contextmanager
def naming_full_disk(folder: Path, kept: Callable[[], str]) -> Iterator[None]:
    """Say what is ``kept`` in ``folder`` when the block finds the disk full."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise OSError(f"the disk of {folder} is full: {kept()}, the same command goes on from there") from None


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read1(CHUNK)
        except (OSError, HTTPException) as error:
            raise _CutError(_reason(error)) from error
        if not chunk:
            return
        yield chunk


def _check_space(part: Path, missing: int) -> None:
    """Raise OSError when the disk cannot take the rest."""
    free = shutil.disk_usage(part.parent).free
    if missing > free:
        raise OSError(f"{part.name} needs {missing} bytes more, and the disk of {part.parent} has {free} left")


def _check(part: Path, remote: Remote) -> None:
    """Compare with the size and the checksum that are known.

    Raises:
        ValueError: one of them differs.
    """
    if remote.size and length(part) != remote.size:
        raise ValueError(f"its size is {length(part)} bytes, expected {remote.size}")
    algorithm, _, expected = remote.checksum.partition(":")
    if not expected:
        return
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, algorithm).hexdigest()
    if digest != expected:
        raise ValueError(f"its {algorithm} checksum is {digest}, expected {expected}")


def _reason(error: Exception) -> str:
    """Say in a few words why a server did not answer."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer for {TIMEOUT:.0f} seconds"
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
