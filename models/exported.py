"""A trained generator as an exporter takes it: a network with named inputs, examples, and a card."""

import copy
from pathlib import PurePath
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.nn.functional import interpolate

from models.colorization_model import ColorizationModel, rgb
from models.generator import TrainedGenerator
from models.networks.norm import BatchNorm2d, has_batch_norm
from models.networks.sides import fitting_side
from models.noise import NoiseModel
from util.color import rgb_to_lab
from util.export.graph import Graph
from util.seeding import generator as numbers

SIDE = 64  # pixels of the images on which files are checked, or what a network takes at least
PRIVATE = ("checkpoints_dir", "results_dir", "cache_dir", "val_list", "config", "init_from", "display", "wandb_project")


class Drawing(nn.Module):
    """z and the label -> image."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        return self.net(z, label)


class DrawingOfAny(Drawing):
    """z -> image, without classes."""

    def forward(self, z: Tensor) -> Tensor:  # type: ignore[override]
        return self.net(z, None)


class Translating(nn.Module):
    """Image -> image. Padding to sides that the network takes is the caller's: exported, it is silently wrong."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        return self.net(image)


class Coloring(Translating):
    """RGB image -> RGB image with the lightness of the first and the colours of G."""

    def forward(self, image: Tensor) -> Tensor:
        A = rgb_to_lab(image)[:, :1] / 50 - 1
        return rgb(A, self.net(A))


def exported(G: TrainedGenerator, licence: str = "") -> Graph:
    """Return what is to be exported of ``G``, as ``test.py`` shows it by default: in evaluation mode.

    Args:
        G: the generator.
        licence: a line on what may be done with the weights; "": it follows from the data.
    """
    net = copy.deepcopy(_net(G)).cpu().eval().requires_grad_(False)
    graph = _drawing(G, net, licence) if isinstance(G.model, NoiseModel) else _translating(G, net, licence)
    graph.net.eval()  # in training mode dropout would be exported, and without a warning
    return graph


def _net(G: TrainedGenerator) -> nn.Module:
    nets = G.model.nets  # reversed where the other direction was asked for
    return nets["G" if "G" in nets else "G_A"]


def _drawing(G: TrainedGenerator, net: nn.Module, licence: str) -> Graph:
    model, num = G.model, G.model.spec.num_classes
    assert isinstance(model, NoiseModel)
    batch = Dim("batch")

    def inputs(count: int) -> dict[str, Tensor]:
        z = {"z": model.latents(count).cpu()}
        return z | ({"label": torch.arange(count) % num} if num else {})

    nc, (height, width) = model.spec.output_nc, model.spec.image_size
    takes = {"z": f"float32 (N, {model.opt.nz}), standard normal"}
    takes |= {"label": "int64 (N,), index of the class"} if num else {}
    facts = {
        "kind": "noise",
        "inputs": takes,
        "outputs": {"image": f"float32 (N, {nc}, {height}, {width}) in [-1, 1]"},
        "nz": model.opt.nz,
    }
    return Graph(
        Drawing(net) if num else DrawingOfAny(net),
        inputs(2),
        {name: {0: batch} for name in takes},
        [inputs(1), inputs(max(num, 5))],
        "image",
        _card(G, net, licence) | facts,
    )


def _translating(G: TrainedGenerator, net: nn.Module, licence: str) -> Graph:
    multiple, smallest = getattr(net, "size_multiple", 1), getattr(net, "min_size", 1)
    colors = isinstance(G.model, ColorizationModel)
    nc, nc_out = (3, 3) if colors else (G.model.spec.input_nc, G.model.spec.output_nc)
    module = (Coloring if colors else Translating)(net)
    if colors:
        module(torch.zeros(1, 3, smallest, smallest))  # colour matrices are worked out once, outside the graph
    side = fitting_side(SIDE, multiple, smallest)
    longer = fitting_side(side + 32, multiple, smallest)
    least = -(-smallest // multiple)
    rows, columns = Dim("rows", min=least), Dim("columns", min=least)
    dynamic = {0: Dim("batch"), 2: multiple * rows, 3: multiple * columns}
    example = _pictures(2, nc, max(2 * multiple, side), max(3 * multiple, longer))  # smaller ones would fix the sides
    sides = f"H and W multiples of {multiple}, at least {smallest}; pad other images by reflection and crop the result"
    facts = {
        "kind": "translation",
        "inputs": {"image": f"float32 (N, {nc}, H, W) in [-1, 1]{', RGB' if colors else ''}; {sides}"},
        "outputs": {"translated": f"float32 (N, {nc_out}, H, W) in [-1, 1]{', RGB' if colors else ''}"},
        "size_multiple": multiple,
        "min_size": smallest,
        "input_nc": nc,
        "output_nc": nc_out,
    }
    tries = [{"image": _pictures(1, nc, side, side)}, {"image": _pictures(2, nc, side, longer)}]
    card = _card(G, net, licence) | facts
    return Graph(module, {"image": example}, {"image": dynamic}, tries, "translated", card)


def _pictures(num: int, nc: int, height: int, width: int) -> Tensor:
    """Return smooth images with some noise, float (num, nc, height, width) in [-1, 1]."""
    source = numbers(num, height, width)
    coarse = torch.rand(num, nc, 6, 6, generator=source) * 2.4 - 1.2
    smooth = interpolate(coarse, (height, width), mode="bicubic", align_corners=False)
    return (smooth + 0.05 * torch.randn(smooth.shape, generator=source)).clamp(-1, 1)


def _card(G: TrainedGenerator, net: nn.Module, licence: str) -> dict[str, Any]:
    spec = G.model.spec
    return {
        "name": G.name,
        "model": str(G.trained.get("model", "translation")),
        "netG": str(getattr(G.model.opt, "netG", type(net).__name__)),
        "epoch": G.epoch,
        "weights": G.weights,
        "classes": list(spec.classes),
        "image_size": list(spec.image_size),
        "channels": spec.output_nc,
        "bit_depth": spec.bit_depth,
        "value_range": list(spec.value_range),
        "batch_norm": _batch_norm(net),
        "options": {k: _public(k, v) for k, v in G.trained.items() if k not in PRIVATE},
        "licence": licence
        or "not stated; what may be done with the weights follows from the data and from whoever trained them",
        "made_by": f"Ganvas, PyTorch {torch.__version__}",
    }


def _batch_norm(net: nn.Module) -> str:
    if not has_batch_norm(net):
        return "none"
    alone = any(m.per_image for m in net.modules() if isinstance(m, BatchNorm2d))
    return "statistics of each image, as it was trained on one at a time" if alone else "running statistics"


def _public(name: str, value: Any) -> Any:
    """Return an option without what it says of the machine that the model was trained on."""
    return PurePath(str(value)).name if name == "dataroot" or (isinstance(value, str) and "/" in value) else value
