"""The conditional GAN's own options, and data that does not fit it."""

import pytest
import torch
from torch.testing import assert_close

from models import create_model, find_model
from models.losses import create_objective
from models.losses.adversarial import OBJECTIVES
from tests.tiny_models import CPU, GREY_8, RGB_32, assert_same, create, make_batch
from util.types import Batch


@pytest.mark.parametrize(
    ("classes", "message"), [((), "no labels"), (("only",), "one class only, 'only'")], ids=["none", "one"]
)
def test_cgan_needs_two_classes(classes, message):
    spec = RGB_32._replace(classes=classes)
    with pytest.raises(ValueError, match=f"two or more classes.*{message}"):
        create_model("cgan", find_model("cgan").Options(), spec, CPU)


@pytest.mark.parametrize("flags", [{}, {"netG": "mlp"}, {"netD": "mlp"}])
def test_cgan_names_the_sizes_that_convolutions_can_make(flags):
    flag = "--netD" if "netG" in flags else "--netG"
    with pytest.raises(ValueError, match=f"{flag} conv (makes|takes) images of 32, 64, 128, 256 pixels, not 28"):
        create_model("cgan", find_model("cgan").Options(**flags), GREY_8._replace(image_size=(28, 28)), CPU)


def test_cgan_draws_the_labels_of_the_batch_or_random_ones():
    labels = torch.full((64,), 1)
    seen = {}
    for choice in ("batch", "random"):
        model = create("cgan mlp", fake_labels=choice)
        batch = Batch({"image": torch.zeros(64, 1, 8, 8), "label": labels})
        model.draw_fakes(batch)
        seen[choice] = batch["fake_label"]
        assert len(batch["fake"]) == 64
    assert_same(seen["batch"], labels)
    assert set(seen["random"].tolist()) == {0, 1, 2, 3}
    assert seen["random"].dtype == torch.int64


def with_fakes(model, batch):
    """Return the batch with generated images in it, as a step puts them there."""
    model.draw_fakes(batch)
    return batch


def test_cgan_halves_the_losses_of_d_for_the_gradient_only():
    model = create("cgan mlp")
    terms = model.loss_D(with_fakes(model, make_batch("cgan mlp")))
    assert {name: term.weight for name, term in terms.items()} == {"D_real": 0.5, "D_fake": 0.5}


@pytest.mark.parametrize("gan_mode", OBJECTIVES)
def test_cgan_minimizes_the_objective_that_was_asked_for(gan_mode):
    model, batch = create("cgan mlp", gan_mode=gan_mode, dropout=0.0), make_batch("cgan mlp")
    terms, gan = model.loss_D(with_fakes(model, batch)), create_objective(gan_mode)
    real, fake = (model.netD(batch[key], batch["label"]) for key in ("image", "fake"))
    expected = gan.loss_D(real, fake)
    assert_close({name: terms[name].value for name in expected}, expected)
    assert_close(model.loss_G(batch)["G"], gan.loss_G(fake, real))


def test_cgan_shows_d_real_images_with_wrong_labels(monkeypatch):
    model, batch, seen = create("cgan mlp", lambda_mismatch=0.5), make_batch("cgan mlp", num=200), []

    def forward(images, labels):
        seen.append((images, labels))
        return images[:, 0, 0]

    monkeypatch.setattr(model.netD, "forward", forward)
    terms = model.loss_D(with_fakes(model, batch))
    assert {name: term.weight for name, term in terms.items()} == {"D_real": 0.5, "D_fake": 0.5, "D_wrong": 0.25}
    images, labels = seen[-1]
    assert images is batch["image"]
    assert set(((labels - batch["label"]) % 4).tolist()) == {1, 2, 3}  # never the right class, each wrong one at times
