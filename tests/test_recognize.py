"""Architectures told from state dicts: every network that there is, and the forms in which others wrote them."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from models.networks.architecture import DiscriminatorArchitecture, GeneratorArchitecture
from models.networks.recognize import (
    compare,
    describe,
    foreign_state,
    recognize_discriminator,
    recognize_generator,
)
from models.networks.translation import GENERATORS, create_discriminator, create_generator

NORMS: tuple[Any, ...] = ("instance", "batch", "syncbatch", "none")
UPSAMPLES: tuple[Any, ...] = ("deconv", "resize")
USUAL: dict[str, Any] = {"syncbatch": "batch", "none": "instance"}  # the name of a norm that nothing tells from another
REFERENCE = json.loads((Path(__file__).parent / "reference" / "networks.json").read_text())


def shapes(net, norm="instance", dropout=False, upsample="deconv", input_nc=3, output_nc=2, ngf=8):
    arch = GeneratorArchitecture(net, input_nc, output_nc, ngf, norm, dropout, upsample)
    with torch.device("meta"):
        return create_generator(arch).state_dict()


def discriminator_shapes(net, norm="instance", num_layers=3, input_nc=4, ndf=8):
    with torch.device("meta"):
        return create_discriminator(DiscriminatorArchitecture(net, input_nc, ndf, num_layers, norm)).state_dict()


def spoken(difference: Any) -> str:
    return f"{difference.found} / {difference.wanted}"


def forms(state: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Return the state dict as it is, as DataParallel writes it, and as PyTorch did before it counted batches."""
    counted = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    return [state, {f"module.{key}": value for key, value in state.items()}, counted]


@pytest.mark.parametrize("net", [*GENERATORS, "unet_512", "resnet_1blocks", "resnet_12blocks"])
def test_every_generator_is_recognized(net):
    for norm, dropout, upsample in itertools.product(NORMS, (False, True), UPSAMPLES):
        told = dropout if net.startswith("resnet") else None
        expected = GeneratorArchitecture(net, 3, 2, 8, USUAL.get(norm, norm), told, upsample)
        for state in forms(shapes(net, norm, dropout, upsample)):
            assert recognize_generator(state) == expected, (norm, dropout, upsample)
        asked = replace(expected, norm=norm, dropout=dropout)
        assert compare(expected, asked) == []


@pytest.mark.parametrize("upsample", ["deconv", "resize"])
@pytest.mark.parametrize("net", ["resnet_6blocks", "unet_64"])
def test_channels_and_widths(net, upsample):
    for input_nc, output_nc, ngf in [(1, 1, 1), (3, 1, 4), (1, 3, 12), (16, 16, 16), (3, 3, 64), (64, 7, 3)]:
        found = recognize_generator(shapes(net, "batch", True, upsample, input_nc, output_nc, ngf))
        assert found == GeneratorArchitecture(net, input_nc, output_nc, ngf, "batch", found.dropout, upsample)


@pytest.mark.parametrize(
    ("net", "num_layers"), [("basic", 3), ("n_layers", 1), ("n_layers", 2), ("n_layers", 5), ("pixel", 3)]
)
def test_every_discriminator_is_recognized(net, num_layers):
    for norm, input_nc, ndf in itertools.product(NORMS, (1, 6), (1, 8)):
        expected = DiscriminatorArchitecture(net, input_nc, ndf, num_layers, USUAL.get(norm, norm))
        for state in forms(discriminator_shapes(net, norm, num_layers, input_nc, ndf)):
            assert recognize_discriminator(state) == expected, (norm, input_nc, ndf)
        assert compare(expected, replace(expected, norm=norm)) == []


@pytest.mark.parametrize("name", REFERENCE["networks"])
def test_the_known_state_dicts_are_recognized(name):
    known = REFERENCE["networks"][name]
    with torch.device("meta"):
        state = {key: torch.empty(shape) for key, shape in REFERENCE["layouts"][known["layout"]]}
    if known["kind"] == "generator":
        found = recognize_generator(state)
        dropout = known["dropout"] if "resnet" in name else None
        assert found == GeneratorArchitecture(known["name"], 3, 3, 64, known["norm"], dropout)
    else:
        expected = DiscriminatorArchitecture(known["name"], 6, 64, known["num_layers"], known["norm"])
        assert recognize_discriminator(state) == expected


def with_old_statistics(net: nn.Module) -> dict[str, Tensor]:
    """Return the state dict as PyTorch wrote it when instance norm kept statistics, without using them."""
    state = dict(net.state_dict())
    for name, module in net.named_modules():
        if isinstance(module, nn.InstanceNorm2d):
            channels = module.num_features
            state |= {f"{name}.running_mean": torch.ones(channels), f"{name}.running_var": torch.ones(channels)}
            state |= {f"{name}.num_batches_tracked": torch.tensor(9)}
    return state


@pytest.mark.parametrize("wrapper", ["", "module."])
@pytest.mark.parametrize("net", ["resnet_2blocks", "unet_32", "n_layers", "pixel"])
def test_old_instance_norm_is_not_taken_for_batch_norm_and_loads(net, wrapper):
    is_generator = net not in ("n_layers", "pixel")
    arch = GeneratorArchitecture(net, 3, 3, 4) if is_generator else DiscriminatorArchitecture(net, 3, 4, 2)
    create: Any = create_generator if is_generator else create_discriminator
    made, other = create(arch), create(arch)
    old = {f"{wrapper}{key}": value for key, value in with_old_statistics(made).items()}
    assert len(old) > len(made.state_dict())
    recognize = recognize_generator if is_generator else recognize_discriminator
    assert recognize(old).norm == "instance"
    with pytest.raises(RuntimeError):
        other.load_state_dict(old)
    other.load_state_dict(foreign_state(old, other))
    assert_close(dict(other.state_dict()), dict(made.state_dict()), rtol=0, atol=0)


def test_a_strict_load_still_finds_what_does_not_fit():
    net = create_generator(GeneratorArchitecture("resnet_2blocks", 3, 3, 4, "batch"))
    state = dict(net.state_dict())
    assert foreign_state(state, net) == state
    for broken in (
        {key: value for key, value in state.items() if key != "model.1.weight"},
        state | {"model.2.running_median": torch.ones(4)},
        {f"module.{key}": value for key, value in state.items() if key != "model.1.weight"},
        {(f"module.{key}" if "model.1." in key else key): value for key, value in state.items()},
        {},
    ):
        with pytest.raises(RuntimeError, match="model"):
            net.load_state_dict(foreign_state(broken, net))


@pytest.mark.parametrize("net", ["resnet_6blocks", "unet_64", "n_layers", "pixel"])
def test_without_norm_and_biases_as_the_reference_has_it(net):
    is_generator = net not in ("n_layers", "pixel")
    state = shapes(net, "batch") if is_generator else discriminator_shapes(net, "batch", 2)
    norms = {key.removesuffix("running_mean") for key in state if key.endswith("running_mean")}
    state = {key: value for key, value in state.items() if not key.startswith(tuple(norms))}
    found: Any = recognize_generator(state) if is_generator else recognize_discriminator(state)
    assert found.norm == "none"
    assert [spoken(d) for d in compare(found, replace(found, norm="instance"))] == ["--norm none / --norm instance"]


GENERATOR = GeneratorArchitecture("resnet_9blocks", 3, 3, 64, "instance", False, "deconv")


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        ({}, {"netG": "unet_256"}, ["--netG resnet_9blocks / --netG unet_256"]),
        ({"ngf": 32}, {"dropout": None}, ["--ngf 32 / --ngf 64"]),
        ({}, {"dropout": True}, ["--no_dropout / --dropout"]),
        ({"dropout": True}, {}, ["--dropout / --no_dropout"]),
        ({"dropout": None}, {"dropout": True}, []),
        ({"norm": "batch"}, {}, ["--norm batch / --norm instance"]),
        ({"norm": "batch"}, {"norm": "none"}, ["--norm batch / --norm none"]),
        ({}, {"norm": "syncbatch"}, ["--norm instance / --norm syncbatch"]),
        ({"input_nc": 1, "output_nc": 2}, {}, ["--input_nc 1 / --input_nc 3", "--output_nc 2 / --output_nc 3"]),
        ({}, {"upsample": "resize"}, ["--upsample deconv / --upsample resize"]),
        ({}, {}, []),
    ],
)
def test_generators_are_compared_flag_by_flag(found, wanted, expected):
    differences = compare(replace(GENERATOR, **found), replace(GENERATOR, **wanted))
    assert [spoken(difference) for difference in differences] == expected


def test_discriminators_are_compared_flag_by_flag():
    basic = DiscriminatorArchitecture("basic", 6, 64, 3, "batch")
    five = replace(basic, netD="n_layers", n_layers_D=5)
    assert describe(compare(basic, five)) == "--netD basic (asked for: --netD n_layers --n_layers_D 5)"
    assert [spoken(d) for d in compare(basic, five)] == ["--netD basic / --netD n_layers", " / --n_layers_D 5"]
    assert [spoken(d) for d in compare(five, replace(five, n_layers_D=2))] == ["--n_layers_D 5 / --n_layers_D 2"]
    assert compare(basic, replace(basic, netD="n_layers")) == []
    assert compare(basic, replace(basic, n_layers_D=5)) == []  # basic does not look at --n_layers_D
    pixel = DiscriminatorArchitecture("pixel", 3, 32, 3, "none")
    expected = (
        "--netD pixel --input_nc 3 --ndf 32 --norm none (asked for: --netD basic --input_nc 6 --ndf 64 --norm batch)"
    )
    assert describe(compare(pixel, basic)) == expected


def test_the_message_for_a_loader():
    found = recognize_generator(shapes("resnet_9blocks", ngf=32, output_nc=3))
    asked = GeneratorArchitecture("unet_256", 3, 3, 64, "none", True, "deconv")
    differences = compare(found, replace(asked, dropout=None))
    assert describe(differences) == "--netG resnet_9blocks --ngf 32 (asked for: --netG unet_256 --ngf 64)"


def test_recognizing_draws_no_random_numbers():
    state = shapes("resnet_2blocks")
    before = torch.get_rng_state()
    recognize_generator(state)
    assert torch.equal(torch.get_rng_state(), before)


RESNET, UNET, BASIC = shapes("resnet_2blocks"), shapes("unet_32"), discriminator_shapes("basic")
STRANGERS = {
    "empty": {},
    "no tensors": {"model": RESNET, "epoch": 3},
    "linear": nn.Linear(2, 2).state_dict(),
    "a weight lacks": {key: value for key, value in RESNET.items() if key != "model.11.conv_block.5.weight"},
    "a weight too many": UNET | {"model.model.6.weight": torch.ones(3)},
    "another shape": UNET | {"model.model.1.model.1.weight": torch.ones(16, 8, 3, 3)},
    "no channels": RESNET | {"model.1.weight": torch.ones(0, 3, 7, 7)},
    "numbers for weights": dict.fromkeys(RESNET, torch.tensor(1.0)),
    "a number for the last weight": RESNET | {"model.19.weight": torch.tensor(1.0)},
    "too few levels": {key: value for key, value in UNET.items() if ".model.3.model.3" not in key},
    "no blocks": {key: value for key, value in RESNET.items() if "conv_block" not in key},
    "one norm lacks": {key: value for key, value in shapes("resnet_2blocks", "batch").items() if ".5." not in key},
    "half wrapped": {(f"module.{key}" if "conv" in key else key): value for key, value in RESNET.items()},
}


@pytest.mark.parametrize("name", [*STRANGERS, "discriminator"])
def test_what_is_no_generator_is_refused(name):
    state = STRANGERS.get(name, BASIC)
    with pytest.raises(ValueError, match=r"weights of no generator known here \(resnet_Nblocks, unet_N\): ") as error:
        recognize_generator(state)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [*STRANGERS, "generator", "no layers", "pixel"])
def test_what_is_no_discriminator_is_refused(name):
    state = dict(STRANGERS.get(name, RESNET))
    if name == "no layers":
        state = {key: value for key, value in BASIC.items() if key.startswith(("model.0", "model.2"))}
    elif name == "pixel":
        state = discriminator_shapes("pixel") | {"net.5.weight": torch.ones(1, 16, 3, 3)}
    with pytest.raises(ValueError, match=r"weights of no discriminator known here \(basic, n_layers, pixel\): "):
        recognize_discriminator(state)


def test_the_message_says_what_there_is():
    with pytest.raises(ValueError, match=r": 2 tensors, the first of them weight$"):
        recognize_generator(nn.Linear(2, 2).state_dict())
    with pytest.raises(ValueError, match=r": no tensors$"):
        recognize_generator({})


@pytest.mark.parametrize("name", ["resnet_2blocks", "unet_32"])
def test_convolutions_without_a_bias_get_one_of_zero(name):
    """pytorch-CycleGAN-and-pix2pix leaves the biases out where --norm none leaves out the norms."""
    net, fresh = (create_generator(GeneratorArchitecture(name, 3, 3, 4, "none"), gain=0.3) for _ in range(2))
    last = [*net.state_dict()][-1]
    state = {key: value for key, value in net.state_dict().items() if not key.endswith("bias") or key == last}
    fresh.load_state_dict(foreign_state(state, fresh))
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
                module.bias.mul_(float(module.bias is dict(net.named_parameters())[last]))
        assert torch.equal(fresh.eval()(images), net.eval()(images))
    with pytest.raises(RuntimeError, match="Missing key"):  # where there are norms, a missing bias is a mistake
        instance = create_generator(GeneratorArchitecture(name, 3, 3, 4, "instance"))
        instance.load_state_dict(foreign_state(state, instance))
