"""What models share that have a G and a D: objectives, what D sees, and what keeps it in bounds."""

import math
import re
import signal
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from models.losses.adversarial import LeastSquares, Vanilla
from models.losses.objective import Separate
from tests.bench import SMALL
from tests.test_resume import assert_same_run, by, interrupted
from tests.tiny_models import GREY_8, RGB_32, build, create, make_batch, train
from util.types import Batch, DataSpec


def mlp_gan(**options):
    return create("gan", **options)


def test_smoothing_moves_the_target_of_real_images_only():
    logits = torch.linspace(-4, 4, 9, dtype=torch.float64)
    targets: tuple[tuple[type[Separate], Any], ...] = (
        (Vanilla, nn.functional.binary_cross_entropy_with_logits),
        (LeastSquares, nn.functional.mse_loss),
    )
    for kind, target in targets:
        smooth, plain = kind(0.1), kind()
        assert_close(smooth.real(logits), target(logits, torch.full_like(logits, 0.9)))
        assert_close(smooth.fake(logits), plain.fake(logits))
        assert_close(smooth.generator(logits), plain.generator(logits))


def test_the_best_d_of_smoothed_labels_is_less_sure():
    """Where only real images are, D's best answer is the target itself: the logit of .9."""
    logit = torch.tensor(math.log(0.9 / 0.1), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(Vanilla(0.1).real(logit), logit)
    assert abs(slope) < 1e-12


@pytest.mark.parametrize("mode", ["hinge", "wgan", "wgangp"])
def test_objectives_without_a_target_refuse_to_smooth_it(mode):
    with pytest.raises(ValueError, match=rf"--label_smoothing 0\.1: --gan_mode {mode} has no target"):
        mlp_gan(gan_mode=mode, label_smoothing=0.1)


def test_smoothing_reaches_the_loss_of_d():
    logged = [train(mlp_gan(label_smoothing=s), "gan", range(1, 2))[0] for s in (0.0, 0.3)]
    assert logged[0]["D_fake"] == logged[1]["D_fake"]
    assert logged[0]["D_real"] != logged[1]["D_real"]


def test_spectral_norm_bounds_the_singular_values_of_d_alone():
    for case in ("gan", "cgan conv projection", "cvae_gan 28"):
        model = create(case, spectral_norm=True, lr=5e-3)
        train(model, case, range(1, 11))
        batch = make_batch(case)
        for _ in range(100):  # with the weights at rest, the estimate of their norm settles
            model.netD(batch["image"], *(batch["label"],) * case.startswith("cgan"))
        model.eval()
        layers = [m for m in model.netD.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        assert len(layers) > 2
        largest = [torch.linalg.matrix_norm(m.weight.detach().flatten(1), 2) for m in layers]
        assert_close(torch.stack(largest), torch.ones(len(layers)), rtol=0.01, atol=0)
        assert not any("parametrizations" in name for name in model.netG.state_dict())


def test_instance_noise_is_what_d_sees_and_nothing_else():
    model = mlp_gan(instance_noise=0.5)
    seen = []

    def netD(images):
        seen.append(images)
        return images.mean((1, 2, 3))

    images = torch.zeros(500, 1, 8, 8)
    model.discriminate(netD, images)
    assert abs(seen[0].std() - 0.5) < 0.02
    assert abs(seen[0].mean()) < 0.02
    assert not images.any()
    assert mlp_gan().discriminate(netD, images) is not None
    assert seen[1] is images  # off by default


def test_n_critic_updates_d_at_every_step_and_g_at_some():
    model = mlp_gan(n_critic=3)
    moved = []
    for step in range(1, 10):
        before = [p.detach().clone() for p in model.netG.parameters()]
        losses = train(model, "gan", range(step, step + 1))[0]
        moved.append(any(not torch.equal(p, was) for p, was in zip(model.netG.parameters(), before, strict=True)))
        assert ("G" in losses) == moved[-1]
        assert "D_real" in losses
    assert moved == [False, False, True] * 3


def test_g_and_d_have_learning_rates_of_their_own():
    def rates(**options):
        return {k: o.param_groups[0]["lr"].item() for k, o in mlp_gan(**options).optimizers.items()}

    assert rates(lr=1e-3) == pytest.approx({"D": 1e-3, "G": 1e-3})
    assert rates(lr=1e-3, lr_D=4e-3) == pytest.approx({"D": 4e-3, "G": 1e-3})
    assert rates(lr=1e-3, lr_G=1e-4) == pytest.approx({"D": 1e-3, "G": 1e-4})


def test_the_penalty_is_a_term_with_its_weight():
    model = create("wgan_gp", lambda_gp=7.0)
    model.draw_fakes(batch := make_batch("wgan_gp"))
    assert model.loss_D(batch)["gp"].weight == 7.0
    assert "gp" not in train(mlp_gan(gan_mode="wgan"), "gan", range(1, 2))[0]


@pytest.mark.parametrize("name", ["dcgan", "wgan_gp", "cgan"])
def test_the_penalty_refuses_batch_norm_and_names_the_flag(name):
    options: dict[str, Any] = {
        "netG": "dcgan",
        "netD": "dcgan",
        "ngf": 4,
        "ndf": 4,
        "norm_D": "batch",
        "gan_mode": "wgangp",
    }
    for asked in ({}, {"gan_mode": "hinge", "r1_gamma": 1.0}, {"gan_mode": "rpgan", "r2_gamma": 0.1}):
        if name == "wgan_gp" and asked:
            continue
        with pytest.raises(ValueError, match=r"batch norm in D mixes them .*use --norm_D instance or none"):
            build(name, RGB_32, **(options | asked))
        for norm in ("instance", "none"):
            build(name, RGB_32, **(options | asked | {"norm_D": norm}))


@pytest.mark.parametrize("case", ["gan", "wgan", "cgan mlp", "cvae_gan 28", "pix2pix pixels", "cycle_gan"])
def test_every_model_takes_zero_centred_penalties(case):
    norms: dict[str, Any] = {"norm_D": "none"} if "norm_D" in vars(create(case).opt) else {"norm": "instance"}
    model = create(case, r1_gamma=3.0, r2_gamma=0.5, penalty_freq=2, **norms)
    first, second = train(model, case, range(5, 7))
    new = set(second) - set(first)
    assert {name.split("_")[0] for name in new - {"G"}} == {"r1", "r2"}
    assert all(second[name] > 0 for name in new)


def test_r1_is_of_real_images_and_r2_of_fakes_each_with_its_weight():
    model = mlp_gan(conditional=True, fake_labels="random", r1_gamma=3.0, r2_gamma=0.5, penalty_freq=4)
    model.netD = Linear(model.spec.num_classes)
    model.draw_fakes(batch := make_batch("gan"))
    terms = model.loss_D(batch)
    squares = model.netD.weight.square().sum((1, 2, 3))  # of each class
    assert_close(terms["r1"].value, squares[batch["label"]].mean())
    assert_close(terms["r2"].value, squares[batch["fake_label"]].mean())
    assert (terms["r1"].weight, terms["r2"].weight) == (3.0 / 2 * 4, 0.5 / 2 * 4)
    assert set(terms) - set(model.loss_D(batch, penalize=False)) == {"r1", "r2"}


class Linear(nn.Module):
    """A linear function of images for each class."""

    def __init__(self, num_classes):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_classes, 1, 8, 8))

    def forward(self, images, labels):
        return (images * self.weight[labels]).sum((1, 2, 3))


@pytest.mark.parametrize("options", [{"r1_gamma": 2.0, "r2_gamma": 1.0}, {"gan_mode": "wgangp"}], ids=str)
def test_lazy_penalties_give_the_gradient_of_eager_ones(options):
    """D at rest, the penalties of 12 steps on the same images sum up to the same gradient however seldom they come."""
    batch, gradients = make_batch("gan"), {}
    for freq in (1, 3, 4):
        model = mlp_gan(penalty_freq=freq, **options)
        torch.manual_seed(0)
        model.draw_fakes(batch)
        total = [torch.zeros_like(p) for p in model.netD.parameters()]
        times = 0
        for step in range(1, 13):
            torch.manual_seed(1)
            terms = model.loss_D(batch, model.variant(step).penalize)
            penalties = [t.value * t.weight for name, t in terms.items() if name in ("gp", "r1", "r2")]
            if penalties:
                times += 1
                grads = torch.autograd.grad(sum(penalties), list(model.netD.parameters()), allow_unused=True)
                total = [t + g if g is not None else t for t, g in zip(total, grads, strict=True)]
        assert times == 12 // freq
        gradients[freq] = total
    assert any(g.any() for g in gradients[1])
    for freq in (3, 4):
        assert_close(gradients[freq], gradients[1])


def test_gammas_fall_along_half_a_cosine_wave():
    model, batch = mlp_gan(r1_gamma=2.0, r2_gamma=1.0, gamma_end=0.1, penalty_freq=4), make_batch("gan")
    model.draw_fakes(batch)
    place = model.gamma_factor.data_ptr()
    for done, factor in ((0.0, 1.0), (0.25, 0.55 + 0.45 * 0.5**0.5), (0.5, 0.55), (1.0, 0.1), (0.0, 1.0)):
        model.schedule(done)
        terms = model.loss_D(batch)
        assert_close([float(terms[name].weight) for name in ("r1", "r2")], [4 * factor, 2 * factor])
    assert model.gamma_factor.data_ptr() == place  # recorded steps read it there
    assert "gamma_factor" not in model.state_dict()


def test_a_run_lowers_gamma_epoch_by_epoch_and_resumes_where_it_was(bench):
    options = "--n_epochs 4 --save_epoch_freq 1 --print_freq 4 --dropout 0 --r1_gamma 2"
    bench.small(f"--name same {options}")
    bench.small(f"--name whole {options} --gamma_end .1")
    same, whole = ((bench.run_dir(name) / "losses.csv").read_text().splitlines() for name in ("same", "whole"))
    first = [line for line in whole if line.split(",")[0] in ("epoch", "1")]
    assert same[: len(first)] == first
    assert same != whole
    with interrupted(13, by(signal.SIGTERM)):
        whole = f"--model cgan --dataroot hands --batch_size 2 {SMALL} {options} --gamma_end .1"
        assert bench.train(f"{whole} --name left").status == 128 + signal.SIGTERM
    assert bench.train("--name left --continue_train").status == 0
    assert_same_run(bench.run_dir("left"), bench.run_dir("whole"))


def test_the_relativistic_objective_asks_for_both_penalties(capsys):
    mlp_gan(gan_mode="rpgan", r1_gamma=1.0)
    assert "--gan_mode rpgan may not converge without both penalties" in capsys.readouterr().err
    mlp_gan(gan_mode="rpgan", r1_gamma=1.0, r2_gamma=1.0, penalty_freq=4)
    assert capsys.readouterr().err == ""


def test_g_is_compared_with_real_images_where_the_objective_asks_for_it():
    batch = make_batch("gan")
    losses = {}
    for mode in ("vanilla", "rpgan"):
        model = mlp_gan(gan_mode=mode)
        torch.manual_seed(0)
        model.draw_fakes(batch)
        losses[mode] = [model.loss_G(Batch(batch | {"image": batch["image"] * s}))["G"].item() for s in (1, -1)]
    assert losses["vanilla"][0] == losses["vanilla"][1]
    assert losses["rpgan"][0] != losses["rpgan"][1]


def test_a_mismatch_is_compared_with_the_right_pair():
    model = create("cgan mlp mismatch", gan_mode="rpgan", diffaugment=(), dropout=0.0, norm_D="none")
    model.draw_fakes(batch := make_batch("cgan mlp mismatch"))
    torch.manual_seed(0)
    wrong = model.loss_D(batch)["D_wrong"].value
    torch.manual_seed(0)
    others = (batch["label"] + torch.randint_like(batch["label"], 1, 4)) % 4
    of_real, of_wrong = (model.netD(batch["image"], labels) for labels in (batch["label"], others))
    assert_close(wrong, nn.functional.softplus(of_wrong - of_real).mean())


def test_images_of_several_sizes_cannot_be_compared():
    with pytest.raises(ValueError, match=r"--gan_mode rpgan compares .*--preprocess with crop"):
        build("cycle_gan", DataSpec((0, 0), 3, 3), 4, gan_mode="rpgan", pool_size=0, ngf=4, ndf=4)


@pytest.mark.parametrize("name", ["gan", "wgan", "wgan_gp", "dcgan"])
def test_labels_are_used_when_asked_for_only(name):
    nets: dict[str, Any] = {"netG": "mlp", "netD": "mlp"}
    plain = build(name, GREY_8, **nets)
    told = build(name, GREY_8, **nets, conditional=True)
    assert plain.spec.classes == ()
    assert told.spec.classes == GREY_8.classes
    assert plain.sample(plain.latents(2), None).shape == (2, 1, 8, 8)
    for classes, found in (((), "no labels"), (("only",), "one class only")):
        with pytest.raises(ValueError, match=f"--conditional needs images of two or more classes.*{found}"):
            build(name, GREY_8._replace(classes=classes), **nets, conditional=True)


SIZES = {"conv": "32, 64, 128, 256", "dcgan": "32, 64, 128, 256", "conv28": "28", "conv32": "32", "conv_k8": "128"}


@pytest.mark.parametrize("flag", ["netG", "netD"])
@pytest.mark.parametrize("net", SIZES)
def test_a_network_that_cannot_make_the_size_says_which_it_can(net, flag):
    options: dict[str, Any] = {"netG": "mlp", "netD": "mlp"} | {flag: net}
    with pytest.raises(
        ValueError, match=rf"^--{flag} {net} (makes|takes) images of {SIZES[net]} pixels, not 8: .*--image_size"
    ):
        build("gan", GREY_8, **options)


def test_the_remedy_for_a_size_names_what_makes_it():
    with pytest.raises(ValueError, match=re.escape("or use --netG conv28 or res or mlp")):
        build("gan", GREY_8._replace(image_size=(28, 28)), netG="conv", netD="conv")


def test_weights_of_a_wasserstein_critic_stay_clipped_and_its_biases_do_not():
    model = create("wgan", clip=0.02, lr=0.01)
    train(model, "wgan", range(1, 21))
    weights = [p for name, p in model.netD.named_parameters() if name.endswith("weight")]
    biases = [p for name, p in model.netD.named_parameters() if name.endswith("bias")]
    assert all(p.abs().max() <= 0.02 for p in weights)
    assert max(p.abs().max() for p in biases) > 0.02


def test_clipping_and_spectral_norm_exclude_each_other():
    with pytest.raises(ValueError, match="--spectral_norm and --clip"):
        create("wgan", spectral_norm=True)


@pytest.mark.parametrize("case", ["gan conditional", "pix2pix wgangp", "cgan conv", "cycle_gan", "dcgan conditional"])
def test_verdicts_are_those_of_each_group_by_itself(case):
    model = create(case)
    netD = model.nets.get("D", model.nets.get("D_A"))
    labels = [torch.arange(4) % model.spec.num_classes] if model.spec.classes else []
    channels = model.spec.input_nc + model.spec.output_nc if case.startswith("pix2pix") else model.spec.output_nc
    groups = [(torch.rand(num, channels, *model.spec.image_size) * 2 - 1, *[x[:num] for x in labels]) for num in (4, 3)]
    for module in netD.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    calls = []
    netD.register_forward_hook(lambda *_: calls.append(1))
    together = model.in_one_pass(model.discriminate, netD, *groups)
    has_batch_norm = any(isinstance(m, nn.BatchNorm2d) for m in netD.modules())
    assert len(calls) == (2 if has_batch_norm else 1)
    for verdict, group in zip(together, groups, strict=True):
        assert_close(verdict, netD(*group), rtol=1e-4, atol=1e-5)
    assert has_batch_norm == (case in ("cgan conv", "dcgan conditional"))
