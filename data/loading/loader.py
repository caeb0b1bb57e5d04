"""Batches for training: in an order, and with crops and flips, that follow from (seed, epoch) alone."""

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data.base_dataset import BaseDataset
from data.loading.cache import Cache
from data.loading.prefetch import ahead
from data.transforms import MIDDLE, crop, flip_some, to_float
from util.open_image import allow_pixels
from util.seeding import CROP, FLIP, ORDER, PICK, draws, generator
from util.spread import spread
from util.types import Batch

Pick = dict[str, tuple[np.ndarray, np.ndarray]]  # key -> its images of a batch (N,), where to crop: (N, 2) or (2,)


class Loader:
    """Yields the batches of an epoch; from the cache, or decoded by workers, they are the same."""

    def __init__(
        self,
        dataset: BaseDataset,
        cache: Cache | None,
        *,
        batch_size: int,
        seed: int,
        device: torch.device,
        num_threads: int,
        part: int = 0,
        num_parts: int = 1,
    ) -> None:
        """Prepare batches; the last, partial batch of an epoch is left out.

        Args:
            dataset: whose samples they hold.
            cache: its decoded images; None: they are decoded as they are needed.
            batch_size: samples that are yielded at a time.
            seed: what order, crops and flips follow from.
            device: to which the samples go.
            num_threads: worker processes that decode.
            part: of the batches of an epoch, this loader yields the part of this number.
            num_parts: how many parts they have, each of ``batch_size``.

        Raises:
            ValueError: the batch is larger than the data set.
        """
        if len(dataset) < batch_size * num_parts:
            parts = f" of {num_parts} processes" if num_parts > 1 else ""
            raise ValueError(f"--batch_size {batch_size}{parts} is more than the {len(dataset)} images there are")
        self.dataset = dataset
        self.cache = cache
        self.batch_size = batch_size
        self.seed = seed
        self.device = device
        self.num_threads = num_threads
        self.part, self.num_parts = part, num_parts
        self.sizes_differ = dataset.spec.image_size == (0, 0)
        # What lies in the host's memory, or in a file, is fetched while the GPU is at work.
        self.is_ahead = device.type == "cuda" and cache is not None and not cache.is_on_gpu

    def __len__(self) -> int:
        return len(self.dataset) // (self.batch_size * self.num_parts)

    def like(self, *, batch_size: int, seed: int) -> "Loader":
        """Return a loader of the same images, decoded once for both, with batches of its own."""
        return Loader(
            self.dataset,
            self.cache,
            batch_size=batch_size,
            seed=seed,
            device=self.device,
            num_threads=self.num_threads,
        )

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of ``epoch`` (from 1), from batch ``first`` (from 0) on."""
        order = torch.arange(len(self.dataset))
        if not self.dataset.opt.serial_batches:
            order = torch.randperm(len(self.dataset), generator=generator(self.seed, ORDER, epoch))
        own = list(order.split(self.batch_size))[self.part :: self.num_parts]
        for _, batch in self._batches(own[first : len(self)], epoch):
            yield batch

    def in_order(self, num: int) -> Iterator[tuple[Batch, list[str]]]:
        """Yield the first ``num`` samples, nothing random about them, with their names.

        The last batch may be smaller, and so is one that is followed by images of another size.
        """
        for indices, batch in self._batches(self._chunks(num)):
            yield batch, [self.dataset.names[i] for i in indices.tolist()]

    def in_turns(self) -> Iterator[tuple[list[int], Batch]]:
        """Yield this process's share of what ``in_order`` yields of all samples, with their numbers."""
        for indices, batch in self._batches(self._chunks(len(self.dataset))[self.part :: self.num_parts]):
            yield indices.tolist(), batch

    def preview(self, num: int = 66) -> Batch:
        """Return ``num`` samples from all over the data, the same at every call, nothing random about them.

        Where images are of several sizes, those that are of the first one's.
        """
        indices = torch.from_numpy(spread(len(self.dataset), num))
        if self.sizes_differ:
            shapes = self._shapes(indices)
            indices = indices[[shape == shapes[0] for shape in shapes]]
        ((_, batch),) = self._batches([indices])
        return batch

    def _batches(self, chunks: list[Tensor], epoch: int | None = None) -> Iterator[tuple[Tensor, Batch]]:
        """Yield samples ``chunks`` batch by batch; with the random picks, crops and flips of ``epoch`` or without."""
        picks = [self._pick(indices.numpy(), epoch) for indices in chunks]
        raw = self._cached(picks) if self.cache else self._decoded(picks)
        if self.is_ahead:
            raw = ahead({key: pinned(image) for key, image in images.items()} for images in raw)
        for indices, images in zip(chunks, raw, strict=True):
            floats = {key: to_float(image.to(self.device, non_blocking=True)) for key, image in images.items()}
            if epoch is not None and self.dataset.opt.flip:
                floats = {
                    key: flip_some(image, indices.numpy(), self.seed, FLIP, epoch, *self._own_draw(key))
                    for key, image in floats.items()
                }
            batch = Batch(self.dataset.finish(floats))
            if self.dataset.labels is not None:
                batch["label"] = self.dataset.labels[indices].to(self.device, non_blocking=True)
            yield indices, batch

    def _pick(self, indices: np.ndarray, epoch: int | None) -> Pick:
        """Choose for the samples ``indices`` (N,) the image of each key, and where it is cropped."""
        draw = None if epoch is None else (self.seed, PICK, epoch)
        picks = {}
        for key in self.dataset.keys:
            places = MIDDLE
            if epoch is not None and self.dataset.crop_size:
                numbers = (self.seed, CROP, epoch, *self._own_draw(key))
                places = np.stack([draws(indices, *numbers, axis) for axis in (0, 1)], 1)
            picks[key] = self.dataset.pick(key, indices, draw), places
        return picks

    def _own_draw(self, key: str) -> tuple[int, ...]:
        """Return what tells the random numbers of ``key`` from other keys'; nothing where all move together."""
        return () if self.dataset.paired else (self.dataset.keys.index(key),)

    def _cached(self, picks: list[Pick]) -> Iterator[dict[str, Tensor]]:
        assert self.cache
        size = self.dataset.crop_size
        for pick in picks:
            yield {k: self.cache.fetch(k, torch.from_numpy(rows), size, at) for k, (rows, at) in pick.items()}

    def _decoded(self, picks: list[Pick]) -> Iterator[dict[str, Tensor]]:
        yield from DataLoader(
            _Undecoded(self.dataset),
            batch_sampler=[_samples(pick) for pick in picks],
            num_workers=self.num_threads,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=partial(_begin, self.dataset.opt.max_pixels),
            generator=torch.Generator(),  # of the workers' seeds, which nothing uses: the global one is left alone
        )

    def _shapes(self, indices: Tensor) -> list[tuple[tuple[int, ...], ...]]:
        """Return the shapes of the images of each sample, when nothing is random."""
        rows = {key: rows for key, (rows, _) in self._pick(indices.numpy(), None).items()}
        return [
            tuple(self.dataset.shape(key, int(rows[key][i])) for key in self.dataset.keys) for i in range(len(indices))
        ]

    def _chunks(self, num: int) -> list[Tensor]:
        """Return the first ``num`` samples in batches of equal shapes."""
        indices = torch.arange(num)
        if not self.sizes_differ:
            return list(indices.split(self.batch_size))
        runs = itertools.groupby(zip(indices.tolist(), self._shapes(indices), strict=True), lambda pair: pair[1])
        return [part for _, run in runs for part in torch.tensor([i for i, _ in run]).split(self.batch_size)]

    def check_sizes(self, smallest: int = 1) -> None:
        """Raise ValueError, which names the file, when an image of data of several sizes cannot be trained on.

        Args:
            smallest: what both sides must have at least, pixels.
        """
        if not self.sizes_differ:
            return
        for key in self.dataset.keys:
            names, first = self.dataset.image_names(key), self.dataset.shape(key, 0)
            for i, name in enumerate(names):
                _, height, width = shape = self.dataset.shape(key, i)
                if self.batch_size > 1 and shape != first:
                    raise ValueError(
                        f"--batch_size {self.batch_size}: {names[0]} is {first[2]}x{first[1]}, {name} is "
                        f"{width}x{height}: use --batch_size 1, or a --preprocess that crops"
                    )
                if min(height, width) < smallest:
                    raise ValueError(
                        f"{name} is {width}x{height}, and --netD takes images of {smallest} pixels or more: leave it "
                        "out, or use --netD n_layers with a smaller --n_layers_D, --netD pixel, or a larger --load_size"
                    )


def pinned(images: Tensor) -> Tensor:
    """Return ``images`` in memory that a GPU reads by itself, so that the copy is not waited for."""
    return images.pin_memory()


def _samples(pick: Pick) -> list[dict[str, tuple[int, np.ndarray]]]:
    """Return a batch's picks sample by sample."""
    places = {key: np.broadcast_to(at, (len(rows), 2)) for key, (rows, at) in pick.items()}
    num = len(next(iter(places.values())))
    return [{key: (int(rows[i]), places[key][i]) for key, (rows, _) in pick.items()} for i in range(num)]


def _begin(max_pixels: int, worker: int) -> None:
    """Have a new process read images of up to ``max_pixels``, as this one does."""
    allow_pixels(max_pixels)


class _Undecoded(Dataset[dict[str, Any]]):
    """The images of a data set in their own dtype, for worker processes."""

    def __init__(self, dataset: BaseDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, sample: dict[str, tuple[int, np.ndarray]]) -> dict[str, Tensor]:
        size = self.dataset.crop_size
        return {key: crop(self.dataset.decode(key, row), size, place) for key, (row, place) in sample.items()}
