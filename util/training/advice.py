"""Warnings that suggest what to try, computed from reports and pictures, never in a step."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from util.metrics.spectrum import fine_power, fineness
from util.types import Batch, Grid

COMPARED = 32  # pixels: images are compared at this size
D_WON = 0.05  # D has won when its loss is below this ...
D_WON_REPORTS = 20  # ... in this many reports in a row
COLLAPSED_VS_PEAK = 0.5  # G repeats itself when its diversity is below this fraction of the most it ever had ...
COLLAPSED_VS_REAL = 0.4  # ... and below this fraction of that of real images
NEVER_DIVERSE = 0.1  # or when it has stayed below this fraction of that of real images ...
NEVER_DIVERSE_LOOKS = 10  # ... for this many looks
GRID = 8.0  # samples show a grid when their power on the Nyquist lines is this many times that of real images ...
GRID_LOOKS = 5  # ... in this many looks in a row
AGAIN = 50  # reports, or looks, before a warning is repeated


class Advice:
    """Watches losses and samples; repeats a warning only once in a while."""

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
        """Return a warning about a report's losses; "" for none."""
        of_D = [v for name, v in means.items() if name.startswith("D_")]
        low = self.is_bounded and bool(of_D) and 0 <= sum(of_D) / len(of_D) < D_WON
        self.won = self.won + 1 if low else 0
        return self._say(
            "won",
            self.won >= D_WON_REPORTS,
            f"D has won: its loss was below {D_WON} for {self.won} reports, so G learns little; try --diffaugment "
            "color,translation, --gan_mode rpgan with --r1_gamma 1 --r2_gamma 1 and no batch norm in D, "
            "--spectral_norm, --instance_noise .1, or a --lr_D that is a quarter of --lr",
        )

    def samples(self, grids: Mapping[str, Grid]) -> str:
        """Return a warning about the diversity of the samples "fake"; "" for none."""
        if "fake" not in grids or not self.real or len(grids["fake"].images) < 4:
            return ""
        grid = grids["fake"]
        rows = torch.arange(len(grid.images)) // grid.columns if grid.rows else None
        part = diversity(grid.images, rows) / self.real
        self.looks += 1
        is_collapsed = part < COLLAPSED_VS_REAL and part < COLLAPSED_VS_PEAK * self.most
        poor = is_collapsed or (part < NEVER_DIVERSE and self.looks > NEVER_DIVERSE_LOOKS)
        self.poor_looks = self.poor_looks + 1 if poor else 0
        self.most = max(self.most, part)
        return self._say(
            "repeats",
            self.poor_looks >= 2,
            f"G repeats itself: its samples differ by {100 * part:.0f} % of what real images do; try --diffaugment "
            "color,translation, a lower --lr, a larger --batch_size, --gan_mode hinge, or an earlier checkpoint",
        )

    def patterns(self, grids: Mapping[str, Grid]) -> str:
        """Return a warning about a checkerboard in the samples "fake"; "" for none."""
        if "fake" not in grids or self.fine is None:
            return ""
        found = fineness(fine_power(grids["fake"].images), self.fine).grid
        self.patterned = self.patterned + 1 if found > GRID else 0
        return self._say(
            "grid",
            self.patterned >= GRID_LOOKS,
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
