"""What is exported of a model, and how a written file is compared with it."""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Weights = Literal["fp32", "fp16", "int8"]
Run = Callable[[dict[str, Tensor]], Tensor]  # inputs by name -> images

LEVELS = 127.5  # grey levels of 8 bits for a difference of 1 between images in [-1, 1]
LIMITS: dict[Weights, tuple[float, float]] = {  # grey levels that a file may differ by: at most, and on average
    "fp32": (0.1, 0.02),
    "fp16": (3, 0.5),
    "int8": (96, 4),  # single pixels at the edge of the colours jump
}


class Graph(NamedTuple):
    """A network with all that an exporter needs to know."""

    net: nn.Module  # on the CPU, in evaluation mode; its inputs by name
    example: dict[str, Tensor]
    dynamic: dict[str, dict[int, Any]]  # input -> axis -> torch.export.Dim: what may vary
    tries: list[dict[str, Tensor]]  # inputs of different batches and sides, to compare results on
    output: str  # name of the result, images (N, C, H, W) in [-1, 1]
    card: dict[str, Any]  # what is known of the model, as JSON takes it


class Difference(NamedTuple):
    """How far a file's images are from PyTorch's, in grey levels of 8 bits."""

    most: float
    mean: float

    def __str__(self) -> str:
        return f"at most {self.most:.2g} grey levels of 255, {self.mean:.2g} on average"


def check(graph: Graph, weights: Weights, run: Run) -> Difference:
    """Compare what ``run`` makes of all ``graph.tries`` with what PyTorch makes of them.

    Raises:
        ValueError: shapes differ, or pixels by more than such weights explain.
    """
    errors: list[NDArray[np.float64]] = []
    for inputs in graph.tries:
        with torch.no_grad():
            wanted = graph.net(**inputs)
        found = run(inputs)
        shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in inputs.items())
        if found.shape != wanted.shape:
            raise ValueError(
                f"for {shapes} the exported network gives {tuple(found.shape)}, not {tuple(wanted.shape)} as PyTorch "
                "does: nothing was written"
            )
        errors.append((found.double() - wanted.double()).abs().numpy().ravel() * LEVELS)
    found_errors = np.concatenate(errors)
    difference = Difference(float(found_errors.max()), float(found_errors.mean()))
    most, mean = LIMITS[weights]
    if not (difference.most <= most and difference.mean <= mean):  # also where it is NaN
        other = {"fp32": "", "fp16": " or --weights fp32", "int8": " or --weights fp16"}[weights]
        raise ValueError(
            f"with {weights} weights images differ from PyTorch's by {difference}, where {most:g} and {mean:g} are "
            f"allowed: nothing was written; try another --epoch{other}"
        )
    return difference


def require(packages: Sequence[str], what: str) -> None:
    """Raise ValueError with the command that helps when one of ``packages`` is not installed."""
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise ValueError(f"{what} needs {', '.join(missing)}: pip install -r requirements-export.txt")
