"""CUT and FastCUT (Park et al. 2020, "Contrastive Learning for Unpaired Image-to-Image ...", arXiv:2007.15651)."""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor

from models.base_model import Terms
from models.losses import GanMode, patch_nce
from models.networks.init import Init, init_weights
from models.networks.patch_features import PatchFeatures, random_places
from models.networks.resnet import ResnetGenerator
from models.networks.sides import Upsample, fitted
from models.translation import TranslationModel
from options import option
from util.types import Batch, DataSpec, Losses, Visuals, Weighted

FASTCUT = {"n_epochs": 150, "n_epochs_decay": 50, "lambda_NCE": 10.0, "nce_idt": False, "flip_equivariance": True}


class CUTModel(TranslationModel):
    """G turns A into B; each patch of its image must be nearer to A's at its place than to others, as F sees them."""

    @dataclass(frozen=True, kw_only=True)
    class Options(TranslationModel.Options):
        CUT_mode: Literal["CUT", "FastCUT"] = option("CUT", help="FastCUT: the lighter one, by other defaults")
        gan_mode: GanMode = "lsgan"
        dropout: bool = False
        init_type: Init = "xavier"
        antialias: bool = True
        upsample: Upsample = "blur"
        antialias_up: bool = option(True, help="no_antialias_up is CUT's name for --upsample deconv")
        lambda_GAN: float = option(1.0, help="weight of the adversarial loss", min=0)
        lambda_NCE: float = option(1.0, help="weight of the contrastive loss (FastCUT: 10)", min=0)
        nce_idt: bool = option(True, help="also compare B with what G makes of B (FastCUT: no)")
        nce_layers: tuple[int, ...] = option((0, 4, 8, 12, 16), help="layers of G whose features are compared")
        nce_T: float = option(0.07, help="temperature of the contrastive loss", above=0)
        num_patches: int = option(256, help="places of each layer that are compared, at most", min=2)
        nce_includes_all_negatives_from_minibatch: bool = option(
            False, help="tell a patch from those of all images in the batch, not of its own alone"
        )
        netF: Literal["mlp_sample", "sample"] = option("mlp_sample", help="sample: compare features of G as they are")
        netF_nc: int = option(256, help="width of netF", min=1)
        flip_equivariance: bool = option(False, help="mirror half of G's inputs, but not what is compared with them")

    opt: Options
    dataset_mode = "unaligned"
    watched = "NCE"
    made_of_B = ("real_B", "idt_B")
    defaults: ClassVar = {"n_epochs": 200, "n_epochs_decay": 200}
    presets: ClassVar = {"CUT_mode": {"FastCUT": FASTCUT}}

    def __init__(self, opt: Options, spec: DataSpec) -> None:
        super().__init__(opt if opt.antialias_up else replace(opt, upsample="deconv"), spec)
        if spec.input_nc != spec.output_nc:
            differ = f"A has {spec.input_nc} channels and B {spec.output_nc}"
            raise ValueError(f"--model cut shows G its own images, but {differ}: set --input_nc and --output_nc")
        self.netG, self.netD = self.generator(spec.input_nc, spec.output_nc), self.discriminator(spec.output_nc)
        if not isinstance(self.netG, ResnetGenerator):
            raise ValueError(f"--netG {opt.netG}: --model cut compares features of a resnet, such as resnet_9blocks")
        width = opt.netF_nc if opt.netF == "mlp_sample" else 0
        self.netF = PatchFeatures(self.netG.channels(opt.nce_layers), width)
        init_weights(self.netF, opt.init_type, opt.init_gain)
        self.optimizers = {
            "D": self.create_optimizer(self.netD, lr=opt.lr_D),
            "G": self.create_optimizer(self.netG, self.netF, lr=opt.lr_G),  # Adam treats each weight by itself
        }

    def optimize_parameters(self, batch: Batch, step: int) -> Losses:
        update_G, penalize = self.variant(step)
        self.prepare(batch, self.draw_fakes, with_graph=update_G)
        losses = self.minimize("D", partial(self.loss_D, penalize=penalize), batch)
        return losses | self.minimize("G", self.loss_G, batch) if update_G else losses

    def draw_fakes(self, batch: Batch) -> None:
        """Leave in ``batch`` G's images of A and of B, and whether all of them are mirrored."""
        real = {"fake_B": batch["A"]} | ({"idt_B": batch["B"]} if self.opt.nce_idt else {})
        if self.opt.flip_equivariance:
            flag = batch.setdefault("is_mirrored", torch.rand((), device=self.device) < 0.5)
            real = {name: torch.where(flag, images.flip(3), images) for name, images in real.items()}
        fake = self.in_one_pass(self.run, self.netG, *((images,) for images in real.values()))
        batch |= dict(zip(real, fake, strict=True))

    def loss_D(self, batch: Batch, penalize: bool = True) -> Terms:
        real_B, fake_B = (batch["B"],), (batch["fake_B"].detach(),)
        losses = self.gan.loss_D(*self.discriminate_pair(self.netD, real_B, fake_B))
        terms: Terms = {name: Weighted(loss, self.gan.share_D) for name, loss in losses.items()}
        return terms | self.penalties(self.netD, real_B, fake_B) if penalize else terms

    def loss_G(self, batch: Batch) -> Terms:
        opt, real_A, real_B = self.opt, batch["A"], batch["B"]
        if not batch["fake_B"].requires_grad:
            self.draw_fakes(batch)
        logits = self.discriminate_fake(self.netD, (batch["fake_B"],), (real_B,))
        terms: Terms = {"G_GAN": opt.lambda_GAN * self.gan.loss_G(*logits)}  # Eq. 1
        pairs = {"NCE": (real_A, batch["fake_B"])}  # Eq. 4
        if opt.nce_idt:
            pairs["NCE_Y"] = real_B, batch["idt_B"]  # Eq. 5: G leaves alone what is in B already
        for name, pair in pairs.items():
            terms[name] = Weighted(opt.lambda_NCE * self.contrast(*pair, batch.get("is_mirrored")), 1 / len(pairs))
        return terms

    def contrast(self, real: Tensor, fake: Tensor, is_mirrored: Tensor | None) -> Tensor:
        """Return the mean over the tapped layers of the loss of telling which patch of ``real`` became which."""
        opt, features = self.opt, self.netG(fitted(self.netG, fake), self.opt.nce_layers)  # of G's own first half
        places, own = random_places(features, opt.num_patches, is_mirrored)
        queries = self.netF(features, own)
        with torch.no_grad():
            keys = self.netF(self.netG(fitted(self.netG, real), opt.nce_layers), places)
        across = opt.nce_includes_all_negatives_from_minibatch
        losses = [patch_nce(query, key, opt.nce_T, across) for query, key in zip(queries, keys, strict=True)]
        return torch.stack(losses).mean()

    def forward(self, batch: Batch) -> Visuals:
        visuals = {"real_A": batch["A"], "fake_B": self.translate(batch["A"]), "real_B": batch["B"]}
        return visuals | {"idt_B": self.translate(batch["B"])} if self.opt.nce_idt else visuals

    def translate(self, images: Tensor) -> Tensor:
        """Return B for A: float (N, C, H, W) in [-1, 1]."""
        return self.run(self.netG, images)
