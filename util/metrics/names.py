"""The metrics by name, for options and tables; imports no torch."""

import math
from typing import Literal

Metric = Literal[
    "kid",
    "frechet",
    "fid",
    "precision",
    "recall",
    "grain",
    "grid",
    "accuracy",
    "shares",
    "l1",
    "psnr",
    "ssim",
    "lpips",
]
Features = Literal["auto", "inception", "efficientnet_lite0", "efficientnet_lite2"]

OF_FEATURES = ("kid", "frechet", "fid", "precision", "recall")  # a set of images against a set, by features
OF_SPECTRA = ("grain", "grid")  # a set of images against a set, by their spectra; the best value is 1
OF_CLASSES = ("accuracy", "shares")  # by a classifier trained on the real images
OF_PAIRS = ("l1", "psnr", "ssim", "lpips")  # an image against the one it should be
LARGER_IS_BETTER = ("precision", "recall", "accuracy", "shares", "psnr", "ssim")


def cost(metric: str, value: float) -> float:
    """Return what is the smaller the better ``value`` is."""
    if metric in OF_SPECTRA:
        return abs(math.log(value)) if value > 0 else math.inf
    return -value if metric in LARGER_IS_BETTER else value
