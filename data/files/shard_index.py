"""The samples in a tar of webdataset's layout, and an index of them that later runs find again; imports no torch.

The members of a sample share their path up to the first dot of its last part: 000001.jpg and 000001.cls; 000001.A.png
and 000001.B.png, whose order does not matter.
"""

import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data.files.image_paths import OTHER, READ
from data.files.tars import FILE, FOLDER, Entry, list_members
from util.console import warn
from util.files import written_whole

FORMAT = 1  # of the files in the cache
SIDES = ("", "a", "b")  # what an image is of its sample: the image, A or B
SPECIAL, UNSAFE = "links and other special members of a tar", "members with an unsafe name"
TWICE, FURTHER = "members under a name that came before", "further images of a sample"
ALONE = "without a partner of the same name"
NO_IMAGE, BAD_LABEL = "labels without an image", "with a .cls that is no number and no name"
DAMAGED = "tars that are damaged or cut short, and read as far as they are whole"
LONGEST_LABEL = 200  # bytes


class Index(NamedTuple):
    """The images of one tar, in the order in which they lie in it; A and B of a pair one after the other."""

    names: list[str]  # within the tar
    offsets: np.ndarray  # int64 (N,)
    sizes: np.ndarray  # int64 (N,)
    sides: np.ndarray  # int8 (N,), of SIDES
    labels: np.ndarray  # int32 (N,), of ``texts``; -1: none
    texts: list[str]  # the labels that there are
    left_out: dict[str, list[str]]


def open_index(tar: Path, cache: Path) -> Index:
    """Return the index of a tar: from ``cache`` if size and time of the tar are what they were, or made anew."""
    state = tar.stat()
    key = hashlib.sha256(os.fsencode(f"{FORMAT} {tar.resolve()} {state.st_size} {state.st_mtime_ns}")).hexdigest()[:24]
    file = cache / f"shard_{key}.npz"
    try:
        return _read(file)
    except MemoryError:
        raise
    except Exception:  # what is damaged, or not there, makes errors of every kind
        index = make_index(tar)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _write(file, index)
    except OSError as error:
        warn(f"the index of {tar} is not kept for later runs: {error}")
    return index


def make_index(tar: Path) -> Index:
    """Look at all members of a tar."""
    entries, problem = list_members(tar)
    left_out: dict[str, list[str]] = {DAMAGED: [f"{tar.name} ({problem})"]} if problem else {}

    def leave_out(reason: str, name: str) -> None:
        left_out.setdefault(reason, []).append(f"{tar.name}/{name}")

    images: dict[str, dict[int, Entry]] = {}  # sample -> side -> its image
    labels: dict[str, Entry] = {}
    seen: set[str] = set()
    others: list[tuple[str, str]] = []
    for entry in entries:
        name = entry.name.removeprefix("./")
        folder, _, last = name.rpartition("/")
        if entry.kind == FOLDER or name.startswith("__MACOSX/") or (last.startswith(".") and last != ".."):
            continue
        stem, _, ending = last.lower().partition(".")
        sample, suffix = name[: len(folder) + bool(folder) + len(stem)], f".{ending.rpartition('.')[2]}"
        if entry.kind != FILE:
            leave_out(SPECIAL, entry.name)
        elif name.startswith(("/", "\\")) or ".." in name.split("/") or not name.isprintable():
            leave_out(UNSAFE, entry.name)
        elif name in seen:
            leave_out(TWICE, name)
        elif ending == "cls":
            labels[sample] = entry
        elif suffix in READ:
            role = ending.removesuffix(suffix)
            side = SIDES.index(role) if role in SIDES else 0
            if side in images.setdefault(sample, {}):
                leave_out(FURTHER, name)
            else:
                images[sample][side] = entry
        else:
            others.append((sample, name))
        seen.add(name)
    _note_others(tar, others, images, left_out)
    for sample in labels.keys() - images.keys():
        leave_out(NO_IMAGE, labels[sample].name)
    rows, texts = [], dict[str, int]()
    with tar.open("rb", buffering=0) as file:
        for sample, found in images.items():
            if len(found.keys() & {1, 2}) == 1:
                leave_out(ALONE, found.pop(1 if 1 in found else 2).name)
            label = -1
            if found and sample in labels:
                if (text := _label(file.fileno(), labels[sample])) is None:
                    leave_out(BAD_LABEL, labels[sample].name)
                    continue
                label = texts.setdefault(text, len(texts))
            for side, entry in sorted(found.items()):
                rows.append((entry.name.removeprefix("./"), entry.offset, entry.size, side, label))
    names, offsets, sizes, sides, codes = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return Index(
        list(names),
        np.array(offsets, np.int64),
        np.array(sizes, np.int64),
        np.array(sides, np.int8),
        np.array(codes, np.int32),
        list(texts),
        left_out,
    )


def _label(opened: int, entry: Entry) -> str | None:
    """Return what a .cls says: a number, without zeros before it, or a name; None when it is neither."""
    if entry.size > LONGEST_LABEL:
        return None
    try:
        text = os.pread(opened, entry.size, entry.offset).decode().strip("\0 \t\r\n\ufeff")
    except UnicodeDecodeError:
        return None
    if text.isascii() and text.isdecimal():
        return str(int(text))
    return text if text.isprintable() and text and "/" not in text and not text.startswith(".") else None


def _note_others(
    tar: Path, others: list[tuple[str, str]], images: dict[str, dict[int, Entry]], left_out: dict[str, list[str]]
) -> None:
    """Note what is no image: what belongs to a sample, such as its .json, in one line for each kind."""
    kinds = Counter(name.rpartition(".")[2] for sample, name in others if sample in images)
    noted = [f"{tar.name}/{name}" for sample, name in others if sample not in images]
    noted += [f"{tar.name}/*.{ending} ({num})" for ending, num in kinds.items()]
    if noted:
        left_out.setdefault(OTHER, []).extend(noted)


def _write(file: Path, index: Index) -> None:
    rest = json.dumps({"names": index.names, "texts": index.texts, "left_out": index.left_out}).encode()
    arrays: dict[str, Any] = {name: getattr(index, name) for name in ("offsets", "sizes", "sides", "labels")}
    with written_whole(file) as opened:
        np.savez(opened, rest=np.frombuffer(rest, np.uint8), **arrays)


def _read(file: Path) -> Index:
    """Return what ``_write`` wrote; checksums tell when it is damaged."""
    with np.load(file, allow_pickle=False) as found:
        rest = json.loads(found["rest"].tobytes())
        arrays = {name: found[name] for name in ("offsets", "sizes", "sides", "labels")}
    return Index(rest["names"], **arrays, texts=rest["texts"], left_out=rest["left_out"])
