"""A trained generator as a function, for scripts and notebooks of your own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import torch
from PIL.Image import Image
from torch import Tensor

from models.base_model import BaseModel
from models.colorization_model import ColorizationModel
from models.noise import NoiseModel
from util.images import from_image, to_image, to_uint8
from util.results.interpolation import truncated
from util.results.results import read_labels, untrained

Labels = str | int | Sequence[str | int]
BATCH = 50  # images per pass


class TrainedGenerator:
    """Draws images from noise, or translates them, as test.py does: in evaluation mode and without gradients.

    Attributes:
        model: the whole model, for all that is not offered here.
        name: of the run.
        epoch: label of the checkpoint: latest, best, the number of an epoch or iter_N.
        weights: which weights they are, for people.
        trained: the options of the training by name, as far as they are known.
    """

    def __init__(self, model: BaseModel, run_dir: Path, epoch: str, weights: str, trained: dict[str, Any]) -> None:
        self.model = model.eval()
        self.run_dir, self.name, self.epoch = run_dir, run_dir.name, epoch
        self.weights, self.trained = weights, trained

    @property
    def draws(self) -> bool:
        """Whether it draws from noise; otherwise it translates."""
        return isinstance(self.model, NoiseModel)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes it can be asked for; () when it was trained without labels."""
        return self.model.spec.classes

    @overload
    def __call__(self, *, num: int = 1, labels: Labels = (), seed: int = 0, truncation: float = 0.0) -> list[Image]: ...
    @overload
    def __call__(self, image: Image) -> Image: ...
    @overload
    def __call__(self, image: Tensor) -> Tensor: ...
    def __call__(
        self,
        image: Image | Tensor | None = None,
        *,
        num: int = 1,
        labels: Labels = (),
        seed: int = 0,
        truncation: float = 0.0,
    ) -> list[Image] | Image | Tensor:
        """Draw ``num`` pictures from noise, or translate ``image``.

        Args:
            image: to translate: a picture, or a tensor as ``translate`` takes it; the result is of the same kind.
            num, labels, seed, truncation: as for ``sample``.

        Raises:
            ValueError: the model does not do what is asked for, or knows no such class.
        """
        if image is None:
            return [to_image(pixels) for pixels in to_uint8(self.sample(num, labels, seed, truncation))]
        if isinstance(image, Tensor):
            return self.translate(image)
        spec, colors = self.model.spec, isinstance(self.model, ColorizationModel)
        if spec.bit_depth != 8 or spec.value_range or (spec.input_nc not in (1, 3)):
            raise ValueError(
                f"{self.name} was trained on {spec.bit_depth}-bit images of {spec.input_nc} channels, which a picture "
                "does not hold: give a tensor float (N, C, H, W) in [-1, 1]"
            )
        result = self.translate(from_image(image, 3 if colors else spec.input_nc)[None])
        return to_image(to_uint8(result)[0])

    def sample(self, num: int = 1, labels: Labels = (), seed: int = 0, truncation: float = 0.0) -> Tensor:
        """Return ``num`` images from noise, float (num, C, H, W) in [-1, 1].

        Image i depends on ``seed``, i and its label only: these are the images of ``test.py --seed``.

        Args:
            num: how many.
            labels: a class or several, by name or index from 0, which take turns; () means all classes.
            seed: of the noise.
            truncation: cut the normal distribution of z off at plus and minus this; 0: not at all.
        """
        model = self.model
        if not isinstance(model, NoiseModel):
            raise ValueError(f"{self.name} translates images and draws none from noise: call it with an image")
        wanted = self._read(labels)
        z = truncated(model.latents(num, seed), truncation)
        chosen = [wanted[i % len(wanted)] for i in range(num)] if wanted else None
        y = None if chosen is None else torch.tensor(chosen, device=model.device)
        with torch.no_grad():
            return model.sample_in_parts(z, y, BATCH)

    def translate(self, images: Tensor) -> Tensor:
        """Return the translation of images float (N, C, H, W) in [-1, 1] of any sides.

        A colorization takes and returns RGB: the lightness stays, the colours are new.
        """
        model: Any = self.model
        if not hasattr(model, "translate"):
            raise ValueError(f"{self.name} draws images from noise and translates none: call it without an image")
        nc = 3 if isinstance(model, ColorizationModel) else model.spec.input_nc
        if images.ndim != 4 or images.shape[1] != nc:
            raise ValueError(f"{self.name} translates images (N, {nc}, H, W), not {tuple(images.shape)}")
        with torch.no_grad():
            images = images.to(model.device)
            return model.recolor(images) if isinstance(model, ColorizationModel) else model.translate(images)

    def _read(self, labels: Labels) -> list[int]:
        words = [labels] if isinstance(labels, int) else labels.split(",") if isinstance(labels, str) else labels
        absent = untrained(self.run_dir)
        words = words or [name for name in self.classes if name not in absent]
        for word in words:
            if isinstance(word, int) and not 0 <= word < len(self.classes):
                raise ValueError(f"label {word}: {self.name} has {len(self.classes)} classes, counted from 0")
        names = [self.classes[word] if isinstance(word, int) else word.strip() for word in words]
        try:
            return read_labels(names, self.classes)
        except ValueError as error:
            raise ValueError(str(error).removeprefix("--")) from None
