"""Choose some of many from all over."""

import numpy as np


def spread(num: int, size: int) -> np.ndarray:
    """Return ``size`` of the numbers below ``num``, from all over, int64 in rising order; all when there are fewer."""
    return np.linspace(0, num - 1, min(num, size)).round().astype(np.int64)
