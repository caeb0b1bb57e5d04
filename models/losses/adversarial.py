"""Adversarial objectives, an object for each ``--gan_mode``: functions of logits of any shape; all are minimized."""

from typing import Literal

from torch import Tensor
from torch.nn.functional import relu, softplus

from models.losses.objective import Objective, Separate

GanMode = Literal["vanilla", "lsgan", "hinge", "wgan", "wgangp", "rpgan"]


class Vanilla(Separate):
    """Cross-entropy of sigmoid(logits), with the non-saturating generator (Goodfellow et al. 2014, arXiv:1406.2661)."""

    has_target = True

    def real(self, logits: Tensor) -> Tensor:
        if not self.smoothing:
            return softplus(-logits).mean()
        # With target 1 - s: (1 - s) softplus(-x) + s softplus(x) = softplus(-x) + s x.
        return (softplus(-logits) + self.smoothing * logits).mean()

    def fake(self, logits: Tensor) -> Tensor:
        return softplus(logits).mean()

    def generator(self, logits: Tensor) -> Tensor:
        return softplus(-logits).mean()


class LeastSquares(Separate):
    """Mao et al. 2016, arXiv:1611.04076, Eq. 9 without its factors 1/2."""

    has_target = True

    def real(self, logits: Tensor) -> Tensor:
        return (logits - (1 - self.smoothing)).square().mean()

    def fake(self, logits: Tensor) -> Tensor:
        return logits.square().mean()

    def generator(self, logits: Tensor) -> Tensor:
        return (logits - 1).square().mean()


class Hinge(Separate):
    """Lim and Ye 2017, arXiv:1705.02894."""

    def real(self, logits: Tensor) -> Tensor:
        return relu(1 - logits).mean()

    def fake(self, logits: Tensor) -> Tensor:
        return relu(1 + logits).mean()

    def generator(self, logits: Tensor) -> Tensor:
        return -logits.mean()


class Wasserstein(Separate):
    """Arjovsky et al. 2017, arXiv:1701.07875, Eq. 2 negated; D must be kept Lipschitz by other means."""

    is_bounded = False
    share_D = 1.0  # a penalty's weight is meant for the whole difference

    def real(self, logits: Tensor) -> Tensor:
        return -logits.mean()

    def fake(self, logits: Tensor) -> Tensor:
        return logits.mean()

    def generator(self, logits: Tensor) -> Tensor:
        return -logits.mean()


class WassersteinGP(Wasserstein):
    """Wasserstein, with the gradient penalty as a term of its own (Gulrajani et al. 2017, arXiv:1704.00028)."""

    needs_gp = True


class RelativisticPairing(Objective):
    """Each fake against one real image: softplus of the difference of their logits.

    Jolicoeur-Martineau 2019, arXiv:1807.00734; Huang et al. 2024, arXiv:2501.05441, Eq. 2: converges with R1 and R2.
    """

    compares = True
    wants_zero_centred = True
    share_D = 1.0  # one term for a pair, as for G

    def loss_D(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        return {"D_pair": self.loss_reject(fake_logits, real_logits)}

    def loss_reject(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        assert fake_logits.shape == real_logits.shape, (fake_logits.shape, real_logits.shape)
        return softplus(fake_logits - real_logits).mean()

    def loss_G(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        assert real_logits is not None and fake_logits.shape == real_logits.shape
        return softplus(real_logits - fake_logits).mean()


OBJECTIVES: dict[GanMode, type[Objective]] = {
    "vanilla": Vanilla,
    "lsgan": LeastSquares,
    "hinge": Hinge,
    "wgan": Wasserstein,
    "wgangp": WassersteinGP,
    "rpgan": RelativisticPairing,
}
