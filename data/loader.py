"""Batches for training: in an order, and with flips, that follow from (seed, epoch) alone."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data.base_dataset import BaseDataset
from data.cache import Cache
from data.transforms import flip_some, to_float
from util.seeding import generator, mix
from util.types import Batch

ORDER, FLIP = mix(1), mix(2)  # what a random number is for: no two uses share their numbers


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
    ) -> None:
        """Prepare batches; the last, partial batch of an epoch is left out.

        Raises:
            ValueError: the batch is larger than the data set.
        """
        if len(dataset) < batch_size:
            raise ValueError(f"--batch_size {batch_size} is more than the {len(dataset)} images there are")
        self.dataset = dataset
        self.cache = cache
        self.batch_size = batch_size
        self.seed = seed
        self.device = device
        self.num_threads = num_threads

    def __len__(self) -> int:
        return len(self.dataset) // self.batch_size

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of ``epoch`` (from 1), from batch ``first`` (from 0) on."""
        order = torch.randperm(len(self.dataset), generator=generator(self.seed, ORDER, epoch))
        chunks = list(order.split(self.batch_size))[first : len(self)]
        raw = self._cached(chunks) if self.cache else self._decoded(chunks)
        for indices, images in zip(chunks, raw, strict=True):
            yield self._flip(self._to_device(indices, images), indices, epoch)

    def in_order(self, num: int) -> Iterator[tuple[Batch, list[str]]]:
        """Yield the first ``num`` samples, not flipped, with their names; the last batch may be smaller."""
        chunks = list(torch.arange(num).split(self.batch_size))
        raw = self._cached(chunks) if self.cache else self._decoded(chunks)
        for indices, images in zip(chunks, raw, strict=True):
            yield self._to_device(indices, images), [self.dataset.names[i] for i in indices.tolist()]

    def preview(self, num: int = 66) -> Batch:
        """Return ``num`` samples from all over the data, the same at every call, not flipped."""
        indices = torch.linspace(0, len(self.dataset) - 1, min(num, len(self.dataset))).round().to(torch.int64)
        (images,) = self._cached([indices]) if self.cache else self._decoded([indices])
        return self._to_device(indices, images)

    def _cached(self, chunks: list[Tensor]) -> Iterator[dict[str, Tensor]]:
        assert self.cache
        for indices in chunks:
            yield {key: self.cache.fetch(key, indices) for key in self.dataset.keys}

    def _decoded(self, chunks: list[Tensor]) -> Iterator[dict[str, Tensor]]:
        yield from DataLoader(
            _Undecoded(self.dataset),
            batch_sampler=[c.tolist() for c in chunks],
            num_workers=self.num_threads,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # of the workers' seeds, which nothing uses: the global one is left alone
        )

    def _to_device(self, indices: Tensor, images: dict[str, Tensor]) -> Batch:
        """Move a batch to the device, and there convert it."""
        batch = Batch({key: to_float(raw.to(self.device, non_blocking=True)) for key, raw in images.items()})
        if self.dataset.labels is not None:
            batch["label"] = self.dataset.labels[indices].to(self.device, non_blocking=True)
        return batch

    def _flip(self, batch: Batch, indices: Tensor, epoch: int) -> Batch:
        """Mirror half of the samples, all images of one alike."""
        if self.dataset.opt.flip:
            for key in self.dataset.keys:
                batch[key] = flip_some(batch[key], indices.numpy(), self.seed, FLIP, epoch)
        return batch


class _Undecoded(Dataset[dict[str, Any]]):
    """The images of a data set as bytes, for worker processes."""

    def __init__(self, dataset: BaseDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {key: self.dataset.decode(key, index) for key in self.dataset.keys}
