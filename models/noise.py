"""What models have in common that draw images from noise."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from models.adversarial import AdversarialModel
from models.base_model import SHOWN
from models.networks.dcgan import NormD
from models.networks.labels import LabelCode, LabelInput
from models.networks.noise import (
    CLASSED,
    COMPARING,
    NoiseNet,
    Shape,
    check_size,
    create_discriminator,
    create_generator,
)
from models.networks.sides import Upsample
from options import option
from util.console import warn
from util.seeding import generator
from util.types import Autoencoded, Batch, DataSpec, Grid, Visuals


class NoiseModel(AdversarialModel):
    """A model whose generator turns z, and a label where it was trained with labels, into an image."""

    @dataclass(frozen=True, kw_only=True)
    class Options(AdversarialModel.Options):
        nz: int = option(100, help="length of the noise vector z", min=1)
        ngf: int = option(64, help="G's channels, which all its layers scale with", min=1)
        ndf: int = option(64, help="D's channels, which all its layers scale with", min=1)
        norm_eps: float = option(1e-5, help="epsilon of batch norm and of D's norm", above=0)

    opt: Options
    netG: nn.Module  # z and perhaps labels -> images
    needs = ("image",)
    defaults: ClassVar = {
        "batch_size": 128,
        "n_epochs_decay": 0,
        "lr_policy": "constant",
        "print_freq": 1000,
        "display_freq": 0,
        "save_epoch_freq": 10,
    }

    def sample(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return images (N, C, H, W) in [-1, 1] for z (N, nz) and labels int64 (N,), None without classes."""
        return self.netG(z, labels)

    def check_batch_norm(self) -> None:
        """Raise ValueError when batch norm would have to learn from a single vector at a time."""
        alone = self.spec.batch_size == self.opt.accumulate
        if alone and any(isinstance(module, nn.BatchNorm1d) for module in self.modules()):
            raise ValueError(
                f"--batch_size {self.spec.batch_size} in {self.opt.accumulate} parts: the batch norm of linear layers "
                "needs two images or more at a time"
            )

    has_encoder: ClassVar[bool] = False

    def autoencode(self, images: Tensor, labels: Tensor) -> Autoencoded:
        """Encode and decode images (N, C, H, W) of classes ``labels`` (N,); only where ``has_encoder``."""
        raise NotImplementedError

    def noise(self, num: int) -> Tensor:
        """Return ``num`` new latent vectors, float (num, nz), standard normal."""
        return torch.randn(num, self.opt.nz, device=self.device)

    def latents(self, num: int, seed: int = 0) -> Tensor:
        """Return the first ``num`` of the latent vectors that belong to ``seed``: the same on every device."""
        rows = [torch.randn(self.opt.nz, generator=generator(seed, i)) for i in range(num)]
        return torch.stack(rows).to(self.device)

    @property
    def one_pass(self) -> bool:
        """Say whether one pass of G serves D and G: of many micro-batches it would keep all activations at once."""
        return self.opt.accumulate == 1

    def fakes(self, batch: Batch, *labels: Tensor) -> Tensor:
        """Return the images of a micro-batch with the graph that leads to G: those that D saw, or the same again."""
        return batch["fake"] if self.one_pass else self.netG(batch["z"], *labels)

    def forward(self, batch: Batch) -> Visuals:
        """Return samples from noise that stays the same during a run: a row a class, or rows of any."""
        classes = self.spec.num_classes
        rows = classes or SHOWN
        labels = torch.arange(rows, device=self.device).repeat_interleave(SHOWN) if classes else None
        return {"fake": self.sample(self.latents(rows * SHOWN), labels)}

    def grids(self, batch: Batch) -> dict[str, Grid]:
        return {name: Grid(images.cpu(), SHOWN, self.spec.classes) for name, images in self(batch).items()}


class GeneratorModel(NoiseModel):
    """A noise model whose G and D are chosen by name, with labels or without.

    ``spec.classes`` is empty when it is trained without, whatever the data has.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(NoiseModel.Options):
        netG: NoiseNet = option(
            "conv",
            help="generator: conv or dcgan (32, 64, 128, 256 px), res or sngan (32, 64, 96 to 256 px), mlp (any size), "
            "conv28, conv32, conv_k8 (128 px)",
        )
        netD: NoiseNet = option("conv", help="discriminator: as for netG")
        norm_D: NormD = option("batch", help="normalization in D; mlp, conv28 and sngan have none")
        upsample: Upsample = option(
            "deconv", help="conv, dcgan: how G doubles the sides; resize and blur leave no checkerboards"
        )
        res_blocks: int = option(
            0, help="res: residual blocks at each size in G and D, without norm in G; 0: plain convolutions", min=0
        )
        hidden_G: tuple[int, ...] = option((128, 256, 512, 1024), help="mlp: widths of G's hidden layers", min=1)
        hidden_D: tuple[int, ...] = option((512, 256), help="mlp: widths of D's hidden layers", min=1)
        dropout: float = option(0.0, help="dropout in D", min=0, max=0.99)
        conditional: bool = option(False, help="train with labels, so that images of a given class can be drawn")
        label_input: LabelInput = option("embedding", help="how a label enters the networks")
        label_dim: int = option(
            0, help="length of the embedding; 0: the number of classes for mlp, 100 for all others", min=0
        )
        projection: bool = option(
            False,
            help="D compares the label with its features (arXiv:1802.05637), instead of seeing it beside the image",
        )
        fake_labels: Literal["batch", "random"] = option("batch", help="labels of fakes: the batch's or random ones")

    opt: Options
    norm_flag = "--norm_D"

    def __init__(self, opt: Options, spec: DataSpec) -> None:
        if opt.conditional:
            check_classes("--conditional", spec)
        elif opt.projection:
            raise ValueError("--projection compares labels with D's features: it needs --conditional")
        if opt.upsample != "deconv" and opt.netG not in ("conv", "dcgan"):
            raise ValueError(
                f"--upsample {opt.upsample}: --netG {opt.netG} has no layer to replace, conv and dcgan have"
            )
        super().__init__(opt, spec if opt.conditional else spec._replace(classes=()))
        self.netG, self.netD = self.generator(), self.bounded(self.discriminator())
        self.optimizers = {
            "D": self.create_optimizer(self.netD, lr=opt.lr_D),
            "G": self.create_optimizer(self.netG, lr=opt.lr_G),
        }
        self.check_batch_norm()
        for name, net in (("hidden_G", opt.netG), ("hidden_D", opt.netD)):
            widths = getattr(opt, name)
            if net != "mlp" and widths != getattr(type(opt), name):
                shown = ",".join(map(str, widths))
                warn(f"--{name} {shown} is left out of account: it is for --net{name[-1]} mlp")

    def draw_fakes(self, batch: Batch, differentiable: bool = True) -> None:
        """Put new images, and their labels where there are any, into each micro-batch, as many as it has real ones.

        ``differentiable`` says whether G is to be updated.
        """
        with torch.set_grad_enabled(differentiable and self.one_pass):
            for part in batch.parts(self.opt.accumulate):
                if self.spec.classes:
                    random = self.opt.fake_labels == "random"
                    labels = part["label"]
                    part["fake_label"] = torch.randint_like(labels, self.spec.num_classes) if random else labels
                part["z"] = self.noise(len(part["image"]))
                part["fake"] = self.netG(part["z"], *self.told(part, "fake_label"))

    def told(self, batch: Batch, key: str = "label") -> tuple[Tensor, ...]:
        """Return what G and D are told beside noise or images: the labels under ``key``, or nothing."""
        return (batch[key],) if self.spec.classes else ()

    def generator(self) -> nn.Module:
        opt, spec = self.opt, self.spec
        check_size("--netG", opt.netG, spec.image_size)
        shape = Shape(spec.output_nc, spec.image_size, opt.ngf, opt.hidden_G, opt.res_blocks)
        code = self.label_code(opt.netG, "onehot" if opt.netG in CLASSED else opt.label_input)
        return create_generator(opt.netG, opt.nz, shape, opt.norm_eps, opt.upsample, code)

    def discriminator(self) -> nn.Module:
        opt, spec = self.opt, self.spec
        check_size("--netD", opt.netD, spec.image_size)
        shape = Shape(spec.output_nc, spec.image_size, opt.ndf, opt.hidden_D, opt.res_blocks)
        projection = opt.projection or opt.netD in COMPARING
        code = self.label_code(opt.netD, "onehot" if projection else opt.label_input)
        return create_discriminator(opt.netD, shape, opt.norm_eps, opt.dropout, opt.norm_D, code, projection)

    def label_code(self, net: NoiseNet, kind: LabelInput) -> LabelCode | None:
        """Return how labels enter ``net``; None when there are none."""
        num = self.spec.num_classes
        if not num:
            return None
        return LabelCode(num, kind, self.opt.label_dim or (num if net == "mlp" else 100))


def check_classes(who: str, spec: DataSpec) -> None:
    """Raise ValueError when the data has fewer than two classes, which ``who`` cannot do without."""
    if spec.num_classes < 2:
        found = f"one class only, {spec.classes[0]!r}" if spec.classes else "no labels"
        raise ValueError(f"{who} needs images of two or more classes, one folder each; this data has {found}")
