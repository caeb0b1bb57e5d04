"""Training steps in plain eager PyTorch, as papers write them: what the steps of models are compared with.

The benchmark's reference has those of cgan, pix2pix and cycle_gan, with the objectives of their sources.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, l1_loss, mse_loss, relu

from models.base_model import BaseModel
from scripts.speed.reference import CycleGANStep, Images, Pix2PixStep, ReferenceStep
from util.types import Batch, Losses


class PlainStep(ReferenceStep):
    """The objectives and the optimizer that the benchmark's reference does without."""

    def adam(self, lr: float, *nets: nn.Module) -> torch.optim.Optimizer:
        if self.opt.optimizer == "rmsprop":
            return torch.optim.RMSprop([p for net in nets for p in net.parameters()], lr=lr or self.opt.lr)
        return super().adam(lr, *nets)

    def loss_D(self, logits: Tensor, is_real: bool) -> Tensor:
        mode, sign = self.opt.gan_mode, -1 if is_real else 1
        if mode == "hinge":
            return relu(1 + sign * logits).mean()
        return sign * logits.mean() if mode in ("wgan", "wgangp") else super().loss_D(logits, is_real)

    def loss_G(self, logits: Tensor) -> Tensor:
        return -logits.mean() if self.opt.gan_mode == "hinge" else self.loss_D(logits, True)

    def backward_D(self, netD: nn.Module, real: Images, fake: Images, weight: float = 0.5) -> Losses:
        losses = {"D_real": self.loss_D(netD(*real), True), "D_fake": self.loss_D(netD(*fake), False)}
        loss = (1.0 if self.opt.gan_mode in ("wgan", "wgangp") else weight) * (losses["D_real"] + losses["D_fake"])
        if self.opt.gan_mode == "wgangp":
            losses["gp"] = penalty(lambda x: netD(x, *real[1:]), real[0], fake[0])
            loss = loss + self.opt.lambda_gp * losses["gp"]
        loss.backward()
        return losses


def penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Return the gradient penalty of arXiv:1704.00028, without its weight."""
    alpha = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    logits = critic(x).flatten(1).mean(1)
    gradient = torch.autograd.grad(logits, x, torch.ones_like(logits), create_graph=True)[0]
    return ((gradient.flatten(1).norm(2, dim=1) - 1) ** 2).mean()


class PlainPix2PixStep(PlainStep, Pix2PixStep):
    """pix2pix, colorization."""


class PlainCycleGANStep(PlainStep, CycleGANStep):
    """CycleGAN with the penalties of both D."""

    def __call__(self, batch: Batch, step: int) -> Losses:
        self.penalties: list[Tensor] = []
        losses = super().__call__(batch, step)
        return losses | {f"gp_{side}": gp for side, gp in zip("AB", self.penalties, strict=False)}

    def backward_D(self, netD: nn.Module, real: Images, fake: Images, weight: float = 0.5) -> Losses:
        losses = super().backward_D(netD, real, fake, weight)
        if self.opt.gan_mode == "wgangp":  # which the sources do not halve
            self.penalties.append(losses["gp"])
            losses |= {name: 2 * losses[name] for name in ("D_real", "D_fake")}
        return losses


class NoiseStep(PlainStep):
    """D on real and generated images, then G: gan, dcgan; wgan and wgan_gp by their Algorithms 1."""

    def __init__(self, model: BaseModel) -> None:
        super().__init__(model)
        self.netG, self.netD = self.model.netG, self.model.netD
        self.optimizer_G, self.optimizer_D = self.adam(self.opt.lr_G, self.netG), self.adam(self.opt.lr_D, self.netD)

    def draw(self, batch: Batch) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return noise, and labels where there are any."""
        real, labels = batch["image"], (batch["label"],) if self.model.spec.classes else ()
        if labels and self.opt.fake_labels == "random":
            labels = (torch.randint(0, self.model.spec.num_classes, labels[0].shape, device=real.device),)
        return torch.randn(len(real), self.opt.nz, device=real.device), labels

    def __call__(self, batch: Batch, step: int) -> Losses:
        real, real_labels = batch["image"], (batch["label"],) if self.model.spec.classes else ()
        z, labels = self.draw(batch)
        fake = self.netG(z, *labels)

        self.optimizer_D.zero_grad()
        losses = self.backward_D(self.netD, (real, *real_labels), (fake.detach(), *labels), self.model.weight_D)
        self.optimizer_D.step()
        for layer in self.netD.modules() if hasattr(self.opt, "clip") else ():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                layer.weight.data.clamp_(-self.opt.clip, self.opt.clip)

        if step % self.opt.n_critic == 0:
            self.optimizer_G.zero_grad()
            losses["G"] = self.loss_G(self.netD(fake, *labels))
            losses["G"].backward()
            self.optimizer_G.step()
        return losses


class CVAEGANStep(PlainStep):
    """C on real images, D on real ones and decoded noise, then encoder and decoder."""

    def __init__(self, model: BaseModel) -> None:
        super().__init__(model)
        m = self.model
        self.netE, self.netG, self.netD, self.netC = m.netE, m.netG, m.netD, m.netC
        self.optimizer_C, self.optimizer_D = self.adam(0, self.netC), self.adam(self.opt.lr_D, self.netD)
        self.optimizer_G = self.adam(self.opt.lr_G, self.netE, self.netG)

    def __call__(self, batch: Batch, step: int) -> Losses:
        opt, real, labels = self.opt, batch["image"], batch["label"]
        some = torch.randint(0, self.model.spec.num_classes, labels.shape, device=labels.device)
        fake = self.netG(torch.randn(len(real), opt.nz, device=real.device), some)

        self.optimizer_C.zero_grad()
        losses = {"C": cross_entropy(self.netC(real), labels)}
        losses["C"].backward()
        self.optimizer_C.step()

        self.optimizer_D.zero_grad()
        losses |= self.backward_D(self.netD, (real,), (fake.detach(),), 1.0)
        self.optimizer_D.step()

        if step % opt.n_critic == 0:
            self.optimizer_G.zero_grad()
            mean, logvar = self.netE(real)
            rec = self.netG(mean + torch.exp(0.5 * logvar) * torch.randn_like(mean), labels)
            images, classes = torch.cat([rec, fake]), torch.cat([labels, some])
            losses["rec"] = 0.5 * mse_loss(rec, real, reduction="sum") / len(real)
            losses["kl"] = -0.5 * (1 + logvar - mean**2 - logvar.exp()).sum() / len(real)
            losses["G_adv"] = self.loss_G(self.netD(images))
            losses["G_cls"] = cross_entropy(self.netC(images), classes)
            weights = {"rec": opt.lambda_rec, "kl": opt.lambda_kl, "G_adv": opt.lambda_adv, "G_cls": opt.lambda_cls}
            sum((weight * losses[name] for name, weight in weights.items()), torch.zeros_like(losses["kl"])).backward()
            self.optimizer_G.step()
        return losses


class TemplateStep(PlainStep):
    """The template's regression."""

    def __init__(self, model: BaseModel) -> None:
        super().__init__(model)
        self.optimizer_G = self.adam(0, self.model.netG)

    def __call__(self, batch: Batch, step: int) -> Losses:
        self.optimizer_G.zero_grad()
        loss = l1_loss(self.model.netG(batch["A"]), batch["B"])
        (self.opt.lambda_regression * loss).backward()
        self.optimizer_G.step()
        return {"regression": loss}


PLAIN: dict[str, type[PlainStep]] = {  # models without a row have no plain step to be compared with
    **dict.fromkeys(("gan", "dcgan", "cgan", "wgan", "wgan_gp"), NoiseStep),
    **dict.fromkeys(("pix2pix", "colorization"), PlainPix2PixStep),
    "cycle_gan": PlainCycleGANStep,
    "cvae_gan": CVAEGANStep,
    "template": TemplateStep,
}
