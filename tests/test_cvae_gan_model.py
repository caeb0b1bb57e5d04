"""The CVAE-GAN's own steps and options, and data that does not fit it."""

import math

import pytest
import torch
from torch.testing import assert_close

from tests.tiny_models import GREY_28, build, create, make_batch, train
from util.modes import evaluating

CASE = "cvae_gan 28"


@pytest.mark.parametrize(
    ("classes", "message"), [((), "no labels"), (("only",), "one class only, 'only'")], ids=["none", "one"]
)
def test_unlabelled_data_is_refused(classes, message):
    with pytest.raises(ValueError, match=f"--model cvae_gan needs images of two or more classes.*{message}"):
        build("cvae_gan", GREY_28._replace(classes=classes))


def test_a_size_that_it_cannot_make_is_refused():
    with pytest.raises(ValueError, match="cvae_gan makes images of 28, 32, 64, 128, 256 pixels, not 48"):
        build("cvae_gan", GREY_28._replace(image_size=(48, 48)))


def test_the_penalty_refuses_the_batch_norm_that_its_deeper_d_has():
    spec = GREY_28._replace(image_size=(32, 32))
    with pytest.raises(ValueError, match=r"batch norm in D mixes them .*use --norm_D instance or none"):
        build("cvae_gan", spec, gan_mode="wgangp", ngf=4, ndf=4)
    build("cvae_gan", spec, gan_mode="wgangp", norm_D="none", ngf=4, ndf=4)


def test_each_step_trains_the_classifier_then_d_then_the_autoencoder():
    model, order = create(CASE), []
    minimize = model.minimize

    def noted(name, *args):
        order.append(name)
        return minimize(name, *args)

    model.minimize = noted
    losses = train(model, CASE, range(1, 2))[0]
    assert order == ["C", "D", "G"]
    assert list(losses) == ["C", "D_real", "D_fake", "rec", "kl", "G_adv", "G_cls"]


def test_fakes_are_of_random_classes():
    model, batch = create(CASE), make_batch(CASE, num=64)
    batch["label"] = torch.zeros(64, dtype=torch.int64)
    model.optimize_parameters(batch, 1)
    assert set(batch["fake_label"].tolist()) == {0, 1, 2, 3}


def test_terms_carry_their_weights():
    model, batch = create(CASE, lambda_rec=2.0, lambda_kl=3.0, lambda_adv=4.0, lambda_cls=5.0), make_batch(CASE)
    model.draw_fakes(batch)
    assert [t.weight for t in model.loss_G(batch).values()] == [2.0, 3.0, 4.0, 5.0]


def test_noise_is_scaled_by_the_standard_deviation_not_the_variance(monkeypatch):
    model, batch = create(CASE), make_batch(CASE, num=2)
    seen: list[torch.Tensor] = []
    model.draw_fakes(batch)
    monkeypatch.setattr(model.netE, "forward", lambda x: (torch.ones(len(x), 6), torch.full((len(x), 6), math.log(9))))
    model.netG.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    monkeypatch.setattr(torch, "randn_like", torch.ones_like)
    model.loss_G(batch)
    assert_close(seen[0], torch.full((2, 6), 4.0))  # 1 + 3 * 1


def test_real_images_and_their_reconstructions_are_shown():
    model, batch = create(CASE), make_batch(CASE)
    with evaluating(model):
        visuals = model(batch)
        again = model.autoencode(batch["image"], batch["label"])
    assert list(visuals) == ["fake", "real", "rec"]
    assert_close(visuals["rec"], again.images, rtol=0, atol=0)
    assert again.z.shape == (4, 6)
    assert again.kl.shape == ()
