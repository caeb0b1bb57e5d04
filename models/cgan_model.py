"""Conditional GAN (Mirza and Osindero 2014, "Conditional Generative Adversarial Nets", arXiv:1411.1784)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.base_model import Terms
from models.gan_model import GANModel
from models.networks.noise import NoiseNet, NoiseNetD
from models.noise import check_classes
from options import option
from util.types import Batch, DataSpec, Weighted


class CGANModel(GANModel):
    """G draws an image of a given class, and D sees image and class together (Eq. 2); the step is the GAN's."""

    @dataclass(frozen=True, kw_only=True)
    class Options(GANModel.Options):
        netG: NoiseNet = "conv"
        netD: NoiseNetD = "conv"
        hidden_D: tuple[int, ...] = (512, 512, 512)
        dropout: float = 0.4
        norm_eps: float = 0.8  # the tutorial passes 0.8 as eps (it meant momentum); kept to reproduce it
        conditional: bool = True
        lambda_mismatch: float = option(
            0.0, help="weight of D's loss on real images with a wrong label, beside that on fakes; 0: none", min=0
        )

    opt: Options
    recipe = (  # the demo's, without its palette, which is for even surfaces
        "--netG res --netD res --norm_D none --gan_mode rpgan --r1_gamma 2 --r2_gamma 2 --penalty_freq 4 "
        "--lambda_mismatch 0.5 --dropout 0 --norm_eps 1e-5 --lr 7e-4 --beta1 0 --beta2 0.99 --batch_size 8 "
        "--lr_policy cosine --ema 0.9975"
    )

    def __init__(self, opt: Options, spec: DataSpec) -> None:
        if not opt.conditional:
            raise ValueError("--no_conditional: cgan is the conditional GAN; use --model gan or dcgan")
        check_classes("--model cgan", spec)
        super().__init__(opt, spec)
        self.weight_D = self.gan.share_D

    def extra_loss_D(self, batch: Batch, real_logits: Tensor) -> Terms:
        """Return D's loss on real images with a wrong label: GAN-CLS, Algorithm 1 of arXiv:1605.05396."""
        if not self.opt.lambda_mismatch:
            return {}
        real, labels = batch["image"], batch["label"]
        others = (labels + torch.randint_like(labels, 1, self.spec.num_classes)) % self.spec.num_classes
        wrong = self.gan.loss_reject(self.discriminate(self.netD, real, others), real_logits)
        return {"D_wrong": Weighted(wrong, self.weight_D * self.opt.lambda_mismatch)}
