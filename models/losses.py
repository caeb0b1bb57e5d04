"""Adversarial objectives, as functions of logits of any shape, the penalty that one of them needs, a VAE's terms."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

GanMode = Literal["vanilla", "lsgan", "hinge", "wgan", "wgangp"]
Term = Callable[[Tensor], Tensor]  # logits -> scalar


class Adversarial(NamedTuple):
    """The parts of a GAN objective; all are minimized."""

    real: Term  # D's loss on real images
    fake: Term  # D's loss on generated images
    generator: Term  # G's loss on what D says of its images


ADVERSARIAL = {
    # Goodfellow et al. 2014, arXiv:1406.2661: cross-entropy of sigmoid(logits), with the non-saturating generator.
    "vanilla": Adversarial(
        real=lambda logits: softplus(-logits).mean(),
        fake=lambda logits: softplus(logits).mean(),
        generator=lambda logits: softplus(-logits).mean(),
    ),
    # Mao et al. 2016, arXiv:1611.04076, Eq. 9 without its factors 1/2.
    "lsgan": Adversarial(
        real=lambda logits: (logits - 1).square().mean(),
        fake=lambda logits: logits.square().mean(),
        generator=lambda logits: (logits - 1).square().mean(),
    ),
    # Arjovsky et al. 2017, arXiv:1701.07875, Eq. 2 negated; D must be kept Lipschitz beside it, as by gradient_penalty.
    "wgan": Adversarial(
        real=lambda logits: -logits.mean(),
        fake=lambda logits: logits.mean(),
        generator=lambda logits: -logits.mean(),
    ),
    # Lim and Ye 2017, arXiv:1705.02894.
    "hinge": Adversarial(
        real=lambda logits: relu(1 - logits).mean(),
        fake=lambda logits: relu(1 + logits).mean(),
        generator=lambda logits: -logits.mean(),
    ),
}


def adversarial(mode: GanMode, smoothing: float = 0.0) -> Adversarial:
    """Return the objective that ``--gan_mode mode`` names; wgangp is wgan, whose penalty is a term of its own.

    Args:
        mode: a key of ADVERSARIAL, or wgangp.
        smoothing: how far below 1 D's target for real images lies (Salimans et al. 2016, arXiv:1606.03498, Sec. 3.4);
            targets of fakes, and G's own, stay.

    Raises:
        ValueError: this objective has no target to smooth.
    """
    gan = ADVERSARIAL["wgan" if mode == "wgangp" else mode]
    if not smoothing:
        return gan
    if mode == "vanilla":  # cross-entropy with target 1 - s: (1 - s) softplus(-x) + s softplus(x) = softplus(-x) + s x
        return gan._replace(real=lambda logits: (softplus(-logits) + smoothing * logits).mean())
    if mode == "lsgan":
        return gan._replace(real=lambda logits: (logits - (1 - smoothing)).square().mean())
    raise ValueError(f"--label_smoothing {smoothing}: --gan_mode {mode} has no target to smooth (vanilla, lsgan have)")


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Return the mean of (||grad_x D(x)||_2 - 1)^2, x uniform on the lines between paired real and fake images.

    Gulrajani et al. 2017, arXiv:1704.00028, Eq. 3, without its weight lambda. D(x) is the mean of an image's logits,
    so that a critic of patches obeys the same bound as the "wgan" loss, which averages them.

    Args:
        critic: images -> logits (N, ...), judging each image of a batch by itself (no batch norm). A condition goes in
            by a closure: ``lambda x: netD(x, labels)``, ``lambda x: netD(torch.cat([real_A, x], 1))``.
        real: images (N, C, H, W).
        fake: as many images of the same shape; no gradient flows back into them.
    """
    assert real.shape == fake.shape, (real.shape, fake.shape)
    epsilon = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
    x = torch.lerp(fake.detach(), real.detach(), epsilon).requires_grad_()
    values = critic(x).reshape(len(x), -1).mean(1)
    (grad,) = torch.autograd.grad(values.sum(), x, create_graph=True)
    return (grad.flatten(1).norm(dim=1) - 1).square().mean()


def kl_divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """Return KL(N(mean, exp(logvar)) || N(0, 1)), summed over the dimensions and averaged over the batch.

    Kingma and Welling 2013, arXiv:1312.6114, Appendix B.

    Args:
        mean: (N, nz).
        logvar: logarithm of the variance, (N, nz).
    """
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum(1).mean()


def squared_error(images: Tensor, targets: Tensor) -> Tensor:
    """Return half the squared distance of ``images`` (N, C, H, W) to ``targets``, averaged over the batch.

    It is minus the log likelihood of a normal distribution of variance 1, without its constant (arXiv:1312.6114, C.2).
    """
    return 0.5 * (images - targets).square().flatten(1).sum(1).mean()
