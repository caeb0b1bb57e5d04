"""Architectures as values: options make one, ``create_*`` builds it, ``recognize`` finds it in a state dict."""

from dataclasses import dataclass, fields
from typing import Any, Self

from models.networks.norm import Norm
from models.networks.sides import Upsample


@dataclass(frozen=True)
class Architecture:
    """What a state dict depends on: each field is an option of the same name or a fact about the images."""

    @classmethod
    def of(cls, options: object, **facts: Any) -> Self:
        """Return the architecture that ``options`` ask for; ``facts`` are the fields that are not options."""
        return cls(**facts, **{f.name: getattr(options, f.name) for f in fields(cls) if f.name not in facts})

    def flags(self) -> dict[str, str]:
        """Return the flag for each field, by field name, leaving out unknown fields (None)."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: _flag(name, value) for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class GeneratorArchitecture(Architecture):
    """A generator for image translation."""

    netG: str  # resnet_Nblocks for any N, unet_N for 32, 64, 128 ...
    input_nc: int
    output_nc: int
    ngf: int = 64
    norm: Norm = "instance"
    dropout: bool | None = False  # None: unknown, since a U-Net's weights do not show it
    upsample: Upsample = "deconv"
    antialias: bool = False  # whether a blur halves the sides, behind a convolution that keeps them


@dataclass(frozen=True)
class DiscriminatorArchitecture(Architecture):
    """A discriminator for image translation."""

    netD: str  # basic (70 x 70 patches), n_layers (patches as n_layers_D makes them) or pixel
    input_nc: int  # channels of what it sees: with a condition, those of both images
    ndf: int = 64
    n_layers_D: int = 3  # n_layers only: number of downsampling layers, at least 1
    norm: Norm = "instance"  # of all layers but the first and the last
    antialias: bool = False  # as in G; pixel does not halve the sides

    def flags(self) -> dict[str, str]:
        flags = super().flags()
        if self.netD != "n_layers" or self.n_layers_D == 3:  # with 3 layers it is the basic one
            flags["netD"] = "--netD pixel" if self.netD == "pixel" else "--netD basic"
            del flags["n_layers_D"]
        return flags


def _flag(name: str, value: object) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no_{name}"
    return f"--{name} {value}"
