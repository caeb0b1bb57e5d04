"""Recognize res and sngan generators, which draw from noise, in state dicts."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from models.networks.noise import NoiseGeneratorArchitecture, create_generator
from models.networks.recognize import Shapes, tensor_shapes


def recognize_noise_generator(state: Mapping[str, Any]) -> NoiseGeneratorArchitecture | None:
    """Return the architecture of a generator with these weights; None when it is neither res nor sngan.

    Weights do not show the epsilon of batch norm, which is left at its default, nor that res takes labels one-hot
    (``--label_input onehot``), which look like more of z.
    """
    shapes = tensor_shapes(state)
    try:
        found = _res(shapes) if "main.0.weight" in shapes else _sngan(shapes)
        with torch.device("meta"):  # shapes, hardly any memory
            own = tensor_shapes(create_generator(found).state_dict())
    except (KeyError, IndexError, ValueError, ZeroDivisionError):  # it lacks what these networks have
        return None
    return found if own == shapes else None


def _res(shapes: Shapes) -> NoiseGeneratorArchitecture:
    num_classes, dim = shapes.get("label.weight", (0, 0))
    out, inputs = shapes["main.0.weight"]
    before = shapes["main.3.weight"][1]
    indices = sorted({int(name.split(".")[1]) for name in shapes if name.startswith("main.")})
    convs = [shape for i in indices if len(shape := shapes.get(f"main.{i}.weight", ())) == 4]  # the last makes images
    blocks = sum(f"main.{i}.main.0.weight" in shapes for i in indices)
    colours = shapes.get(f"main.{indices[-1]}.colours.2.bias")
    return NoiseGeneratorArchitecture(
        "res",
        nc=colours[0] // (3 * convs[-1][0]) if colours else convs[-1][0],
        image_size=_square(out // before, len(convs) - 1),
        num_classes=num_classes,
        nz=inputs - dim,
        ngf=convs[-1][1],
        res_blocks=blocks // (len(convs) - 1),
        noise_inputs="main.4.scale" in shapes,
        palette=convs[-1][0] if colours else 0,
        label_dim=dim,
    )


def _sngan(shapes: Shapes) -> NoiseGeneratorArchitecture:
    out, nz = shapes["seed.0.weight"]
    num = len({name.split(".")[1] for name in shapes if name.startswith("blocks.")})
    nc, width = shapes["last.2.weight"][:2]
    size = _square(out // shapes["blocks.0.conv1.weight"][1], num)
    num_classes = shapes.get("blocks.0.norms.0.scale.weight", (0, 0))[1]
    return NoiseGeneratorArchitecture("sngan", nc, size, num_classes, nz, ngf=width // 4 if size[0] == 32 else width)


def _square(pixels: int, doublings: int) -> tuple[int, int]:
    """Return the sides of images that begin as so many pixels and double so many times."""
    side = math.isqrt(pixels) << doublings
    return side, side
