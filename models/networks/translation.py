"""Generators and discriminators for image translation, by the names that ``--netG`` and ``--netD`` give them."""

import re

from models.networks.init import Init, init_weights
from models.networks.norm import Norm
from models.networks.patchgan import PatchDiscriminator, PixelDiscriminator
from models.networks.resnet import ResnetGenerator
from models.networks.sides import Upsample
from models.networks.unet import UNetGenerator
from util.registry import did_you_mean

Generator = ResnetGenerator | UNetGenerator
Discriminator = PatchDiscriminator | PixelDiscriminator

GENERATORS = ("resnet_9blocks", "resnet_6blocks", "unet_256", "unet_128", "unet_64", "unet_32")  # the usual ones
DISCRIMINATORS = ("basic", "n_layers", "pixel")


def create_generator(
    name: str,
    input_nc: int,
    output_nc: int,
    ngf: int = 64,
    norm: Norm = "instance",
    dropout: bool = False,
    upsample: Upsample = "deconv",
    init: Init = "normal",
    gain: float = 0.02,
    antialias: bool = False,
) -> Generator:
    """Return the generator called ``name`` with initial weights: resnet_Nblocks for any N, unet_N for 32, 64, 128 ...

    Raises:
        ValueError: there is no such generator, or none that blurs; the message says which there are.
    """
    blocks = re.fullmatch(r"resnet_([1-9]\d*)blocks", name)
    size = re.fullmatch(r"unet_([1-9]\d*)", name)
    net: Generator
    if blocks:
        net = ResnetGenerator(input_nc, output_nc, ngf, int(blocks[1]), norm, dropout, upsample, antialias)
    elif size and int(size[1]) >= 32 and int(size[1]).bit_count() == 1:
        if antialias or upsample == "blur":
            raise ValueError(f"{name} has no antialiased form: use a resnet, or --no_antialias and --upsample resize")
        net = UNetGenerator(input_nc, output_nc, ngf, int(size[1]).bit_length() - 1, norm, dropout, upsample)
    else:
        rule = "resnet_Nblocks takes any N from 1, unet_N any power of two from 32"
        raise ValueError(f"no generator {name!r}{did_you_mean(name, GENERATORS)}; {rule}")
    init_weights(net, init, gain)
    return net


def create_discriminator(
    name: str,
    input_nc: int,
    ndf: int = 64,
    num_layers: int = 3,
    norm: Norm = "instance",
    init: Init = "normal",
    gain: float = 0.02,
    antialias: bool = False,
) -> Discriminator:
    """Return the discriminator called ``name`` with initial weights.

    Args:
        name: basic (70 x 70 patches), n_layers (patches as ``num_layers`` makes them) or pixel.
        input_nc: channels of what it sees: with a condition, those of both images.
        ndf: channels of the first layer.
        num_layers: only for n_layers: how often it halves the sides, at least once.
        norm: no layer of D has it first or last.
        init: how the weights are drawn.
        gain: scale of the weights; kaiming knows none.
        antialias: blur where the sides are halved; pixel does not halve them.

    Raises:
        ValueError: there is no such discriminator, or ``num_layers`` is below 1.
    """
    net: Discriminator
    if name == "pixel":
        net = PixelDiscriminator(input_nc, ndf, norm)
    elif name in ("basic", "n_layers"):
        num_layers = 3 if name == "basic" else num_layers
        if num_layers < 1:
            raise ValueError(f"discriminator n_layers needs at least 1 layer, not {num_layers}")
        net = PatchDiscriminator(input_nc, ndf, num_layers, norm, antialias)
    else:
        raise ValueError(f"no discriminator {name!r}{did_you_mean(name, DISCRIMINATORS)}")
    init_weights(net, init, gain)
    return net
