"""Which networks can draw and judge images, by the names that ``--netG`` and ``--netD`` give them."""

from typing import Literal, NamedTuple

from torch import nn

from models.networks import dcgan, mlp, one_size, res, sngan
from models.networks.dcgan import NormD
from models.networks.labels import LabelCode
from models.networks.sides import Upsample

NoiseNet = Literal["conv", "dcgan", "mlp", "conv28", "conv32", "conv_k8", "res", "sngan"]

SIZES: dict[NoiseNet, tuple[int, ...]] = {  # the sides that a network can make, pixels; mlp makes any
    "conv": dcgan.SIZES,
    "dcgan": dcgan.SIZES,
    "conv28": (28,),
    "conv32": (32,),
    "conv_k8": (128,),
    "res": res.SIZES,
    "sngan": sngan.SIZES,
}

COMPARING: tuple[NoiseNet, ...] = ("res", "sngan")  # whose D knows labels by projection alone
CLASSED: tuple[NoiseNet, ...] = ("sngan",)  # whose G knows them by a norm for each class, one-hot


class Shape(NamedTuple):
    """What images a network is for, and how wide it is."""

    nc: int
    image_size: tuple[int, int]  # height and width in pixels; equal for all networks but mlp
    width: int  # ngf or ndf
    hidden: tuple[int, ...]  # mlp: widths of the hidden layers, instead
    num_blocks: int = 0  # res: residual blocks at each side


def check_size(flag: str, kind: NoiseNet, image_size: tuple[int, int]) -> None:
    """Raise ValueError when network ``kind``, asked for by ``flag``, makes no images of this height and width."""
    height, width = image_size
    if kind in SIZES and (height != width or height not in SIZES[kind]):
        made = ", ".join(map(str, SIZES[kind]))
        wanted = str(height) if height == width else f"{height} x {width}"
        others = [name for name in SIZES if height == width and height in SIZES[name]]
        raise ValueError(
            f"{flag} {kind} makes images of {made} pixels, not {wanted}: "
            f"change --image_size, or use {flag} {' or '.join([*others, 'mlp'])}"
        )


def create_generator(
    kind: NoiseNet, nz: int, shape: Shape, eps: float, upsample: Upsample, code: LabelCode | None
) -> nn.Module:
    """Return the network that turns z (N, nz), and labels where there is a ``code`` for them, into images."""
    nc, size, ngf = shape.nc, shape.image_size[0], shape.width
    match kind:
        case "mlp":
            return mlp.MLPGenerator(nz, (nc, *shape.image_size), shape.hidden, eps, code)
        case "conv":
            return dcgan.ConvGenerator(nz, nc, size, ngf, eps, code, upsample)
        case "dcgan":
            return dcgan.DCGANGenerator(nz, nc, size, ngf, eps, code, upsample)
        case "conv28":
            return one_size.Conv28Generator(nz, nc, ngf, eps, code)
        case "conv32":
            return one_size.Conv32Generator(nz, nc, ngf, eps, code)
        case "conv_k8":
            return one_size.ConvK8Generator(nz, nc, ngf, eps, code)
        case "res":
            return res.ResGenerator(nz, nc, size, ngf, eps, code, shape.num_blocks)
        case "sngan":
            return sngan.SNGANGenerator(nz, nc, size, ngf, eps, code)


def create_discriminator(
    kind: NoiseNet, shape: Shape, eps: float, dropout: float, norm: NormD, code: LabelCode | None, projection: bool
) -> nn.Module:
    """Return the network that turns images, and labels where there is a ``code`` for them, into logits (N, 1)."""
    nc, size, ndf = shape.nc, shape.image_size[0], shape.width
    match kind:
        case "mlp":
            return mlp.MLPDiscriminator((nc, *shape.image_size), shape.hidden, dropout, code, projection)
        case "conv":
            return dcgan.ConvDiscriminator(nc, size, ndf, eps, dropout, code, norm, projection)
        case "dcgan":
            return dcgan.DCGANDiscriminator(nc, size, ndf, eps, dropout, code, norm, projection)
        case "conv28":
            return one_size.Conv28Discriminator(nc, ndf, dropout, code, projection)
        case "conv32":
            return one_size.Conv32Discriminator(nc, ndf, eps, dropout, code, norm, projection)
        case "conv_k8":
            return one_size.ConvK8Discriminator(nc, ndf, eps, dropout, code, norm, projection)
        case "res":
            return res.ResDiscriminator(nc, size, ndf, eps, dropout, code, norm, shape.num_blocks)
        case "sngan":
            return sngan.SNGANDiscriminator(nc, size, ndf, code)
