"""Augmentations change images at random, by as much as they say, and let gradients through."""

import pytest
import torch

from models.augment.diffaugment import augment

KINDS = ("color", "translation", "cutout")


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.rand(64, 3, 16, 24) * 2 - 1


@pytest.mark.parametrize("kind", KINDS)
def test_shape_stays_and_the_gradient_flows(kind, images):
    images.requires_grad_()
    changed = augment(images, (kind,))
    assert changed.shape == images.shape and not torch.equal(changed, images)
    changed.square().sum().backward()
    assert images.grad.flatten(1).abs().sum(1).gt(0).all()


def test_nothing_asked_for_changes_nothing(images):
    assert augment(images, ()) is images


def test_translation_moves_each_image_whole_by_at_most_an_eighth(images):
    moved = augment(images, ("translation",))
    offsets = set()
    for before, after in zip(images, moved, strict=True):
        fits = []
        for y in range(-2, 3):
            for x in range(-3, 4):
                shifted = torch.zeros_like(before)
                shifted[:, max(0, -y) : 16 - max(0, y), max(0, -x) : 24 - max(0, x)] = before[
                    :, max(0, y) : 16 + min(0, y), max(0, x) : 24 + min(0, x)
                ]
                if torch.equal(shifted, after):
                    fits.append((y, x))
        assert len(fits) == 1
        offsets.add(fits[0])
    assert len(offsets) > 15  # of 35


def test_cutout_blanks_at_most_a_quarter_and_leaves_the_rest(images):
    cut = augment(images, ("cutout",))
    gone = (cut == 0).all(1)
    assert torch.equal(cut[~gone[:, None].expand_as(cut)], images[~gone[:, None].expand_as(cut)])
    share = gone.float().mean((1, 2))
    assert share.max() <= 0.26 and share.min() > 0.05


def test_colour_keeps_what_is_grey_grey():
    grey = torch.rand(8, 1, 4, 4).expand(8, 3, 4, 4)
    changed = augment(grey, ("color",))
    torch.testing.assert_close(changed[:, 0], changed[:, 1])


@pytest.mark.parametrize("size", [4, 7, 8, 28])
def test_the_hole_is_half_as_wide_and_high_as_the_image(size):
    """Where it lies inside; one that reaches over the border shows less."""
    images = augment(torch.ones(200, 1, size, size), ["cutout"])
    holes = (images == 0).sum((1, 2, 3))
    assert holes.max() == round(size / 2) ** 2
