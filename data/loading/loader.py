"""Batches for training: in an order, and with crops and flips, that follow from (seed, epoch) alone."""

import itertools
from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from data.base_dataset import BaseDataset
from data.loading.cache import Cache
from data.loading.order import in_blocks
from data.loading.prefetch import ahead
from data.loading.undecoded import Problems, Sample, Undecoded, together, watched
from data.transforms import MIDDLE, flip_some, to_float
from util.console import warn
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
        stand_ins: bool = False,
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
            stand_ins: whether another image takes the place of one that turns out to be bad as it is decoded; or else
                that is an error.

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
        self.problems = Problems(dataset, stand_ins)
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
            stand_ins=self.problems.stand_ins,
        )

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of ``epoch`` (from 1), from batch ``first`` (from 0) on."""
        order = self._order(generator(self.seed, ORDER, epoch))
        starts = range(self.part * self.batch_size, len(order), self.num_parts * self.batch_size)[first : len(self)]
        for _, batch in self._batches((order[start : start + self.batch_size] for start in starts), epoch):
            yield batch

    def _order(self, generator: torch.Generator) -> Tensor:
        """Return all samples in the order in which an epoch takes them."""
        if self.dataset.opt.serial_batches:
            return torch.arange(len(self.dataset))
        if self.dataset.opt.shuffle == "blocks" and (shards := self.dataset.shards()) is not None:
            return in_blocks(shards, generator)
        return torch.randperm(len(self.dataset), generator=generator)

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

    def _batches(self, chunks: Iterable[Tensor], epoch: int | None = None) -> Iterator[tuple[Tensor, Batch]]:
        """Yield samples ``chunks`` batch by batch; with the random picks, crops and flips of ``epoch`` or without."""
        chunks, picked = itertools.tee(chunks)
        picks = (self._pick(indices.numpy(), epoch) for indices in picked)
        raw = self._cached(self.cache, picks) if self.cache else self._decoded(picks)
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

    def _cached(self, cache: Cache, picks: Iterator[Pick]) -> Iterator[dict[str, Tensor]]:
        size = self.dataset.crop_size
        for pick in picks:
            try:
                images = {k: cache.fetch(k, torch.from_numpy(rows), size, at) for k, (rows, at) in pick.items()}
            except OSError as error:
                warn(f"the disk cache cannot be read any more, so images are decoded as they are needed: {error}")
                self.cache = None
                yield from self._decoded(itertools.chain([pick], picks))
                return
            yield images

    def _decoded(self, picks: Iterable[Pick]) -> Iterator[dict[str, Tensor]]:
        loader = DataLoader(
            Undecoded(self.dataset, self.problems.stand_ins),
            batch_sampler=map(_samples, picks),
            num_workers=self.num_threads,
            collate_fn=together,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=partial(_begin, self.dataset.opt.max_pixels),
            generator=torch.Generator(),  # of the workers' seeds, which nothing uses: the global one is left alone
        )
        for images, bad in watched(loader):
            self.problems.note(bad, self.batch_size, is_whole=images is not None)
            yield images

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


def _samples(pick: Pick) -> list[Sample]:
    """Return a batch's picks sample by sample."""
    places = {key: np.broadcast_to(at, (len(rows), 2)) for key, (rows, at) in pick.items()}
    num = len(next(iter(places.values())))
    return [{key: (int(rows[i]), places[key][i]) for key, (rows, _) in pick.items()} for i in range(num)]


def _begin(max_pixels: int, worker: int) -> None:
    """Have a new process read images of up to ``max_pixels``, as this one does."""
    allow_pixels(max_pixels)
