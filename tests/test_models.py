"""What every model must do, checked for every file in models/."""

import dataclasses
import re
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from models import find_model
from models.gan_model import GANModel
from models.networks.norm import BATCH_NORMS
from tests.tiny_models import (
    CASES,
    LEARNERS,
    NAMES,
    NUM,
    TINY,
    assert_images,
    assert_same,
    create,
    make_batch,
    snapshot,
    train,
)
from util.modes import evaluating
from util.seeding import forked, seed_all
from util.training.summary import diagnose
from util.types import Batch, Grid, Weighted


@pytest.fixture(params=LEARNERS)
def case(request):
    return request.param


@pytest.fixture
def model(case):
    return create(case)


@pytest.fixture
def batch(case):
    return make_batch(case)


def test_every_row_of_the_table_is_of_a_model_that_exists():
    assert {case.split()[0] for case in TINY} <= set(NAMES)
    assert {case.split()[0] for case in CASES} == set(NAMES)
    assert [case for case in CASES if case not in LEARNERS] == ["test"]


# Training


def test_a_step_reports_finite_detached_scalars(model, case):
    for losses in train(model, case, range(1, 6)):
        assert losses
        for name, loss in losses.items():
            assert loss.shape == (), name
            assert not loss.requires_grad, name
            assert loss.dtype == torch.float32, name
            assert torch.isfinite(loss), name


def test_every_parameter_of_every_network_learns(model, case):
    assert model.nets
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    train(model, case, range(1, 6))
    stuck = {name for name, p in model.named_parameters() if torch.equal(p, before[name])}
    assert stuck <= unfelt(model)


def unfelt(model):
    """Return the biases that no loss can feel: before batch norm, and D's last where the loss is a difference."""
    names = set()
    mode = getattr(model.opt, "gan_mode", "")
    has_own_loss = isinstance(model, GANModel) and type(model).loss_D is not GANModel.loss_D
    for path, module in model.named_modules():
        if isinstance(module, torch.nn.Sequential):
            names |= {f"{path}.{i}.bias" for i, after in enumerate(module[1:]) if isinstance(after, BATCH_NORMS)}
            if path.startswith("netD") and (has_own_loss or mode in ("wgan", "wgangp", "hinge", "rpgan")):
                names.add(f"{path}.{len(module) - 1}.bias")
    return names


def test_every_parameter_has_exactly_one_optimizer_and_lies_in_a_network(model):
    owned = [id(p) for o in model.optimizers.values() for group in o.param_groups for p in group["params"]]
    assert sorted(owned) == sorted(map(id, model.parameters()))
    assert sorted(owned) == sorted(id(p) for net in model.nets.values() for p in net.parameters())


def test_averaged_networks_exist(model):
    assert all(name.removeprefix("net") in model.nets for name in model.averaged)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_minimize_moves_its_own_parameters_only(case, accumulate, batch):
    model = create(case, accumulate=accumulate)
    for name in model.optimizers:
        mine = [p for group in model.optimizers[name].param_groups for p in group["params"]]
        others = [p for p in model.parameters() if id(p) not in set(map(id, mine))]
        for p in model.parameters():
            p.grad = None
        expected = [p.detach().clone() for p in mine]
        kept = [p.detach().clone() for p in others]

        def half_square(part):
            assert len(part["image"]) == NUM // accumulate
            return {"half_square": sum(p.square().sum() for p in model.parameters()) / 2}

        losses = model.minimize(name, half_square, batch)
        assert_close([p.grad for p in mine], expected)
        assert not any(torch.equal(p, was) for p, was in zip(mine, expected, strict=True) if was.any())
        assert all(p.grad is None for p in others)
        assert all(torch.equal(p, was) for p, was in zip(others, kept, strict=True))
        assert all(p.requires_grad for p in model.parameters())
        half = sum(p.double().square().sum() for p in [*expected, *kept]) / 2
        assert_close(losses["half_square"].double(), half, rtol=1e-5, atol=0)


def test_parameters_thaw_even_when_the_objective_fails(model, batch):
    def fail(part):
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        model.minimize(next(iter(model.optimizers)), fail, batch)
    assert all(p.requires_grad for p in model.parameters())


def test_a_weight_counts_in_the_gradient_but_not_in_the_log(model, batch):
    name = next(iter(model.optimizers))
    (param, *_) = model.optimizers[name].param_groups[0]["params"]
    losses = model.minimize(name, lambda part: {"a": Weighted(param.sum(), 0.25), "b": 2 * param.sum()}, batch)
    assert_close(param.grad, torch.full_like(param, 2.25))
    assert_close(losses["b"], 2 * losses["a"])


def test_accumulation_gives_the_gradient_of_the_whole_batch():
    """Without batch norm, dropout and noise, two halves are the whole."""
    batch = make_batch("template")
    grads, losses = [], []
    for accumulate in (1, 2, 4):
        model = create("template", accumulate=accumulate)
        losses.append(model.optimize_parameters(Batch(batch), 1)["regression"])
        grads.append([p.grad for p in model.parameters()])
    for i in (1, 2):
        assert_close(losses[i], losses[0])
        assert_close(grads[i], grads[0])


def test_a_batch_that_accumulation_does_not_divide_is_refused(case, batch):
    with pytest.raises(ValueError, match="--accumulate 3 does not divide"):
        create(case, accumulate=3).optimize_parameters(batch, 1)


@pytest.mark.parametrize("case", ["pix2pix", "cycle_gan", "dcgan", "cvae_gan 32"])
def test_micro_batches_keep_the_activations_of_one(case):
    """--accumulate saves memory: what G's passes keep for their gradients is freed before the next micro-batch."""
    most = {}
    for accumulate in (1, 4):
        model = create(case, accumulate=accumulate)
        alive: weakref.WeakSet[Any] = weakref.WeakSet()
        sizes = [0]

        def pack(tensor, alive=alive, sizes=sizes):
            kept = Kept(tensor)
            alive.add(kept)
            sizes.append(sum(k.tensor.numel() for k in alive))
            return kept

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
            model.optimize_parameters(make_batch(case), 3)
        most[accumulate] = max(sizes)
    assert most[4] < 0.5 * most[1]


class Kept:
    """A tensor that autograd keeps."""

    def __init__(self, tensor):
        self.tensor = tensor


def test_what_one_objective_leaves_in_a_micro_batch_the_next_one_finds():
    batch = make_batch("template")
    first, second = batch.parts(2)
    first["fake"] = first["B"] + 1
    assert batch.parts(2)[0] is first
    assert "fake" not in second
    assert_close(torch.cat([p["A"] for p in batch.parts(2)]), batch["A"], rtol=0, atol=0)
    assert batch.parts(1) == [batch]


def test_what_a_step_needs_is_drawn_once_per_micro_batch_with_its_graph_where_there_is_one_only():
    for accumulate, with_graph in ((1, True), (1, False), (2, True), (2, False)):
        model, batch = create("template", accumulate=accumulate), make_batch("template")
        drawn: list[Any] = []

        def draw(part, model=model, drawn=drawn):
            drawn.append(part)
            part["fake"] = model.netG(part["A"])

        model.prepare(batch, draw, with_graph)
        parts = batch.parts(accumulate)
        assert all(one is other for one, other in zip(drawn, parts, strict=True))
        for part in parts:
            fake = model.attached(part, "fake", lambda part, model=model: model.netG(part["A"]))
            assert fake.requires_grad
            assert (fake is part["fake"]) == (with_graph and accumulate == 1)
            assert_close(fake, part["fake"], rtol=0, atol=0)


def test_no_model_knows_of_micro_batches():
    for path in (Path(__file__).parents[1] / "models").glob("*_model.py"):
        if path.name != "base_model.py":
            assert not re.search(r"accumulate|\.parts\(", path.read_text(encoding="utf-8")), path


def test_a_schedule_scales_the_initial_rate_and_not_the_last_one(model):
    initial = [o.param_groups[0]["lr"].item() for o in model.optimizers.values()]
    for factor in (0.5, 0.5, 1.0, 0.0, 0.25):
        model.scale_lr(factor)
        rates = [o.param_groups[0]["lr"] for o in model.optimizers.values()]
        assert_close([r.item() for r in rates], [factor * i for i in initial], rtol=1e-6, atol=0)
        assert all(isinstance(r, torch.Tensor) for r in rates)


def test_a_rate_of_zero_holds_everything_still(model, case):
    train(model, case, range(1, 3))
    model.scale_lr(0.0)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    train(model, case, range(3, 5))
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


# Exactness


def test_two_models_of_one_seed_are_equal_and_of_another_are_not(case):
    first, again, other = create(case, 7), create(case, 7), create(case, 8)
    assert_same(first.state_dict(), again.state_dict())
    assert any(not torch.equal(p, q) for p, q in zip(first.parameters(), other.parameters(), strict=True))


def test_training_twice_from_one_seed_is_equal_bit_for_bit(case):
    first, again = create(case), create(case)
    assert_same(train(first, case, range(1, 4)), train(again, case, range(1, 4)))
    assert_same(snapshot(first), snapshot(again))


def test_a_restored_model_goes_on_bit_for_bit(model, case):
    train(model, case, range(1, 4))
    saved = snapshot(model)
    restored = create(case, seed=99)
    train(restored, case, range(50, 52))  # so that all it holds is wrong
    restored.load_state_dict(saved["model"])
    for name, optimizer in restored.optimizers.items():
        optimizer.load_state_dict(saved[name])
    assert_same(train(restored, case, range(4, 7)), train(model, case, range(4, 7)))
    assert_same(snapshot(restored), snapshot(model))


def test_a_fresh_model_shows_the_same_once_the_state_is_loaded(model, case, batch):
    train(model, case, range(1, 3))
    fresh = create(case, seed=99)
    fresh.load_state_dict(model.state_dict())
    with evaluating(model), evaluating(fresh):
        assert_same(fresh(batch), model(batch))


def test_the_state_of_each_network_loads_by_itself(model, case, batch):
    """What ``latest_net_G.pth`` holds is enough to show what the model does."""
    train(model, case, range(1, 3))
    fresh = create(case, seed=99)
    for name, net in model.nets.items():
        fresh.nets[name].load_state_dict(net.state_dict())
    with evaluating(model), evaluating(fresh):
        assert_same(fresh(batch), model(batch))


def test_looking_changes_nothing(case, batch):
    """Pictures between the steps leave weights, buffers, optimizers, modes and random numbers as they were."""
    watched, alone = create(case), create(case)
    for model in (watched, alone):
        seed_all(5)
        for step in range(1, 5):
            model.optimize_parameters(make_batch(case, seed=step), step)
            if model is watched:
                with forked(3), evaluating(model):
                    assert not any(m.training for m in model.modules())
                    model.grids(batch)
                    model(batch)
            assert all(m.training for m in model.modules())
        model.final_state = torch.get_rng_state()
    assert_same(snapshot(watched), snapshot(alone))
    assert torch.equal(watched.final_state, alone.final_state)


# What is shown


def test_forward_gives_image_batches_in_range(model, batch):
    with evaluating(model):
        visuals = model(batch)
    assert visuals
    for images in visuals.values():
        assert len(images) > 0
        assert_images(images, model.spec)


@pytest.mark.parametrize("case", LEARNERS)
def test_a_batch_is_shown_after_the_step_that_was_taken_on_it(case):
    model, batch = create(case), make_batch(case)
    with evaluating(model):
        kinds = model.grids(batch).keys()
    model.optimize_parameters(batch, 1)
    with evaluating(model):
        assert model.grids(batch).keys() == kinds


def test_grids_hold_what_forward_shows(model, batch):
    with forked(0), evaluating(model):
        visuals, grids = model(batch), model.grids(batch)
    assert grids.keys() == visuals.keys()
    for name, grid in grids.items():
        assert isinstance(grid, Grid)
        assert_same(grid.images, visuals[name])
        assert grid.columns > 0
        assert grid.rows in ((), model.spec.classes)
        if grid.rows:
            assert len(grid.images) == len(grid.rows) * grid.columns


def test_verbose_prints_every_network(model, batch):
    table = diagnose(model, batch)
    assert all(f"net{name}" in table for name in model.nets)
    assert "did not run" not in table


@pytest.mark.parametrize("case", [c for c in CASES if hasattr(find_model(c.split()[0]), "translate")])
def test_translating_models_turn_a_into_b(model, batch):
    with evaluating(model):
        together = model.translate(batch["A"])
        alone = model.translate(batch["A"][:1])
    assert together.shape == batch["B"].shape
    assert_images(together, model.spec)
    assert_close(together[:1], alone, rtol=0, atol=1e-5)


def test_every_option_of_a_model_has_help_and_a_default(model):
    assert all(f.default is not dataclasses.MISSING for f in dataclasses.fields(model.Options))
