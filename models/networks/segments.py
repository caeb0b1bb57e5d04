"""Layers in segments, of which training may keep only the inputs (Chen et al. 2016, arXiv:1604.06174)."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.networks.norm import statistics_kept


class Segment(NamedTuple):
    """Where it begins and ends among the layers, whether it draws random numbers, whether it is divided itself."""

    first: int
    end: int
    draws: bool
    is_divided: bool


class Segments(nn.Sequential):
    """Layers one after the other; after ``recompute_segments`` training keeps only what goes into each segment.

    The rest is computed again in the backward pass, to the same numbers: dropout draws what it drew before, and batch
    norm counts a batch once.
    """

    is_recomputed = False

    def __init__(self, *segments: list[nn.Module]) -> None:
        """Args: segments: their layers, in order."""
        super().__init__(*(layer for layers in segments for layer in layers))
        self.segments: list[Segment] = []
        first = 0
        for layers in filter(None, segments):
            is_divided = any(isinstance(m, Segments) for layer in layers for m in layer.modules())
            self.segments.append(Segment(first, first + len(layers), has_dropout(*layers), is_divided))
            first += len(layers)

    def __getitem__(self, index: slice | int) -> Any:  # a slice of it is in no segments
        return nn.Sequential(*list(self)[index]) if isinstance(index, slice) else super().__getitem__(index)

    def forward(self, input: Tensor, taps: Sequence[int] = ()) -> Any:
        """Return what comes out of the last layer; with ``taps``, what comes out of these layers instead, a list."""
        x, tapped = input, list[Tensor]()
        is_recomputed = self.is_recomputed and self.training and torch.is_grad_enabled()
        for first, end, draws, is_divided in self.segments:
            if taps and first > max(taps):
                break
            layers = list(self)[first:end]
            run = partial(_run, layers, [tap - first for tap in taps if first <= tap < end])
            if not is_recomputed or is_divided:
                x, found = run(x)
            elif torch.compiler.is_compiling():  # a compiler counts a batch once by itself
                x, found = checkpoint(run, x, use_reentrant=False, preserve_rng_state=draws)
            else:
                contexts = partial(_first_and_again, layers)
                x, found = checkpoint(run, x, use_reentrant=False, preserve_rng_state=draws, context_fn=contexts)
            tapped += found
        return tapped if taps else x


def recompute_segments(net: nn.Module) -> None:
    """Have training keep only what goes into each segment of ``net``."""
    for chain in (module for module in net.modules() if isinstance(module, Segments)):
        chain.is_recomputed = True
        for segment in chain.segments:
            if isinstance(layer := chain[segment.first], nn.ReLU):
                layer.inplace = False  # what goes in must stay as it is


def recomputes_dropout(net: nn.Module) -> bool:
    """Return whether dropout is drawn a second time in the backward pass, from a random state that is put back."""
    return any(isinstance(m, Segments) and m.is_recomputed and has_dropout(m) for m in net.modules())


def has_dropout(*nets: nn.Module) -> bool:
    """Return whether one of ``nets`` draws random numbers in training."""
    return any(isinstance(m, nn.Dropout | nn.Dropout2d) and m.p > 0 for net in nets for m in net.modules())


def _run(layers: list[nn.Module], taps: list[int], x: Tensor) -> tuple[Tensor, list[Tensor]]:
    found = []
    for i, layer in enumerate(layers):
        x = layer(x)
        if i in taps:
            found.append(x)
    return x, found


def _first_and_again(layers: list[nn.Module]) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return the contexts in which ``layers`` compute for the first time and again."""
    return nullcontext(), statistics_kept(layers)
