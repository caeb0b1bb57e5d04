"""Types that datasets, models, the training loop and the displays exchange."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from util.checks import count

Losses = dict[str, Tensor]  # name -> detached scalar
Visuals = dict[str, Tensor]  # name -> float (N, C, H, W) in [-1, 1]


class DataSpec(NamedTuple):
    """What a model needs to know about its data."""

    image_size: tuple[int, int]  # height and width in pixels; (0, 0): they differ from image to image
    input_nc: int  # channels of the images that go in (A)
    output_nc: int  # channels of the images to generate (image, B)
    classes: tuple[str, ...] = ()  # class names in the order of their indices; () when there are no labels
    bit_depth: int = 8  # of the images as they are read and saved: 8, 16, or 32 for float numbers
    value_range: tuple[float, ...] = ()  # (lo, hi): the numbers that -1 and 1 stand for; (): all of bit_depth
    value_range_A: tuple[float, ...] = ()  # the same of A; value_range is of B, and of images that are not pairs
    value_type: str = ""  # what whole numbers are, beyond bit_depth: int16, int32 ...; "": nothing else
    value_type_A: str = ""

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "DataSpec":
        """Return the spec that options.yaml holds; raise ValueError when it does not fit."""
        try:
            height, width = values["image_size"]
            nc = int(values["input_nc"]), int(values["output_nc"])
            depth = int(values.get("bit_depth", 8))
            limits = [tuple(float(v) for v in values.get(name, ())) for name in ("value_range", "value_range_A")]
            types = [str(values.get(name, "")) for name in ("value_type", "value_type_A")]
            classes = tuple(str(c) for c in values["classes"])
            size = int(height), int(width)
            return cls(size, *nc, classes, depth, limits[0], limits[1], types[0], types[1])
        except (KeyError, TypeError) as error:
            raise ValueError(f"the spec section of options.yaml is damaged: {error}") from None


class Batch(dict[str, Any]):
    """Images: float (N, C, H, W) in [-1, 1]; ``label``: int64 (N,) where the data has labels.

    An objective may leave here what a later objective of the same step needs.
    """

    _parts: "list[Batch] | None" = None

    def parts(self, num: int) -> "list[Batch]":
        """Return the batch in ``num`` equal micro-batches, the same objects at every call.

        Raises:
            ValueError: the batch cannot be divided evenly.
        """
        if num == 1:
            return [self]
        if self._parts is None:
            size = len(next(iter(self.values())))
            if size % num:
                raise ValueError(f"--accumulate {num} does not divide the batch of {size} images evenly")
            chunks = {k: v.chunk(num) for k, v in self.items() if isinstance(v, Tensor)}
            self._parts = [Batch({k: c[i] for k, c in chunks.items()}) for i in range(num)]
        return self._parts


class Weighted(NamedTuple):
    """A loss term that is logged as ``value`` but minimized as ``weight * value``."""

    value: Tensor
    weight: float | Tensor  # a tensor on the device where it changes during training


@dataclass
class Progress:
    """The progress of a run. Counts start at 0; ``epoch`` is the current one, counted from 1."""

    epoch: int = 0
    step: int = 0  # optimization steps in all
    images: int = 0  # training images seen in all
    epoch_step: int = 0  # optimization steps in this epoch

    def advance(self, num_images: int) -> None:
        """Count one step that saw ``num_images`` images."""
        self.step += 1
        self.epoch_step += 1
        self.images += num_images
        self._last = num_images

    def due(self, freq: int) -> bool:
        """Return whether the last step reached or passed a multiple of ``freq`` images; 0 means never."""
        return freq > 0 and self.images // freq > (self.images - self._last) // freq

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch, "step": self.step, "images": self.images, "epoch_step": self.epoch_step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take a saved count; raise ValueError when it is none."""
        counts = {name: count(state, name) for name in self.state_dict()}
        if not counts["epoch_step"] <= counts["step"] <= counts["images"]:
            raise ValueError(f"{counts['epoch_step']} steps of {counts['step']}, of {counts['images']} images")
        vars(self).update(counts)


Report = tuple[Progress, dict[str, float]]  # mean losses, and when


class Grid(NamedTuple):
    """Images to be shown together, row by row."""

    images: Tensor  # float (N, C, H, W) in [-1, 1]
    columns: int
    rows: tuple[str, ...] = ()  # what each row shows, such as a class name; () when rows mean nothing


class Autoencoded(NamedTuple):
    """Real images encoded and decoded by a model."""

    z: Tensor  # the mean of each image's z, (N, nz)
    images: Tensor  # decoded from it, float (N, C, H, W) in [-1, 1]
    kl: Tensor  # divergence of z from the standard normal, in nats, averaged over the images
