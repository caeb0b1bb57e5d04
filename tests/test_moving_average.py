"""The moving average of generators against its closed form."""

import io
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from util.training.moving_average import MovingAverage


class Model(nn.Module):
    netG: Any
    netD: Any

    def __init__(self) -> None:
        super().__init__()
        self.netG = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
        self.netD = nn.Linear(1, 1)

    def set(self, value: float) -> None:
        """Fill G's parameters and statistics."""
        with torch.no_grad():
            for tensor in (*self.netG.parameters(), self.netG[1].running_mean, self.netG[1].running_var):
                tensor.fill_(value)
            self.netG[1].num_batches_tracked.fill_(int(value))


def follow(values: list[float], decay: float) -> list[float]:
    """Return the averages after each update, by the formula."""
    averages: list[float] = []
    for n, value in enumerate(values, 1):
        d = min(decay, (1 + n) / (10 + n))
        averages.append(value if n == 1 else d * averages[-1] + (1 - d) * value)
    return averages


def weight(ema: MovingAverage) -> float:
    averaged: Any = ema.nets["netG"]
    return averaged[0].weight.item()


@pytest.mark.parametrize("decay", [0.0, 0.2, 0.9, 0.999, 1.0])
def test_averages_follow_the_formula(decay):
    model = Model()
    ema = MovingAverage(model, ["netG"], decay)
    values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]
    for value, expected in zip(values, follow(values, decay), strict=True):
        model.set(value)
        ema.advance()
        ema.update()
        averaged: Any = ema.nets["netG"]
        assert_close(averaged[0].weight.item(), expected)
        assert_close(averaged[1].running_mean.item(), expected)  # statistics belong to the weights
        assert_close(averaged[1].running_var.item(), expected)
        assert averaged[1].num_batches_tracked.item() == value  # a count is not averaged
        assert model.netG[0].weight.item() == value


def test_the_decay_is_reached_when_the_start_is_forgotten():
    model = Model()
    ema = MovingAverage(model, ["netG"], 0.5)
    model.set(0.0)
    for _ in range(20):
        ema.advance()
        ema.update()
    model.set(1.0)
    for n in range(1, 4):
        ema.advance()
        ema.update()
        assert_close(weight(ema), 1 - 0.5**n)


def test_the_initial_weights_are_there_before_any_update():
    model = Model()
    ema = MovingAverage(model, ["netG"], 0.99)
    before = model.netG[0].weight.item()
    model.set(7.0)
    assert weight(ema) == before


def test_averages_take_the_networks_places_for_a_while():
    model = Model()
    ema = MovingAverage(model, ["netG"], 0.9)
    model.set(1.0)
    ema.advance()
    ema.update()
    model.set(3.0)
    trained, other, names = model.netG, model.netD, list(model.state_dict())
    with pytest.raises(ArithmeticError), ema.in_use():
        assert model.netG[0].weight.item() == 1.0
        assert model.netD is other
        assert list(model.state_dict()) == names
        raise ArithmeticError
    assert model.netG is trained
    assert model.netG[0].weight.item() == 3.0
    assert [name for name, _ in model.named_children()] == ["netG", "netD"]


def test_averages_have_no_gradients_and_draw_no_random_numbers():
    model = Model()
    state = torch.get_rng_state()
    ema = MovingAverage(model, ["netG"], 0.9)
    for _ in range(3):
        ema.advance()
        ema.update()
    assert torch.equal(torch.get_rng_state(), state)
    for p in (*ema.nets["netG"].parameters(), *model.parameters()):
        assert p.is_leaf
        assert p.grad is None


def test_a_restored_average_goes_on_bit_for_bit():
    model, numbers = Model(), torch.Generator().manual_seed(0)
    values = torch.rand(8, generator=numbers).tolist()
    ema = MovingAverage(model, ["netG"], 0.9)
    for value in values[:4]:
        model.set(value)
        ema.advance()
        ema.update()
    file = io.BytesIO()
    torch.save(ema.state_dict(), file)
    file.seek(0)
    restored = MovingAverage(Model(), ["netG"], 0.9)
    restored.load_state_dict(torch.load(file, weights_only=True))
    assert restored.updates == 4
    for value in values[4:]:
        for each in (ema, restored):
            each.model.set(value)  # type: ignore[operator]
            each.advance()
            each.update()
    assert_close(restored.state_dict(), ema.state_dict(), rtol=0, atol=0)


def test_a_restored_average_needs_all_of_its_networks():
    ema = MovingAverage(Model(), ["netG"], 0.9)
    state = ema.state_dict()
    with pytest.raises(KeyError, match="netD"):
        MovingAverage(Model(), ["netG", "netD"], 0.9).load_state_dict(state)
