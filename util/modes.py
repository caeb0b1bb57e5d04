"""Evaluation mode, or other networks, for a block of code."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Run the block in evaluation mode without gradients; restore every submodule's mode after it."""
    modes = {m: m.training for m in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for m, mode in modes.items():
            m.training = mode


@contextmanager
def replaced(module: nn.Module, nets: Mapping[str, nn.Module]) -> Iterator[None]:
    """Put ``nets`` in the places of the attributes of ``module`` that they are named after, for the block."""
    own = {name: getattr(module, name) for name in nets}
    for name, net in nets.items():
        setattr(module, name, net)
    try:
        yield
    finally:
        for name, net in own.items():
            setattr(module, name, net)
