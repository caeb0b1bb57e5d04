"""Adversarial objectives, penalties on D's gradient, and terms of reconstruction."""

from models.losses.adversarial import GanMode, Objective, create_objective
from models.losses.penalties import gradient_penalty, zero_centred_penalty
from models.losses.reconstruction import kl_divergence, squared_error

__all__ = [
    "GanMode",
    "Objective",
    "create_objective",
    "gradient_penalty",
    "kl_divergence",
    "squared_error",
    "zero_centred_penalty",
]
