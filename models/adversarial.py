"""The base of models whose generator plays against a discriminator."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from models.augment.diffaugment import Kind, augment
from models.base_model import BaseModel, Terms
from models.losses import GanMode, create_objective, gradient_penalty, zero_centred_penalty
from models.networks.fast import eager, plain
from models.networks.norm import add_spectral_norm, has_batch_norm
from options import option
from util.console import warn
from util.types import DataSpec, Weighted

D = TypeVar("D", bound=nn.Module)


class Variant(NamedTuple):
    """What a step does besides updating D."""

    update_G: bool
    penalize: bool  # whether D's loss has its penalties


class AdversarialModel(BaseModel):
    """A model with a G and a D, or several: the objective, and the augmentation and regularization of D."""

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseModel.Options):
        gan_mode: GanMode = option("vanilla", help="adversarial objective")
        lambda_gp: float = option(
            10.0, help="wgangp: weight of the gradient penalty", min=0, only_with=("gan_mode wgangp",)
        )
        r1_gamma: float = option(0.0, help="weight of R1, the penalty on D's gradient at real images; 0: off", min=0)
        r2_gamma: float = option(0.0, help="weight of R2, the same at generated images; 0: off", min=0)
        gamma_end: float = option(
            1.0,
            help="what both gammas are multiplied by at the end, on half a cosine wave from 1 (R3GAN: 0.1)",
            min=0,
            only_with=("r1_gamma", "r2_gamma"),
        )
        penalty_freq: int = option(
            1,
            help="compute penalties only every Nth step, with N times their weight (lazy regularization)",
            min=1,
            only_with=("r1_gamma", "r2_gamma", "gan_mode wgangp"),
        )
        n_critic: int = option(1, help="D updates per G update, each on its own batch", min=1)
        lr_G: float = option(0.0, help="initial learning rate of G; 0: --lr", min=0)
        lr_D: float = option(0.0, help="initial learning rate of D; 0: --lr", min=0)
        label_smoothing: float = option(
            0.0, help="vanilla, lsgan: D's target for real images is 1 minus this, such as .1", min=0, max=0.5
        )
        spectral_norm: bool = option(False, help="spectral normalization of D's layers")
        diffaugment: tuple[Kind, ...] = option(
            (), help="differentiable augmentation of all that D sees: color,translation,cutout"
        )
        instance_noise: float = option(0.0, help="standard deviation of Gaussian noise added to all that D sees", min=0)

    opt: Options
    gamma_factor: Tensor  # on the device, so that recorded steps see it change; follows from the epoch, so unsaved
    norm_flag: ClassVar[str] = "--norm"  # the option that sets D's normalization

    def __init__(self, opt: Options, spec: DataSpec) -> None:
        super().__init__(opt, spec)
        self.gan = create_objective(opt.gan_mode, opt.label_smoothing)
        self.is_penalized = self.gan.needs_gp or opt.r1_gamma > 0 or opt.r2_gamma > 0
        self.register_buffer("gamma_factor", torch.tensor(1.0), persistent=False)
        if self.gan.wants_zero_centred and not (opt.r1_gamma and opt.r2_gamma):
            warn(
                f"--gan_mode {opt.gan_mode} may not converge without both penalties (arXiv:2501.05441, Sec. 2): try "
                f"--r1_gamma 1 --r2_gamma 1 {self.norm_flag} none"
            )

    def variant(self, step: int) -> Variant:
        """Return what ``step`` does: G's update in every ``n_critic``-th, penalties in every ``penalty_freq``-th.

        Lazy regularization is that of Karras et al. 2019, arXiv:1912.04958, Appendix B, in a step shared with the loss.
        """
        penalize = self.is_penalized and step % self.opt.penalty_freq == 0
        return Variant(step % self.opt.n_critic == 0, penalize)

    def schedule(self, done: float) -> None:
        """Set what both gammas are multiplied by, which falls as in Huang et al. 2024, arXiv:2501.05441."""
        self.gamma_factor.fill_(1 - (1 - self.opt.gamma_end) * (1 - math.cos(math.pi * done)) / 2)

    @property
    def is_bounded(self) -> bool:
        return self.gan.is_bounded

    @property
    def n_critic(self) -> int:
        return self.opt.n_critic

    def regularized(self, netD: D) -> D:
        """Return a new discriminator, with spectral normalization if the options ask for it.

        Raises:
            ValueError: a gradient penalty is asked for and D has batch norm.
        """
        if self.is_penalized and has_batch_norm(netD):
            raise ValueError(
                "a gradient penalty takes each image by itself, and batch norm in D mixes them "
                f"(arXiv:1704.00028, Sec. 4): use {self.norm_flag} instance or none"
            )
        if self.opt.spectral_norm:
            add_spectral_norm(netD)
        return netD

    def discriminate(self, netD: nn.Module, images: Tensor, *condition: Tensor) -> Tensor:
        """Return the logits of ``images`` (N, C, H, W), augmented as the options ask."""
        return netD(self.augmented(images), *condition)

    def augmented(self, images: Tensor) -> Tensor:
        """Return ``images`` as D sees them: with ``--diffaugment`` and ``--instance_noise``.

        The noise is that of Sønderby et al. 2016 (arXiv:1610.04490, Sec. 3.4), at a constant level.
        """
        images = augment(images, self.opt.diffaugment)
        if self.opt.instance_noise:
            images = images + self.opt.instance_noise * torch.randn_like(images)
        return images

    def discriminate_pair(
        self, netD: nn.Module, real: tuple[Tensor, ...], fake: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor]:
        """Return the logits of real and of generated images, each with its condition if there is one, for D's loss."""
        real_logits, fake_logits = self.in_one_pass(self.discriminate, netD, real, fake)
        return real_logits, fake_logits

    def discriminate_fake(
        self, netD: nn.Module, fake: tuple[Tensor, ...], real: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor | None]:
        """Return the logits of generated images, and of real ones where the objective compares, for G's loss.

        Args:
            netD: the discriminator.
            fake: images, and their condition where there is one.
            real: likewise, as many or a fraction of that; then each is compared with several generated ones.
        """
        fake_logits = self.discriminate(netD, *fake)
        if not self.gan.compares:
            return fake_logits, None
        real_logits = self.discriminate(netD, *real)
        return fake_logits, torch.cat([real_logits] * (len(fake_logits) // len(real_logits)))

    def in_one_pass(self, use: Callable[..., Tensor], net: nn.Module, *groups: tuple[Tensor, ...]) -> list[Tensor]:
        """Return ``use(net, *group)`` for each group, in one larger pass where that gives the same numbers.

        Batch norm would mix the groups, and images of different sizes do not fit into one pass.

        Args:
            use: such as ``discriminate``.
            net: its first argument.
            groups: images, and their condition where there is one.
        """
        differ = len({images.shape[1:] for images, *_ in groups}) > 1
        if differ or has_batch_norm(net):
            return [use(net, *group) for group in groups]
        everything = [torch.cat(parts) for parts in zip(*groups, strict=True)]
        return list(use(net, *everything).split([len(images) for images, *_ in groups]))

    def penalties(self, netD: nn.Module, real: tuple[Tensor, ...], fake: tuple[Tensor, ...], suffix: str = "") -> Terms:
        """Return the penalties on D's gradient that the options ask for, each with its weight.

        R1 and R2 hold at the images as D sees them.

        Args:
            netD: the discriminator.
            real: images, and their condition where there is one.
            fake: generated images, and theirs.
            suffix: what the names gp, r1, r2 of the terms end in.
        """
        opt, terms = self.opt, Terms()
        if self.gan.needs_gp:
            value = gradient_penalty(critic(plain(netD), *real[1:]), real[0], fake[0])
            terms[f"gp{suffix}"] = Weighted(value, opt.lambda_gp * opt.penalty_freq)
        for name, gamma, (images, *condition) in (("r1", opt.r1_gamma, real), ("r2", opt.r2_gamma, fake)):
            if gamma:
                value = zero_centred_penalty(critic(eager(netD), *condition), self.augmented(images))
                terms[f"{name}{suffix}"] = Weighted(value, self.gamma_factor * (gamma / 2 * opt.penalty_freq))
        return terms


def critic(netD: nn.Module, *condition: Tensor) -> Callable[[Tensor], Tensor]:
    """Return ``netD`` as a function of images alone."""
    return lambda images: netD(images, *condition)
