"""What models have in common that draw images from noise."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from models.adversarial import AdversarialModel
from models.base_model import SHOWN
from options import option
from util.seeding import generator
from util.types import Batch, Grid, Visuals


class NoiseModel(AdversarialModel):
    """A model whose generator turns z, and a label where the data has labels, into an image."""

    @dataclass(frozen=True, kw_only=True)
    class Options(AdversarialModel.Options):
        nz: int = option(100, help="length of the noise vector z", min=1)

    opt: Options

    @abstractmethod
    def sample(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return images (N, C, H, W) in [-1, 1] for z (N, nz) and labels int64 (N,), None without classes."""

    def noise(self, num: int) -> Tensor:
        """Return ``num`` new latent vectors, float (num, nz), standard normal."""
        return torch.randn(num, self.opt.nz, device=self.device)

    def latents(self, num: int, seed: int = 0) -> Tensor:
        """Return the first ``num`` of the latent vectors that belong to ``seed``: the same on every device."""
        rows = [torch.randn(self.opt.nz, generator=generator(seed, i)) for i in range(num)]
        return torch.stack(rows).to(self.device)

    def forward(self, batch: Batch) -> Visuals:
        """Return samples from noise that stays the same during a run: a row a class, or rows of any."""
        classes = self.spec.num_classes
        rows = classes or SHOWN
        labels = torch.arange(rows, device=self.device).repeat_interleave(SHOWN) if classes else None
        return {"fake": self.sample(self.latents(rows * SHOWN), labels)}

    def grids(self, batch: Batch) -> dict[str, Grid]:
        return {name: Grid(images.cpu(), SHOWN, self.spec.classes) for name, images in self(batch).items()}
