import torch

from scripts.mode_coverage import GRID, SPREAD, coverage


def test_modes_are_found_where_points_lie():
    torch.manual_seed(0)
    everywhere = GRID.repeat(400, 1) + SPREAD * torch.randn(10_000, 2)
    assert coverage(everywhere).found == 25
    assert 0.95 < coverage(everywhere).near < 1  # within three standard deviations, in two dimensions
    collapsed = GRID[7] + SPREAD * torch.randn(10_000, 2)
    assert coverage(collapsed).found == 1
    between = (GRID + 0.2).repeat(400, 1)
    assert coverage(between) == (0, 0.0)
    few = torch.cat([collapsed[:9_996], GRID[[3, 3, 3, 4]]])  # fewer than a hundredth of a share of 400
    assert coverage(few).found == 1
    assert coverage(torch.cat([collapsed[:9_996], GRID[[3] * 4]])).found == 2
