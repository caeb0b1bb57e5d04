"""GAN (Goodfellow et al. 2014, "Generative Adversarial Networks", arXiv:1406.2661)."""

from dataclasses import dataclass

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
        update_G = self.variant(step)
        self.draw_fakes(batch, differentiable=update_G)
        losses = self.update_D(batch)
        return losses | self.minimize("G", self.loss_G, batch) if update_G else losses

    def update_D(self, batch: Batch) -> Losses:
        return self.minimize("D", self.loss_D, batch)

    def loss_D(self, batch: Batch) -> Terms:
        real, fake = batch["image"], batch["fake"].detach()
        of_real, of_fake = self.together(
            self.judge, self.netD, (real, *self.told(batch)), (fake, *self.told(batch, "fake_label"))
        )
        terms: Terms = {
            "D_real": Weighted(self.gan.real(of_real), self.weight_D),
            "D_fake": Weighted(self.gan.fake(of_fake), self.weight_D),
        }
        return terms | self.penalty("gp", self.netD, real, fake, *self.told(batch))

    def loss_G(self, batch: Batch) -> Terms:
        labels = self.told(batch, "fake_label")
        return {"G": self.gan.generator(self.judge(self.netD, self.fakes(batch, *labels), *labels))}
