"""Adversarial objectives, an object for each ``--gan_mode``: functions of logits of any shape; all are minimized."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn.functional import relu, softplus

GanMode = Literal["vanilla", "lsgan", "hinge", "wgan", "wgangp", "rpgan"]


class Objective(ABC):
    """What D and G minimize, and all that a model needs to know of it."""

    compares: ClassVar[bool] = False  # whether loss_G and loss_reject need the logits of real images
    has_target: ClassVar[bool] = False  # whether D's loss on real images has a target that can be smoothed
    is_bounded: ClassVar[bool] = True  # whether D's loss is never negative, and near 0 when D has won
    needs_gp: ClassVar[bool] = False  # whether it cannot do without the gradient penalty
    wants_zero_centred: ClassVar[bool] = False  # whether it may not converge without R1 and R2
    share_D: ClassVar[float] = 0.5  # weight at which D sees one image's worth of loss, as G does; models may use it

    def __init__(self, smoothing: float = 0.0) -> None:
        """Args: smoothing: how far below 1 D's target for real images lies (arXiv:1606.03498, Sec. 3.4)."""
        self.smoothing = smoothing

    @abstractmethod
    def loss_D(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """Return D's loss as terms to be added up, by the names under which they are logged."""

    @abstractmethod
    def loss_reject(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """Return D's loss on images that it is to reject, such as real ones with a wrong label."""

    @abstractmethod
    def loss_G(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """Return G's loss; the logits of real images are needed where the objective compares."""


class Separate(Objective):
    """An objective that judges each image by itself."""

    @abstractmethod
    def real(self, logits: Tensor) -> Tensor:
        """Return D's loss on real images."""

    @abstractmethod
    def fake(self, logits: Tensor) -> Tensor:
        """Return D's loss on generated images."""

    @abstractmethod
    def generator(self, logits: Tensor) -> Tensor:
        """Return G's loss on its images."""

    def loss_D(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        return {"D_real": self.real(real_logits), "D_fake": self.fake(fake_logits)}

    def loss_reject(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        return self.fake(fake_logits)

    def loss_G(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        return self.generator(fake_logits)


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

    Jolicoeur-Martineau 2019, arXiv:1807.00734; Huang et al. 2024, arXiv:2501.05441, Eq. 2, where R1 and R2 (Eq. 3 and
    4) make it converge.
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


def create_objective(mode: GanMode, smoothing: float = 0.0) -> Objective:
    """Return the objective that ``--gan_mode mode`` names.

    Args:
        mode: a key of OBJECTIVES.
        smoothing: how far below 1 D's target for real images lies; targets of fakes, and G's own, stay.

    Raises:
        ValueError: this objective has no target to smooth.
    """
    kind = OBJECTIVES[mode]
    if smoothing and not kind.has_target:
        can = ", ".join(name for name, other in OBJECTIVES.items() if other.has_target)
        raise ValueError(f"--label_smoothing {smoothing}: --gan_mode {mode} has no target to smooth ({can} have)")
    return kind(smoothing)
