"""Adversarial objectives, penalties on D's gradient, terms of reconstruction and of contrast."""

from models.losses.adversarial import GanMode, Objective, create_objective
from models.losses.patch_nce import patch_nce
from models.losses.penalties import gradient_penalty, zero_centred_penalty
from models.losses.reconstruction import kl_divergence, squared_error

__all__ = [
    "GanMode",
    "Objective",
    "create_objective",
    "gradient_penalty",
    "kl_divergence",
    "patch_nce",
    "squared_error",
    "zero_centred_penalty",
]
