"""Colour images, as their lightness A and their colour B."""

from dataclasses import dataclass

from torch import Tensor

from data.translation import TranslationDataset
from util.color import rgb_to_lab


class ColorizationDataset(TranslationDataset):
    """A is L*/50 - 1 (one channel), B is a*/110 and b*/110 (two), of D65; colours are converted batch by batch.

    Read is the first of these that is there (for ``--phase train``; val and test stand in for each other):

        root/trainB, root/train, root itself

    so that of two collections, or pairs in two folders, B is coloured.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(TranslationDataset.Options):
        input_nc: int = 1
        output_nc: int = 2

        def __post_init__(self) -> None:
            super().__post_init__()
            if (self.direction, self.input_nc, self.output_nc) != ("AtoB", 1, 2):
                raise ValueError(
                    f"--direction {self.direction} --input_nc {self.input_nc} --output_nc {self.output_nc}: "
                    "colorization goes AtoB, from 1 channel (lightness) to 2 (colour)"
                )

    opt: Options
    keys = ("RGB",)

    def __init__(self, opt: Options) -> None:
        super().__init__(opt)
        self.read_collection("RGB", "B")
        self.describe({"RGB": 3})
        self.spec = self.spec._replace(input_nc=opt.input_nc, output_nc=opt.output_nc)

    def finish(self, images: dict[str, Tensor]) -> dict[str, Tensor]:
        L, ab = rgb_to_lab(images["RGB"]).split([1, 2], -3)
        return {"A": L / 50 - 1, "B": ab / 110}
