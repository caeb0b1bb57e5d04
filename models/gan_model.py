"""GAN (Goodfellow et al. 2014, "Generative Adversarial Networks", arXiv:1406.2661)."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor

from models.base_model import Terms
from models.networks import projected
from models.networks.noise import NoiseNet, NoiseNetD
from models.noise import NetworkOptions, NoiseModel, check_networks, create_networks
from options import option
from util.types import Batch, DataSpec, Losses, Weighted

# What Sauer et al. 2021 train with (arXiv:2111.01007, Sec. 4); the last two are those of every model but cgan.
PROJECTED = {
    "gan_mode": "hinge",
    "spectral_norm": True,
    "diffaugment": ("color", "translation", "cutout"),
    "dropout": 0.0,
    "norm_eps": 1e-5,
}


class GANModel(NoiseModel):
    """G draws images from noise, and D tells them from real ones (Eq. 1, with the generator's loss of Sec. 3).

    Algorithm 1: D is updated ``n_critic`` times (its k), each time on a batch of its own, then G; here G's update
    reuses the noise of D's last one. With ``--conditional`` both networks see the label, as in cgan.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(NetworkOptions):
        netG: NoiseNet = "mlp"
        netD: NoiseNetD = "mlp"
        fake_labels: Literal["batch", "random"] = option(
            "batch", help="labels of fakes: the batch's or random ones", only_with=("conditional",)
        )

    opt: Options
    norm_flag = "--norm_D"
    presets: ClassVar = {"netD": {"projected": PROJECTED}}
    weight_D = 1.0  # of D's adversarial terms, which are logged without it

    def __init__(self, opt: Options, spec: DataSpec) -> None:
        check_networks(opt, spec)
        super().__init__(opt, spec if opt.conditional else spec._replace(classes=()))  # whatever the data has
        self.netG, netD = create_networks(opt, self.spec)
        self.netD = self.regularized(netD)
        self.optimizers = {
            "D": self.create_optimizer(self.netD, lr=opt.lr_D),
            "G": self.create_optimizer(self.netG, lr=opt.lr_G),
        }

    @property
    def learnt_from(self) -> str:
        return projected.FEATURES if self.opt.netD == "projected" else ""

    def optimize_parameters(self, batch: Batch, step: int) -> Losses:
        update_G, penalize = self.variant(step)
        self.prepare(batch, self.draw_fakes, with_graph=update_G)
        losses = self.update_D(batch, penalize)
        if update_G:
            losses |= self.minimize("G", self.loss_G, batch)
        return losses

    def draw_fakes(self, batch: Batch) -> None:
        """Draw z, labels if there are classes, and images: as many as there are real ones."""
        if self.spec.classes:
            real_labels, is_random = batch["label"], self.opt.fake_labels == "random"
            batch["fake_label"] = torch.randint_like(real_labels, self.spec.num_classes) if is_random else real_labels
        batch["z"] = self.noise(len(batch["image"]))
        batch["fake"] = self.generate(batch)

    def generate(self, batch: Batch) -> Tensor:
        return self.netG(batch["z"], *self.labels(batch, "fake_label"))

    def labels(self, batch: Batch, key: str = "label") -> tuple[Tensor, ...]:
        """Return the labels that G and D take beside noise or images: none when training without."""
        return (batch[key],) if self.spec.classes else ()

    def update_D(self, batch: Batch, penalize: bool) -> Losses:
        return self.minimize("D", partial(self.loss_D, penalize=penalize), batch)

    def loss_D(self, batch: Batch, penalize: bool = True) -> Terms:
        real = (batch["image"], *self.labels(batch))
        fake = (batch["fake"].detach(), *self.labels(batch, "fake_label"))
        real_logits, fake_logits = self.discriminate_pair(self.netD, real, fake)
        losses = self.gan.loss_D(real_logits, fake_logits)
        terms: Terms = {name: Weighted(loss, self.weight_D) for name, loss in losses.items()}
        if penalize:
            terms |= self.penalties(self.netD, real, fake)
        return terms | self.extra_loss_D(batch, real_logits)

    def extra_loss_D(self, batch: Batch, real_logits: Tensor) -> Terms:
        """Return the terms that a subclass adds to D's loss."""
        return {}

    def loss_G(self, batch: Batch) -> Terms:
        real = (batch["image"], *self.labels(batch))
        fake = (self.attached(batch, "fake", self.generate), *self.labels(batch, "fake_label"))
        fake_logits, real_logits = self.discriminate_fake(self.netD, fake, real)
        return {"G": self.gan.loss_G(fake_logits, real_logits)}
