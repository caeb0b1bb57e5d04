"""The networks that draw and judge images: the layers of their sources, and what all of them must do."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from models.networks.cvae import SIZES as CVAE_SIZES
from models.networks.cvae import Encoder, create_classifier, create_decoder
from models.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from models.networks.labels import LabelCode, label_projection
from models.networks.noise import (
    SIZES,
    NoiseDiscriminatorArchitecture,
    NoiseGeneratorArchitecture,
    create_discriminator,
    create_generator,
)
from models.networks.one_size import (
    Conv28Discriminator,
    Conv28Generator,
    Conv32Discriminator,
    Conv32Generator,
    ConvK8Discriminator,
    ConvK8Generator,
)
from models.networks.sngan import ClassNorm

PAIRS = [(kind, size) for kind, sizes in SIZES.items() for size in sizes] + [("mlp", 10)]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def sides(net, x):
    """Return the shapes, without the batch, after each convolution and linear layer."""
    shapes = []
    for layer in net:
        x = layer(x)
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.Unflatten):
            shapes.append(tuple(x.shape[1:]))
    return shapes


@pytest.mark.parametrize(("kind", "size"), PAIRS, ids=lambda value: str(value))
@pytest.mark.parametrize("labelled", ["no", "joined", "projected"])
def test_every_network_makes_and_judges_its_sizes(kind, size, labelled):
    labels = () if labelled == "no" else (torch.tensor([3, 0]),)
    images: Any = {"nc": 3, "image_size": (size, size), "num_classes": 4 if labels else 0, "label_dim": 3}
    netG = create_generator(NoiseGeneratorArchitecture(kind, **images, nz=5, ngf=2, hidden_G=(6, 5)))
    judged = images | {"ndf": 2, "hidden_D": (6, 5), "norm_D": "none", "projection": labelled == "projected"}
    netD = create_discriminator(NoiseDiscriminatorArchitecture(kind, **judged))
    images = netG(torch.randn(2, 5), *labels)
    assert images.shape == (2, 3, size, size)
    assert images.abs().max() <= 1
    logits = netD(images, *labels)
    assert logits.shape == (2, 1)
    if labels:
        assert not torch.equal(netD(images, torch.tensor([1, 0]))[0], logits[0])
        with torch.no_grad():  # sngan's classes begin alike, so that only rounding would differ
            for layer in netG.modules():
                if isinstance(layer, ClassNorm):
                    nn.init.normal_(layer.shift.weight)
        other = netG(torch.randn(1, 5).repeat(2, 1), torch.tensor([1, 2]))
        assert (other[0] - other[1]).abs().max() > 1e-4


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("kind", ["conv", "dcgan", "conv32", "conv_k8", "res"])
def test_the_norm_of_d_is_the_one_that_was_asked_for(kind, norm):
    size = SIZES[kind][0]
    netD = create_discriminator(NoiseDiscriminatorArchitecture(kind, 3, (size, size), ndf=1, norm_eps=0.5, norm_D=norm))
    layers = {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d}
    for name, layer in layers.items():
        found = [m for m in netD.modules() if isinstance(m, layer)]
        assert bool(found) == (name == norm)
        assert all(m.eps == 0.5 for m in found)


def test_layers_for_28_pixels_are_those_of_the_source():
    netG, netD = Conv28Generator(100, 1, 64, 1e-5), Conv28Discriminator(1, 64)
    z = torch.randn(2, 100)
    assert sides(netG.main, z) == [(3136,), (1, 56, 56), (64, 56, 56), (32, 56, 56), (1, 28, 28)]
    assert sides(netD.main, netG(z)) == [(32, 28, 28), (64, 14, 14), (1024,), (1,)]


def test_layers_for_32_pixels_are_those_of_the_source():
    netG, netD = Conv32Generator(100, 1, 64, 1e-5), Conv32Discriminator(1, 64, 1e-5, 0.0)
    z = torch.randn(2, 100)
    assert sides(netG.main, z) == [(4096,), (256, 4, 4), (128, 9, 9), (64, 17, 17), (1, 32, 32)]
    assert sides(netD.main, netG(z)) == [(16, 16, 16), (32, 8, 8), (64, 4, 4), (128, 1, 1), (1,)]


def test_layers_of_kernel_8_are_those_of_the_source_and_mirror_each_other():
    netG, netD = ConvK8Generator(100, 3, 2, 1e-5), ConvK8Discriminator(3, 2, 1e-5, 0.0)
    z = torch.randn(2, 100)
    assert sides(netG.main, z) == [(363,), (3, 11, 11), (8, 28, 28), (8, 62, 62), (3, 128, 128)]
    assert sides(netD.main, netG(z)) == [(8, 62, 62), (8, 28, 28), (3, 11, 11), (1,)]
    assert (
        next(m for m in ConvK8Generator(100, 3, 64, 1e-5).modules() if isinstance(m, nn.ConvTranspose2d)).out_channels
        == 256
    )


@pytest.mark.parametrize(("size", "widths"), [(32, [4, 2, 1]), (64, [8, 4, 2, 1]), (256, [8, 8, 8, 4, 2, 1])])
def test_dcgan_halves_channels_as_it_doubles_sides(size, widths):
    netG, netD = DCGANGenerator(5, 3, size, 2, 1e-5), DCGANDiscriminator(3, size, 2, 1e-5)
    growing = [m.in_channels for m in netG.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert growing == [2 * w for w in widths]
    assert [m.out_channels for m in netD.modules() if isinstance(m, nn.Conv2d)] == growing[::-1]
    assert len([m for m in netG.modules() if isinstance(m, nn.BatchNorm2d)]) == len(widths)
    assert len([m for m in netD.modules() if isinstance(m, nn.BatchNorm2d)]) == len(widths) - 1  # none in the first


def test_dcgan_begins_with_the_weights_of_its_paper():
    weights = [m.weight for m in DCGANGenerator(100, 3, 64, 32, 1e-5).modules() if isinstance(m, nn.ConvTranspose2d)]
    assert all(abs(w.std() - 0.02) < 0.002 and abs(w.mean()) < 0.002 for w in weights)


@pytest.mark.parametrize("kind", ["conv", "dcgan"])
def test_resizing_replaces_the_transposed_convolutions(kind):
    netG = create_generator(NoiseGeneratorArchitecture(kind, 3, (64, 64), nz=5, ngf=2, upsample="resize"))
    assert not any(isinstance(m, nn.ConvTranspose2d) for m in netG.modules())
    assert netG(torch.randn(2, 5)).shape == (2, 3, 64, 64)


def test_a_projection_adds_the_product_of_label_and_features():
    arch = NoiseDiscriminatorArchitecture("dcgan", 3, (32, 32), 4, ndf=2, norm_D="none", projection=True)
    netD: Any = create_discriminator(arch).eval()
    images, labels = torch.randn(2, 3, 32, 32), torch.tensor([1, 2])
    features = netD.main[:-1](images)
    expected = netD.main[-1](features) + (netD.projection(labels) * features).sum(1, keepdim=True)
    assert_close(netD(images, labels), expected)


def test_a_projection_begins_with_the_weights_of_its_paper():
    projection = label_projection(LabelCode(10, "onehot", 10), 400)
    assert projection is not None
    (weight,) = projection.parameters()
    bound = (6 / 410) ** 0.5
    assert weight.abs().max() <= bound
    assert abs(weight.std() / (bound / 3**0.5) - 1) < 0.05


@pytest.mark.parametrize("size", CVAE_SIZES[:-1])
def test_an_autoencoder_of_every_size(size):
    netE, netG = Encoder(3, size, 4, 6, 1e-5), create_decoder(6, 3, size, 4, 1e-5, 4)
    images, labels = torch.randn(2, 3, size, size), torch.tensor([0, 3])
    mean, logvar = netE(images)
    assert mean.shape == logvar.shape == (2, 6)
    assert netG(mean, labels).shape == images.shape
    assert create_classifier(3, size, 4, 1e-5, 4)(images).shape == (2, 4)


def test_the_encoder_for_28_pixels_is_that_of_the_source():
    netE, netG = Encoder(1, 28, 64, 20, 1e-5), create_decoder(20, 1, 28, 64, 1e-5, 10)
    assert sides(netE.main, torch.randn(2, 1, 28, 28)) == [(16, 14, 14), (32, 7, 7), (32, 7, 7)]
    assert sides(netG.main, torch.randn(2, 30)) == [(1568,), (32, 7, 7), (16, 14, 14), (1, 28, 28)]
