"""CycleGAN (Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent ...", arXiv:1703.10593)."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from models.base_model import Terms
from models.losses import GanMode
from models.networks.translation import Discriminator
from models.translation import TranslationModel
from options import option
from util.types import Batch, DataSpec, Losses, Visuals


class CycleGANModel(TranslationModel):
    """G_A: A -> B and G_B: B -> A; D_A discriminates images of B and D_B those of A, as in the reference.

    In the paper's letters (X = A, Y = B): G_A = G, G_B = F, D_A = D_Y, D_B = D_X.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(TranslationModel.Options):
        gan_mode: GanMode = "lsgan"
        dropout: bool = False
        lambda_A: float = option(10.0, help="weight of the cycle loss A -> B -> A", min=0)
        lambda_B: float = option(10.0, help="weight of the cycle loss B -> A -> B", min=0)
        lambda_identity: float = option(
            0.5, help="weight of the identity loss, relative to the cycle loss; 0: none", min=0
        )
        pool_size: int = option(50, help="size of each D's history of generated images; 0: none", min=0)

    opt: Options
    dataset_mode = "unaligned"
    watched = "cycle_A"
    averaged = ("netG_A", "netG_B")
    made_of_B = ("real_B", "fake_A", "rec_B", "idt_A")

    def __init__(self, opt: Options, spec: DataSpec) -> None:
        super().__init__(opt, spec)
        if self.gan.compares and not any(spec.image_size):
            raise ValueError(
                f"--gan_mode {opt.gan_mode} compares a generated image with a real one of the same size: use a "
                "--preprocess with crop"
            )
        if opt.lambda_identity > 0 and spec.input_nc != spec.output_nc:
            raise ValueError(
                f"--lambda_identity {opt.lambda_identity} compares images of A and B, which have {spec.input_nc} and "
                f"{spec.output_nc} channels here: use --lambda_identity 0, or --input_nc and --output_nc that are equal"
            )
        self.netG_A, self.netD_A = self.generator(spec.input_nc, spec.output_nc), self.discriminator(spec.output_nc)
        self.netG_B, self.netD_B = self.generator(spec.output_nc, spec.input_nc), self.discriminator(spec.input_nc)
        self.optimizers = {
            "G": self.create_optimizer(self.netG_A, self.netG_B, lr=opt.lr_G),
            "D": self.create_optimizer(self.netD_A, self.netD_B, lr=opt.lr_D),
        }
        self.pool_A, self.pool_B = self.pool(opt.pool_size, spec.input_nc), self.pool(opt.pool_size, spec.output_nc)

    def optimize_parameters(self, batch: Batch, step: int) -> Losses:
        update_G, penalize = self.variant(step)
        if not update_G:
            self.prepare(batch, self.draw_fakes, with_graph=False)
        losses = self.minimize("G", self.loss_G, batch) if update_G else {}  # leaves fake_A and fake_B for loss_D
        return losses | self.minimize("D", partial(self.loss_D, penalize=penalize), batch)

    def draw_fakes(self, batch: Batch) -> None:
        batch["fake_B"], batch["fake_A"] = self.run(self.netG_A, batch["A"]), self.run(self.netG_B, batch["B"])

    def loss_G(self, batch: Batch) -> Terms:
        opt, real_A, real_B = self.opt, batch["A"], batch["B"]
        num = 2 if opt.lambda_identity else 1  # the identity images in the same pass
        fake_B, *idt_A = self.in_one_pass(self.run, self.netG_A, *[(real_A,), (real_B,)][:num])
        fake_A, *idt_B = self.in_one_pass(self.run, self.netG_B, *[(real_B,), (real_A,)][:num])
        batch["fake_B"], batch["fake_A"] = fake_B.detach(), fake_A.detach()
        terms: Terms = {
            "G_A": self.gan.loss_G(*self.discriminate_fake(self.netD_A, (fake_B,), (real_B,))),  # Eq. 1
            "cycle_A": opt.lambda_A * l1_loss(self.run(self.netG_B, fake_B), real_A),  # Eq. 2
            "G_B": self.gan.loss_G(*self.discriminate_fake(self.netD_B, (fake_A,), (real_A,))),
            "cycle_B": opt.lambda_B * l1_loss(self.run(self.netG_A, fake_A), real_B),
        }
        if opt.lambda_identity:  # Sec. 5.2: a generator keeps what is already in its target domain
            terms["idt_A"] = opt.lambda_identity * opt.lambda_B * l1_loss(idt_A[0], real_B)
            terms["idt_B"] = opt.lambda_identity * opt.lambda_A * l1_loss(idt_B[0], real_A)
        return terms

    def loss_D(self, batch: Batch, penalize: bool = True) -> Terms:
        old_B, old_A = self.pool_B.query(batch["fake_B"]), self.pool_A.query(batch["fake_A"])
        terms: Terms = {
            "D_A": self.loss_D_basic(self.netD_A, batch["B"], old_B),
            "D_B": self.loss_D_basic(self.netD_B, batch["A"], old_A),
        }
        if penalize:
            terms |= self.penalties(self.netD_A, (batch["B"],), (old_B,), "_A")
            terms |= self.penalties(self.netD_B, (batch["A"],), (old_A,), "_B")
        return terms

    def loss_D_basic(self, netD: Discriminator, real: Tensor, fake: Tensor) -> Tensor:
        """Return D's loss on real and generated images, halved, so that D learns slower than G (Sec. 7.1)."""
        losses = self.gan.loss_D(*self.discriminate_pair(netD, (real,), (fake,)))
        return self.gan.share_D * torch.stack(list(losses.values())).sum()

    def forward(self, batch: Batch) -> Visuals:
        real_A, real_B = batch["A"], batch["B"]
        fake_B, fake_A = self.run(self.netG_A, real_A), self.run(self.netG_B, real_B)
        of_A = {"real_A": real_A, "fake_B": fake_B, "rec_A": self.run(self.netG_B, fake_B)}
        of_B = {"real_B": real_B, "fake_A": fake_A, "rec_B": self.run(self.netG_A, fake_A)}
        if self.opt.lambda_identity:
            of_A["idt_B"], of_B["idt_A"] = self.run(self.netG_B, real_A), self.run(self.netG_A, real_B)
        return of_A | of_B

    def reverse(self) -> None:
        self.netG_A, self.netG_B = self.netG_B, self.netG_A
        self.spec = self.spec._replace(input_nc=self.spec.output_nc, output_nc=self.spec.input_nc)

    def translate(self, images: Tensor) -> Tensor:
        """Return B for A: float (N, C, H, W) in [-1, 1]."""
        return self.run(self.netG_A, images)
