"""The metrics by name, for options and tables; imports no torch."""

from typing import Literal

Metric = Literal["kid", "frechet", "fid", "precision", "recall", "accuracy", "shares", "l1", "psnr", "ssim", "lpips"]
Features = Literal["auto", "inception", "efficientnet_lite0"]

OF_FEATURES = ("kid", "frechet", "fid", "precision", "recall")  # a set of images against a set, by features
OF_CLASSES = ("accuracy", "shares")  # by a classifier trained on the real images
OF_PAIRS = ("l1", "psnr", "ssim", "lpips")  # an image against the one it should be
LARGER_IS_BETTER = ("precision", "recall", "accuracy", "shares", "psnr", "ssim")


def sign(metric: str) -> int:
    """Return 1 for a metric that is the better the smaller it is, and -1 for one that is the better the larger."""
    return -1 if metric in LARGER_IS_BETTER else 1
