"""WGAN (Arjovsky et al. 2017, "Wasserstein GAN", arXiv:1701.07875)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from models.gan_model import GANModel
from options import option
from util.types import Batch, DataSpec, Losses


class WGANModel(GANModel):
    """The critic D estimates the Wasserstein distance of generated from real images, which G minimizes.

    Algorithm 1: ``n_critic`` updates of the critic, with its weights clipped to [-c, c] after each, per update of G;
    RMSprop. D_real + D_fake is minus the estimate of the distance, which falls as G learns.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(GANModel.Options):
        gan_mode: Literal["wgan"] = "wgan"
        n_critic: int = 5
        optimizer: Literal["adam", "rmsprop"] = "rmsprop"
        lr: float = 5e-5
        clip: float = option(0.01, help="c: D's linear and convolutional weights are clipped to [-c, c]", above=0)
        hidden_D: tuple[int, ...] = (256, 256)

    opt: Options
    presets: ClassVar = {}

    def __init__(self, opt: Options, spec: DataSpec) -> None:
        if opt.spectral_norm:
            raise ValueError("--spectral_norm and --clip both bound D's weights: with wgan, use --no_spectral_norm")
        super().__init__(opt, spec)
        layers = (m for m in self.netD.modules() if isinstance(m, nn.Linear | nn.Conv2d))
        self.clipped = [layer.weight for layer in layers if isinstance(layer.weight, nn.Parameter)]

    def update_D(self, batch: Batch, penalize: bool) -> Losses:
        losses = super().update_D(batch, penalize)
        with torch.no_grad():
            for weight in self.clipped:
                weight.clamp_(-self.opt.clip, self.opt.clip)
        return losses
