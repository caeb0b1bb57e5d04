"""Describe how the data was understood: before training and testing, in options.yaml and on the page."""

import contextlib
import itertools
from pathlib import Path
from typing import Any

import torch

from data import find_dataroot
from data.base_dataset import BaseDataset
from data.files.decode import BadImageError
from data.files.header import Header
from data.files.image_paths import NO_IMAGE, OF_SYSTEM, OTHER, READ, TEXTS
from data.files.notes import CLEAR, GREY, look
from data.files.phases import phase_or_side
from data.files.pixels import read_header
from data.files.ranges import sample, warn_of_range
from util.console import warn
from util.spread import spread

SAMPLED = 100  # files whose headers are looked at
NAMED = 3  # files that are named for each reason
CLASSES = 20  # classes that are told one by one
MUCH = 0.05  # to leave out more than this part is worth a warning

Findings = dict[str, Any]  # plain values, as options.yaml holds them


def find(dataset: BaseDataset, trains: bool = True) -> Findings:
    """Return how ``dataset`` was understood; to be asked when bad files are known, for training or for a test."""
    root = find_dataroot(dataset.opt.dataroot)
    found: Findings = {"read": [_relative(path, root) for path in dataset.read]}
    if dataset.num_shards:
        found["shards"] = dataset.num_shards
    for key in dataset.keys:
        found["images" if key == "image" else f"images_{key}"] = _describe(dataset, key, trains)
        if notes := _notes(dataset, key):
            found.setdefault("notes", []).extend(notes)
    if dataset.labels is not None:
        counts = torch.bincount(dataset.labels, minlength=dataset.spec.num_classes).tolist()
        found["classes"] = dict(zip(dataset.spec.classes, counts, strict=True))
    if dataset.num_held_out:
        found["other_phases"] = dataset.num_held_out
    if unread := _unread(dataset.read, root):
        found["not_read"] = unread
    if dataset.left_out:
        found["left_out"] = {reason: len(names) for reason, names in dataset.left_out.items()}
        found["left_out_first"] = {reason: names[:NAMED] for reason, names in dataset.left_out.items()}
    if dataset.links:
        found["links"] = dataset.links[:NAMED]
    return found


def lines(findings: Findings) -> list[str]:
    """Return ``findings`` as a person reads them."""
    found = [f"{'data' if key == 'images' else key[-1]}: {findings[key]}" for key in findings if "images" in key]
    shards = f" ({findings['shards']} shard{'s' * (findings['shards'] != 1)})" if "shards" in findings else ""
    found[0] += f"; from {', '.join(findings['read'])}{shards}"
    if classes := findings.get("classes"):
        each = ", ".join(f"{name} {count}" for name, count in classes.items())
        if len(classes) > CLASSES:
            each = f"{len(classes)}, of {min(classes.values())} to {max(classes.values())} images"
        found.append(f"classes: {each}")
        if places := _moved(list(classes)):
            found.append(f"the classes are in natural order, not in that of the alphabet: {' before '.join(places)}")
    found += findings.get("notes", [])
    if "other_phases" in findings:
        num = findings["other_phases"]
        found.append(f"kept for other phases: {num} image{'s' * (num != 1)}")
    if "not_read" in findings:
        found.append(f"not read: {_listed(findings['not_read'])}")
    for reason, count in findings.get("left_out", {}).items():
        first = findings["left_out_first"][reason]
        found.append(f"left out: {count} {reason}: {', '.join(first)}{', ...' if count > len(first) else ''}")
    if "links" in findings:
        found.append(f"links followed: {', '.join(findings['links'])}")
    return found


def tell(dataset: BaseDataset, trains: bool = True) -> Findings:
    """Print how ``dataset`` was understood, warn of what is hardly meant, and return it."""
    findings = find(dataset, trains)
    print("\n".join(lines(findings)))
    if warning := much_left_out(dataset):
        warn(warning)
    if twins := [name for name in findings.get("not_read", []) if _phase(name) == dataset.opt.phase]:
        warn(f"{', '.join(twins)} beside what is read may hold images of --phase {dataset.opt.phase} too")
    if empty := [name for name, count in findings.get("classes", {}).items() if count == 0]:
        named = ", ".join(empty[:CLASSES]) + f" and {len(empty) - CLASSES} more" * (len(empty) > CLASSES)
        warn(f"no image to train on in class {named}: test.py will not draw it unless --labels names it")
    return findings


def much_left_out(dataset: BaseDataset) -> str:
    """Return a warning when more than a twentieth of the files is left out, texts aside; else ""."""
    names = [
        name
        for reason, some in dataset.left_out.items()
        for name in some
        if reason not in (NO_IMAGE, OF_SYSTEM) and not (reason == OTHER and Path(name).suffix.lower() in ("", *TEXTS))
    ]
    used = sum(len(dataset.image_names(key)) for key in dataset.keys[: None if not dataset.paired else 1])
    if len(names) <= MUCH * (len(names) + used):
        return ""
    return f"{len(names)} of {len(names) + used} files are left out, such as {names[0]}: see the lines above for why"


def _listed(unread: list[str]) -> str:
    """Return folders with the phase of each, and images by their number."""
    named = [f"{name} ({_phase(name) or 'no phase'})" for name in unread if name.endswith("/")]
    images = [name for name in unread if not name.endswith("/")]
    named += [f"{len(images)} images beside the folders, such as {images[0]}"] if images else []
    return ", ".join(named)


def _phase(folder: str) -> str:
    return phase_or_side(folder.rstrip("/").rpartition("/")[2])


def _moved(classes: list[str]) -> tuple[str, str] | None:
    """Return two classes that the alphabet would have the other way round, as other tools have them; None: none are."""
    return next(((a, b) for a, b in itertools.pairwise(classes) if a > b and any(map(str.isdecimal, a + b))), None)


def _describe(dataset: BaseDataset, key: str, trains: bool) -> str:
    """Return number, sizes, channels and depth of the images of ``key``, from the headers of some files."""
    files = dataset.image_files(key)
    headers = []
    for i in spread(len(files), SAMPLED) if files else ():
        with contextlib.suppress(BadImageError, OSError):
            headers.append(read_header(files[i]))
    num = len(dataset.image_names(key))
    if not headers:
        return f"{num} images"
    text = f"{num} images of {_sizes(headers)}, {_channels(headers)}, {_depths(headers)}"
    if key not in dataset.value_ranges:
        return text
    limits, numbers = dataset.value_ranges[key], sample(files)
    warn_of_range(dataset.range_flag(key), limits, numbers, is_settled=not trains)
    shown = f", of which {limits[0]:g} is black and {limits[1]:g} white" if limits else ""
    return f"{text}, numbers from {numbers.ends()}{shown}" if numbers else text


def _notes(dataset: BaseDataset, key: str) -> list[str]:
    """Return lines on what is true of some files of ``key``, by ``notes.look``, and may not be known."""
    found, num = look(dataset.image_files(key))
    nc = dataset.spec.input_nc if key == "A" else dataset.spec.output_nc
    lines = []
    for note, files in found.items():
        if (note == CLEAR and nc == 4) or (note == GREY and (nc != 3 or len(files) < num)):
            continue
        flag = {"image": "channels", "A": "input_nc", "B": "output_nc"}.get(key)
        more = f" (--{flag} 1 reads one channel)" if note == GREY and flag else ""
        side = "" if key in ("image", "RGB") else f" of {key}"
        lines.append(f"{note}: {len(files)} of {num} files looked at{side}, such as {files[0].name}{more}")
    return lines


def _sizes(headers: list[Header]) -> str:
    sizes = sorted({(h.width, h.height) for h in headers}, key=lambda size: (size[0] * size[1], size))
    (w, h), (to_w, to_h) = sizes[0], sizes[-1]
    return f"{w}x{h} pixels" if len(sizes) == 1 else f"{w}x{h} to {to_w}x{to_h} pixels"


def _channels(headers: list[Header]) -> str:
    found = sorted({h.channels for h in headers})
    return " or ".join(map(str, found)) + (" channel" if found == [1] else " channels")


def _depths(headers: list[Header]) -> str:
    words = {8: "8 bits", 16: "16 bits", 32: "float"}
    return " or ".join(sorted({h.type or words[h.depth] for h in headers}))


def _unread(read: list[Path], root: Path) -> list[str]:
    """Return what lies in ``root``, around the folders that are read: other folders, and images where there are any."""
    if not root.is_dir() or any(path == root or path.is_file() for path in read):
        return []
    around = {folder for path in read for folder in path.parents if folder.is_relative_to(root)}
    found = []
    for folder in sorted(around):
        for path in sorted(folder.iterdir()):
            is_other = path.name.lower().endswith(READ) or (path.is_dir() and path not in {*around, *read})
            if is_other and not path.name.startswith("."):
                found.append(path.relative_to(root).as_posix() + "/" * path.is_dir())
    return found


def _relative(path: Path, root: Path) -> str:
    """Return ``path`` as a part of the data: beginning with the name of ``root``."""
    return path.relative_to(root.parent).as_posix() if path.is_relative_to(root.parent) else str(path)
