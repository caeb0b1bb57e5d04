"""Networks that keep only what goes into each segment take the steps of those that keep all."""

from collections import Counter
from functools import partial

import pytest
import torch
from torch import nn

from models import find_model
from models.networks.resnet import ResnetBlock
from models.networks.segments import Segments
from models.networks.unet import UNetLevel
from models.step.plan import Speed
from models.step.stepper import Stepper
from models.translation import TranslationModel
from tests.ranks import together
from tests.tiny_models import LEARNERS, assert_same, create, make_batch, snapshot
from util import distributed
from util.seeding import seed_all

TRANSLATORS = [case for case in LEARNERS if issubclass(find_model(case.split()[0]), TranslationModel)]
LAYERS = [
    ("pix2pix", {"netG": "unet_64"}),  # the smallest with dropout
    ("cycle_gan", {"norm": "batch", "dropout": True}),
    ("cycle_gan", {"upsample": "resize", "norm": "none"}),
]


def after_steps(case, is_recomputed, dtype=torch.float32, size=0, **options):
    """Return all that three steps change, and the last losses."""
    model = create(case, checkpoint_activations=is_recomputed, **options)
    stepper = Stepper(model, Speed(dtype))
    for step in range(1, 4):
        batch = make_batch(case, seed=10 * step + distributed.rank())
        if size:
            batch |= {key: batch[key].repeat(1, 1, 2, 2) for key in ("A", "B")}
        seed_all(0, step)
        losses = stepper(batch, step)
    return snapshot(model), dict(losses)


@pytest.mark.parametrize("case", TRANSLATORS)
def test_steps_are_the_same_bit_for_bit(case):
    assert_same(after_steps(case, True), after_steps(case, False))


@pytest.mark.parametrize(("case", "options"), LAYERS)
def test_dropout_draws_the_same_again_and_batch_norm_counts_a_batch_once(case, options):
    size = 64 if case == "pix2pix" else 0
    assert_same(after_steps(case, True, size=size, **options), after_steps(case, False, size=size, **options))


@pytest.mark.parametrize("case", ["pix2pix", "cut", "cycle_gan"])
def test_steps_in_bf16_and_in_parts_are_the_same(case):
    common = {"dtype": torch.bfloat16, "accumulate": 2}
    assert_same(after_steps(case, True, **common), after_steps(case, False, **common))


def both_ways():
    options = {"norm": "syncbatch", "dropout": True}
    return [after_steps("cycle_gan", is_recomputed, **options) for is_recomputed in (True, False)]


def test_two_processes_with_synchronized_batch_norm_take_the_same_steps(tmp_path):
    for recomputed, kept in together(both_ways, tmp_path):
        assert_same(recomputed, kept)


@pytest.mark.parametrize("case", ["pix2pix", "cycle_gan"])
@pytest.mark.parametrize("is_recomputed", [True, False])
def test_layers_run_twice_in_training_and_once_elsewhere(case, is_recomputed):
    model, runs = create(case, checkpoint_activations=is_recomputed), Counter[nn.Module]()
    net = next(net for name, net in model.nets.items() if name.startswith("G"))
    inner = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    for layer in inner:
        layer.register_forward_pre_hook(lambda layer, _: runs.update([layer]))
    images = make_batch(case)["A"]
    net(images).sum().backward()
    assert {runs[layer] for layer in inner} == {1 + is_recomputed}
    runs.clear()
    with torch.no_grad():
        net(images)
    net.eval()(images)
    assert {runs[layer] for layer in inner} == {2}


def noted(saved, x):
    saved.append(x)
    return x


def test_what_lies_within_a_segment_is_not_kept():
    kept = {}
    for is_recomputed in (True, False):
        net = create("cycle_gan", checkpoint_activations=is_recomputed).netG_A
        saved: list[torch.Tensor] = []
        with torch.autograd.graph.saved_tensors_hooks(partial(noted, saved), lambda x: x):
            net(make_batch("cycle_gan")["A"])
        kept[is_recomputed] = sum(x.numel() for x in saved)
    assert kept[True] < kept[False] / 4


def test_every_block_is_in_a_segment_of_its_own():
    for case, kind in (("cycle_gan", ResnetBlock), ("pix2pix", UNetLevel)):
        chains = [m for m in create(case).modules() if isinstance(m, Segments)]
        for chain in chains:
            for first, end, _, is_divided in chain.segments:
                layers = list(chain)[first:end]
                assert is_divided == (case == "pix2pix" and any(isinstance(m, kind) for m in layers))
                assert len(layers) == 1 or not any(isinstance(m, kind) for m in layers)
