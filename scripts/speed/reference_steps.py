"""Training steps in plain eager PyTorch, as papers and tutorials write them: what ours are timed against.

Networks are those that our models build, so that the arithmetic is the same. Losses, optimizers and the order of things
are written anew, with what torch.nn and torch.optim offer and with PyTorch's defaults: fp32, Adam that is not fused.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss, relu

from models.base_model import BaseModel
from util.types import Batch, Losses


class ReferenceStep(ABC):
    """A call takes one training step on a batch; ``step`` counts from 1."""

    def __init__(self, model: BaseModel) -> None:
        """Take over the networks of ``model``, and nothing else of it but its options."""
        self.opt: Any = model.opt
        self.model: Any = model

    def optimizer(self, nets: Iterable[nn.Module], lr: float = 0.0) -> torch.optim.Optimizer:
        opt, params = self.opt, [p for net in nets for p in net.parameters()]
        if opt.optimizer == "rmsprop":
            return torch.optim.RMSprop(params, lr=lr or opt.lr)
        return torch.optim.Adam(params, lr=lr or opt.lr, betas=(opt.beta1, opt.beta2))

    def loss_D(self, logits: Tensor, is_real: bool) -> Tensor:
        mode, sign = self.opt.gan_mode, -1 if is_real else 1
        if mode == "vanilla":
            return binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(is_real)))
        if mode == "lsgan":
            return mse_loss(logits, torch.full_like(logits, float(is_real)))
        return relu(1 + sign * logits).mean() if mode == "hinge" else sign * logits.mean()

    def loss_G(self, logits: Tensor) -> Tensor:
        return -logits.mean() if self.opt.gan_mode == "hinge" else self.loss_D(logits, True)

    @property
    def half(self) -> float:
        """What D's loss is multiplied with where the sources halve it."""
        return 1.0 if self.opt.gan_mode in ("wgan", "wgangp") else 0.5

    def penalty(self, critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
        """Return the gradient penalty of arXiv:1704.00028, without its weight."""
        alpha = torch.rand(len(real), 1, 1, 1, device=real.device)
        x = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
        logits = critic(x).flatten(1).mean(1)
        gradient = torch.autograd.grad(logits, x, torch.ones_like(logits), create_graph=True)[0]
        return ((gradient.flatten(1).norm(2, dim=1) - 1) ** 2).mean()

    @abstractmethod
    def __call__(self, batch: Batch, step: int) -> Losses:
        """Take a step; return its losses."""


class NoiseStep(ReferenceStep):
    """D on real and generated images, then G: gan, dcgan."""

    draws_twice = False  # whether G's step draws new noise, or takes what D has judged

    def __init__(self, model: BaseModel) -> None:
        super().__init__(model)
        self.netG, self.netD = self.model.netG, self.model.netD
        self.optimizer_G = self.optimizer([self.netG], self.opt.lr_G)
        self.optimizer_D = self.optimizer([self.netD], self.opt.lr_D)
        self.weight_D: float = self.model.weight_D

    def draw(self, batch: Batch) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return noise, and labels where there are any."""
        real, labels = batch["image"], (batch["label"],) if self.model.spec.classes else ()
        if labels and self.opt.fake_labels == "random":
            labels = (torch.randint(0, self.model.spec.num_classes, labels[0].shape, device=real.device),)
        return torch.randn(len(real), self.opt.nz, device=real.device), labels

    def __call__(self, batch: Batch, step: int) -> Losses:
        real, real_labels = batch["image"], (batch["label"],) if self.model.spec.classes else ()
        is_for_G = step % self.opt.n_critic == 0
        z, labels = self.draw(batch)
        with torch.set_grad_enabled(is_for_G and not self.draws_twice):
            fake = self.netG(z, *labels)

        self.optimizer_D.zero_grad()
        D_real = self.loss_D(self.netD(real, *real_labels), True)
        D_fake = self.loss_D(self.netD(fake.detach(), *labels), False)
        losses, loss = {"D_real": D_real, "D_fake": D_fake}, self.weight_D * (D_real + D_fake)
        if self.opt.gan_mode == "wgangp":
            losses["gp"] = self.penalty(lambda x: self.netD(x, *real_labels), real, fake.detach())
            loss = loss + self.opt.lambda_gp * losses["gp"]
        loss.backward()
        self.optimizer_D.step()
        self.bound()

        if is_for_G:
            self.optimizer_G.zero_grad()
            if self.draws_twice:
                z, labels = self.draw(batch)
                fake = self.netG(z, *labels)
            losses["G"] = self.loss_G(self.netD(fake, *labels))
            losses["G"].backward()
            self.optimizer_G.step()
        return losses

    def bound(self) -> None:
        """Keep D's weights in bounds where the method does."""


class TwiceDrawnStep(NoiseStep):
    """S0's and S2's scripts (cgan), and WGAN-GP's Algorithm 1, draw anew for G."""

    draws_twice = True


class ClippedStep(TwiceDrawnStep):
    """WGAN's Algorithm 1."""

    def bound(self) -> None:
        for layer in self.netD.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                layer.weight.data.clamp_(-self.opt.clip, self.opt.clip)


class CVAEGANStep(ReferenceStep):
    """C on real images, D on real ones and decoded noise, then encoder and decoder."""

    def __init__(self, model: BaseModel) -> None:
        super().__init__(model)
        m = self.model
        self.netE, self.netG, self.netD, self.netC = m.netE, m.netG, m.netD, m.netC
        self.optimizer_C = self.optimizer([self.netC])
        self.optimizer_D = self.optimizer([self.netD], self.opt.lr_D)
        self.optimizer_G = self.optimizer([self.netE, self.netG], self.opt.lr_G)

    def __call__(self, batch: Batch, step: int) -> Losses:
        opt, real, labels = self.opt, batch["image"], batch["label"]
        is_for_G = step % opt.n_critic == 0
        some = torch.randint(0, self.model.spec.num_classes, labels.shape, device=labels.device)
        with torch.set_grad_enabled(is_for_G):
            fake = self.netG(torch.randn(len(real), opt.nz, device=real.device), some)

        self.optimizer_C.zero_grad()
        losses = {"C": cross_entropy(self.netC(real), labels)}
        losses["C"].backward()
        self.optimizer_C.step()

        self.optimizer_D.zero_grad()
        losses["D_real"] = self.loss_D(self.netD(real), True)
        losses["D_fake"] = self.loss_D(self.netD(fake.detach()), False)
        loss = losses["D_real"] + losses["D_fake"]
        if opt.gan_mode == "wgangp":
            losses["gp"] = self.penalty(self.netD, real, fake.detach())
            loss = loss + opt.lambda_gp * losses["gp"]
        loss.backward()
        self.optimizer_D.step()

        if is_for_G:
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
