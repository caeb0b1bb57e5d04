"""Generators and discriminators for image translation, by the names that ``--netG`` and ``--netD`` give them."""

import re

from models.networks.architecture import DiscriminatorArchitecture, GeneratorArchitecture
from models.networks.init import Init, init_weights
from models.networks.patchgan import PatchDiscriminator, PixelDiscriminator
from models.networks.resnet import ResnetGenerator
from models.networks.unet import UNetGenerator
from util.registry import did_you_mean

Generator = ResnetGenerator | UNetGenerator
Discriminator = PatchDiscriminator | PixelDiscriminator

GENERATORS = ("resnet_9blocks", "resnet_6blocks", "unet_256", "unet_128", "unet_64", "unet_32")  # the usual ones
DISCRIMINATORS = ("basic", "n_layers", "pixel")


def create_generator(arch: GeneratorArchitecture, init: Init = "normal", gain: float = 0.02) -> Generator:
    """Return a new generator.

    Args:
        arch: what to build.
        init: distribution of the initial weights.
        gain: their scale; kaiming ignores it.

    Raises:
        ValueError: there is no generator of this name, or no antialiased one; the message says what there is.
    """
    blocks = re.fullmatch(r"resnet_([1-9]\d*)blocks", arch.netG)
    size = re.fullmatch(r"unet_([1-9]\d*)", arch.netG)
    net: Generator
    if blocks:
        net = ResnetGenerator(arch, num_blocks=int(blocks[1]))
    elif size and int(size[1]) >= 32 and int(size[1]).bit_count() == 1:
        if arch.antialias or arch.upsample == "blur":
            raise ValueError(
                f"{arch.netG} has no antialiased form: use a resnet, or --no_antialias and --upsample resize"
            )
        net = UNetGenerator(arch, levels=int(size[1]).bit_length() - 1)
    else:
        rule = "resnet_Nblocks takes any N from 1, unet_N any power of two from 32"
        raise ValueError(f"no generator {arch.netG!r}{did_you_mean(arch.netG, GENERATORS)}; {rule}")
    init_weights(net, init, gain)
    return net


def create_discriminator(arch: DiscriminatorArchitecture, init: Init = "normal", gain: float = 0.02) -> Discriminator:
    """Return a new discriminator; the arguments are those of ``create_generator``.

    Raises:
        ValueError: there is no discriminator of this name, or ``n_layers_D`` is below 1.
    """
    net: Discriminator
    if arch.netD == "pixel":
        net = PixelDiscriminator(arch)
    elif arch.netD in ("basic", "n_layers"):
        num_layers = 3 if arch.netD == "basic" else arch.n_layers_D
        if num_layers < 1:
            raise ValueError(f"discriminator n_layers needs at least 1 layer, not {num_layers}")
        net = PatchDiscriminator(arch, num_layers)
    else:
        raise ValueError(f"no discriminator {arch.netD!r}{did_you_mean(arch.netD, DISCRIMINATORS)}")
    init_weights(net, init, gain)
    return net
