"""The interface of an adversarial objective."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor


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
    """An objective that scores each image by itself."""

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
