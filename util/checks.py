"""Check the values of a saved state before a run resumes from it."""

import math
from collections.abc import Mapping
from typing import Any

from util.config_file import brief

MOST = 2**53  # steps, images, bytes: whole numbers that no run reaches


def count(state: Mapping[str, Any], name: str, most: int = MOST) -> int:
    """Return ``state[name]``; raise ValueError when it is not a whole number from 0 to ``most``."""
    value = state[name]
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{name} is {brief(value)}, not a whole number from 0 to {most}")
    return value


def number(state: Mapping[str, Any], name: str) -> float:
    """Return ``state[name]``; raise ValueError when it is no number, or NaN."""
    value = state[name]
    if not isinstance(value, int | float) or math.isnan(value):
        raise ValueError(f"{name} is {brief(value)}, not a number")
    return value
