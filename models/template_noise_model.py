"""A template to copy for a GAN of your own that draws images from noise: the relativistic average GAN.

Save a copy as ``models/NAME_model.py``, rename the class, and ``--model NAME`` finds it. Networks, labels, penalties
and the training step come from ``GANModel``, in gan_model.py: override what your paper does otherwise.
"""

from dataclasses import dataclass

from torch.nn.functional import softplus

from models.base_model import Terms
from models.gan_model import GANModel
from options import option
from util.types import Batch, Weighted


class TemplateNoiseModel(GANModel):
    """RaGAN (Jolicoeur-Martineau 2018, arXiv:1807.00734): D compares each image with the average of the other kind.

    D(x) = sigmoid(C(x) - mean C of the other kind), and both losses are the cross-entropy of the GAN.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(GANModel.Options):  # this model's flags
        lr: float = 1e-4  # another default for an option that every model has
        lambda_D: float = option(0.5, help="weight of D's loss, which is logged without it", min=0)

    opt: Options

    def loss_D(self, batch: Batch, penalize: bool = True) -> Terms:
        real = (batch["image"], *self.labels(batch))
        fake = (batch["fake"].detach(), *self.labels(batch, "fake_label"))
        real_logits, fake_logits = self.discriminate_pair(self.netD, real, fake)  # C(x_r), C(x_f): before the sigmoid
        D_real = softplus(-(real_logits - fake_logits.mean())).mean()  # -log D(x_r), and softplus(-x) = -log sigmoid(x)
        D_fake = softplus(fake_logits - real_logits.mean()).mean()  # -log(1 - D(x_f))
        terms: Terms = {"D_real": Weighted(D_real, self.opt.lambda_D), "D_fake": Weighted(D_fake, self.opt.lambda_D)}
        return terms | self.penalties(self.netD, real, fake) if penalize else terms  # --r1_gamma, --r2_gamma

    def loss_G(self, batch: Batch) -> Terms:
        real = (batch["image"], *self.labels(batch))
        fake = (self.attached(batch, "fake", self.generate), *self.labels(batch, "fake_label"))
        real_logits, fake_logits = self.discriminate_pair(self.netD, real, fake)
        G_real = softplus(real_logits - fake_logits.mean()).mean()
        G_fake = softplus(-(fake_logits - real_logits.mean())).mean()
        return {"G": G_real + G_fake}  # what is returned is what is logged
