"""CVAE-GAN (Bao et al. 2017, "Fine-Grained Image Generation through Asymmetric Training", arXiv:1703.10155)."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.base_model import COLUMNS, Terms
from models.losses import kl_divergence, squared_error
from models.networks.cvae import SIZES, Encoder, create_classifier, create_decoder
from models.networks.dcgan import NormD
from models.noise import NoiseModel, check_classes
from options import option
from util.types import Autoencoded, Batch, DataSpec, Losses, Visuals, Weighted


class CVAEGANModel(NoiseModel):
    """A conditional VAE whose images must look real to D and belong to their class according to C.

    Each step updates the classifier C, then D on real images and decoded noise of random classes, then encoder E and
    decoder G together. G's adversarial losses use the logits of D and C, where the paper matches their features.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(NoiseModel.Options):
        norm_D: NormD = option("batch", help="normalization in D; at 28 px it has none")
        lambda_rec: float = option(0.25, help="weight of the reconstruction loss (squared error)", min=0)
        lambda_kl: float = option(1.0, help="weight of the KL divergence between q(z|x) and N(0, 1)", min=0)
        lambda_adv: float = option(10.0, help="weight of G's adversarial loss", min=0)
        lambda_cls: float = option(20.0, help="weight of C's cross-entropy on generated images", min=0)

    opt: Options
    norm_flag = "--norm_D"
    averaged = ("netE", "netG")  # together, since G decodes what E encodes

    def __init__(self, opt: Options, spec: DataSpec) -> None:
        check_classes("--model cvae_gan", spec)
        super().__init__(opt, spec)
        (height, width), nc, num = spec.image_size, spec.output_nc, spec.num_classes
        if height != width or height not in SIZES:
            made = ", ".join(map(str, SIZES))
            raise ValueError(f"--model cvae_gan makes images of {made} pixels, not {height}: change --image_size")
        self.netE = Encoder(nc, height, opt.ngf, opt.nz, opt.norm_eps)
        self.netG = create_decoder(opt.nz, nc, height, opt.ngf, opt.norm_eps, num)
        self.netD = self.regularized(create_classifier(nc, height, opt.ndf, opt.norm_eps, 1, opt.norm_D))
        self.netC = create_classifier(nc, height, opt.ndf, opt.norm_eps, num)
        self.optimizers = {
            "C": self.create_optimizer(self.netC),
            "D": self.create_optimizer(self.netD, lr=opt.lr_D),
            "G": self.create_optimizer(self.netE, self.netG, lr=opt.lr_G),
        }

    def optimize_parameters(self, batch: Batch, step: int) -> Losses:
        update_G, penalize = self.variant(step)
        self.prepare(batch, self.draw_fakes, with_graph=update_G)
        losses = self.minimize("C", self.loss_C, batch)
        losses |= self.minimize("D", partial(self.loss_D, penalize=penalize), batch)
        return losses | self.minimize("G", self.loss_G, batch) if update_G else losses

    def draw_fakes(self, batch: Batch) -> None:
        batch["fake_label"] = torch.randint_like(batch["label"], self.spec.num_classes)
        batch["z"] = self.noise(len(batch["label"]))
        batch["fake"] = self.generate(batch)

    def generate(self, batch: Batch) -> Tensor:
        return self.netG(batch["z"], batch["fake_label"])

    def loss_C(self, batch: Batch) -> Terms:
        return {"C": cross_entropy(self.netC(batch["image"]), batch["label"])}

    def loss_D(self, batch: Batch, penalize: bool = True) -> Terms:
        real, fake = batch["image"], batch["fake"].detach()
        terms: Terms = dict(self.gan.loss_D(*self.discriminate_pair(self.netD, (real,), (fake,))))
        return terms | self.penalties(self.netD, (real,), (fake,)) if penalize else terms

    def loss_G(self, batch: Batch) -> Terms:
        real, labels = batch["image"], batch["label"]
        mean, logvar = self.netE(real)
        z = mean + (0.5 * logvar).exp() * torch.randn_like(mean)  # arXiv:1312.6114, Eq. 10
        rec = self.netG(z, labels)

        # Both reconstructions and samples must look real and be of their class.
        fake, fake_labels = self.attached(batch, "fake", self.generate), batch["fake_label"]
        images, classes = torch.cat([rec, fake]), torch.cat([labels, fake_labels])
        adversarial = self.gan.loss_G(*self.discriminate_fake(self.netD, (images,), (real,)))
        return {
            "rec": Weighted(squared_error(rec, real), self.opt.lambda_rec),
            "kl": Weighted(kl_divergence(mean, logvar), self.opt.lambda_kl),
            "G_adv": Weighted(adversarial, self.opt.lambda_adv),
            "G_cls": Weighted(cross_entropy(self.netC(images), classes), self.opt.lambda_cls),
        }

    has_encoder = True

    def autoencode(self, images: Tensor, labels: Tensor) -> Autoencoded:
        """Encode images (N, C, H, W) in [-1, 1] and decode the mean of their z for ``labels``, int64 (N,)."""
        mean, logvar = self.netE(images)
        return Autoencoded(mean, self.netG(mean, labels), kl_divergence(mean, logvar))

    def forward(self, batch: Batch) -> Visuals:
        """Return samples, a row per class, and the first real images with their reconstructions."""
        visuals = super().forward(batch)
        if "label" in batch:
            real, labels = batch["image"][:COLUMNS], batch["label"][:COLUMNS]
            visuals |= {"real": real, "rec": self.autoencode(real, labels).images}
        return visuals
