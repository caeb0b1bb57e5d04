"""Images translated tile by tile."""

from itertools import pairwise, product

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d
from torch.testing import assert_close

from models.networks.architecture import GeneratorArchitecture
from models.networks.sides import padded
from models.networks.tiles import check_tile, shares, tiled
from models.networks.translation import create_generator


def starts(side, tile, overlap):
    return [place.start for place, _ in shares(side, tile, overlap)]


SIZES = [(64, 64), (65, 64), (16, 200), (200, 17), (63, 127), (33, 31), (5, 90), (100, 100)]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


class Noted:
    """A translation that notes the sides of what it gets."""

    def __init__(self, translate):
        self.translate, self.shapes = translate, []

    def __call__(self, images):
        self.shapes.append(tuple(images.shape[-2:]))
        return self.translate(images)


@pytest.mark.parametrize("overlap", [0, 1, 7, 16, 24])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_identity_gives_the_images_back(height, width, overlap):
    images = 2 * torch.rand(2, 3, height, width) - 1
    before = images.clone()
    assert_close(tiled(lambda x: x, images, 32, overlap), images, rtol=0, atol=1e-6)
    assert_close(images, before, rtol=0, atol=0)


@pytest.mark.parametrize("overlap", [0, 5, 16, 24])
def test_what_looks_at_single_pixels_is_reproduced(overlap):
    mix = nn.Conv2d(3, 5, 1)
    images = torch.randn(2, 3, 70, 101)
    with torch.no_grad():
        result = tiled(lambda x: mix(x).tanh(), images, 32, overlap)
        assert_close(result, mix(images).tanh(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("height", "width", "overlap", "num"),
    [(32, 32, 8, 1), (5, 31, 8, 1), (33, 32, 8, 2), (56, 32, 8, 2), (57, 32, 8, 3), (80, 56, 8, 6), (64, 64, 0, 4)],
)
def test_the_tiles(height, width, overlap, num):
    noted = Noted(lambda x: x)
    tiled(noted, torch.zeros(1, 1, height, width), 32, overlap)
    assert noted.shapes == [(min(32, height), min(32, width))] * num


@pytest.mark.parametrize("overlap", [0, 1, 9, 15])
def test_tiles_cover_a_side_and_share_what_they_should(overlap):
    for side in range(1, 100):
        begins = starts(side, 16, overlap)
        assert begins[0] == 0
        assert begins[-1] + min(16, side) == side
        assert all(a < b for a, b in pairwise(begins))
        assert all(a + 16 - b == overlap for a, b in pairwise(begins[:-1]))
        assert all(a + 16 - b >= overlap for a, b in pairwise(begins))
        total = torch.zeros(side, dtype=torch.float64)
        for place, share in shares(side, 16, overlap):
            assert share.min() > 0
            total[place] += share
        assert_close(total, torch.ones_like(total))


def test_one_tile_is_exactly_the_translation():
    net = create_generator(GeneratorArchitecture("resnet_1blocks", 3, 2, 4))
    images = torch.randn(1, 3, 32, 24)
    assert_close(tiled(net, images, 32, 8), net(images), rtol=0, atol=0)


def blur(weight, images):
    """Convolve with zeros beyond the border: a tile's own border gives other values than the image inside."""
    return conv2d(images, weight, padding=weight.shape[-1] // 2)


@pytest.mark.parametrize(("r", "overlap"), [(4, 8), (4, 11), (1, 11), (4, 24), (2, 24), (1, 24)])
@pytest.mark.parametrize(("height", "width"), [(100, 100), (49, 131), (48, 60), (20, 97)])
def test_a_convolution_differs_only_near_seams_and_little(height, width, r, overlap):
    weight = torch.randn(2, 1, 2 * r + 1, 2 * r + 1, dtype=torch.float64)
    images = 2 * torch.rand(1, 1, height, width, dtype=torch.float64) - 1
    whole = blur(weight, images)
    error = (tiled(lambda x: blur(weight, x), images, 48, overlap) - whole).abs()
    alone = [
        (blur(weight, images[..., y, x]) - whole[..., y, x]).abs().max()
        for (y, _), (x, _) in product(shares(height, 48, overlap), shares(width, 48, overlap))
    ]
    assert error.max() <= 4 * r / (overlap + 1) * max(alone)

    near = torch.zeros(height, width, dtype=torch.bool)
    for side, lines in ((height, near), (width, near.T)):
        for begin in starts(side, 48, overlap):
            lines[begin : begin + r] |= begin > 0
            lines[max(0, begin + 48 - r) : begin + 48] |= begin + 48 < side
    assert 0 < near.sum() < near.numel()
    assert error[..., near].max() > 1e-3  # so there is something to bound
    assert error[..., ~near].max() < 1e-12


def test_the_blend_is_linear():
    """Two tiles with different contents: over the overlap the share of the second grows in equal steps."""
    contents = iter([0.0, 1.0])
    result = tiled(lambda x: torch.full_like(x, next(contents)), torch.zeros(1, 1, 4, 12), 8, 4)
    share = torch.tensor([0, 0, 0, 0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])
    assert_close(result, share.expand(1, 1, 4, 12))


def test_a_generator_that_sees_less_than_the_overlap():
    # It sees 20 pixels to each side.
    net = create_generator(GeneratorArchitecture("resnet_1blocks", 1, 1, 4, "none"), gain=0.3).eval()
    images = 2 * torch.rand(1, 1, 96, 132) - 1
    with torch.no_grad():
        whole, result = net(images), tiled(net, images, 64, 32)
        alone = [
            (net(images[..., y, x]) - whole[..., y, x]).abs().max()
            for (y, _), (x, _) in product(shares(96, 64, 32), shares(132, 64, 32))
        ]
    assert (result - whole).abs().max() < max(alone)
    assert whole.std() > 0.01


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_result_has_the_type_of_the_translation(dtype):
    images = torch.rand(1, 1, 40, 40)
    for tile in (16, 64):
        result = tiled(lambda x: x.to(dtype), images, tile, 8)
        assert result.dtype == dtype
        assert_close(result, images.to(dtype), rtol=0, atol=1e-2 if dtype == torch.bfloat16 else 1e-6)


def test_tiles_are_computed_elsewhere():
    devices = []

    def translate(x):
        devices.append(x.device.type)
        return torch.zeros(*x.shape)  # back from the device: meta tensors have no content

    for size in (20, 8):
        result = tiled(translate, torch.rand(1, 1, size, size), 8, 2, torch.device("meta"))
        assert result.device.type == "cpu"
    assert set(devices) == {"meta"}


def test_with_padding_no_side_of_image_or_tile_matters():
    net = create_generator(GeneratorArchitecture("unet_32", 3, 3, 4)).eval()
    with torch.no_grad():
        for shape in [(1, 3, 40, 100), (2, 3, 7, 65), (1, 3, 64, 64)]:
            assert tiled(lambda x: padded(net, x), torch.rand(shape), 64, 16).shape == shape


@pytest.mark.parametrize(
    ("tile", "overlap", "multiple", "field", "message"),
    [
        (128, 32, 4, 169, "--tile 128 is smaller than the 169 x 169 pixels that the network sees around each pixel: "
         "at least 172"),
        (512, 32, 256, 1278, "--tile 512 is smaller than the 1278 x 1278 pixels that .*: at least 1280"),
        (258, 32, 4, 169, "--tile 258 is not a multiple of 4, as the network needs: the nearest is 260"),
        (257, 32, 4, 169, "--tile 257 is not a multiple of 4, .*: the nearest is 256"),
        (169, 32, 4, 169, "--tile 169 is not a multiple of 4, .*: the nearest is 172"),
        (0, 0, 4, 1, "--tile 0 is smaller than the 1 x 1 pixels"),
        (256, 256, 4, 169, "--tile_overlap 256 is not from 0 to below --tile 256: 64 is a quarter of it"),
        (256, -1, 4, 169, "--tile_overlap -1 is not from 0"),
    ],
)  # fmt: skip
def test_tiles_that_do_not_fit_are_refused_with_the_remedy(tile, overlap, multiple, field, message):
    with pytest.raises(ValueError, match=f"^{message}") as error:
        check_tile(tile, overlap, multiple, field)
    assert "\n" not in str(error.value)


def test_tiles_that_fit():
    check_tile(172, 171, 4, 169)
    check_tile(1280, 0, 256, 1278)
    check_tile(1, 0, 1, 1)
