"""A single generator of a trained translation model, for ``test.py --model test``."""

from torch import Tensor

from models.translation import TranslationModel
from util.types import Batch, DataSpec, Losses, Visuals


class TestModel(TranslationModel):
    """G alone: that of pix2pix, or one direction of CycleGAN."""

    needs = ("A",)
    dataset_mode = "single"
    trains = False

    def __init__(self, opt: TranslationModel.Options, spec: DataSpec) -> None:
        super().__init__(opt, spec)
        self.netG = self.generator(spec.input_nc, spec.output_nc)

    def optimize_parameters(self, batch: Batch, step: int) -> Losses:
        raise AssertionError("--model test has nothing to learn from")

    def forward(self, batch: Batch) -> Visuals:
        return {"real": batch["A"], "fake": self.translate(batch["A"])}

    def translate(self, images: Tensor) -> Tensor:
        """Return G of images float (N, C, H, W) in [-1, 1]."""
        return self.run(self.netG, images)
