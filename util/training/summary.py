"""Tables of a network's layers, shapes, parameters and gradients, for --verbose."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from tqdm import tqdm

from util.types import Batch

if TYPE_CHECKING:
    from models.base_model import BaseModel


def num_parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def mean_abs_gradients(nets: Mapping[str, nn.Module]) -> dict[str, float]:
    """Return, for each network that has gradients, the mean of their absolute values over all parameters."""
    means = {}
    for name, net in nets.items():
        grads = [p.grad.detach().abs().flatten() for p in net.parameters() if p.grad is not None]
        if grads:
            means[name] = float(torch.cat(grads).mean())
    return means


class Inspection:
    """Notes the output shape of every layer that runs within the block."""

    def __init__(self, nets: Mapping[str, nn.Module]) -> None:
        self.nets = nets
        self._shapes: dict[int, str] = {}
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> "Inspection":
        layers = {id(m): m for net in self.nets.values() for m in net.modules() if not any(m.children())}
        self._hooks = [layer.register_forward_hook(self._note) for layer in layers.values()]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _note(self, layer: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            self._shapes[id(layer)] = "x".join(str(n) for n in output.shape)

    def table(self) -> str:
        """Return the layers of each network, with shapes (batch first), parameters and mean absolute gradient."""
        lines, gradients = [], mean_abs_gradients(self.nets)
        for name, net in self.nets.items():
            lines.append(f"net{name}: {type(net).__name__}")
            for path, layer in net.named_modules():
                if not any(layer.children()):
                    shape, num = self._shapes.get(id(layer), "did not run"), num_parameters(layer)
                    lines.append(f"  {path:<18} {type(layer).__name__:<18} {shape:>20} {num:>12,}")
            gradient = f", mean |gradient| {gradients[name]:.3g}" if name in gradients else ""
            lines.append(f"  in all {num_parameters(net):,} parameters{gradient}")
        return "\n".join(lines)


@contextmanager
def printing_layers(nets: Mapping[str, nn.Module]) -> Iterator[None]:
    """Print the table of all layers after the block."""
    with Inspection(nets) as inspection:
        yield
    tqdm.write(inspection.table())


def diagnose(model: "BaseModel", batch: Batch) -> str:
    """Return the table of all layers after one training step on ``batch``, which changes ``model``."""
    with Inspection(model.nets) as inspection:
        model.optimize_parameters(batch, 0)  # a multiple of any interval: all that is ever updated is updated
    return inspection.table()
