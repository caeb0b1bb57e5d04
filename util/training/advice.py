"""Warnings that say what to try, from what is reported anyway: nothing here is computed in a step."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from util.metrics.spectrum import fine_power, fineness
from util.types import Batch, Grid

COMPARED = 32  # pixels: the size at which images are compared
WON, REPORTS = 0.05, 20  # D's loss, and in how many reports in a row it must be below, for D to have won
PART = 0.5  # of the diversity that G once had, and ...
POOR = 0.4  # ... of that of real images, below which G repeats itself
NEVER, LOOKS = 0.1, 10  # of that of real images, and how many looks G gets to be above
GRID, STAYS = 8.0, 5  # power on the Nyquist lines, relative to real images', and looks in a row at which it is above
AGAIN = 50  # reports, or looks, before the same is said again


class Advice:
    """Watches losses and samples; says the same thing but once in a while."""

    def __init__(self, preview: Batch, is_bounded: bool) -> None:
        """Start to watch.

        Args:
            preview: a batch of real images from all over the data.
            is_bounded: whether D's loss near 0 says that D has won; a critic's says something else.
        """
        self.is_bounded = is_bounded
        self.real = diversity(preview["image"].cpu(), preview.get("label")) if "image" in preview else 0.0
        self.fine = fine_power(preview["image"].cpu()) if "image" in preview else None
        self.won = self.looks = self.poor_looks = self.patterned = 0
        self.most = 0.0
        self.silent = dict.fromkeys(("won", "repeats", "grid"), 0)

    def losses(self, means: Mapping[str, float]) -> str:
        """Return what to say of a report's losses, "" for nothing."""
        of_D = [v for name, v in means.items() if name.startswith("D_")]
        low = self.is_bounded and bool(of_D) and 0 <= sum(of_D) / len(of_D) < WON
        self.won = self.won + 1 if low else 0
        return self._say(
            "won",
            self.won >= REPORTS,
            f"D has won: its loss was below {WON} for {self.won} reports, so G learns little; try --diffaugment "
            "color,translation, --gan_mode rpgan with --r1_gamma 1 --r2_gamma 1 and no batch norm in D, "
            "--spectral_norm, --instance_noise .1, or a --lr_D that is a quarter of --lr",
        )

    def samples(self, grids: Mapping[str, Grid]) -> str:
        """Return what to say of the samples "fake" that are shown, a row a class or rows of any; "" for nothing."""
        if "fake" not in grids or not self.real or len(grids["fake"].images) < 4:
            return ""
        grid = grids["fake"]
        rows = torch.arange(len(grid.images)) // grid.columns if grid.rows else None
        part = diversity(grid.images, rows) / self.real
        self.looks += 1
        poor = (part < POOR and part < PART * self.most) or (part < NEVER and self.looks > LOOKS)
        self.poor_looks = self.poor_looks + 1 if poor else 0
        self.most = max(self.most, part)
        return self._say(
            "repeats",
            self.poor_looks >= 2,
            f"G repeats itself: its samples differ by {100 * part:.0f} % of what real images do; try --diffaugment "
            "color,translation, a lower --lr, a larger --batch_size, --gan_mode hinge, or an earlier checkpoint",
        )

    def patterns(self, grids: Mapping[str, Grid]) -> str:
        """Return what to say of a pattern of single pixels in the samples "fake" that are shown, "" for nothing."""
        if "fake" not in grids or self.fine is None:
            return ""
        found = fineness(fine_power(grids["fake"].images), self.fine).grid
        self.patterned = self.patterned + 1 if found > GRID else 0
        return self._say(
            "grid",
            self.patterned >= STAYS,
            f"the samples show a grid: {found:.0f} times the power of real images in patterns that repeat every two "
            "pixels; try --upsample resize (with --netG conv or dcgan) and --netD dcgan",
        )

    def _say(self, what: str, true: bool, text: str) -> str:
        self.silent[what] = max(0, self.silent[what] - 1)
        if not true or self.silent[what]:
            return ""
        self.silent[what] = AGAIN
        return f"warning: {text}"


def diversity(images: Tensor, labels: Tensor | None) -> float:
    """Return how far images (N, C, H, W) in [-1, 1] are from each other: the mean distance of two, per pixel.

    Of two of the same class where there are ``labels`` (N,), so that one image a class counts as none.
    """
    height, width = (min(side, COMPARED) for side in images.shape[-2:])
    flat = adaptive_avg_pool2d(images.float(), (height, width)).flatten(1)
    distances = torch.cdist(flat, flat) / flat.shape[1] ** 0.5
    others = ~torch.eye(len(flat), dtype=torch.bool, device=flat.device)
    if labels is not None:
        labels = labels.to(flat.device)
        others &= labels[:, None] == labels
    return float(distances[others].mean()) if others.any() else 0.0
