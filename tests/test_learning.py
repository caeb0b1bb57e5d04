"""Tiny models provably learn: with everything small, in seconds, from a fixed seed."""

import math
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from models import create_model
from models.cgan_model import CGANModel
from models.cvae_gan_model import CVAEGANModel
from models.template_model import TemplateModel
from models.wgan_gp_model import WGANGPModel
from util.modes import evaluating
from util.seeding import seed_all
from util.types import Batch, DataSpec

torch.set_num_threads(1)

CPU = torch.device("cpu")
SIZE = 6
DARK_RED, BRIGHT_BLUE = (-0.2, -0.9, -0.9), (0.3, 0.3, 0.9)
COLOURS = torch.tensor([DARK_RED, BRIGHT_BLUE])


def two_colours(num: int, size: int = SIZE) -> Batch:
    """Return images of one colour each, give or take a little, that depends on the class."""
    labels = torch.randint(2, (num,))
    images = COLOURS[labels][:, :, None, None] + 0.05 * torch.randn(num, 3, size, size)
    return Batch({"image": images.clamp(-1, 1), "label": labels})


@pytest.fixture(scope="module")
def painter():
    """The fully connected conditional GAN, as for MNIST, after 300 steps on two colours."""
    options: dict[str, Any] = {
        "netG": "mlp",
        "netD": "mlp",
        "hidden_G": (32, 32, 32),
        "hidden_D": (32, 32, 32),
        "nz": 8,
    }
    quick: dict[str, Any] = {"lr": 3e-3, "dropout": 0.1, "norm_eps": 0.01}  # with these, seeds 0 to 7 all pass
    spec = DataSpec((SIZE, SIZE), 3, 3, ("dark", "bright"))
    model = create_model("cgan", CGANModel.Options(**options, **quick), spec, CPU)
    for step in range(1, 301):
        seed_all(0, step)
        model.optimize_parameters(two_colours(32), step)
    return model


def mean_colours(images: torch.Tensor) -> torch.Tensor:
    return images.mean((2, 3))  # (N, 3)


@pytest.mark.parametrize("label", [0, 1])
def test_each_class_gets_its_colour(painter, label):
    """Also when nothing else is in the batch: batch norm left in training mode could not draw it."""
    with evaluating(painter):
        colours = mean_colours(painter.sample(painter.latents(100), torch.full((100,), label)))
    assert_close(colours.mean(0), COLOURS[label], rtol=0, atol=0.25)
    distances = torch.cdist(colours, COLOURS)
    assert (distances[:, label] < 0.5 * distances[:, 1 - label]).sum() >= 90  # of 100


def test_one_image_is_the_same_alone_as_among_many(painter):
    z, ones = painter.latents(50), torch.ones(50, dtype=torch.int64)
    mixed = torch.arange(50) % 2
    with evaluating(painter):
        many, among_both = painter.sample(z, ones), painter.sample(z, mixed)
        alone = torch.cat([painter.sample(z[i : i + 1], ones[i : i + 1]) for i in range(50)])
    assert_close(alone, many, rtol=0, atol=1e-5)
    assert_close(among_both[1::2], many[1::2], rtol=0, atol=1e-5)


def test_the_known_failure_is_noticed(painter):
    """In training mode a batch of one class is normalized by its own statistics, and loses its colour."""
    z, ones = painter.latents(50), torch.ones(50, dtype=torch.int64)
    with evaluating(painter):
        right = painter.sample(z, ones)
        painter.netG.train()
        wrong = painter.sample(z, ones)
    assert (wrong - right).abs().mean() > 0.05


def test_different_noise_gives_different_images(painter):
    with evaluating(painter):
        images = painter.sample(painter.latents(20), torch.ones(20, dtype=torch.int64))
    assert images.std(0).mean() > 0.005


def test_the_template_learns_its_regression():
    """B is a colour that follows from the grey of A pixel by pixel."""
    spec = DataSpec((8, 8), 1, 3)
    model: Any = create_model("template", TemplateModel.Options(ngf=8, lr=5e-3), spec, CPU)
    losses = []
    for step in range(1, 301):
        seed_all(0, step)
        A = torch.rand(8, 1, 8, 8) * 2 - 1
        batch = Batch({"A": A, "B": torch.cat([0.8 * A, -0.8 * A, torch.full_like(A, 0.5)], 1)})
        losses.append(model.optimize_parameters(batch, step)["regression"].item())
    assert sum(losses[-10:]) < 0.15 * sum(losses[:10])
    with evaluating(model):
        fake_B = model.translate(torch.full((1, 1, 8, 8), 0.5))
    assert_close(fake_B[0, :, 4, 4], torch.tensor([0.4, -0.4, 0.5]), rtol=0, atol=0.1)


RING = torch.stack([torch.tensor([math.cos(a), math.sin(a)]) for a in torch.arange(8) * math.pi / 4]) * 0.8
SPREAD = 0.02


def ring(num: int) -> Batch:
    """Return points of 8 normal distributions on a circle, as grey images of two pixels."""
    points = RING[torch.randint(8, (num,))] + SPREAD * torch.randn(num, 2)
    return Batch({"image": points.reshape(num, 1, 1, 2)})


@pytest.mark.slow
def test_wgan_gp_finds_all_modes_of_a_ring():
    nets: dict[str, Any] = {"hidden_G": (64, 64, 64), "hidden_D": (64, 64, 64), "nz": 2}
    quick: dict[str, Any] = {"lr": 2e-3, "beta1": 0.5, "lambda_gp": 0.1, "n_critic": 2}
    model: Any = create_model("wgan_gp", WGANGPModel.Options(**nets, **quick), DataSpec((1, 2), 1, 1), CPU)
    for step in range(1, 2501):
        if step == 2001:
            model.scale_lr(0.2)
        seed_all(0, step)
        model.optimize_parameters(ring(64), step)
    with evaluating(model):
        points = model.sample(model.latents(2000), None).flatten(1)
    distances, modes = torch.cdist(points, RING).min(1)
    counts = torch.bincount(modes[distances < 5 * SPREAD], minlength=8)
    assert (counts > 80).all(), counts  # of 250, were all alike
    assert counts.sum() > 1200  # of 2000: more lies on them than between


@pytest.mark.slow
def test_cvae_gan_learns_two_colours():
    spec = DataSpec((28, 28), 3, 3, ("dark", "bright"))
    options: dict[str, Any] = {
        "ngf": 8,
        "ndf": 4,
        "nz": 4,
        "lr": 1e-2,
        "lambda_rec": 1.0,
        "lambda_adv": 2.0,
        "lambda_cls": 10.0,
    }
    model: Any = create_model("cvae_gan", CVAEGANModel.Options(**options), spec, CPU)
    for step in range(1, 301):
        seed_all(0, step)
        losses = model.optimize_parameters(two_colours(16, 28), step)
    assert losses["C"] < 0.1
    batch = two_colours(50, 28)
    with evaluating(model):
        for label in (0, 1):
            colours = mean_colours(model.sample(model.latents(100), torch.full((100,), label)))
            assert_close(colours.mean(0), COLOURS[label], rtol=0, atol=0.3)
            distances = torch.cdist(colours, COLOURS)
            assert (distances[:, label] < 0.5 * distances[:, 1 - label]).sum() >= 90  # of 100
        again = model.autoencode(batch["image"], batch["label"])
        swapped = model.sample(again.z, 1 - batch["label"])
    assert (again.images - batch["image"]).square().mean() < 0.05
    assert_close(mean_colours(swapped), COLOURS[1 - batch["label"]], rtol=0, atol=0.4)
