"""Models: ``--model X`` is the one BaseModel subclass that ``models/X_model.py`` defines.

Nothing here imports torch before a model is asked for, so that a mistyped option answers at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from util.registry import check_name, find_class

if TYPE_CHECKING:
    import torch

    from models.base_model import BaseModel
    from util.types import DataSpec


def find_model(name: str) -> type[BaseModel]:
    """Return the class behind ``--model name``; raise LookupError when there is none."""
    check_name("--model", "models", name, "_model")
    from models.base_model import BaseModel

    return find_class("models", name, "_model", BaseModel)


def create_model(
    name: str, opt: BaseModel.Options, spec: DataSpec, device: torch.device, seed: int = 0, batch_size: int = 0
) -> BaseModel:
    """Build a model on the CPU and move it to ``device``, so that its weights do not depend on the device.

    Args:
        name: which model.
        opt: its options.
        spec: what its data looks like.
        device: where it computes.
        seed: of its initial weights.
        batch_size: images per training step; 0: not known.

    Raises:
        ValueError: the options and the data do not fit this model.
    """
    from util.seeding import seed_all

    seed_all(seed)
    model = find_model(name)(opt, spec)
    model.fit_batches(batch_size)
    return model.place(device)
