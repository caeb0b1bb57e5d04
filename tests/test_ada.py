"""Adaptive augmentation: the rule of its strength, and what it does to images of any kind."""

import math

import pytest
import torch
from torch.testing import assert_close

from models.augment import ada
from models.augment.ada import AdaptiveAugment, Chance, colours
from tests.tiny_models import assert_same, create, snapshot, train


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def at(p):
    augment = AdaptiveAugment(0.6, 4, 100)
    augment.p.fill_(p)
    return augment


def test_p_follows_its_rule():
    augment = AdaptiveAugment(0.6, 4, 100)  # 16 images move it by .16
    sure, unsure = torch.ones(4, 1), torch.tensor([[1.0], [1], [1], [-1]])  # mean signs of 1 and .5
    found = []
    for logits in [sure] * 8 + [unsure] * 12 + [sure] * 3 + [-sure]:
        augment.steer(3 * logits)
        found.append(round(augment.p.item(), 6))
    assert found == [0] * 3 + [0.16] * 4 + [0.32] * 4 + [0.16] * 4 + [0] * 9
    augment.p.fill_(0.95)
    for _ in range(4):
        augment.steer(sure)
    assert augment.p == 1


def test_micro_batches_count_as_what_they_are_part_of():
    whole, parts = AdaptiveAugment(0.6, 4, 100), AdaptiveAugment(0.6, 4, 100)
    for _ in range(9):
        logits = torch.randn(4) + 1
        whole.steer(logits)
        for part in logits.split(2):
            parts.steer(part)
    assert_close(dict(whole.named_buffers()), dict(parts.named_buffers()))
    assert whole.p > 0


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 8), (4, 6, 10), (3, 1, 9), (1, 1, 1), (2, 7, 5)])
def test_images_of_any_kind_keep_their_shape(shape):
    images = (torch.rand(6, *shape) * 2 - 1).requires_grad_()
    assert_close(at(0.0)(images), images, rtol=1e-4, atol=1e-4)
    changed = at(1.0)(images)
    assert changed.shape == images.shape
    assert changed.isfinite().all()
    (gradient,) = torch.autograd.grad(changed.sum(), images)
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


def test_each_image_is_changed_by_itself_and_with_probability_p():
    images = (torch.rand(1, 3, 8, 8) * 2 - 1).expand(400, 3, 8, 8)
    changed = at(0.05)(images)
    same = (changed - images).abs().amax((1, 2, 3)) < 1e-3
    # Of 12 changes 4 do nothing in some cases: flips, quarters, and inverting. Rotations share a p.
    assert 0.5 < same.float().mean() < 0.75
    strong = at(1.0)(images)
    assert strong.unique(dim=0).shape[0] == 400


def test_moves_are_whole_pixels_where_only_blitting_happens(monkeypatch):
    monkeypatch.setattr(ada, "SCALE", 0.0)
    monkeypatch.setattr(Chance, "angle", lambda self: torch.zeros(self.num))
    monkeypatch.setattr(Chance, "normal", lambda self: torch.zeros(self.num))
    matrices = ada.moves(Chance(torch.zeros(200, 1, 8, 8), torch.tensor(1.0)), 8, 8)
    assert_close(matrices, matrices.round(), atol=1e-5, rtol=0)
    shift = matrices[:, :2, 2]
    assert shift.abs().max().round() == 1  # an eighth of 8
    assert set(torch.linalg.det(matrices).round().tolist()) == {1.0, -1.0}  # mirrored or not


def test_colours_keep_grey_grey_and_hue_keeps_luma(monkeypatch):
    chance = Chance(torch.zeros(50, 3, 2, 2), torch.tensor(1.0))
    grey = torch.full((50, 3, 2, 2), 0.3)
    changed = colours(chance, grey)
    assert_close(changed, changed[:, :1].expand_as(changed), rtol=1e-4, atol=1e-5)
    assert changed.std() > 0.1
    monkeypatch.setattr(Chance, "normal", lambda self: torch.zeros(self.num))
    monkeypatch.setattr(Chance, "coin", lambda self: torch.zeros(self.num))
    images = torch.rand(50, 3, 2, 2)
    turned = colours(chance, images)
    assert_close(turned.mean(1), images.mean(1))
    assert_close(turned.norm(dim=1), images.norm(dim=1))  # around the grey axis nothing gets longer
    assert (turned - images).abs().amax((1, 2, 3)).median() > 0.1


def test_rotations_happen_as_often_as_p_says():
    chance = Chance(torch.zeros(4000, 1, 4, 4), torch.tensor(0.5))
    p = 1 - math.sqrt(1 - 0.5)
    hits = torch.stack([chance.perhaps(torch.ones(4000), 0, torch.tensor(p)) for _ in range(2)]).amax(0)
    assert abs(hits.mean() - 0.5) < 0.03


def test_a_comparing_objective_steers_by_the_difference():
    model = create("r3gan ada", ada_images=100)
    for p in model.netD.parameters():
        torch.nn.init.zeros_(p)
    model.netD.main[-1].bias.data.fill_(5.0)  # all logits are 5: no image looks more real than another
    train(model, "r3gan ada", range(1, 2))
    assert model.ada.count == 4
    assert model.ada.signs == 0


def test_its_strength_goes_on_bit_for_bit_after_a_resume():
    case = "gan ada"
    model = create(case)
    model.ada.p.fill_(0.5)
    train(model, case, range(1, 7))
    state = snapshot(model)
    assert state["model"]["ada.p"] != 0.5
    assert state["model"]["ada.count"] > 0
    other = create(case, seed=1)
    other.load_state_dict(state["model"])
    for name, optimizer in other.optimizers.items():
        optimizer.load_state_dict(state[name])
    assert_same(train(other, case, range(7, 12)), train(model, case, range(7, 12)))
    assert_same(snapshot(other), snapshot(model))


@pytest.mark.parametrize("case", ["gan", "cgan conv", "cvae_gan 28", "template_noise", "wgan", "sngan"])
def test_every_model_that_draws_from_noise_steers_it_once_a_step_of_d(case):
    model = create(case, augment="ada", ada_images=1000)
    losses = train(model, case, range(1, 4))
    assert model.ada.count == 3 * model.batch_size  # real images that D learned from; G's update counts none
    assert all(loss["ada_p"] == 0 for loss in losses)


def test_what_cannot_be_repeated_is_refused_on_a_gpu_alone(monkeypatch):
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    at(1.0)(torch.zeros(2, 3, 8, 8))
    with pytest.raises(ValueError, match=r"--augment ada: .* leave out --deterministic"):
        ada.check_repeatable(torch.device("cuda"))
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: False)
    ada.check_repeatable(torch.device("cuda"))
