"""Images of any sides through networks that take only some."""

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, pad
from torch.testing import assert_close

from models.networks.architecture import DiscriminatorArchitecture, GeneratorArchitecture
from models.networks.sides import fitting_side, padded, reflect
from models.networks.translation import create_discriminator, create_generator
from tests.test_step_operations import NoSync


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


class Same(nn.Module):
    """Returns what it gets and notes it."""

    def __init__(self, multiple, smallest):
        super().__init__()
        self.size_multiple, self.min_size = multiple, smallest

    def forward(self, images):
        assert all(side % self.size_multiple == 0 and side >= self.min_size for side in images.shape[-2:])
        self.got = images
        return images


def generator(name, norm="none", **options):
    return create_generator(GeneratorArchitecture(name, 3, 2, 4, norm, **options), gain=0.3)


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize("name", ["resnet_1blocks", "unet_32", "unet_64"])
def test_every_generator_takes_all_sides(name, norm):
    net = generator(name, norm).eval()
    for height, width in [(1, 1), (1, 40), (2, 3), (7, 13), (33, 64), (65, 31), (100, 4)]:
        with torch.no_grad():
            assert padded(net, torch.rand(2, 3, height, width)).shape == (2, 2, height, width)


@pytest.mark.parametrize(("name", "height", "width"), [("resnet_2blocks", 8, 20), ("unet_32", 64, 32)])
def test_fitting_images_go_through_as_they_are(name, height, width):
    net = generator(name, "instance").eval()
    images = torch.rand(1, 3, height, width)
    assert_close(padded(net, images), net(images), rtol=0, atol=0)
    same = Same(net.size_multiple, net.min_size)
    assert padded(same, images) is images
    assert same.got is images


def test_networks_that_take_all_sides_are_not_padded():
    images = torch.rand(1, 3, 41, 43)
    # It has a smallest side, and gives fewer logits than pixels.
    basic = create_discriminator(DiscriminatorArchitecture("basic", 3, 4, norm="none"))
    assert_close(padded(basic, images), basic(images), rtol=0, atol=0)
    with pytest.raises(ValueError, match="at least 24"):
        padded(basic, images[..., :8])
    assert padded(nn.Identity(), images) is images


@pytest.mark.parametrize(("multiple", "smallest"), [(4, 8), (32, 32), (1, 6), (5, 7)])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (2, 5), (8, 33), (31, 64), (20, 20), (15, 6)])
def test_padding_is_undone(height, width, multiple, smallest):
    net, images = Same(multiple, smallest), torch.rand(2, 3, height, width)
    assert_close(padded(net, images), images, rtol=0, atol=0)
    for side, fitting in zip((height, width), net.got.shape[-2:], strict=True):
        assert fitting == fitting_side(side, multiple, smallest)
        assert fitting - multiple < side or fitting - multiple < smallest  # no more than needed


@pytest.mark.parametrize(("height", "width"), [(17, 20), (30, 31), (32, 25), (18, 32)])
def test_padding_is_by_reflection_and_even(height, width):
    net, images = Same(32, 32), torch.rand(2, 3, height, width)
    padded(net, images)
    y, x = 32 - height, 32 - width
    expected = pad(images, (x // 2, x - x // 2, y // 2, y - y // 2), mode="reflect")
    assert_close(net.got, expected, rtol=0, atol=0)


def test_reflection_goes_back_and_forth():
    row = torch.tensor([[0.0, 1.0, 2.0]])
    assert reflect(row, -1, 14).int().tolist() == [[1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1, 0]]
    assert reflect(row[:, :1], 1, 4).tolist() == [[0.0] * 4]
    assert reflect(row[:, :2], 1, 7).int().tolist() == [[0, 1, 0, 1, 0, 1, 0]]
    assert reflect(row, 1, 3) is row


@pytest.mark.parametrize(("height", "width"), [(2, 2), (3, 5), (20, 33)])
def test_gradients_flow_to_every_pixel(height, width):
    images = torch.rand(1, 3, height, width, dtype=torch.float64, requires_grad=True)
    net = generator("unet_32").double()
    padded(net, images).square().sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert images.grad.ne(0).all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


class Blur(Same):
    def forward(self, images):
        return avg_pool2d(super().forward(images), 3, 1, 1).tanh()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 9), (8, 5)])
def test_the_gradient_is_right(height, width):
    images = torch.rand(1, 1, height, width, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: padded(Blur(8, 8), x), images)


def test_padding_does_not_wait_for_the_device(monkeypatch):
    net, images = generator("resnet_1blocks"), torch.rand(1, 3, 9, 5)
    with NoSync.forbidden(monkeypatch):
        padded(net, images)
