"""GAN (Goodfellow et al. 2014, "Generative Adversarial Networks", arXiv:1406.2661)."""

from dataclasses import dataclass
from functools import partial

from torch import Tensor

from models.base_model import Terms
from models.networks.noise import NoiseNet
from models.noise import GeneratorModel
from util.types import Batch, Losses, Weighted


class GANModel(GeneratorModel):
    """G draws images from noise, and D tells them from real ones (Eq. 1, with the generator's loss of Sec. 3).

    Algorithm 1: D is updated ``n_critic`` times (its k), each time on a batch of its own, then G; here G takes its step
    on the noise of D's last one. With ``--conditional`` both are told the class, as in cgan.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(GeneratorModel.Options):
        netG: NoiseNet = "mlp"
        netD: NoiseNet = "mlp"

    opt: Options
    weight_D = 1.0  # of D's terms, which are logged whole

    def optimize_parameters(self, batch: Batch, step: int) -> Losses:
        update_G, penalize = self.variant(step)
        self.draw_fakes(batch, differentiable=update_G)
        losses = self.update_D(batch, penalize)
        if self.ada is not None:
            losses["ada_p"] = self.ada.p.clone()
        return losses | self.minimize("G", self.loss_G, batch) if update_G else losses

    def update_D(self, batch: Batch, penalize: bool) -> Losses:
        return self.minimize("D", partial(self.loss_D, penalize=penalize), batch)

    def loss_D(self, batch: Batch, penalize: bool = True) -> Terms:
        real = (batch["image"], *self.told(batch))
        fake = (batch["fake"].detach(), *self.told(batch, "fake_label"))
        of_real, of_fake = self.together(self.judge, self.netD, real, fake)
        if self.ada is not None:  # compared logits have no zero of their own
            self.ada.steer(of_real - of_fake if self.gan.compares else of_real)
        terms: Terms = {name: Weighted(loss, self.weight_D) for name, loss in self.gan.loss_D(of_real, of_fake).items()}
        if penalize:
            terms |= self.penalties(self.netD, real, fake)
        return terms | self.more_D(batch, of_real)

    def more_D(self, batch: Batch, real_logits: Tensor) -> Terms:
        """Return the terms of D's loss that a subclass adds."""
        return {}

    def loss_G(self, batch: Batch) -> Terms:
        labels = self.told(batch, "fake_label")
        fake, real = self.fakes(batch, *labels), batch["image"]
        return {"G": self.loss_fool(self.netD, (fake, *labels), (real, *self.told(batch)))}
