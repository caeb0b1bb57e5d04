"""The reference's training step of contrastive translation: CUT and FastCUT."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.base_model import BaseModel
from models.networks.sides import fitted, padded
from scripts.speed.reference_steps import ReferenceStep
from scripts.speed.reference_translation import set_requires_grad
from util.types import Batch, Losses


class CUTStep(ReferenceStep):
    """D, then G and F with an optimizer each (arXiv:2007.15651); keys have a graph, which nothing goes back through."""

    def __init__(self, model: BaseModel) -> None:
        super().__init__(model)
        self.netG, self.netD, self.netF = self.model.netG, self.model.netD, self.model.netF
        self.optimizer_G = self.optimizer([self.netG], self.opt.lr_G)
        self.optimizer_D = self.optimizer([self.netD], self.opt.lr_D)
        self.optimizer_F = self.optimizer([self.netF], self.opt.lr_G)

    def __call__(self, batch: Batch, step: int) -> Losses:
        opt, real_A, real_B = self.opt, batch["A"], batch["B"]
        real = torch.cat([real_A, real_B]) if opt.nce_idt else real_A
        is_mirrored = torch.rand((), device=real.device) < 0.5 if opt.flip_equivariance else torch.tensor(False)
        fake = padded(self.netG, real.flip(3) if is_mirrored else real)
        fake_B, idt_B = fake[: len(real_A)], fake[len(real_A) :]

        set_requires_grad([self.netD], True)
        self.optimizer_D.zero_grad()
        losses = {"D_real": self.loss_D(self.netD(real_B), True)}
        losses["D_fake"] = self.loss_D(self.netD(fake_B.detach()), False)
        (self.half * (losses["D_real"] + losses["D_fake"])).backward()
        self.optimizer_D.step()

        set_requires_grad([self.netD], False)
        self.optimizer_G.zero_grad()
        self.optimizer_F.zero_grad()
        losses["G_GAN"] = opt.lambda_GAN * self.loss_G(self.netD(fake_B))
        losses["NCE"] = nce = self.contrast(real_A, fake_B, bool(is_mirrored))
        if opt.nce_idt:
            losses["NCE_Y"] = self.contrast(real_B, idt_B, bool(is_mirrored))
            nce = (losses["NCE"] + losses["NCE_Y"]) / 2
        (losses["G_GAN"] + nce).backward()
        self.optimizer_G.step()
        self.optimizer_F.step()
        return losses

    def contrast(self, real: Tensor, fake: Tensor, is_mirrored: bool) -> Tensor:
        opt, total = self.opt, torch.zeros((), device=real.device)
        of_fake = self.netG(fitted(self.netG, fake), opt.nce_layers)
        of_real = self.netG(fitted(self.netG, real), opt.nce_layers)
        if is_mirrored:
            of_fake = [layer.flip(3) for layer in of_fake]
        places = [torch.rand(layer[0, 0].numel(), device=real.device).argsort()[: opt.num_patches] for layer in of_fake]
        for query, key in zip(self.netF(of_fake, places), self.netF(of_real, places), strict=True):
            similar = torch.bmm(query, key.detach().transpose(1, 2))
            own = similar.diagonal(dim1=1, dim2=2)[..., None]
            eye = torch.eye(similar.shape[1], dtype=torch.bool, device=real.device)
            logits = torch.cat([own, similar.masked_fill(eye, -10.0)], 2).flatten(0, 1) / opt.nce_T
            target = torch.zeros(len(logits), dtype=torch.long, device=real.device)
            total = total + opt.lambda_NCE * cross_entropy(logits, target)
        return total / len(of_fake)
