"""The samples in shards: tar files in webdataset's layout, which are read in place."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
from tqdm import tqdm

from data.files.image_paths import natural
from data.files.shard_index import Index, open_index
from util.member import Member
from util.spread import spread

UNLABELLED, NO_NUMBER = "without a .cls, as others have", "with a .cls that is no number, as others are"
FEW = 0.1  # where fewer labels than this part are names, and the others numbers, they are mistakes
THREADS = 4  # that look through tars
LOOKED_AT = 100  # images whose headers tell whether they are A|B


class Members(Sequence[Member]):
    """Members of many tars; each is made when it is asked for: a million would fill the memory."""

    def __init__(self, tars: list[Path], names: list[str], places: np.ndarray) -> None:
        """Note where they are.

        Args:
            tars: the files.
            names: what each is called: the tar's name without its ending, then the path within it.
            places: int64 (N, 3), for each the number of its tar, offset and size.
        """
        self.tars, self.names, self.places = tars, names, places

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Member: ...
    @overload
    def __getitem__(self, index: slice) -> "Members": ...
    def __getitem__(self, index: int | slice) -> "Member | Members":
        if isinstance(index, slice):
            return Members(self.tars, self.names[index], self.places[index])
        tar, offset, size = self.places[index].tolist()
        return Member(self.tars[tar], self.names[index].partition("/")[2], offset, size)

    def only(self, indices: Sequence[int]) -> "Members":
        """Return those at ``indices``."""
        return Members(self.tars, [self.names[i] for i in indices], self.places[np.asarray(indices, np.int64)])

    def on_disk(self) -> list[Path]:
        """Return the files that these lie in."""
        return self.tars


class Shards(NamedTuple):
    """What is in some tars; of each kind of images, "" for those that are no pairs, A and B, as many of both."""

    images: dict[str, Members]
    labels: dict[str, np.ndarray]  # int64 (N,), of ``texts``; -1: none
    texts: list[str]
    left_out: dict[str, list[str]]

    def labelled(self) -> "Labelled":
        """Return the images that are no pairs, with their labels: none when fewer than half have one."""
        images, codes, left_out = self.images[""], self.labels[""], {}
        good = codes >= 0
        if 2 * good.sum() < len(codes) or not len(codes):
            return Labelled(images, None, (), {})
        is_number = np.array([text.isascii() and text.isdecimal() for text in self.texts])
        names = good & ~is_number[codes]
        if 0 < names.sum() < FEW * good.sum():
            left_out[NO_NUMBER] = [f"{images.names[i]} ({self.texts[codes[i]]})" for i in np.flatnonzero(names)]
            good &= ~names
        if not good.all():
            left_out[UNLABELLED] = [images.names[i] for i in np.flatnonzero(codes < 0)]
            images, codes = images.only(np.flatnonzero(good).tolist()), codes[good]
        found = np.unique(codes)
        ordered = sorted(found.tolist(), key=lambda code: natural(self.texts[code]))
        numbers = np.zeros(len(self.texts), np.int64)
        numbers[ordered] = np.arange(len(ordered))
        classes = [self.texts[code] for code in ordered]
        return Labelled(images, numbers[codes], tuple(classes), {k: v for k, v in left_out.items() if v})


class Labelled(NamedTuple):
    """Images, and the class of each."""

    images: Members
    labels: np.ndarray | None  # int64 (N,)
    classes: tuple[str, ...]
    left_out: dict[str, list[str]]


def read_shards(tars: list[Path], cache: Path) -> Shards:
    """Return what is in ``tars``, by their indices in ``cache``, which are made where there are none.

    Raises:
        ValueError: two have one name, or there is no image.
    """
    stems = [tar.stem for tar in tars]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise ValueError(f"two shards are called {twice}.tar: rename one, so that their samples differ in their names")
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(partial(open_index, cache=cache), tars)
        indices = list(tqdm(found, "looking through shards", len(tars), unit="tar", leave=False, disable=None))
    texts: dict[str, int] = {}
    left_out: dict[str, list[str]] = {}
    codes = []
    for index in indices:
        numbers = np.array([*(texts.setdefault(text, len(texts)) for text in index.texts), -1], np.int64)
        codes.append(numbers[index.labels])  # the last of them for -1
        for reason, names in index.left_out.items():
            left_out.setdefault(reason, []).extend(names)
    images, labels = {}, {}
    for side, name in enumerate(("", "A", "B")):
        rows = [np.flatnonzero(index.sides == side) for index in indices]
        images[name] = _members(tars, indices, rows)
        labels[name] = np.concatenate([some[at] for some, at in zip(codes, rows, strict=True)])
    if not any(map(len, images.values())):
        first = f": {next(iter(left_out))}: {next(iter(left_out.values()))[0]}" if left_out else ""
        raise ValueError(f"there is no image in {len(tars)} shards such as {tars[0]}{first}")
    return Shards(images, labels, list(texts), left_out)


def _members(tars: list[Path], indices: list[Index], rows: list[np.ndarray]) -> Members:
    """Return the members ``rows`` of each index."""
    names, places = [], [np.empty((0, 3), np.int64)]
    for number, (tar, index, some) in enumerate(zip(tars, indices, rows, strict=True)):
        names += [f"{tar.stem}/{index.names[i]}" for i in some.tolist()]
        places.append(np.stack([np.full(len(some), number), index.offsets[some], index.sizes[some]], 1))
    return Members(tars, names, np.concatenate(places))


def has_pairs(tars: list[Path], cache: Path) -> bool:
    """Return whether samples are pairs: A and B, or A|B without a label; the first tar with images tells."""
    for tar in tars:
        index = open_index(tar, cache)
        if index.names:
            break
    else:
        return False
    if index.texts or (index.sides > 0).any():
        return bool((index.sides > 0).any())
    from data.files.decode import BadImageError
    from data.files.pixels import read_header

    shapes = set()
    members = _members([tar], [index], [spread(len(index.names), LOOKED_AT)])
    for member in members:
        try:
            header = read_header(member)
        except BadImageError:  # named and counted later
            continue
        shapes.add(header.width == 2 * header.height)
    return shapes == {True}
