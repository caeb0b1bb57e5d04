"""Adversarial objectives, as functions of discriminator logits of any shape."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import relu, softplus

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
    # Lim and Ye 2017, arXiv:1705.02894.
    "hinge": Adversarial(
        real=lambda logits: relu(1 - logits).mean(),
        fake=lambda logits: relu(1 + logits).mean(),
        generator=lambda logits: -logits.mean(),
    ),
}
