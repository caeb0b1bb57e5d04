"""The reference's training steps of models that translate: pix2pix and colorization, CycleGAN, the template."""

import random
from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from models.base_model import BaseModel
from models.networks.sides import padded
from scripts.speed.reference_steps import ReferenceStep
from util.types import Batch, Losses


class HistoryOfImages:
    """Generated images kept in a list; a coin decides for each new one whether an old one is shown instead."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.kept: list[Tensor] = []

    def query(self, images: Tensor) -> Tensor:
        if self.size == 0:
            return images
        shown = []
        for image in images.detach().split(1):
            if len(self.kept) < self.size:
                self.kept.append(image)
            elif random.random() < 0.5:
                i = random.randrange(self.size)
                self.kept[i], image = image, self.kept[i]
            shown.append(image)
        return torch.cat(shown)


def set_requires_grad(nets: Iterable[nn.Module], is_required: bool) -> None:
    for net in nets:
        net.requires_grad_(is_required)


class Pix2PixStep(ReferenceStep):
    """D on A beside B, then G (arXiv:1611.07004, Sec. 3.3)."""

    def __init__(self, model: BaseModel) -> None:
        super().__init__(model)
        self.netG, self.netD = partial(padded, self.model.netG), self.model.netD
        self.optimizer_G = self.optimizer([self.model.netG], self.opt.lr_G)
        self.optimizer_D = self.optimizer([self.netD], self.opt.lr_D)
        self.history = HistoryOfImages(self.opt.pool_size)

    def __call__(self, batch: Batch, step: int) -> Losses:
        opt, A, B = self.opt, batch["A"], batch["B"]
        is_for_G = step % opt.n_critic == 0
        with torch.set_grad_enabled(is_for_G):
            fake_B = self.netG(A)

        set_requires_grad([self.netD], True)
        self.optimizer_D.zero_grad()
        real_AB, fake_AB = torch.cat([A, B], 1), self.history.query(torch.cat([A, fake_B.detach()], 1))
        losses = {"D_real": self.loss_D(self.netD(real_AB), True), "D_fake": self.loss_D(self.netD(fake_AB), False)}
        loss = self.half * (losses["D_real"] + losses["D_fake"])
        if opt.gan_mode == "wgangp":
            losses["gp"] = self.penalty(self.netD, real_AB, fake_AB)
            loss = loss + opt.lambda_gp * losses["gp"]
        loss.backward()
        self.optimizer_D.step()

        if is_for_G:
            set_requires_grad([self.netD], False)
            self.optimizer_G.zero_grad()
            losses["G_GAN"] = self.loss_G(self.netD(torch.cat([A, fake_B], 1)))
            losses["G_L1"] = opt.lambda_L1 * l1_loss(fake_B, B)
            (losses["G_GAN"] + losses["G_L1"]).backward()
            self.optimizer_G.step()
        return losses


class CycleGANStep(ReferenceStep):
    """Both G with cycles and identity, then both D on their histories (arXiv:1703.10593)."""

    def __init__(self, model: BaseModel) -> None:
        super().__init__(model)
        m = self.model
        self.netG_A, self.netG_B = partial(padded, m.netG_A), partial(padded, m.netG_B)
        self.netD_A, self.netD_B = m.netD_A, m.netD_B
        self.optimizer_G = self.optimizer([m.netG_A, m.netG_B], self.opt.lr_G)
        self.optimizer_D = self.optimizer([self.netD_A, self.netD_B], self.opt.lr_D)
        self.history_A, self.history_B = (HistoryOfImages(self.opt.pool_size) for _ in "AB")

    def __call__(self, batch: Batch, step: int) -> Losses:
        real_A, real_B = batch["A"], batch["B"]
        is_for_G = step % self.opt.n_critic == 0
        with torch.set_grad_enabled(is_for_G):
            fake_B, fake_A = self.netG_A(real_A), self.netG_B(real_B)
        losses = self.update_G(real_A, real_B, fake_A, fake_B) if is_for_G else {}

        set_requires_grad([self.netD_A, self.netD_B], True)
        self.optimizer_D.zero_grad()
        losses["D_A"] = self.backward_D("A", self.netD_A, real_B, self.history_B.query(fake_B), losses)
        losses["D_B"] = self.backward_D("B", self.netD_B, real_A, self.history_A.query(fake_A), losses)
        self.optimizer_D.step()
        return losses

    def update_G(self, real_A: Tensor, real_B: Tensor, fake_A: Tensor, fake_B: Tensor) -> Losses:
        opt = self.opt
        set_requires_grad([self.netD_A, self.netD_B], False)
        self.optimizer_G.zero_grad()
        losses = {
            "G_A": self.loss_G(self.netD_A(fake_B)),
            "G_B": self.loss_G(self.netD_B(fake_A)),
            "cycle_A": opt.lambda_A * l1_loss(self.netG_B(fake_B), real_A),
            "cycle_B": opt.lambda_B * l1_loss(self.netG_A(fake_A), real_B),
        }
        if opt.lambda_identity:
            losses["idt_A"] = opt.lambda_identity * opt.lambda_B * l1_loss(self.netG_A(real_B), real_B)
            losses["idt_B"] = opt.lambda_identity * opt.lambda_A * l1_loss(self.netG_B(real_A), real_A)
        torch.stack(list(losses.values())).sum().backward()
        self.optimizer_G.step()
        return losses

    def backward_D(self, side: str, netD: nn.Module, real: Tensor, fake: Tensor, losses: Losses) -> Tensor:
        mistakes = self.half * (self.loss_D(netD(real), True) + self.loss_D(netD(fake.detach()), False))
        loss = mistakes
        if self.opt.gan_mode == "wgangp":
            losses[f"gp_{side}"] = self.penalty(netD, real, fake.detach())
            loss = loss + self.opt.lambda_gp * losses[f"gp_{side}"]
        loss.backward()
        return mistakes


class TemplateStep(ReferenceStep):
    """The template's regression."""

    def __init__(self, model: BaseModel) -> None:
        super().__init__(model)
        self.netG = self.model.netG
        self.optimizer_G = self.optimizer([self.netG])

    def __call__(self, batch: Batch, step: int) -> Losses:
        self.optimizer_G.zero_grad()
        loss = l1_loss(self.netG(batch["A"]), batch["B"])
        (self.opt.lambda_regression * loss).backward()
        self.optimizer_G.step()
        return {"regression": loss}
