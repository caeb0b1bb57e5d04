"""Find the tar files that ``--dataroot`` means by shards; imports neither torch, Pillow nor NumPy."""

import glob
import os
import re
from pathlib import Path
from typing import NamedTuple

from data.files.image_paths import EXTENSIONS, READ, has_images, natural
from data.files.phases import PHASES, phase_folder, phase_of
from data.files.tars import list_members

RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")  # as shells have it: {000..063}
LOOKED_AT = 100  # members that tell what a tar is
PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


class ShardFiles(NamedTuple):
    """The tars of a phase."""

    tars: list[Path]
    phase: str  # whose they are; "": of all phases
    is_all: bool  # whether there are tars of no other phase


def find_shards(dataroot: str, root: Path, phase: str, side: str = "") -> ShardFiles | None:
    """Return the tars for ``phase``; None when the data is no tars.

    These are those in the folder of the phase (``side`` A or B of it, such as trainA), or those with its name in their
    own, such as train-000.tar; val and test stand in for each other. Else they are all that are there, for every phase.

    Raises:
        ValueError: there are tars of other phases, but none to train on; or they are compressed.
    """
    tars = [] if side else listed(dataroot) or tars_in(root)

    def own(name: str) -> list[Path]:
        folder = phase_folder(root, name, side)
        return [tar for tar in tars if name in _phases_in(tar)] or (tars_in(folder) if folder and not tars else [])

    found = {name: own(name) for name in PHASES}
    of_none = [tar for tar in tars if not _phases_in(tar)]
    is_all = sum(map(bool, found.values())) < 2
    for name in PHASES[phase]:
        if found[name]:
            return ShardFiles(found[name], name, is_all)
    if of_none:
        return ShardFiles(of_none, "", is_all)
    if found["train"]:
        return ShardFiles(found["train"], "train", is_all)
    if others := found["val"] or found["test"]:
        raise ValueError(f"--dataroot {dataroot} has shards such as {others[0].name}, but none for --phase {phase}")
    return None


def listed(dataroot: str) -> list[Path]:
    """Return the shards that a text names, with {000..063} and * as shells have them, or a,b; [] when it names none.

    A single tar without labels and pairs is an archive like others, and not read in place.

    Raises:
        FileNotFoundError: one of them is not there.
    """
    path = Path(dataroot)
    if not dataroot.lower().endswith(".tar"):
        return []
    if path.exists() or not re.search(r"[,*?{]", dataroot):
        return [path] if path.is_file() and _is_shard(path) else []
    found: list[Path] = []
    for text in dataroot.split(","):
        for name in _expanded(text):
            some = glob.glob(name) if re.search(r"[*?]", name) else [name]  # noqa: PTH207  of any folder
            if not some or not Path(some[0]).is_file():
                raise FileNotFoundError(f"--dataroot {dataroot}: there is no {name}")
            found += sorted(map(Path, some), key=lambda tar: natural(tar.name))
    return list(dict.fromkeys(found))


def _is_shard(tar: Path) -> bool:
    """Return whether the first members of a tar are labels, or images A or B of a pair."""
    names = [entry.name.lower() for entry in list_members(tar, LOOKED_AT).entries]
    return any(name.endswith((".cls", *(side + ending for side in (".a", ".b") for ending in READ))) for name in names)


def tars_in(folder: Path) -> list[Path]:
    """Return the tars that lie in a folder that holds no images itself, in natural order.

    Raises:
        ValueError: all are compressed.
    """
    tars, packed = list[Path](), list[Path]()
    if folder.is_dir():
        with os.scandir(folder) as listing:
            for entry in listing:
                name = entry.name.lower()
                if name.endswith(EXTENSIONS):
                    return []
                if not name.startswith(".") and name.endswith((".tar", *PACKED)) and entry.is_file():
                    (tars if name.endswith(".tar") else packed).append(folder / entry.name)
    if (tars or packed) and has_images(folder):
        return []
    if packed and not tars:
        raise ValueError(
            f"{folder} holds compressed shards, such as {packed[0].name}, which cannot be read in place: decompress "
            "them to .tar files (a single archive is unpacked when --dataroot is its own path)"
        )
    return sorted(tars, key=lambda tar: natural(tar.name))


def _phases_in(tar: Path) -> list[str]:
    """Return the phases that the words of a tar's name are, such as train in imagenet-train-000.tar."""
    return [phase for word in re.split(r"[^a-z]+", tar.stem.lower()) if (phase := phase_of(word))]


def _expanded(text: str) -> list[str]:
    """Return what a shell makes of {000..063} in ``text``."""
    found = RANGE.search(text)
    if not found:
        return [text]
    first, last = found.groups()
    numbers = [str(n).zfill(len(first)) for n in range(int(first), int(last) + 1)]
    return [one for n in numbers for one in _expanded(f"{text[: found.start()]}{n}{text[found.end() :]}")]
