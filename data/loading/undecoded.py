"""Images that are decoded as they are needed, by worker processes; for one that is bad another stands in."""

import signal
import threading
from collections.abc import Iterator
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from data.base_dataset import BaseDataset
from data.files.decode import BadImageError
from data.loading.cache import MAX_BAD, NAMED, groups_of, listed
from data.transforms import crop
from util.console import warn

T = TypeVar("T")
TRIES = 20  # images that are tried in place of a bad one
Sample = dict[str, tuple[int, np.ndarray]]  # key -> which of its images, where it is cropped
Bad = dict[str, str]  # name of an image -> what is wrong with it


class Undecoded(Dataset[tuple[dict[str, Tensor] | None, Bad]]):
    """The images of a data set in their own dtype."""

    def __init__(self, dataset: BaseDataset, stand_ins: bool) -> None:
        self.dataset, self.num_tries = dataset, TRIES if stand_ins else 1

    def __getitem__(self, sample: Sample) -> tuple[dict[str, Tensor] | None, Bad]:
        """Return the images of a sample, or None when they cannot be had, and those that turned out to be bad."""
        images: dict[str, Tensor] = {}
        bad: Bad = {}
        for first, keys in groups_of(self.dataset).items():
            for row in self._like(first, sample[first][0]):
                try:
                    images |= {key: self._decode(key, row, sample[key][1]) for key in keys}
                    break
                except BadImageError as error:
                    bad[self.dataset.image_names(first)[row]] = str(error)
            else:
                return None, bad
        return images, bad

    def _decode(self, key: str, row: int, place: np.ndarray) -> Tensor:
        image, (_, height, width) = self.dataset.decode(key, row), self.dataset.shape(key, row)
        if image.shape[1:] != (height, width):
            raise BadImageError(f"it was replaced by one of {image.shape[2]}x{image.shape[1]}, was {width}x{height}")
        return crop(image, self.dataset.crop_size, place)

    def _like(self, key: str, row: int) -> Iterator[int]:
        """Yield ``row`` and those after it, of the same class where there are classes, that may stand in for it."""
        num, labels = len(self.dataset.image_names(key)), self.dataset.labels
        left = self.num_tries
        for other in chain(range(row, num), range(row)):
            if labels is None or labels[other] == labels[row]:
                yield other
                left -= 1
            if not left:
                return


def together(samples: list[tuple[dict[str, Tensor] | None, Bad]]) -> tuple[Any, Bad]:
    """Return a batch, or None when one of its samples is missing, and the images in it that turned out to be bad."""
    bad = {name: problem for _, some in samples for name, problem in some.items()}
    whole = [images for images, _ in samples if images is not None]
    return default_collate(whole) if len(whole) == len(samples) else None, bad


def watched(loader: "DataLoader[T]") -> Iterator[T]:
    """Yield what ``loader`` does.

    Raises:
        ChildProcessError: one of its processes was killed; the error of torch would come wherever the main thread is.
    """
    batches = iter(loader)
    if loader.num_workers and threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # within five seconds the loader finds by itself who is gone
    try:
        yield from batches
    except (RuntimeError, OSError, EOFError) as error:  # what it made last, too, is only to be had while it lives
        workers = getattr(batches, "_workers", ())
        for worker in workers:
            worker.join(0.2)  # one that was killed may not be known to be dead yet
        if not ("DataLoader worker" in str(error) or not all(worker.is_alive() for worker in workers)):
            raise
        raise ChildProcessError(
            f"a process that decodes images was killed ({error}); if memory, or /dev/shm, was full, a smaller "
            "--num_threads takes less; what was saved before is whole"
        ) from None


class Problems:
    """The images that turned out to be bad as they were decoded, each of which is told once."""

    def __init__(self, dataset: BaseDataset, stand_ins: bool) -> None:
        self.dataset, self.stand_ins = dataset, stand_ins
        self.found: Bad = {}
        self.seen = 0  # images

    def note(self, bad: Bad, num: int, is_whole: bool) -> None:
        """Take note of those that are bad in a batch of ``num``.

        Raises:
            ValueError: the batch is not whole, or more of the files are bad than can be meant.
        """
        self.seen += num
        new = {name: problem for name, problem in bad.items() if name not in self.found}
        self.found |= new
        if not is_whole or len(self.found) > max(NAMED, MAX_BAD * self.seen):
            text = listed(list(self.found), dict(enumerate(self.found.values())), len(self.dataset))
            raise ValueError(f"{text}: is {self.dataset.opt.dataroot} the right folder, and all of it there?")
        for so_far, (name, problem) in enumerate(new.items(), len(self.found) - len(new) + 1):
            if so_far <= NAMED or so_far.bit_count() == 1:
                counted = f" ({so_far} so far)" if so_far > 1 else ""
                warn(f"{name} cannot be read ({problem}): another image takes its place{counted}")
