"""pix2pix, CycleGAN, colorization and test: their papers' losses, and what the shared parts promise."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss
from torch.testing import assert_close

from models import create_model, find_model
from models.networks.norm import BatchNorm2d
from models.translation import TranslationModel
from tests.tiny_models import CPU, RESNET, TINY, UNET, assert_same, create, make_batch, train
from util.modes import evaluating
from util.types import Batch, DataSpec

TRANSLATING = [case for case in TINY if issubclass(find_model(case.split()[0]), TranslationModel)]


def build(name, spec, batch_size=0, **options):
    return create_model(name, find_model(name).Options(**options), spec, CPU, batch_size=batch_size)


# pix2pix


def test_pix2pix_logs_its_losses_as_the_reference_does():
    """D's two losses unhalved, the L1 distance with its weight."""
    model, batch = create("pix2pix", norm="instance", dropout=False), make_batch("pix2pix")
    D, G, A, B = model.netD, model.netG, batch["A"], batch["B"]
    fake = G(A).detach()
    logits = {"real": D(torch.cat([A, B], 1)), "fake": D(torch.cat([A, fake], 1))}
    batch["fake_B"] = fake
    terms = model.loss_D(batch) | model.loss_G(batch)
    ones, zeros = torch.ones_like(logits["real"]), torch.zeros_like(logits["real"])
    assert set(terms) == {"D_real", "D_fake", "G_GAN", "G_L1"}
    assert_close(terms["D_real"].value, binary_cross_entropy_with_logits(logits["real"], ones))
    assert_close(terms["D_fake"].value, binary_cross_entropy_with_logits(logits["fake"], zeros))
    assert (terms["D_real"].weight, terms["D_fake"].weight) == (0.5, 0.5)
    assert_close(terms["G_GAN"], binary_cross_entropy_with_logits(logits["fake"], ones))
    assert_close(terms["G_L1"], 100 * l1_loss(fake, B))


def test_pix2pix_defaults_are_those_of_the_reference():
    opt: Any = find_model("pix2pix").Options()
    assert (opt.netG, opt.netD, opt.norm, opt.gan_mode, opt.dropout) == ("unet_256", "basic", "batch", "vanilla", True)
    assert (opt.lambda_L1, opt.pool_size, opt.lr, opt.beta1, opt.beta2) == (100, 0, 2e-4, 0.5, 0.999)
    assert (opt.ngf, opt.ndf, opt.init_type, opt.init_gain) == (64, 64, "normal", 0.02)


def test_cycle_gan_defaults_are_those_of_the_reference():
    opt: Any = find_model("cycle_gan").Options()
    assert (opt.netG, opt.norm, opt.gan_mode, opt.dropout) == ("resnet_9blocks", "instance", "lsgan", False)
    assert (opt.lambda_A, opt.lambda_B, opt.lambda_identity, opt.pool_size) == (10, 10, 0.5, 50)


def test_g_waits_for_n_critic_steps_of_d():
    model = create("pix2pix wgangp")
    losses = train(model, "pix2pix wgangp", range(1, 7))
    assert ["G_L1" in step for step in losses] == [False, False, True, False, False, True]
    assert all("gp" in step for step in losses)


# CycleGAN


def test_cycle_gan_losses_by_hand():
    model, batch = create("cycle_gan"), make_batch("cycle_gan")
    A, B = batch["A"], batch["B"]
    with torch.no_grad():
        fake_B, fake_A = model.netG_A(A), model.netG_B(B)
        expected = {
            "G_A": model.netD_A(fake_B).sub(1).square().mean(),
            "G_B": model.netD_B(fake_A).sub(1).square().mean(),
            "cycle_A": 10 * l1_loss(model.netG_B(fake_B), A),
            "cycle_B": 10 * l1_loss(model.netG_A(fake_A), B),
            "idt_A": 5 * l1_loss(model.netG_A(B), B),
            "idt_B": 5 * l1_loss(model.netG_B(A), A),
            "D_A": (model.netD_A(B).sub(1).square().mean() + model.netD_A(fake_B).square().mean()) / 2,
            "D_B": (model.netD_B(A).sub(1).square().mean() + model.netD_B(fake_A).square().mean()) / 2,
        }
        terms = model.loss_G(batch) | model.loss_D(batch)
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        assert_close(terms[name], value, msg=name)


@pytest.mark.parametrize("case", ["cycle_gan", "cycle_gan wgangp"])
def test_larger_passes_give_the_numbers_of_separate_ones(case, monkeypatch):
    together, apart = create(case), create(case)
    monkeypatch.setattr(apart, "in_one_pass", lambda use, net, *groups: [use(net, *group) for group in groups])
    for step in range(1, 4):
        batch = make_batch(case, seed=step)
        seen = []
        for model in (together, apart):
            torch.manual_seed(step)
            seen.append(model.optimize_parameters(Batch(batch), step))
        assert_close(*seen, rtol=1e-3, atol=1e-4)
        grads = [{n: p.grad for n, p in m.named_parameters() if n.endswith("weight")} for m in (together, apart)]
        assert_close(*grads, rtol=1e-2, atol=1e-4)  # of the biases before a norm only rounding is left


def count_passes(model, batch):
    passes = dict.fromkeys(model.nets, 0)
    for name, net in model.nets.items():
        net.register_forward_hook(lambda *_, name=name: passes.update({name: passes[name] + 1}))
    model.optimize_parameters(batch, 2)
    return passes


def test_each_network_of_cycle_gan_runs_twice_a_step():
    """G_A over A and B at once, then over G_B's images; D_A for G, then over real and generated images at once."""
    assert count_passes(create("cycle_gan"), make_batch("cycle_gan")) == dict.fromkeys(("G_A", "G_B", "D_A", "D_B"), 2)
    # Batch norm must not see A and B together.
    assert count_passes(create("cycle_gan", norm="batch"), make_batch("cycle_gan"))["G_A"] == 3


def test_images_of_different_sides_are_never_put_together():
    model = create("cycle_gan", pool_size=0)
    batch = Batch(A=torch.randn(1, 3, 17, 12), B=torch.randn(1, 3, 16, 23))
    losses = model.optimize_parameters(batch, 1)
    assert all(loss.isfinite() for loss in losses.values())
    with evaluating(model):
        visuals = model(batch)
    assert visuals["fake_B"].shape == (1, 3, 17, 12)
    assert visuals["idt_A"].shape == (1, 3, 16, 23)


def test_cycle_gan_shows_what_the_reference_shows_in_its_order():
    batch = make_batch("cycle_gan")
    with evaluating(model := create("cycle_gan")):
        assert list(model(batch)) == ["real_A", "fake_B", "rec_A", "idt_B", "real_B", "fake_A", "rec_B", "idt_A"]
        assert_same(model.translate(batch["A"]), model(batch)["fake_B"])
    with evaluating(model := create("cycle_gan", lambda_identity=0.0)):
        assert not {"idt_A", "idt_B"} & set(model(batch))


def test_the_pools_are_part_of_the_state():
    model = create("cycle_gan")
    train(model, "cycle_gan", range(1, 3))
    assert model.state_dict()["pool_A.count"] == 6
    assert model.state_dict()["pool_B.images"].abs().sum() > 0


# Colorization


def test_colorization_shows_colours():
    model, batch = create("colorization"), make_batch("colorization")
    batch["B"].zero_()
    with evaluating(model):
        visuals = model(batch)
    assert {name: images.shape[1] for name, images in visuals.items()} == {
        "real_A": 1,
        "real_B_rgb": 3,
        "fake_B_rgb": 3,
    }
    red, green, blue = visuals["real_B_rgb"].unbind(1)  # without a and b all is grey
    assert_close(red, green, rtol=0, atol=1e-4)
    assert_close(green, blue, rtol=0, atol=1e-4)


# Shared parts


def test_batch_norm_of_one_image_at_a_time_is_tested_so():
    """As pix2pix is: the statistics of each image, whatever else is in the batch, and no dropout."""
    model = build("pix2pix", TINY["pix2pix"][1], 1, **UNET)
    for step in range(1, 4):
        model.optimize_parameters(make_batch("pix2pix", seed=step, num=1), step)
    images = make_batch("pix2pix", num=3)["A"]
    with evaluating(model):
        together = model.translate(images)
        alone = torch.cat([model.translate(image[None]) for image in images])
    assert_close(together, alone, rtol=0, atol=1e-5)
    model.train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    with torch.no_grad():
        trained = torch.cat([model.translate(image[None]) for image in images])
    assert_close(together, trained, rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch_size", [0, 1, 4])
def test_larger_batches_are_tested_with_running_statistics(batch_size):
    """A batch that is worked through image by image counts as one image at a time."""
    model = build("pix2pix", TINY["pix2pix"][1], batch_size, **UNET)
    assert {m.per_image for m in model.netG.modules() if isinstance(m, BatchNorm2d)} == {batch_size == 1}
    assert not any(m.per_image for m in model.netD.modules() if isinstance(m, BatchNorm2d))
    if batch_size:
        model = build("pix2pix", TINY["pix2pix"][1], batch_size, accumulate=batch_size, **UNET)
        assert {m.per_image for m in model.netG.modules() if isinstance(m, BatchNorm2d)} == {True}


def test_batch_norm_of_all_processes_is_tested_as_batch_norm_is():
    spec = TINY["pix2pix"][1]
    batch, sync = build("pix2pix", spec, 1, **UNET), build("pix2pix", spec, 1, **UNET | {"norm": "syncbatch"})
    sync.netG.load_state_dict(batch.netG.state_dict())
    images = make_batch("pix2pix")["A"]
    with evaluating(batch), evaluating(sync):
        assert_same(sync.translate(images), batch.translate(images))


@pytest.mark.parametrize("sides", [(33, 50), (20, 90), (5, 7)])
@pytest.mark.parametrize("case", ["pix2pix", "cycle_gan", "test"])
def test_images_of_any_sides_are_translated(case, sides):
    model = create(case)
    with evaluating(model):
        images = model.translate(torch.zeros(2, model.spec.input_nc, *sides))
    assert images.shape == (2, model.spec.output_nc, *sides)


def test_tiles_are_blended_into_the_whole():
    model = create("test", norm="none", init_type="kaiming")
    images = 0.5 * torch.randn(1, 3, 112, 300)
    with evaluating(model):
        whole = model.translate(images)
        model.tile, model.tile_overlap = 112, 24
        tiled = model.translate(images)
    assert tiled.shape == whole.shape
    assert not torch.equal(tiled, whole)
    assert float((tiled - whole).abs().mean()) < 0.05 * float(whole.std())
    assert_close(tiled[..., :64, :64], whole[..., :64, :64])  # out of reach of every seam


@pytest.mark.parametrize("case", [c for c in TRANSLATING if c != "test"])
def test_a_history_of_the_state_of_every_network_is_restored_from_its_file(case):
    """Weights from elsewhere: with "module." before each key, and with statistics that instance norm never used."""
    model, fresh = create(case), create(case, seed=9)
    train(model, case, range(1, 3))
    for name, net in model.nets.items():
        state = {f"module.{key}": value for key, value in net.state_dict().items()}
        for key, module in net.named_modules():
            if isinstance(module, nn.InstanceNorm2d):
                state[f"module.{key}.running_mean"] = torch.zeros(module.num_features)
                state[f"module.{key}.running_var"] = torch.ones(module.num_features)
        fresh.load_net(name, state)
        assert_same(fresh.nets[name].state_dict(), net.state_dict())


# Bad input


@pytest.mark.parametrize(
    ("name", "spec", "options", "message"),
    [
        ("pix2pix", (32, 32), {"netG": "unet_48"}, "no generator 'unet_48'.*any power of two from 32"),
        ("pix2pix", (32, 32), {"netG": "unet265"}, "no generator 'unet265'; did you mean 'unet_256'"),
        ("cycle_gan", (32, 32), {"netG": "resnet_9block"}, "did you mean 'resnet_9blocks'"),
        ("pix2pix", (16, 16), {"netG": "unet_32"}, "--netD basic takes images of 24 pixels or more, not 16 x 16"),
        ("pix2pix", (32, 20), {"netG": "unet_32"}, "not 20 x 32: use a larger --crop_size"),
        ("pix2pix", (32, 32), UNET | {"gan_mode": "wgangp"}, "batch norm in D mixes them.*--norm instance or none"),
        ("pix2pix", (32, 32), UNET | {"gan_mode": "hinge", "label_smoothing": 0.1}, "hinge has no target to smooth"),
        ("cycle_gan", (0, 0), RESNET, "--pool_size 50 needs images of one size.*--pool_size 0"),
        ("pix2pix", (0, 0), UNET | {"pool_size": 5}, "--pool_size 5 needs images of one size"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_remedy(name, spec, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, DataSpec(spec, 3, 3), **options)


def test_identity_needs_equal_channels():
    with pytest.raises(ValueError, match=r"--lambda_identity 0\.5 compares .*, which have 1 and 3 channels"):
        build("cycle_gan", DataSpec((16, 16), 1, 3), **RESNET)
    build("cycle_gan", DataSpec((16, 16), 1, 3), lambda_identity=0.0, **RESNET)


@pytest.mark.parametrize(
    ("asked", "difference"),
    [
        ({"ngf": 8}, r"--ngf 4 \(asked for: --ngf 8\)"),
        ({"netG": "resnet_2blocks"}, r"--netG unet_32 \(asked for: --netG resnet_2blocks\)"),
        ({"norm": "instance"}, r"--norm batch \(asked for: --norm instance\)"),
        ({"upsample": "resize"}, r"--upsample deconv \(asked for: --upsample resize\)"),
    ],
)
def test_weights_of_another_architecture_name_the_flag(asked, difference):
    saved = create("pix2pix").netG.state_dict()
    with pytest.raises(ValueError, match=f"it was made with {difference}"):
        create("pix2pix", **asked).load_net("G", saved)


def test_weights_for_other_channels_name_them():
    saved = create("pix2pix").netG.state_dict()
    grey = build("pix2pix", DataSpec((32, 32), 1, 3), **UNET)
    with pytest.raises(ValueError, match=r"--input_nc 3 \(asked for: --input_nc 1\)"):
        grey.load_net("G", saved)
    with pytest.raises(ValueError, match=r"--ndf 4 \(asked for: --ndf 8\)"):
        create("pix2pix", ndf=8).load_net("D", create("pix2pix").netD.state_dict())


@pytest.mark.parametrize(
    ("netG", "sides", "better"),
    [
        ("unet_256", (64, 64), "unet_64"),
        ("unet_64", (65, 65), "unet_32"),  # the largest that fits is the one in use
        ("unet_128", (130, 140), "unet_32"),
        ("unet_32", (65, 65), "resnet_9blocks"),
        ("unet_64", (64, 64), ""),
        ("resnet_1blocks", (33, 33), ""),
    ],
)
def test_the_advice_about_padding_is_never_the_network_in_use(netG, sides, better, capsys):
    build("pix2pix", DataSpec(sides, 3, 3), 1, netG=netG, ngf=1, ndf=1, netD="pixel")
    err = capsys.readouterr().err
    assert (f"--netG {better} pads less" in err) if better else ("pads" not in err)
