import torch

from scripts.mode_coverage import GRID, SPREAD, Gaussians, StackedDigits, coverage


class BrightnessClassifier(torch.nn.Module):
    """Takes images whose pixels are all d / 10 for the digit d."""

    def forward(self, images):
        digits = (images.mean((1, 2, 3)) * 10).round().long()
        return 100 * torch.nn.functional.one_hot(digits, 10).float()


def test_modes_are_found_where_points_lie():
    torch.manual_seed(0)
    target = Gaussians()

    def covered(points):
        return coverage(target.modes(points.reshape(-1, 1, 1, 2)), 25)

    everywhere = target.draw(10_000)
    assert covered(everywhere).found == 25
    assert 0.95 < covered(everywhere).near < 1  # within three standard deviations, in two dimensions
    collapsed = GRID[7] + SPREAD * torch.randn(10_000, 2)
    assert covered(collapsed).found == 1
    between = (GRID + 0.2).repeat(400, 1)
    assert covered(between) == (0, 0.0)
    few = torch.cat([collapsed[:9_996], GRID[[3, 3, 3, 4]]])  # fewer than a hundredth of a share of 400
    assert covered(few).found == 1
    assert covered(torch.cat([collapsed[:9_996], GRID[[3] * 4]])).found == 2


def test_stacked_digits_are_the_thousand_numbers_of_three():
    target = StackedDigits.__new__(StackedDigits)
    target.classifier = BrightnessClassifier()
    target.digits = (torch.arange(10) / 10).reshape(10, 1, 1, 1).expand(10, 1, 28, 28)
    stacked = torch.tensor([[0, 0, 0], [7, 0, 2], [9, 9, 9]]) / 10
    assert target.modes(stacked[:, :, None, None].expand(3, 3, 28, 28)).tolist() == [0, 702, 999]

    torch.manual_seed(0)
    modes = target.modes(target.draw(10_000))
    assert coverage(modes, 1000) == (1000, 1.0)
    assert coverage(modes % 10, 1000).found == 10  # a generator that draws 0 in the first two channels
