"""Put a folder of images into shards: tar files in webdataset's layout, which ``--dataroot`` reads in place.

``python datasets/make_shards.py --dataroot animals`` reads what train.py would read, in the same layouts, and writes
animals_shards/train-000000.tar and so on. The images are copied as they are.
"""

import argparse
import contextlib
import io
import os
import random
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from data import find_dataroot, find_dataset, recognize
from data.base_dataset import BaseDataset, digest
from data.files.combine import positive_int
from data.files.phases import phase_or_side
from data.findings import find, lines
from util.console import one_line_errors
from util.files import written_whole
from util.member import ImageFile

PHASES = ("train", "val", "test")
NEXT = {"image_folder": "cgan", "aligned": "pix2pix", "unaligned": "cycle_gan"}  # mode -> a model that learns from it


class Sample(NamedTuple):
    """What is written under one name."""

    key: str
    images: dict[str, ImageFile]  # "", or .A and .B -> the image
    label: str  # "": none


def open_phases(dataroot: str, mode: str) -> dict[str, BaseDataset]:
    """Return the data set of each phase that there is; those of phases that stand in for another are left out."""
    found: dict[str, BaseDataset] = {}
    seen: set[str] = set()
    options: dict[str, Any] = {"val_fraction": 0.0} if mode == "image_folder" else {}
    for phase in PHASES:
        options |= {"dataroot": dataroot, "phase": phase, "value_range": ("auto",)}
        opt = find_dataset(mode).Options(**options)
        with contextlib.redirect_stdout(io.StringIO()):  # which phase stands in for which
            try:
                dataset = find_dataset(mode)(opt)
            except FileNotFoundError:
                if phase == "train":
                    raise
                continue
        files = digest(str(file) for key in dataset.keys for file in dataset.image_files(key))
        if len(dataset) and files not in seen:
            seen.add(files)
            dataset.value_ranges.clear()  # the images are copied as they are
            found[phase_or_side(dataset.read[0].name) or phase] = dataset
    return found


def choose(dataroot: str) -> tuple[str, dict[str, BaseDataset]]:
    """Return the mode that reads ``dataroot`` without leaving out what has no partner, and the data set of each phase.

    Raises:
        ValueError: the data is of a kind that is not put into shards.
        OSError: there is none.
    """
    mode, _ = recognize(dataroot, "")
    if mode == "unaligned":
        with contextlib.suppress(FileNotFoundError, ValueError), contextlib.redirect_stdout(io.StringIO()):
            pairs = open_phases(dataroot, "aligned")
            if not any(dataset.left_out.get("without a partner of the same name") for dataset in pairs.values()):
                return "aligned", pairs
    if mode not in NEXT:
        raise ValueError(f"--dataroot {dataroot}: what --dataset_mode {mode} reads is not put into shards")
    datasets = open_phases(dataroot, mode)
    if any(dataset.num_shards for dataset in datasets.values()):
        raise ValueError(f"--dataroot {dataroot} is in shards already")
    return mode, datasets


def samples_of(dataset: BaseDataset, key: str = "") -> list[Sample]:
    """Return the samples of a data set, or the images of ``key`` alone, in an order that mixes classes."""
    sides = {"": key or dataset.keys[0]}
    if not key and len(dataset.keys) == 2 and dataset.image_files("A") is not dataset.image_files("B"):
        sides = {".A": "A", ".B": "B"}
    files = {ending: dataset.image_files(side) for ending, side in sides.items()}
    names, labels = dataset.image_names(sides[next(iter(sides))]), dataset.labels
    samples, taken = [], set[str]()
    for i, name in enumerate(names):
        label = dataset.spec.classes[int(labels[i])] if labels is not None else ""
        samples.append(Sample(_key(name, taken), {ending: some[i] for ending, some in files.items()}, label))
    random.Random(0).shuffle(samples)
    return samples


def _key(name: str, taken: set[str]) -> str:
    """Return what a sample is called, which must have no dot in its last part: its path without the extension."""
    folder, _, last = name.rpartition("/")
    stem = last.rpartition(".")[0] or last
    key = "".join(c if c.isprintable() else "_" for c in f"{folder}/{stem.replace('.', '_')}".removeprefix("/"))
    number, unique = 1, key
    while unique in taken:
        number += 1
        unique = f"{key}_{number}"
    taken.add(unique)
    return unique


def write_shards(folder: Path, prefix: str, samples: Sequence[Sample], size: int) -> int:
    """Write ``size`` samples to each of the files folder/prefix000000.tar ...; return how many files these are."""
    folder.mkdir(parents=True, exist_ok=True)
    with tqdm(total=len(samples), desc=f"writing {folder.name}", unit="sample", leave=False, disable=None) as bar:
        for number, start in enumerate(range(0, len(samples), size)):
            with (
                written_whole(folder / f"{prefix}{number:06d}.tar") as file,
                tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar,
            ):
                for sample in samples[start : start + size]:
                    for name, content in _members(sample):
                        info = tarfile.TarInfo(name)  # without owner and time: the same images make the same files
                        info.size = len(content)
                        tar.addfile(info, io.BytesIO(content))
                    bar.update()
    return -(-len(samples) // size)


def _members(sample: Sample) -> Iterator[tuple[str, bytes]]:
    for ending, file in sample.images.items():
        yield f"{sample.key}{ending}{file.suffix.lower()}", file.read_bytes()
    if sample.label:
        yield f"{sample.key}.cls", sample.label.encode("utf-8", "replace")


def make(opt: argparse.Namespace) -> None:
    """Do what the options say and print what was done.

    Raises:
        ValueError, OSError: there is nothing to write, or no room for it; nothing is left behind.
    """
    root = find_dataroot(opt.dataroot)
    out: Path = opt.out or Path(f"{root.name}_shards")
    if out.exists():
        raise FileExistsError(f"--out {out} is there already: remove it, or give another --out")
    mode, datasets = choose(opt.dataroot)
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        for phase, dataset in datasets.items():
            print("\n".join(lines(find(dataset))))
            for key in dataset.keys if mode == "unaligned" else ("",):
                samples = samples_of(dataset, key)
                folder, prefix = (unfinished / f"{phase}{key}", "") if key else (unfinished, f"{phase}-")
                if len(datasets) == 1 and not key:
                    prefix = "shard-"  # for all phases
                num = write_shards(folder, prefix, samples, opt.shard_size)
                print(f"{phase}{key}: {len(samples)} samples in {num} shard{'s' * (num != 1)}")
        if (root / "card.yaml").exists():
            shutil.copy(root / "card.yaml", unfinished / "card.yaml")
        unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    print(f"next: python train.py --model {NEXT[mode]} --dataroot {out}")


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0], allow_abbrev=False)
    parser.add_argument(
        "--dataroot",
        required=True,
        metavar="DIR",
        help="class folders, images without classes, A|B files, or A and B",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to make (default: the data's name and _shards)")
    parser.add_argument(
        "--shard_size", type=positive_int, default=10_000, metavar="N", help="samples per shard (default: %(default)s)"
    )
    opt = parser.parse_args(args)
    with one_line_errors("make_shards.py", False, ValueError, LookupError, OSError):
        make(opt)
