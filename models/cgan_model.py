"""Conditional GAN (Mirza and Osindero 2014, "Conditional Generative Adversarial Nets", arXiv:1411.1784)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from models.base_model import Terms
from models.networks import dcgan
from models.networks.dcgan import ConvDiscriminator, ConvGenerator
from models.networks.labels import LabelCode
from models.networks.mlp import MLPDiscriminator, MLPGenerator
from models.noise import NoiseModel
from options import option
from util.types import Batch, DataSpec, Losses, Weighted


class CGANModel(NoiseModel):
    """G draws an image of a given class, and D judges image and class together (Eq. 2).

    Each step updates D on real and generated images (Algorithm 1 of arXiv:1406.2661 with k = 1), then G on the same
    noise.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(NoiseModel.Options):
        netG: Literal["conv", "mlp"] = option("conv", help="generator: convolutions (32 to 256 px) or linear layers")
        netD: Literal["conv", "mlp"] = option(
            "conv", help="discriminator: convolutions (32 to 256 px) or linear layers"
        )
        ngf: int = option(64, help="conv: channels of G's last hidden layer", min=1)
        ndf: int = option(64, help="conv: channels of D's first layer", min=1)
        hidden_G: tuple[int, ...] = option((128, 256, 512, 1024), help="mlp: widths of G's hidden layers", min=1)
        hidden_D: tuple[int, ...] = option((512, 512, 512), help="mlp: widths of D's hidden layers", min=1)
        dropout: float = option(0.4, help="dropout in D", min=0, max=0.99)
        norm_eps: float = option(
            0.8, help="epsilon of batch norm; .8 as in the sources, PyTorch's own is 1e-5", above=0
        )
        label_input: Literal["embedding", "onehot"] = option("embedding", help="how a label enters the networks")
        label_dim: int = option(
            0, help="length of the embedding; 0: 100 for conv, the number of classes for mlp", min=0
        )
        fake_labels: Literal["batch", "random"] = option("batch", help="labels of fakes: the batch's or random ones")
        lambda_mismatch: float = option(
            0.0, help="weight of D's loss on real images with a wrong label, beside that on fakes; 0: none", min=0
        )

    opt: Options
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
        if spec.num_classes < 2:
            found = f"one class only, {spec.classes[0]!r}" if spec.classes else "no labels"
            raise ValueError(
                f"--model cgan needs images of two or more classes, one folder each; this data has {found}"
            )
        self.netG, self.netD = self.generator(), self.bounded(self.discriminator())
        self.optimizers = {"D": self.adam(self.netD, lr=opt.lr_D), "G": self.adam(self.netG, lr=opt.lr_G)}

    def optimize_parameters(self, batch: Batch, step: int) -> Losses:
        for part in batch.parts(self.opt.accumulate):
            part["fake"], part["fake_label"] = self.draw(part["label"])  # one pass of G serves both updates
        losses = self.minimize("D", self.loss_D, batch)
        return losses | self.minimize("G", self.loss_G, batch) if self.variant(step) else losses

    def loss_D(self, batch: Batch) -> Terms:
        real, labels = batch["image"], batch["label"]
        fake, fake_labels = batch["fake"].detach(), batch["fake_label"]
        terms: Terms = {  # halved, so that D sees one image's worth of loss as G does
            "D_real": Weighted(self.gan.real(self.judge(self.netD, real, labels)), 0.5),
            "D_fake": Weighted(self.gan.fake(self.judge(self.netD, fake, fake_labels)), 0.5),
        }
        if self.opt.lambda_mismatch:  # GAN-CLS, Algorithm 1 of arXiv:1605.05396
            others = (labels + torch.randint_like(labels, 1, self.spec.num_classes)) % self.spec.num_classes
            terms["D_wrong"] = Weighted(
                self.gan.fake(self.judge(self.netD, real, others)), 0.5 * self.opt.lambda_mismatch
            )
        return terms | self.penalty("gp", self.netD, real, fake, labels)

    def loss_G(self, batch: Batch) -> Terms:
        return {"G": self.gan.generator(self.judge(self.netD, batch["fake"], batch["fake_label"]))}

    def draw(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return new images and their labels, as many as ``labels`` (N,)."""
        if self.opt.fake_labels == "random":
            labels = torch.randint_like(labels, self.spec.num_classes)
        return self.netG(self.noise(len(labels)), labels), labels

    def sample(self, z: Tensor, labels: Tensor | None) -> Tensor:
        return self.netG(z, labels)

    def generator(self) -> nn.Module:
        opt, nc, size = self.opt, self.spec.output_nc, self.conv_size("--netG", self.opt.netG)
        if opt.netG == "mlp":
            return MLPGenerator(opt.nz, (nc, *self.spec.image_size), opt.hidden_G, opt.norm_eps, self.label_code("mlp"))
        return ConvGenerator(opt.nz, nc, size, opt.ngf, opt.norm_eps, self.label_code("conv"))

    def discriminator(self) -> nn.Module:
        opt, nc, size = self.opt, self.spec.output_nc, self.conv_size("--netD", self.opt.netD)
        if opt.netD == "mlp":
            return MLPDiscriminator((nc, *self.spec.image_size), opt.hidden_D, opt.dropout, self.label_code("mlp"))
        return ConvDiscriminator(nc, size, opt.ndf, opt.norm_eps, opt.dropout, self.label_code("conv"))

    def label_code(self, kind: str) -> LabelCode:
        width = self.opt.label_dim or (100 if kind == "conv" else self.spec.num_classes)
        return LabelCode(self.spec.num_classes, self.opt.label_input, width)

    def conv_size(self, flag: str, kind: str) -> int:
        """Return the side of the images; raise ValueError when convolutions cannot make it."""
        side = self.spec.image_size[0]
        if kind == "conv" and side not in dcgan.SIZES:
            known = ", ".join(str(s) for s in dcgan.SIZES)
            raise ValueError(f"{flag} conv makes images of {known} pixels, not {side}: change --image_size or use mlp")
        return side
