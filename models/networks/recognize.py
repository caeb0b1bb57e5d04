"""Recognize the network of a state dict, which neither pytorch-CycleGAN-and-pix2pix's files nor ours name."""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import count, takewhile
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from models.networks.architecture import Architecture, DiscriminatorArchitecture, GeneratorArchitecture
from models.networks.norm import BATCH_NORMS, INSTANCE_NORMS, Norm, drop_stale_statistics
from models.networks.translation import create_discriminator, create_generator

WRAPPER = "module."  # prefix of all keys saved from DataParallel or DistributedDataParallel

Shapes = dict[str, tuple[int, ...]]


class Difference(NamedTuple):
    """A flag that differs between two networks."""

    found: str  # as --netG resnet_9blocks; "" where the network needs no such flag
    wanted: str


def recognize_generator(state: Mapping[str, Any]) -> GeneratorArchitecture:
    """Return the architecture of a generator with these weights.

    Of two norms with the same weights the usual one is returned: batch for syncbatch, instance for none. norm is none
    only if no convolution before a norm has a bias, as pytorch-CycleGAN-and-pix2pix saves it.

    Args:
        state: state dict; a prefix "module." and an old instance norm's statistics are ignored.

    Raises:
        ValueError: no generator has tensors of these names and shapes.
    """
    shapes = tensor_shapes(state)
    found = _resnet(shapes) or _unet(shapes)
    if found and _matches(found, shapes):
        return found
    raise ValueError(_unknown("generator", "resnet_Nblocks, unet_N", shapes))


def recognize_discriminator(state: Mapping[str, Any]) -> DiscriminatorArchitecture:
    """Return the architecture of a discriminator with these weights, as ``recognize_generator`` does.

    Raises:
        ValueError: no discriminator has tensors of these names and shapes.
    """
    shapes = tensor_shapes(state)
    found = _pixel(shapes) or _patch(shapes)
    if found and _matches(found, shapes):
        return found
    raise ValueError(_unknown("discriminator", "basic, n_layers, pixel", shapes))


def compare(found: Architecture, wanted: Architecture) -> list[Difference]:
    """Return the flags that differ between the recognized and the requested architecture.

    What weights cannot show is no difference: a U-Net's dropout, batch for syncbatch, instance for none.
    """
    assert type(found) is type(wanted), (found, wanted)
    alike = {(f"--norm {one}", f"--norm {two}") for one, two in (("batch", "syncbatch"), ("instance", "none"))}
    made, asked = found.flags(), wanted.flags()
    known = [name for name in asdict(found) if None not in (getattr(found, name), getattr(wanted, name))]
    pairs = [Difference(made.get(name, ""), asked.get(name, "")) for name in known]
    return [pair for pair in pairs if pair.found != pair.wanted and pair not in alike]


def describe(differences: list[Difference]) -> str:
    """Return e.g. ``--netG resnet_9blocks --ngf 32 (asked for: --netG unet_256 --ngf 64)``; needs a difference."""
    found, wanted = (" ".join(filter(None, flags)) for flags in zip(*differences, strict=True))
    return f"{found} (asked for: {wanted})"


def without_wrapper(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``state`` without the prefix "module.", if all keys have it."""
    wrapped = all(key.startswith(WRAPPER) for key in state)
    return {key.removeprefix(WRAPPER) if wrapped else key: value for key, value in state.items()}


def foreign_state(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Return ``state``, whoever saved it, in the form that a strict load into ``net`` accepts.

    The prefix "module." and statistics that an instance norm never used are dropped. Convolutions that
    pytorch-CycleGAN-and-pix2pix's ``--norm none`` left without a bias get one of 0. Everything else stays, so that the
    load still reports what does not fit.
    """
    state, own = drop_stale_statistics(without_wrapper(state), net), net.state_dict()
    missing = own.keys() - state.keys()
    if missing and all(key.endswith(".bias") for key in missing) and not any(map(is_norm, net.modules())):
        state |= {key: torch.zeros_like(own[key]) for key in missing}
    return state


def is_norm(module: nn.Module) -> bool:
    """Return whether ``module`` is a normalization layer."""
    return isinstance(module, (*BATCH_NORMS, *INSTANCE_NORMS))


def tensor_shapes(state: Mapping[str, Any]) -> Shapes:
    """Return the shapes of all tensors that hold something, by name, without the prefix "module."."""
    tensors = {str(k): tuple(v.shape) for k, v in state.items() if isinstance(v, Tensor) and 0 not in v.shape}
    return without_wrapper(tensors)


def _resnet(shapes: Shapes) -> GeneratorArchitecture | None:
    first, antialias = shapes.get("model.1.weight", ()), "model.7.filt" in shapes
    start = 12 if antialias else 10
    blocks = _run(shapes, "model.{}.conv_block.1.weight", start)
    doubling = f"model.{start + blocks}"
    blurs = f"{doubling}.filt" in shapes
    last = f"model.{start + blocks + (9 if blurs else 7)}.weight"
    if len(first) != 4 or len(shapes.get(last, ())) != 4:
        return None
    return GeneratorArchitecture(
        netG=f"resnet_{blocks}blocks",
        input_nc=first[1],
        output_nc=shapes[last][0],
        ngf=first[0],
        norm=_norm(shapes, "model.1", "model.2"),
        dropout=f"model.{start}.conv_block.5.weight" not in shapes,  # without it, the second convolution stands there
        upsample="blur" if blurs else "resize" if f"{doubling}.1.weight" in shapes else "deconv",
        antialias=antialias,
    )


def _unet(shapes: Shapes) -> GeneratorArchitecture | None:
    first = shapes.get("model.model.0.weight", ())
    down = ("model.model.1" + depth * ".model.3" + ".model.1.weight" for depth in count())
    levels = 1 + sum(1 for _ in takewhile(lambda key: key in shapes, down))
    last = shapes.get("model.model.3.weight", ())  # of a transposed convolution: inputs come first
    resized = shapes.get("model.model.3.1.weight", ())
    if len(first) != 4 or len(last or resized) != 4:
        return None
    return GeneratorArchitecture(
        netG=f"unet_{2**levels}",
        input_nc=first[1],
        output_nc=last[1] if last else resized[0],
        ngf=first[0],
        norm=_norm(shapes, "model.model.0", "model.model.1.model.2"),
        dropout=None,
        upsample="deconv" if last else "resize",
    )


def _patch(shapes: Shapes) -> DiscriminatorArchitecture | None:
    first, antialias = shapes.get("model.0.weight", ()), "model.2.filt" in shapes
    layers = _run(shapes, "model.{}.filt", 2, 4) if antialias else _run(shapes, "model.{}.weight", 2, 3) - 1
    if len(first) != 4:
        return None
    name, second = "basic" if layers == 3 else "n_layers", 3 if antialias else 2
    norm = _norm(shapes, f"model.{second}", f"model.{second + 1}")
    return DiscriminatorArchitecture(name, first[1], first[0], layers, norm, antialias)


def _pixel(shapes: Shapes) -> DiscriminatorArchitecture | None:
    first = shapes.get("net.0.weight", ())
    if len(first) != 4:
        return None
    return DiscriminatorArchitecture("pixel", first[1], first[0], 3, _norm(shapes, "net.2", "net.3"))


def _run(shapes: Shapes, pattern: str, start: int, step: int = 1) -> int:
    """Return how many keys ``pattern.format(i)`` exist for i = start, start + step ... without a gap."""
    return sum(1 for _ in takewhile(lambda i: pattern.format(i) in shapes, count(start, step)))


def _norm(shapes: Shapes, convolution: str, norm: str) -> Norm:
    """Recognize a norm by its weights, not its statistics, which an instance norm from before PyTorch 0.4 has too."""
    if f"{norm}.weight" in shapes:
        return "batch"
    return "instance" if f"{convolution}.bias" in shapes else "none"


def _matches(net: GeneratorArchitecture | DiscriminatorArchitecture, shapes: Shapes) -> bool:
    """Return whether ``net`` has exactly these weights; biases and statistics are left to the load."""
    try:
        with torch.device("meta"):  # shapes without memory
            if isinstance(net, GeneratorArchitecture):
                state = create_generator(net).state_dict()
            else:
                state = create_discriminator(net).state_dict()
    except ValueError:  # no such U-Net
        return False
    weights, own = ({k: v for k, v in s.items() if k.endswith("weight")} for s in (shapes, tensor_shapes(state)))
    return weights == own


def _unknown(kind: str, known: str, shapes: Shapes) -> str:
    first = next(iter(shapes), "")
    what = f"{len(shapes)} tensors, the first of them {first}" if first else "no tensors"
    return f"weights of no {kind} known here ({known}): {what}"
