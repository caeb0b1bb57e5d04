"""pix2pix (Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks", arXiv:1611.07004)."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from models.base_model import Terms
from models.networks.norm import Norm
from models.translation import TranslationModel
from options import option
from util.types import Batch, DataSpec, Losses, Visuals, Weighted


class Pix2PixModel(TranslationModel):
    """G translates A to B; D sees A and B concatenated, and discriminates real from generated pairs.

    Each step updates D, then G on the same images (Sec. 3.3).
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(TranslationModel.Options):
        netG: str = "unet_256"
        norm: Norm = "batch"
        lambda_L1: float = option(100.0, help="weight of the L1 distance between G's image and B", min=0)
        pool_size: int = option(0, help="size of D's history of generated images; 0: none", min=0)

    opt: Options
    dataset_mode = "aligned"
    watched = "G_L1"

    def __init__(self, opt: Options, spec: DataSpec) -> None:
        super().__init__(opt, spec)
        self.netG = self.generator(spec.input_nc, spec.output_nc)
        self.netD = self.discriminator(spec.input_nc + spec.output_nc)
        self.optimizers = {
            "D": self.create_optimizer(self.netD, lr=opt.lr_D),
            "G": self.create_optimizer(self.netG, lr=opt.lr_G),
        }
        self.pool_AB = self.pool(opt.pool_size, spec.input_nc + spec.output_nc)

    def optimize_parameters(self, batch: Batch, step: int) -> Losses:
        update_G, penalize = self.variant(step)
        self.prepare(batch, self.draw_fake, with_graph=update_G)
        losses = self.minimize("D", partial(self.loss_D, penalize=penalize), batch)
        return losses | self.minimize("G", self.loss_G, batch) if update_G else losses

    def draw_fake(self, batch: Batch) -> None:
        batch["fake_B"] = self.generate(batch)

    def generate(self, batch: Batch) -> Tensor:
        return self.translate(batch["A"])

    def loss_D(self, batch: Batch, penalize: bool = True) -> Terms:
        real_AB = torch.cat([batch["A"], batch["B"]], 1)
        fake_AB = self.pool_AB.query(torch.cat([batch["A"], batch["fake_B"].detach()], 1))
        losses = self.gan.loss_D(*self.discriminate_pair(self.netD, (real_AB,), (fake_AB,)))
        # Eq. 1, halved, so that D learns slower than G (Sec. 3.3).
        terms: Terms = {name: Weighted(loss, self.gan.share_D) for name, loss in losses.items()}
        return terms | self.penalties(self.netD, (real_AB,), (fake_AB,)) if penalize else terms

    def check_batch(self, batch: Batch, dataset_mode: str) -> None:
        super().check_batch(batch, dataset_mode)
        if dataset_mode == "unaligned":
            raise ValueError(
                "--dataset_mode unaligned: pix2pix learns from pairs, A and B that show the same: use aligned, or "
                "--model cycle_gan, which learns without pairs"
            )

    def loss_G(self, batch: Batch) -> Terms:
        fake_B = self.attached(batch, "fake_B", self.generate)
        fake_AB, real_AB = torch.cat([batch["A"], fake_B], 1), torch.cat([batch["A"], batch["B"]], 1)
        return {
            "G_GAN": self.gan.loss_G(*self.discriminate_fake(self.netD, (fake_AB,), (real_AB,))),
            "G_L1": self.opt.lambda_L1 * l1_loss(fake_B, batch["B"]),  # Eq. 3
        }

    def forward(self, batch: Batch) -> Visuals:
        return {"real_A": batch["A"], "fake_B": self.translate(batch["A"]), "real_B": batch["B"]}

    def translate(self, images: Tensor) -> Tensor:
        """Return B for A: float (N, C, H, W) in [-1, 1]."""
        return self.run(self.netG, images)
