"""Adversarial objectives, penalties on D's gradient, terms of reconstruction and of contrast."""

from models.losses.adversarial import OBJECTIVES, GanMode
from models.losses.objective import Objective
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


def create_objective(mode: GanMode, smoothing: float = 0.0) -> Objective:
    """Return the objective of ``--gan_mode mode``; raise ValueError when it has no target to smooth."""
    if smoothing and not OBJECTIVES[mode].has_target:
        can = ", ".join(name for name, other in OBJECTIVES.items() if other.has_target)
        raise ValueError(f"--label_smoothing {smoothing}: --gan_mode {mode} has no target to smooth ({can} have)")
    return OBJECTIVES[mode](smoothing)
