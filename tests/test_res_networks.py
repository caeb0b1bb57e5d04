"""The networks res and sngan: their resampling, their widths, and the parameters of the papers' tables."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate
from torch.testing import assert_close

from models.networks.labels import LabelCode
from models.networks.norm import has_batch_norm
from models.networks.res import DownConv2d, ResDiscriminator, ResGenerator, Residual, UpConv2d, levels
from models.networks.sngan import SNGANDiscriminator, SNGANGenerator
from tests.tiny_models import RGB_32, build


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def num_parameters(net):
    return sum(p.numel() for p in net.parameters())


def onehot(num=10):
    return LabelCode(num, "onehot", 0)


def test_up_and_down_are_resampling_beside_a_convolution():
    x, inner = torch.randn(2, 3, 5, 7), (..., slice(2, -2), slice(2, -2))
    up: Any = UpConv2d(3, 4, 3)
    down: Any = DownConv2d(3, 4, 3)
    nn.init.normal_(up.bias)
    doubled = interpolate(x, scale_factor=2, mode="bilinear")
    expected = conv2d(doubled, up.weight, up.bias, padding=1)
    assert up(x).shape == expected.shape
    assert_close(up(x)[inner], expected[inner], rtol=1e-4, atol=1e-5)  # edges are bordered by 0, not repeated
    x = torch.randn(2, 3, 6, 8)
    assert_close(down(x), avg_pool2d(conv2d(x, down.weight, down.bias, padding=1), 2), rtol=1e-4, atol=1e-5)


def test_a_flat_image_stays_flat_away_from_the_edges():
    y = UpConv2d(2, 2, 3)(torch.ones(1, 2, 6, 6))[..., 2:-2, 2:-2]
    assert_close(y, y[..., :1, :1].expand_as(y))


@pytest.mark.parametrize(
    ("size", "side", "widths"),
    [(28, 7, [1, 2]), (32, 4, [1, 2, 4]), (64, 4, [1, 2, 4, 8]), (96, 6, [1, 2, 4, 8]), (224, 7, [1, 2, 4, 8, 8])],
)
def test_channels_double_as_sides_halve(size, side, widths):
    assert levels(size, 3) == (side, [3 * w for w in widths])
    netG, netD = ResGenerator(5, 1, size, 2, 1e-5), ResDiscriminator(1, size, 2, 1e-5)
    ups = [m for m in netG.modules() if isinstance(m, UpConv2d)]
    downs = [m for m in netD.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    blocks = ResDiscriminator(1, size, 2, 1e-5, num_blocks=1)
    assert [m.in_channels for m in blocks.modules() if isinstance(m, DownConv2d)] == [m.in_channels for m in downs]
    assert [m.out_channels for m in ups] == [2 * w for w in widths[::-1]]
    assert [m.in_channels for m in downs] == [2 * w for w in widths]
    assert netG.main[0].out_features == widths[-1] * 2 * side * side == netD.main[-4].in_features


def test_z_is_used_by_its_direction_alone():
    netG, z = ResGenerator(8, 3, 32, 2, 1e-5).eval(), torch.randn(2, 8)
    assert_close(netG(3 * z), netG(z))
    assert not torch.equal(netG(-z), netG(z))


def test_residual_blocks_have_no_norm_and_begin_as_nothing():
    netG, netD = (ResGenerator(8, 3, 32, 8, 1e-5, None, 2), ResDiscriminator(3, 32, 8, 1e-5, 0.0, None, "none", 2))
    for net in (netG, netD):
        blocks = [m for m in net.modules() if isinstance(m, Residual)]
        assert len(blocks) == 6
        assert not has_batch_norm(net)
        for block in blocks:
            first: Any = block.main[0]
            x = torch.randn(1, first.in_channels, 4, 4)
            assert torch.equal(block(x), x)
            assert block.gain == 6**-0.25
    assert has_batch_norm(ResGenerator(8, 3, 32, 8, 1e-5))
    middle: Any = next(m for m in netG.modules() if isinstance(m, Residual)).main[2]
    assert (middle.in_channels, middle.groups) == (64, 4)  # twice 32, in groups of 16


def test_activations_keep_their_scale_from_end_to_end():
    netD = ResDiscriminator(3, 128, 16, 1e-5)
    features = netD.main[:-1](torch.randn(8, 3, 128, 128))
    assert 0.02 < features.std() < 2  # the mean of 2 x 2 takes some of white noise's


def test_sngan_has_the_parameters_of_its_table():
    # By hand from Table 4 with 256 channels in G and 128 in D: 3 x 3 convolutions with biases and batch norms.
    conv, norm, short = 256 * 256 * 9 + 256, 2 * 256, 256 * 256 + 256
    seed, last = 128 * 4096 + 4096, norm + 256 * 3 * 9 + 3
    assert num_parameters(SNGANGenerator(128, 3, 32, 64, 1e-5)) == seed + 3 * (2 * conv + 2 * norm + short) + last
    conv, short = 128 * 128 * 9 + 128, 128 * 128 + 128
    first = 3 * 128 * 9 + 128 + conv + 3 * 128 + 128
    assert num_parameters(SNGANDiscriminator(3, 32, 64)) == first + 2 * conv + short + 4 * conv + 129


def test_classes_add_a_norm_each_to_g_and_a_vector_each_to_d():
    plain, classed = SNGANGenerator(128, 3, 32, 64, 1e-5), SNGANGenerator(128, 3, 32, 64, 1e-5, onehot())
    assert num_parameters(classed) - num_parameters(plain) == 6 * 512 * (10 - 1)
    judges = SNGANDiscriminator(3, 32, 64), SNGANDiscriminator(3, 32, 64, onehot())
    assert num_parameters(judges[1]) - num_parameters(judges[0]) == 10 * 128


@pytest.mark.parametrize(("size", "widths"), [(64, [1, 2, 4, 8, 16]), (128, [1, 2, 4, 8, 16, 16])])
def test_larger_sngan_is_that_of_the_table_for_imagenet(size, widths):
    netG: Any = SNGANGenerator(8, 3, size, 1, 1e-5)
    netD: Any = SNGANDiscriminator(3, size, 1)
    assert [b.conv2.out_channels for b in netG.blocks] == widths[:-1][::-1]
    assert [b.conv2.out_channels for b in netD.blocks] == widths
    assert netD.blocks(torch.randn(1, 3, size, size)).shape == (1, 16, 4, 4)


def test_a_new_class_norm_is_plain_batch_norm():
    plain, classed = SNGANGenerator(8, 3, 32, 1, 1e-5), SNGANGenerator(8, 3, 32, 1, 1e-5, onehot())
    z, labels = torch.randn(4, 8), torch.tensor([0, 3, 9, 1])
    classed.load_state_dict(plain.state_dict(), strict=False)
    assert_close(classed(z, labels), plain(z))


@pytest.mark.parametrize("net", ["res", "sngan"])
@pytest.mark.parametrize("flag", ["netG", "netD"])
def test_a_size_between_multiples_of_32_names_those_beside_it(net, flag):
    spec, least = RGB_32._replace(image_size=(100, 100)), {"res": "28, 32", "sngan": "32"}[net]
    with pytest.raises(
        ValueError, match=rf"^--{flag} {net} (makes|takes) images of {least}, 64, 96, 128, .* not 100: .*or use .*mlp$"
    ):
        build("gan", spec, **{flag: net})


@pytest.mark.parametrize("net", ["res", "sngan"])
def test_labels_enter_without_another_flag(net):
    model = build("gan", RGB_32, netG=net, netD=net, ngf=2, ndf=2, conditional=True, norm_D="none")
    assert model.netD.projection is not None
    z = model.latents(1).repeat(2, 1)
    with torch.no_grad():
        one, two = model.netD(torch.ones(2, 3, 32, 32), torch.tensor([0, 1]))
        assert not torch.equal(one, two)
        if net == "res":
            one, two = model.sample(z, torch.tensor([0, 1]))
            assert not torch.equal(one, two)
