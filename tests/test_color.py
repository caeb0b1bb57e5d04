"""L*a*b* against published values, and back."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from util.color import lab_to_rgb, rgb_to_lab


def pixel(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None, None]


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [  # Bruce Lindbloom's calculator, brucelindbloom.com, sRGB and D65
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.2408, 80.0925, 67.2032)),
        ((0, 255, 0), (87.7347, -86.1827, 83.1793)),
        ((0, 0, 255), (32.2970, 79.1875, -107.8602)),
        ((128, 128, 128), (53.5850, 0, 0)),
        ((10, 10, 10), (2.7417, 0, 0)),  # the linear part of both curves
    ],
)
def test_known_colours(rgb, lab):
    found = rgb_to_lab(pixel(*rgb) / 127.5 - 1)
    assert_close(found, pixel(*lab), rtol=0, atol=0.02)
    assert_close(lab_to_rgb(found), pixel(*rgb) / 127.5 - 1, rtol=0, atol=1e-6)


def test_all_greys_have_no_colour():
    grey = (torch.arange(256) / 127.5 - 1).expand(2, 3, 1, 256)
    assert rgb_to_lab(grey)[:, 1:].abs().max() < 1e-3


def test_bytes_come_back_from_a_batch():
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32)))
    images = (pixels / 127.5 - 1).float()
    lab = rgb_to_lab(images)
    assert lab.shape == images.shape
    assert lab.dtype == torch.float32
    assert ((lab_to_rgb(lab) + 1) * 127.5).round().equal(pixels.float())


def test_what_models_see_of_the_colours_fits_into_plus_minus_one():
    steps = torch.linspace(-1, 1, 18)
    lab = rgb_to_lab(torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij")).flatten(2))
    assert (lab[0] / 50 - 1).abs().max() <= 1.0001
    assert (lab[1:] / 110).abs().max() <= 1


def test_colours_that_a_screen_does_not_have_are_clipped():
    rgb = lab_to_rgb(torch.tensor([50.0, 200, -200]).reshape(1, 3, 1, 1))
    assert rgb.min() == -1
    assert_close(rgb.max(), torch.tensor(1.0))
    assert torch.isfinite(rgb).all()
