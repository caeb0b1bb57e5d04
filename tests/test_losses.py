"""Adversarial objectives against closed forms, torch's own losses and the numbers of the reference."""

import itertools
import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss
from torch.testing import assert_close

from models.losses import GanMode, create_objective, kl_divergence, squared_error
from models.losses.adversarial import OBJECTIVES
from models.losses.objective import Separate

SEPARATE = [mode for mode, kind in OBJECTIVES.items() if issubclass(kind, Separate)]

LOGITS = 3 * torch.cos(0.5 * torch.arange(2 * 30 * 30, dtype=torch.float32)).reshape(2, 1, 30, 30)


def separate(mode: GanMode) -> Separate:
    gan = create_objective(mode)
    assert isinstance(gan, Separate)
    return gan


def losses(mode, real, fake):
    """Return all that D and G minimize, by name."""
    gan = create_objective(mode)
    return gan.loss_D(real, fake) | {"G": gan.loss_G(fake, real), "reject": gan.loss_reject(fake, real)}


# What GANLoss of pytorch-CycleGAN-and-pix2pix returns for LOGITS, as real and as fake.
REFERENCE = {
    "vanilla": (1.1459534168243408, 1.1499879360198975),
    "lsgan": (5.494722366333008, 4.502791404724121),
}


@pytest.mark.parametrize("mode", REFERENCE)
def test_losses_are_those_of_the_reference(mode):
    gan = separate(mode)
    real, fake = REFERENCE[mode]
    assert_close(gan.real(LOGITS).item(), real, rtol=1e-5, atol=0)
    assert_close(gan.fake(LOGITS).item(), fake, rtol=1e-5, atol=0)
    assert_close(gan.generator(LOGITS).item(), real, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("mode", "loss"), [("vanilla", binary_cross_entropy_with_logits), ("lsgan", mse_loss)], ids=["vanilla", "lsgan"]
)
def test_values_and_gradients_are_those_of_torch(mode, loss):
    gan = separate(mode)
    for ours, target in ((gan.real, 1.0), (gan.fake, 0.0), (gan.generator, 1.0)):
        x, y = LOGITS.clone().requires_grad_(), LOGITS.clone().requires_grad_()
        value, expected = ours(x), loss(y, torch.full_like(y, target))
        assert_close(value, expected)
        value.backward()
        expected.backward()
        assert_close(x.grad, y.grad)


def test_vanilla_of_an_undecided_discriminator():
    """Goodfellow et al. 2014, Theorem 1: at the optimum D says 1/2 everywhere, and its loss is log 4."""
    gan, undecided = separate("vanilla"), torch.zeros(5, 1)
    assert_close((gan.real(undecided) + gan.fake(undecided)).item(), math.log(4))


def test_hinge_by_hand():
    gan, logits = separate("hinge"), torch.tensor([[-2.0], [-0.5], [0.5], [3.0]])
    assert gan.real(logits).item() == (3 + 1.5 + 0.5 + 0) / 4
    assert gan.fake(logits).item() == (0 + 0.5 + 1.5 + 4) / 4
    assert gan.generator(logits).item() == -(-2 - 0.5 + 0.5 + 3) / 4


def test_hinge_leaves_alone_what_is_beyond_the_margin():
    logits = torch.tensor([-2.0, 0.0, 2.0], requires_grad=True)
    separate("hinge").real(logits).backward()
    assert_close(logits.grad, torch.tensor([-1 / 3, -1 / 3, 0.0]))


@pytest.mark.parametrize("mode", SEPARATE)
def test_each_side_pulls_its_way(mode):
    """D wants real logits up and fake ones down; G wants those of its images up."""
    gan = separate(mode)
    for term, sign in ((gan.real, -1), (gan.fake, 1), (gan.generator, -1)):
        logits = torch.full((2, 1), 0.25, requires_grad=True)
        (grad,) = torch.autograd.grad(term(logits), logits)
        assert (grad.sign() == sign).all()


@pytest.mark.parametrize("shape", [(4,), (4, 1), (2, 1, 3, 3)], ids=str)
@pytest.mark.parametrize("mode", OBJECTIVES)
def test_logits_of_any_shape_give_a_scalar(mode, shape):
    assert all(loss.shape == () for loss in losses(mode, torch.randn(shape), torch.randn(shape)).values())


@pytest.mark.parametrize("size", [1e2, 1e4])
@pytest.mark.parametrize("mode", OBJECTIVES)
def test_large_logits_stay_finite(mode, size):
    for signs in itertools.product((-1, 1), repeat=2):
        real, fake = (torch.full((3, 1), sign * size, requires_grad=True) for sign in signs)
        values = losses(mode, real, fake)
        assert all(torch.isfinite(value) for value in values.values())
        for grad in torch.autograd.grad(sum(values.values()), (real, fake)):
            assert torch.isfinite(grad).all()


def test_large_logits_of_vanilla_are_linear():
    """Where a sigmoid before the logarithm would have lost everything."""
    logits = torch.tensor([-500.0, 500.0])
    gan = separate("vanilla")
    assert gan.real(logits).item() == gan.fake(logits).item() == gan.generator(logits).item() == 250.0


@pytest.mark.parametrize("shape", [(6,), (6, 1), (2, 1, 3, 3)], ids=str)
def test_relativistic_pairing_by_its_formula(shape):
    """arXiv:2501.05441, Eq. 2 with f(t) = -log(1 + exp(-t)): D raises D(x) - D(G(z)) pair by pair, G lowers it."""
    torch.manual_seed(0)
    gan = create_objective("rpgan")
    real, fake = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert_close(gan.loss_D(real, fake), {"D_pair": (1 + (fake - real).exp()).log().mean()})
    assert_close(gan.loss_G(fake, real), (1 + (real - fake).exp()).log().mean())
    assert_close(gan.loss_reject(fake, real), gan.loss_D(real, fake)["D_pair"])
    for loss, up, down in ((gan.loss_D(real, fake)["D_pair"], real, fake), (gan.loss_G(fake, real), fake, real)):
        rises, falls = torch.autograd.grad(loss, (up, down))
        assert (rises < 0).all()
        assert_close(falls, -rises)


def test_relativistic_pairing_knows_differences_only():
    gan = create_objective("rpgan")
    real, fake = torch.tensor([1.0, -2.0]), torch.tensor([1.0, -2.0])
    assert_close(gan.loss_D(real, fake)["D_pair"].item(), math.log(2))  # undecided, wherever the logits lie
    assert_close(gan.loss_D(real + 500, fake)["D_pair"].item(), 0.0)
    assert_close(gan.loss_D(real + 5, fake + 5), gan.loss_D(real, fake))
    assert gan.loss_D(real, fake.flip(0))["D_pair"] > math.log(2)  # each with its own partner
    with pytest.raises(AssertionError):
        gan.loss_D(torch.zeros(4), torch.zeros(2))


def test_kl_is_that_of_torch_and_zero_for_the_standard_normal():
    torch.manual_seed(0)
    mean, logvar = torch.randn(2, 6, 5, dtype=torch.float64)
    ours = torch.distributions.Normal(mean, (0.5 * logvar).exp())  # the head gives a log variance, not a deviation
    prior = torch.distributions.Normal(torch.zeros_like(mean), 1.0)
    assert_close(kl_divergence(mean, logvar), torch.distributions.kl_divergence(ours, prior).sum(1).mean())
    assert kl_divergence(torch.zeros(3, 5), torch.zeros(3, 5)) == 0


def test_kl_in_closed_form():
    assert_close(kl_divergence(torch.tensor([[2.0, 0.0]]), torch.zeros(1, 2)), torch.tensor(2.0))
    variance = torch.tensor([[4.0]])
    assert_close(kl_divergence(torch.zeros(1, 1), variance.log()), torch.tensor(0.5 * (4 - 1 - math.log(4))))


def test_squared_error_is_the_log_likelihood_of_a_normal_distribution():
    torch.manual_seed(0)
    images, targets = torch.randn(2, 3, 2, 4, 4, dtype=torch.float64)
    likelihood = torch.distributions.Normal(images, 1.0).log_prob(targets).flatten(1).sum(1).mean()
    constant = 32 / 2 * math.log(2 * math.pi)
    assert_close(squared_error(images, targets), -likelihood - constant)
