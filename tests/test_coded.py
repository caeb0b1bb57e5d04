"""Noise at each pixel and palettes: the layers of G that see the code."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize
from torch.testing import assert_close

from models.networks.coded import GAIN, Coded, Palette, PixelNoise
from models.networks.labels import LabelCode
from models.networks.res import ResGenerator
from tests.tiny_models import GREY_28, RGB_32, build


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_a_palette_mixes_its_colours_by_their_shares():
    palette, x, code = Palette(4, 3, 2, 5), torch.randn(2, 3, 5, 5), torch.randn(2, 4)
    images, colours = palette(x, code), palette.colours(code)
    for n, c, i, j in torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(5), torch.arange(5)).tolist():
        shares = torch.exp(GAIN * x[n, :, i, j]) / torch.exp(GAIN * x[n, :, i, j]).sum()
        total = 0.0
        for k in range(3):
            level, right, down = (colours[n, (part * 2 + c) * 3 + k] for part in range(3))
            total = total + shares[k] * (level + right * (j / 2 - 1) + down * (i / 2 - 1))
        assert_close(images[n, c, i, j], torch.tanh(torch.as_tensor(total)))


def test_an_area_of_one_colour_is_flat_or_changes_evenly():
    palette, x, code = Palette(4, 3, 1, 9), torch.zeros(1, 3, 9, 9), torch.randn(1, 4)
    x[:, 1] = 100
    x += torch.rand(1, 3, 9, 9)  # which would show in an image drawn in red, green and blue
    level = torch.atanh(palette(x, code)[0, 0].detach())
    assert_close(level.diff(n=2, dim=0), torch.zeros(7, 9), rtol=0, atol=1e-5)
    assert_close(level.diff(n=2, dim=1), torch.zeros(9, 7), rtol=0, atol=1e-5)
    last: Any = palette.colours[2]
    with torch.no_grad():
        last.weight[3:], last.bias[3:] = 0, 0  # no change across the image
    assert palette(x, code).unique().numel() == 1


def test_each_image_has_colours_of_its_own_and_classes_have_theirs():
    netG: Any = ResGenerator(8, 3, 28, 2, 1e-5, LabelCode(2, "embedding", 4), palette=4).eval()
    z, labels = torch.randn(3, 8), torch.tensor([0, 0, 1])
    colours = netG.main[-1].colours(torch.cat([z[[0, 1, 0]], netG.label(labels)], 1))
    assert len({tuple(row) for row in colours.tolist()}) == 3
    netG(z, labels).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in netG.main[-1].parameters())


def test_noise_begins_as_none_and_is_of_variance_1():
    noise, x, z = PixelNoise(64, 3, 16), torch.zeros(50, 3, 16, 16), torch.randn(50, 64)
    code = torch.cat([normalize(z, dim=1) * 8, torch.randn(50, 6)], 1)  # z on the sphere, as G has it
    assert torch.equal(noise(x, code), x)
    nn.init.constant_(noise.scale, 2.0)
    drawn = noise(x, code).detach()
    assert 1.9 < drawn.std() < 2.1
    assert abs(float(drawn.mean())) < 0.05
    flat = drawn[:, 0].flatten(1)
    alike = torch.corrcoef(flat) - torch.eye(50)
    assert alike.abs().max() < 0.6  # another z is another pattern
    beside = (drawn[..., 1:] * drawn[..., :-1]).mean() / drawn.square().mean()
    assert abs(float(beside)) < 0.02  # without a likeness of neighbours


def test_the_noise_of_a_z_is_the_same_for_ever():
    expected = [1.6243454, -0.6117564, -0.5281718, -1.0729686]  # NumPy's for seed 1
    planes = PixelNoise(4, 1, 1).planes
    assert_close(planes.flatten() * 2, torch.tensor(expected))
    assert not torch.equal(PixelNoise(4, 1, 2).planes[:, 0], planes[:, 0])


def test_noise_follows_from_z_alone():
    noise, again = PixelNoise(6, 2, 8), PixelNoise(6, 2, 8)
    nn.init.ones_(noise.scale)
    again.load_state_dict(noise.state_dict())
    x, code = torch.zeros(1, 2, 8, 8), torch.randn(1, 10)
    other = torch.cat([code[:, :6], torch.randn(1, 4)], 1)
    assert torch.equal(noise(x, code), noise(x, other))  # not from what stands for the label
    assert torch.equal(noise(x, code), again(x, code))  # and a net that is loaded has the same
    assert not torch.equal(noise(x, code), noise(x, -code))
    assert list(noise.state_dict()) == ["scale"]


def test_a_generator_has_noise_at_each_size_and_learns_how_much():
    netG = ResGenerator(8, 3, 32, 2, 1e-5, noise_inputs=True)
    layers: list[Any] = [m for m in netG.modules() if isinstance(m, PixelNoise)]
    assert [(m.side, len(m.scale)) for m in layers] == [(8, 8), (16, 4), (32, 2)]
    netG(torch.randn(4, 8)).square().sum().backward()
    assert all(m.scale.grad.abs().sum() > 0 for m in layers)
    assert isinstance(netG.main, Coded)


def test_one_colour_is_refused():
    with pytest.raises(ValueError, match=r"^--palette 1: shapes need two colours or more; 0 is no palette$"):
        build("r3gan", RGB_32, palette=1)
    assert build("r3gan", GREY_28, palette=2, ngf=2, ndf=2).netG(torch.randn(2, 100)).shape == (2, 1, 28, 28)
