"""Truncation and walks against what is known of the normal distribution and of circles."""

import math

import pytest
import torch
from torch.testing import assert_close

from util.results.interpolation import truncated, walk


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("threshold", [0.04, 0.7, 2.0])
def test_truncated_noise_has_the_moments_of_the_truncated_distribution(threshold):
    z = truncated(normal(100_000), threshold)
    density = math.exp(-(threshold**2) / 2) / math.sqrt(2 * math.pi)
    variance = 1 - 2 * threshold * density / math.erf(threshold / math.sqrt(2))
    assert z.abs().max() <= threshold
    assert z.dtype == torch.float32
    assert abs(z.mean()) < 0.01
    assert abs(z.square().mean() / variance - 1) < 0.02


def test_no_truncation_and_a_far_one_leave_z_alone():
    z = normal(1000)
    assert truncated(z, 0) is z
    assert_close(truncated(z, 8.0), z, rtol=1e-5, atol=1e-6)


def test_truncation_keeps_the_order_of_numbers():
    z = normal(100).sort().values
    assert (truncated(z, 0.5).diff() >= 0).all()
    assert truncated(torch.tensor([-40.0, 0.0, 40.0]), 0.5).tolist() == [-0.5, 0.0, 0.5]


@pytest.mark.parametrize("kind", ["lerp", "slerp"])
def test_a_walk_leads_from_one_end_to_the_other(kind):
    start, end = normal(2, 50)
    points = walk(start, end, 7, kind)
    assert points.shape == (7, 50)
    assert_close(points[[0, -1]], torch.stack([start, end]))
    assert_close(walk(start, end, 1, kind), start[None])


def test_a_straight_walk_has_equal_steps():
    start, end = normal(2, 5)
    assert_close(walk(start, end, 5, "lerp").diff(dim=0), ((end - start) / 4).expand(4, 5))


def test_a_spherical_walk_turns_evenly_and_keeps_its_length():
    start, end = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    points = walk(start, end, 4, "slerp")
    assert_close(points.norm(dim=1), torch.full((4,), 2.0))
    assert_close(torch.atan2(points[:, 1], points[:, 0]), torch.tensor([0, math.pi / 6, math.pi / 3, math.pi / 2]))
    straight = walk(start, end, 3, "lerp")[1]
    assert straight.norm() < 1.5  # through a place where z seldom is


@pytest.mark.parametrize("factor", [2.0, -1.0])
def test_points_in_line_are_walked_between_in_a_line(factor):
    start = torch.tensor([1.0, 2.0])
    points = walk(start, factor * start, 3, "slerp")
    assert points.isfinite().all()
    assert_close(points[1], (1 + factor) / 2 * start)
