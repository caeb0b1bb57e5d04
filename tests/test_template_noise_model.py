"""The template for models that draw from noise: its losses by the formula of its paper."""

import torch
from torch import log, sigmoid
from torch.testing import assert_close

from tests.tiny_models import create, make_batch


def test_both_losses_are_the_cross_entropy_of_what_is_relative_to_the_average():
    """arXiv:1807.00734: D(x) = sigmoid(C(x) - E C(other kind)); G's loss has real and fake swapped."""
    model, batch = create("template_noise", dropout=0.0), make_batch("template_noise")
    model.draw_fakes(batch)
    with torch.no_grad():
        C_real, C_fake = (model.netD(batch[key]).double() for key in ("image", "fake"))
    D_real, D_fake = sigmoid(C_real - C_fake.mean()), sigmoid(C_fake - C_real.mean())
    terms = model.loss_D(batch)
    assert_close(terms["D_real"].value, -log(D_real).mean().float())
    assert_close(terms["D_fake"].value, -log(1 - D_fake).mean().float())
    assert_close(model.loss_G(batch)["G"], -(log(1 - D_real).mean() + log(D_fake).mean()).float())
    assert {term.weight for term in terms.values()} == {0.5}


def test_the_losses_do_not_depend_on_a_constant_in_the_logits():
    model, batch = create("template_noise", dropout=0.0), make_batch("template_noise")
    model.draw_fakes(batch)
    (bias,) = [p for name, p in model.netD.named_parameters() if p.shape == (1,)]
    before = model.loss_G(batch)["G"].detach().clone()
    with torch.no_grad():
        bias.add_(3)
    assert_close(model.loss_G(batch)["G"].detach(), before)
