"""The Wasserstein loss and its gradient penalty, against closed forms."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from models.losses import gradient_penalty, zero_centred_penalty
from models.losses.adversarial import Wasserstein
from models.networks.architecture import DiscriminatorArchitecture
from models.networks.translation import create_discriminator


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def images(num: int = 3, nc: int = 2, size: int = 4) -> torch.Tensor:
    return torch.randn(num, nc, size, size, dtype=torch.float64)


def linear(num_logits: int = 1) -> Any:
    return nn.Sequential(nn.Flatten(), nn.Linear(32, num_logits)).double()


def test_wasserstein_loss_gives_the_known_figures():
    logits = 3 * torch.cos(0.5 * torch.arange(1800, dtype=torch.float64)).reshape(2, 1, 30, 30)
    wgan = Wasserstein()
    assert_close(wgan.real(logits).item(), -0.0040345583, rtol=1e-5, atol=0)
    assert_close(wgan.fake(logits).item(), 0.0040345583, rtol=1e-5, atol=0)
    assert_close(wgan.generator(logits), wgan.real(logits))


def test_a_linear_critic_is_penalized_by_the_length_of_its_weights():
    critic = linear()
    w = critic[1].weight
    penalty = gradient_penalty(critic, images(), images())
    assert_close(penalty, (w.norm() - 1).square())
    penalty.backward()
    assert_close(w.grad, 2 * (w.norm() - 1) * w / w.norm())


def test_a_critic_of_patches_is_judged_by_the_mean_of_its_logits():
    critic = linear(num_logits=9)
    expected = (critic[1].weight.mean(0).norm() - 1).square()
    assert_close(gradient_penalty(critic, images(), images()), expected)
    assert_close(gradient_penalty(lambda x: critic(x).reshape(-1, 1, 3, 3), images(), images()), expected)


def test_a_critic_may_return_one_number_an_image():
    critic = linear()
    assert_close(
        gradient_penalty(lambda x: critic(x)[:, 0], images(), images()), (critic[1].weight.norm() - 1).square()
    )


def test_each_image_is_penalized_by_itself():
    lengths = torch.tensor([0.5, 1.0, 4.0], dtype=torch.float64)
    real = images()
    real *= (lengths / real.flatten(1).norm(dim=1)).reshape(-1, 1, 1, 1)
    penalty = gradient_penalty(lambda x: x.square().sum((1, 2, 3)) / 2, real, real)  # the gradient is x
    assert_close(penalty, (lengths - 1).square().mean())


def test_the_critic_is_asked_between_real_and_fake_each_pair_at_its_own_place():
    real, fake = images(num=500), images(num=500)
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.sum((1, 2, 3))

    gradient_penalty(critic, real, fake)
    places = (seen[0] - fake) / (real - fake)  # (N, C, H, W), one number an image
    place = places[:, 0, 0, 0]
    assert_close(places, place.reshape(-1, 1, 1, 1).expand_as(places))
    assert 0 <= place.min() < 0.05
    assert 0.95 < place.max() <= 1
    assert abs(place.mean() - 0.5) < 4 / math.sqrt(12 * 500)


def test_a_condition_comes_in_by_a_closure_and_is_not_penalized():
    critic, condition = linear(), images(nc=1)
    w = critic[1].weight.reshape(2, 16)
    penalty = gradient_penalty(lambda x: critic(torch.cat([condition, x], 1)), images(nc=1), images(nc=1))
    assert_close(penalty, (w[1].norm() - 1).square())


def test_a_flat_critic_has_penalty_one_and_finite_gradients():
    critic = linear()
    nn.init.zeros_(critic[1].weight)
    penalty = gradient_penalty(critic, images(), images())
    penalty.backward()
    assert penalty == 1
    assert critic[1].weight.grad.isfinite().all()


def test_no_gradient_flows_into_the_images():
    real, fake = images().requires_grad_(), images().requires_grad_()
    critic = nn.Sequential(nn.Flatten(), nn.Linear(32, 8), nn.Softplus(), nn.Linear(8, 1)).double()
    gradient_penalty(critic, real, fake * 2).backward()
    assert real.grad is None
    assert fake.grad is None


@pytest.mark.parametrize("name", ["basic", "pixel"])
@pytest.mark.parametrize("norm", ["instance", "none"])
def test_discriminators_of_translation_models_can_be_penalized(name, norm):
    netD = create_discriminator(DiscriminatorArchitecture(name, 6, ndf=4, norm=norm), gain=0.2)
    real_A = torch.randn(2, 3, 32, 32)
    images = torch.randn(2, 2, 3, 32, 32)
    penalty = gradient_penalty(lambda x: netD(torch.cat([real_A, x], 1)), *images)
    penalty.backward()
    assert penalty > 0
    grads = [p.grad for key, p in netD.named_parameters() if key.endswith("weight")]
    assert all(grad is not None and grad.isfinite().all() and grad.any() for grad in grads)


def test_real_and_fake_of_different_shapes_are_a_mistake():
    with pytest.raises(AssertionError):
        gradient_penalty(linear(), images(3), images(1))


def test_r1_of_a_linear_d_is_the_square_of_its_weights():
    critic = linear()
    w = critic[1].weight
    penalty = zero_centred_penalty(critic, images())
    assert_close(penalty, w.square().sum())
    penalty.backward()
    assert_close(w.grad, 2 * w)


def test_r1_of_patches_is_that_of_the_mean_of_their_logits():
    critic = linear(num_logits=9)
    assert_close(zero_centred_penalty(critic, images()), critic[1].weight.mean(0).square().sum())


def test_r1_is_the_mean_over_images_of_a_square_and_lets_no_gradient_into_them():
    real = images().requires_grad_()
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    penalty = zero_centred_penalty(lambda x: scale * x.square().sum((1, 2, 3)) / 2, real)  # the gradient is x
    assert_close(penalty, real.square().sum((1, 2, 3)).mean())
    penalty.backward()
    assert real.grad is None
    assert_close(scale.grad, 2 * penalty.detach())
