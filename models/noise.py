"""The base of models that draw images from noise, and the networks that most of them choose by name."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from models.adversarial import AdversarialModel
from models.augment.ada import AdaptiveAugment
from models.base_model import COLUMNS, MAX_CLASSES, Objective
from models.networks.dcgan import NormD
from models.networks.labels import LabelInput
from models.networks.noise import (
    NoiseDiscriminatorArchitecture,
    NoiseGeneratorArchitecture,
    NoiseNet,
    NoiseNetD,
    create_discriminator,
    create_generator,
)
from models.networks.sides import Upsample
from options import option
from util.seeding import generator
from util.spread import spread
from util.types import Autoencoded, Batch, DataSpec, Grid, Losses, Visuals


class NoiseModel(AdversarialModel):
    """A model whose generator turns z, and a label where it was trained with labels, into an image."""

    @dataclass(frozen=True, kw_only=True)
    class Options(AdversarialModel.Options):
        nz: int = option(100, help="length of the noise vector z", min=1)
        ngf: int = option(64, help="base number of channels in G", min=1)
        ndf: int = option(64, help="base number of channels in D", min=1)
        norm_eps: float = option(1e-5, help="epsilon of batch norm and of D's norm", above=0)
        augment: Literal["none", "ada"] = option(
            "none", help="ada: augment what D sees the more strongly, the more D overfits (arXiv:2006.06676)"
        )
        ada_target: float = option(
            0.6, help="ada: mean sign of D's logits on real images to aim at", min=0, max=1, only_with=("augment ada",)
        )
        ada_images: int = option(
            500_000,
            help="ada: number of images in which its strength can go from 0 to 1",
            min=1,
            only_with=("augment ada",),
        )

    opt: Options
    netG: nn.Module  # z and perhaps labels -> images
    needs = ("image",)
    has_encoder: ClassVar[bool] = False
    shown_classes: tuple[int, ...]  # those of which ``forward`` shows samples
    defaults: ClassVar = {
        "batch_size": 128,
        "n_epochs_decay": 0,
        "lr_policy": "constant",
        "print_freq": 1000,
        "display_freq": 0,
        "save_epoch_freq": 10,
    }

    def __init__(self, opt: Options, spec: DataSpec) -> None:
        super().__init__(opt, spec)
        self.shown_classes = tuple(spread(spec.num_classes, MAX_CLASSES).tolist())
        self.ada = AdaptiveAugment(opt.ada_target, 0, opt.ada_images) if opt.augment == "ada" else None

    def sample(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return images (N, C, H, W) in [-1, 1] for z (N, nz) and labels int64 (N,), None without classes."""
        return self.netG(z, labels)

    def sample_in_parts(self, z: Tensor, labels: Tensor | None, size: int) -> Tensor:
        """Return what ``sample`` does, at most ``size`` images at a time."""
        parts = [slice(i, i + size) for i in range(0, len(z), size)]
        return torch.cat([self.sample(z[part], None if labels is None else labels[part]) for part in parts])

    def fit_batches(self, batch_size: int) -> None:
        super().fit_batches(batch_size)
        if self.ada is not None:
            self.ada.batch_size = batch_size
        if self.micro_batch_size == 1 and any(isinstance(module, nn.BatchNorm1d) for module in self.modules()):
            raise ValueError(
                f"--batch_size {batch_size} trains on one image at a time: the batch norm of linear layers "
                "needs two images or more at a time"
            )

    def augmented(self, images: Tensor) -> Tensor:
        return super().augmented(images if self.ada is None else self.ada(images))

    def discriminate_pair(
        self, netD: nn.Module, real: tuple[Tensor, ...], fake: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor]:
        real_logits, fake_logits = super().discriminate_pair(netD, real, fake)
        is_learning = next(netD.parameters()).requires_grad  # D is frozen while G learns
        if self.ada is not None and is_learning:  # logits that are compared have no zero of their own
            self.ada.steer(real_logits - fake_logits if self.gan.compares else real_logits)
        return real_logits, fake_logits

    def minimize(self, name: str, objective: Objective, batch: Batch) -> Losses:
        losses = super().minimize(name, objective, batch)
        if self.ada is not None and name == "D":
            losses["ada_p"] = self.ada.p.clone()
        return losses

    def autoencode(self, images: Tensor, labels: Tensor) -> Autoencoded:
        """Encode and decode images (N, C, H, W) of classes ``labels`` (N,); only where ``has_encoder``."""
        raise NotImplementedError

    def noise(self, num: int) -> Tensor:
        """Return ``num`` new latent vectors, float (num, nz), standard normal."""
        return torch.randn(num, self.opt.nz, device=self.device)

    def latents(self, num: int, seed: int = 0) -> Tensor:
        """Return the first ``num`` latent vectors of ``seed``: the same on every device."""
        rows = [torch.randn(self.opt.nz, generator=generator(seed, i)) for i in range(num)]
        return torch.stack(rows).to(self.device)

    def show_classes(self, most: int, absent: Collection[str] = ()) -> None:
        there = [k for k, name in enumerate(self.spec.classes) if name not in absent]
        self.shown_classes = tuple(there[i] for i in spread(len(there), most or len(there)))
        if len(self.shown_classes) < len(there):
            print(f"pictures show {len(self.shown_classes)} of {len(there)} classes: --display_classes says how many")

    def forward(self, batch: Batch) -> Visuals:
        """Return samples from noise that stays the same during a run: a row a class, or rows of any.

        They are drawn in parts that need no more memory than the steps of the training do.
        """
        classes = self.shown_classes
        z = self.latents((len(classes) or COLUMNS) * COLUMNS)
        labels = torch.tensor(classes, device=self.device).repeat_interleave(COLUMNS) if classes else None
        return {"fake": self.sample_in_parts(z, labels, max(COLUMNS, self.batch_size))}

    def grids(self, batch: Batch) -> dict[str, Grid]:
        rows = {"fake": tuple(self.spec.classes[k] for k in self.shown_classes)}
        return {name: Grid(images.cpu(), COLUMNS, rows.get(name, ())) for name, images in self(batch).items()}


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(NoiseModel.Options):
    """Options of a noise model whose G and D are chosen by name."""

    netG: NoiseNet = option(
        "conv",
        help="generator: conv or dcgan (32, 64, 128, 256 px), res (28, 32, 64, 96 to 256 px), sngan (from 32 px), "
        "mlp (any size), conv28, conv32, conv_k8 (128 px)",
    )
    netD: NoiseNetD = option(
        "conv", help="discriminator: as for netG, or projected (any size), which sees features of EfficientNet-Lite0"
    )
    norm_D: NormD = option(
        "batch",
        help="normalization in D; mlp, conv28 and sngan have none",
        only_with=tuple(f"netD {name}" for name in ("conv", "dcgan", "conv32", "conv_k8", "res", "projected")),
    )
    upsample: Upsample = option("deconv", help="conv, dcgan: how G upsamples; resize and blur avoid checkerboards")
    res_blocks: int = option(
        0,
        help="res: residual blocks at each size in G and D, without norm in G; 0: plain convolutions",
        min=0,
        only_with=("netG res", "netD res"),
    )
    noise_inputs: bool = option(
        False, help="res: noise joins each pixel of G's features, for the grain of photographs", only_with=("netG res",)
    )
    palette: int = option(
        0,
        help="res: G mixes each image from this many colours, for even surfaces; 0: it draws with any",
        min=0,
        only_with=("netG res",),
    )
    hidden_G: tuple[int, ...] = option(
        (128, 256, 512, 1024), help="mlp: widths of G's hidden layers", min=1, only_with=("netG mlp",)
    )
    hidden_D: tuple[int, ...] = option(
        (512, 256), help="mlp: widths of D's hidden layers", min=1, only_with=("netD mlp",)
    )
    dropout: float = option(0.0, help="dropout in D", min=0, max=0.99)
    conditional: bool = option(False, help="train with labels, so that images of a given class can be drawn")
    label_input: LabelInput = option("embedding", help="how a label enters the networks", only_with=("conditional",))
    label_dim: int = option(
        0,
        help="length of the embedding; 0: the number of classes for mlp, 100 for all others",
        min=0,
        only_with=("conditional",),
    )
    projection: bool = option(
        False,
        help="projection discriminator (arXiv:1802.05637): D compares the label with its features instead of taking it "
        "as another input",
    )


def check_networks(opt: NetworkOptions, spec: DataSpec) -> None:
    """Raise ValueError when networks, options of labels and data do not fit together."""
    if opt.conditional:
        check_classes("--conditional", spec)
    elif opt.projection:
        raise ValueError("--projection compares labels with D's features: it needs --conditional")
    if opt.upsample != "deconv" and opt.netG not in ("conv", "dcgan"):
        raise ValueError(f"--upsample {opt.upsample}: --netG {opt.netG} has no layer to replace, conv and dcgan have")
    if opt.palette == 1:
        raise ValueError("--palette 1: shapes need two colours or more; 0 is no palette")


def create_networks(opt: NetworkOptions, spec: DataSpec) -> tuple[nn.Module, nn.Module]:
    """Return G and D as the options ask for them, with labels if ``spec`` has classes."""
    images = {"nc": spec.output_nc, "image_size": spec.image_size, "num_classes": spec.num_classes}
    netG = create_generator(NoiseGeneratorArchitecture.of(opt, **images))
    netD = create_discriminator(NoiseDiscriminatorArchitecture.of(opt, **images))
    return netG, netD


def check_classes(who: str, spec: DataSpec) -> None:
    """Raise ValueError when the data has fewer than the two classes that ``who`` needs."""
    if spec.num_classes < 2:
        found = f"one class only, {spec.classes[0]!r}" if spec.classes else "no labels"
        raise ValueError(f"{who} needs images of two or more classes, one folder each; this data has {found}")
