"""Networks that draw images from noise and judge them, by the names that ``--netG`` and ``--netD`` give them."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from models.networks import dcgan, mlp, one_size, projected, res, sngan
from models.networks.architecture import Architecture
from models.networks.dcgan import NormD
from models.networks.labels import LabelCode, LabelInput
from models.networks.sides import Upsample

NoiseNet = Literal["conv", "dcgan", "mlp", "conv28", "conv32", "conv_k8", "res", "sngan"]
NoiseNetD = Literal[NoiseNet, "projected"]

SIZES: dict[NoiseNetD, tuple[int, ...]] = {  # image sides that a network supports, in pixels; others support any
    "conv": dcgan.SIZES,
    "dcgan": dcgan.SIZES,
    "conv28": (28,),
    "conv32": (32,),
    "conv_k8": (128,),
    "res": res.SIZES,
    "sngan": sngan.SIZES,
}

PROJECTING: tuple[NoiseNetD, ...] = ("res", "sngan", "projected")  # D takes labels by projection only
CLASS_NORMS: tuple[NoiseNet, ...] = ("sngan",)  # G takes labels, one-hot, in a norm for each class


@dataclass(frozen=True)
class NoiseGeneratorArchitecture(Architecture):
    """A generator that turns z, and a label where there are classes, into an image."""

    netG: NoiseNet
    nc: int
    image_size: tuple[int, int]  # height and width in pixels; equal for all networks but mlp
    num_classes: int = 0  # 0: it takes no labels
    nz: int = 100
    ngf: int = 64
    norm_eps: float = 1e-5
    upsample: Upsample = "deconv"  # conv, dcgan
    hidden_G: tuple[int, ...] = ()  # mlp: widths of the hidden layers, instead of ngf
    res_blocks: int = 0  # res: residual blocks at each size; 0: plain convolutions
    noise_inputs: bool = False  # res: noise is added to each pixel
    palette: int = 0  # res: colours that an image is mixed from; 0: it may have any
    label_input: LabelInput = "embedding"
    label_dim: int = 0


@dataclass(frozen=True)
class NoiseDiscriminatorArchitecture(Architecture):
    """A discriminator of such images."""

    netD: NoiseNetD
    nc: int
    image_size: tuple[int, int]
    num_classes: int = 0
    ndf: int = 64
    norm_eps: float = 1e-5
    norm_D: NormD = "batch"
    dropout: float = 0.0
    hidden_D: tuple[int, ...] = ()
    res_blocks: int = 0
    label_input: LabelInput = "embedding"
    label_dim: int = 0
    projection: bool = False  # the label is compared with features, instead of joining the image


def create_generator(arch: NoiseGeneratorArchitecture) -> nn.Module:
    """Return a network from z (N, nz), and labels where there are classes, to images.

    Raises:
        ValueError: it makes no images of this size.
    """
    _check_size("--netG", arch.netG, arch.image_size)
    nz, nc, size, ngf, eps = arch.nz, arch.nc, arch.image_size[0], arch.ngf, arch.norm_eps
    label_input: LabelInput = "onehot" if arch.netG in CLASS_NORMS else arch.label_input
    code = _label_code(arch.num_classes, arch.netG, label_input, arch.label_dim)
    match arch.netG:
        case "mlp":
            return mlp.MLPGenerator(nz, (nc, *arch.image_size), arch.hidden_G, eps, code)
        case "conv":
            return dcgan.ConvGenerator(nz, nc, size, ngf, eps, code, arch.upsample)
        case "dcgan":
            return dcgan.DCGANGenerator(nz, nc, size, ngf, eps, code, arch.upsample)
        case "conv28":
            return one_size.Conv28Generator(nz, nc, ngf, eps, code)
        case "conv32":
            return one_size.Conv32Generator(nz, nc, ngf, eps, code)
        case "conv_k8":
            return one_size.ConvK8Generator(nz, nc, ngf, eps, code)
        case "res":
            return res.ResGenerator(nz, nc, size, ngf, eps, code, arch.res_blocks, arch.noise_inputs, arch.palette)
        case "sngan":
            return sngan.SNGANGenerator(nz, nc, size, ngf, eps, code)


def create_discriminator(arch: NoiseDiscriminatorArchitecture) -> nn.Module:
    """Return a network from images, and labels where there are classes, to logits (N, 1), of projected (N, K).

    Raises:
        LookupError: projected: what it needs is not installed.
        ValueError: it takes no images of this size, or of these channels.
    """
    _check_size("--netD", arch.netD, arch.image_size)
    nc, size, ndf, eps = arch.nc, arch.image_size[0], arch.ndf, arch.norm_eps
    dropout, norm, projection = arch.dropout, arch.norm_D, arch.projection or arch.netD in PROJECTING
    code = _label_code(arch.num_classes, arch.netD, "onehot" if projection else arch.label_input, arch.label_dim)
    match arch.netD:
        case "mlp":
            return mlp.MLPDiscriminator((nc, *arch.image_size), arch.hidden_D, dropout, code, projection)
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
            return res.ResDiscriminator(nc, size, ndf, eps, dropout, code, norm, arch.res_blocks)
        case "sngan":
            return sngan.SNGANDiscriminator(nc, size, ndf, code)
        case "projected":
            return projected.ProjectedDiscriminator(nc, arch.image_size, ndf, eps, dropout, code, norm)


def _check_size(flag: str, kind: NoiseNetD, image_size: tuple[int, int]) -> None:
    """Raise ValueError when network ``kind``, asked for by ``flag``, does not support this height and width."""
    height, width = image_size
    if kind in SIZES and (height != width or height not in SIZES[kind]):
        made = ", ".join(map(str, SIZES[kind]))
        wanted = str(height) if height == width else f"{height} x {width}"
        others = [name for name in SIZES if height == width and height in SIZES[name]]
        verb = "makes" if flag.endswith("G") else "takes"
        raise ValueError(
            f"{flag} {kind} {verb} images of {made} pixels, not {wanted}: "
            f"change --image_size, or use {flag} {' or '.join([*others, 'mlp'])}"
        )


def _label_code(num_classes: int, kind: NoiseNetD, label_input: LabelInput, label_dim: int) -> LabelCode | None:
    """Return how labels enter network ``kind``; None when there are no classes."""
    width = label_dim or (num_classes if kind == "mlp" else 100)
    return LabelCode(num_classes, label_input, width) if num_classes else None
