"""Training steps in plain eager PyTorch, as papers and tutorials write them: what ours are timed against.

Networks are those that our models build, so that the arithmetic is the same. Losses, optimizers and the order of things
are written anew, with what torch.nn and torch.optim offer and with PyTorch's defaults: fp32, Adam that is not fused.
"""

import random
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss, mse_loss

from models.base_model import BaseModel
from models.networks.sides import padded
from util.types import Batch, Losses

CRITERIA = ("vanilla", "lsgan")  # what the sources of the three offer
OTHERWISE = "--against FOLDER times another checkout instead"
Images = tuple[Tensor, ...]
OURS_ALONE = {  # options that the reference does not know: what leaves them out
    **{
        "augment": "none",
        "diffaugment": (),
        "instance_noise": 0,
        "label_smoothing": 0,
        "lambda_mismatch": 0,
        "r1_gamma": 0,
        "r2_gamma": 0,
    },
    **{"optimizer": "adam", "penalty_freq": 1},
}


class ReferenceStep:
    """A call takes one training step on a batch; ``step`` counts from 1."""

    def __init__(self, model: BaseModel) -> None:
        """Take over the networks of ``model``, and nothing else of it but its options."""
        self.opt: Any = model.opt
        self.model: Any = model

    def __call__(self, batch: Batch, step: int) -> Losses:
        """Take a step; return its losses."""
        raise NotImplementedError

    def adam(self, lr: float, *nets: nn.Module) -> torch.optim.Optimizer:
        params = [p for net in nets for p in net.parameters()]
        return torch.optim.Adam(params, lr=lr or self.opt.lr, betas=(self.opt.beta1, self.opt.beta2))

    def loss_D(self, logits: Tensor, is_real: bool) -> Tensor:
        target = torch.full_like(logits, float(is_real))
        is_vanilla = self.opt.gan_mode == "vanilla"
        return binary_cross_entropy_with_logits(logits, target) if is_vanilla else mse_loss(logits, target)

    def loss_G(self, logits: Tensor) -> Tensor:
        return self.loss_D(logits, True)

    def backward_D(self, netD: nn.Module, real: Images, fake: Images, weight: float = 0.5) -> Losses:
        """Add gradients of D's loss; ``real`` and ``fake`` are images, and their labels where D is told them."""
        losses = {"D_real": self.loss_D(netD(*real), True), "D_fake": self.loss_D(netD(*fake), False)}
        (weight * (losses["D_real"] + losses["D_fake"])).backward()
        return losses


class CGANStep(ReferenceStep):
    """D on real and generated images, then G on new ones, as S0's and S2's scripts have it."""

    def __init__(self, model: BaseModel) -> None:
        super().__init__(model)
        self.netG, self.netD = self.model.netG, self.model.netD
        self.optimizer_G, self.optimizer_D = self.adam(self.opt.lr_G, self.netG), self.adam(self.opt.lr_D, self.netD)

    def draw(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return noise and labels."""
        labels = batch["label"]
        if self.opt.fake_labels == "random":
            labels = torch.randint(0, self.model.spec.num_classes, labels.shape, device=labels.device)
        return torch.randn(len(labels), self.opt.nz, device=labels.device), labels

    def __call__(self, batch: Batch, step: int) -> Losses:
        z, labels = self.draw(batch)
        with torch.no_grad():
            fake = self.netG(z, labels)
        self.optimizer_D.zero_grad()
        losses = self.backward_D(self.netD, (batch["image"], batch["label"]), (fake, labels), self.model.weight_D)
        self.optimizer_D.step()

        if step % self.opt.n_critic == 0:
            self.optimizer_G.zero_grad()
            z, labels = self.draw(batch)
            losses["G"] = self.loss_G(self.netD(self.netG(z, labels), labels))
            losses["G"].backward()
            self.optimizer_G.step()
        return losses


class HistoryOfImages:
    """Generated images kept in a list; a coin decides for each new one whether an old one is shown instead."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.kept: list[Tensor] = []

    def query(self, images: Tensor) -> Tensor:
        if self.size == 0:
            return images
        shown = []
        for image in images.split(1):
            if len(self.kept) < self.size:
                self.kept.append(image)
            elif random.random() < 0.5:
                i = random.randrange(self.size)
                self.kept[i], image = image, self.kept[i]
            shown.append(image)
        return torch.cat(shown)


class Pix2PixStep(ReferenceStep):
    """D on A beside B, then G (arXiv:1611.07004, Sec. 3.3)."""

    def __init__(self, model: BaseModel) -> None:
        super().__init__(model)
        self.netG, self.netD = self.model.netG, self.model.netD
        self.optimizer_G, self.optimizer_D = self.adam(self.opt.lr_G, self.netG), self.adam(self.opt.lr_D, self.netD)
        self.history = HistoryOfImages(self.opt.pool_size)

    def __call__(self, batch: Batch, step: int) -> Losses:
        A, B = batch["A"], batch["B"]
        is_for_G = step % self.opt.n_critic == 0
        with torch.set_grad_enabled(is_for_G):
            fake_B = padded(self.netG, A)

        self.netD.requires_grad_(True)
        self.optimizer_D.zero_grad()
        fake_AB = self.history.query(torch.cat([A, fake_B.detach()], 1))
        losses = self.backward_D(self.netD, (torch.cat([A, B], 1),), (fake_AB,))
        self.optimizer_D.step()

        if is_for_G:
            self.netD.requires_grad_(False)
            self.optimizer_G.zero_grad()
            losses["G_GAN"] = self.loss_G(self.netD(torch.cat([A, fake_B], 1)))
            losses["G_L1"] = self.opt.lambda_L1 * l1_loss(fake_B, B)
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
        self.optimizer_G = self.adam(self.opt.lr_G, m.netG_A, m.netG_B)
        self.optimizer_D = self.adam(self.opt.lr_D, m.netD_A, m.netD_B)
        self.history_A, self.history_B = (HistoryOfImages(self.opt.pool_size) for _ in "AB")

    def __call__(self, batch: Batch, step: int) -> Losses:
        real_A, real_B = batch["A"], batch["B"]
        is_for_G = step % self.opt.n_critic == 0
        with torch.set_grad_enabled(is_for_G):
            fake_B, fake_A = self.netG_A(real_A), self.netG_B(real_B)
        losses = self.update_G(real_A, real_B, fake_A, fake_B) if is_for_G else {}

        self.optimizer_D.zero_grad()
        for name, netD, real, fake, history in (
            ("D_A", self.netD_A, real_B, fake_B, self.history_B),
            ("D_B", self.netD_B, real_A, fake_A, self.history_A),
        ):
            netD.requires_grad_(True)
            parts = self.backward_D(netD, (real,), (history.query(fake.detach()),))
            losses[name] = 0.5 * (parts["D_real"] + parts["D_fake"])
        self.optimizer_D.step()
        return losses

    def update_G(self, real_A: Tensor, real_B: Tensor, fake_A: Tensor, fake_B: Tensor) -> Losses:
        opt = self.opt
        for netD in (self.netD_A, self.netD_B):
            netD.requires_grad_(False)
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


STEPS: dict[str, type[ReferenceStep]] = {"cgan": CGANStep, "pix2pix": Pix2PixStep, "cycle_gan": CycleGANStep}


def create_reference(name: str, model: BaseModel) -> ReferenceStep:
    """Return the reference's step for ``--model name``, with the networks of ``model`` as they are.

    Raises:
        ValueError: there is none, or none with these options.
    """
    if name not in STEPS:
        raise ValueError(f"--model {name}: the reference has no step of it, only of {', '.join(STEPS)}; {OTHERWISE}")
    opt: Any = model.opt
    if opt.gan_mode not in CRITERIA:
        raise ValueError(f"--gan_mode {opt.gan_mode}: the reference has only {', '.join(CRITERIA)}; {OTHERWISE}")
    for option, usual in OURS_ALONE.items():
        if getattr(opt, option, usual) != usual:
            raise ValueError(f"--{option}: the reference has no such option; {OTHERWISE}")
    return STEPS[name](model)
