"""The presets r3gan and sngan: what they change beside the GAN that they derive from."""

from torch import nn

from models import find_model
from models.networks.norm import has_batch_norm
from tests.tiny_models import create, train


def test_r3gan_is_the_pairing_objective_with_both_penalties():
    model = create("r3gan")
    losses = train(model, "r3gan", range(1, 5))
    assert [set(terms) for terms in losses] == [{"D_pair", "G"}] * 3 + [{"D_pair", "r1", "r2", "G"}]
    assert not has_batch_norm(model.netD)
    assert model.optimizers["G"].param_groups[0]["betas"] == (0.0, 0.99)
    assert find_model("r3gan").defaults["ema"] > 0


def test_sngan_divides_every_layer_of_d_and_none_of_g():
    model = create("sngan conditional")
    layers = [m for m in model.netD.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert layers
    assert all(hasattr(layer, "parametrizations") for layer in layers)
    assert not any(hasattr(m, "parametrizations") for m in model.netG.modules())
    losses = train(model, "sngan conditional", range(1, 3))
    assert [set(terms) for terms in losses] == [{"D_real", "D_fake"}, {"D_real", "D_fake", "G"}]


def test_options_go_before_those_of_a_preset():
    model = create("r3gan", gan_mode="hinge", r2_gamma=0.0)
    assert set(train(model, "r3gan", range(4, 5))[0]) == {"D_real", "D_fake", "r1", "G"}
