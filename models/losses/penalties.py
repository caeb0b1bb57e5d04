"""Penalties on the gradient of D with respect to images."""

from collections.abc import Callable

import torch
from torch import Tensor

Critic = Callable[[Tensor], Tensor]


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
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
    grad = gradient(critic, torch.lerp(fake, real, epsilon))
    return (grad.flatten(1).norm(dim=1) - 1).square().mean()


def zero_centred_penalty(critic: Critic, images: Tensor) -> Tensor:
    """Return the mean of ||grad_x D(x)||^2 over ``images``: R1 on real ones, R2 on generated ones.

    Mescheder et al. 2018, arXiv:1801.04406, Eq. 9 and 10, without their weight gamma / 2. The critic is as for
    ``gradient_penalty``; no gradient flows back into the images.
    """
    return gradient(critic, images).square().flatten(1).sum(1).mean()


def gradient(critic: Critic, images: Tensor) -> Tensor:
    """Return the gradient of each image's mean logit with respect to the image, with its graph to D's weights."""
    x = images.detach().requires_grad_()
    values = critic(x).reshape(len(x), -1).mean(1)
    (grad,) = torch.autograd.grad(values.sum(), x, create_graph=True)
    return grad
