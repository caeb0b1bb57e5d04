"""Optimizers: torch's numbers, whatever the layout of weights and wherever the learning rate lies."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.testing import assert_close

from models.optimizers import Adam, RMSprop, make_states
from tests.tiny_models import create, make_batch, snapshot
from util.seeding import seed_all


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(5, 7, 3), nn.Conv2d(7, 3, 1), nn.Flatten(), nn.Linear(3 * 36, 2))


def train(optimizer: Any, layout: torch.memory_format, steps: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    model = net().to(memory_format=layout)
    adam = optimizer(model.parameters(), lr=torch.tensor(0.1), betas=(0.5, 0.99), fused=True)
    for step in range(steps):
        adam.zero_grad()
        model(torch.randn(2, 5, 8, 8, generator=torch.Generator().manual_seed(step))).square().sum().backward()
        adam.step()
    return model, adam


def test_adam_takes_the_steps_of_torch():
    for layout in (torch.contiguous_format, torch.channels_last):
        (ours, adam), (reference, plain) = train(Adam, layout, 5), train(torch.optim.Adam, layout, 5)
        assert_close(dict(ours.named_parameters()), dict(reference.named_parameters()))
        assert_close(adam.state_dict()["state"], plain.state_dict()["state"])
        strides = {k: v.stride() for k, v in ours.state_dict().items()}
        assert strides == {k: v.stride() for k, v in reference.state_dict().items()}


def test_adam_copies_no_channels_last_weight():
    model, adam = train(Adam, torch.channels_last, 2)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as trace:
        adam.step()
    assert "aten::_fused_adam_" in {event.name for event in trace.events()}
    copies = [event.input_shapes[0] for event in trace.events() if event.name == "aten::copy_"]
    assert not [shape for shape in copies if len(shape) == 4]


def test_rmsprop_takes_the_steps_of_torch():
    torch.manual_seed(0)
    ours, theirs = nn.Linear(5, 3).double(), nn.Linear(5, 3).double()
    theirs.load_state_dict(ours.state_dict())
    optimizers = RMSprop(ours.parameters(), torch.tensor(0.01)), torch.optim.RMSprop(theirs.parameters(), lr=0.01)
    for _ in range(10):
        x = torch.randn(4, 5, dtype=torch.float64)
        for net, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            net(x).square().sum().backward()
            optimizer.step()
    assert_close(ours.weight, theirs.weight, rtol=1e-6, atol=1e-9)
    assert_close(ours.bias, theirs.bias, rtol=1e-6, atol=1e-9)


def test_a_rate_changed_in_place_is_felt_and_parameters_without_gradient_stay():
    p, still = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    rate = torch.tensor(0.1)
    optimizer = RMSprop([p, still], rate)
    p.grad = torch.ones(1)
    optimizer.step()
    assert_close(p.detach(), torch.tensor([-1.0]))  # the first root mean square is a tenth of the gradient
    rate.fill_(0.0)
    optimizer.step()
    assert_close(p.detach(), torch.tensor([-1.0]))
    assert not still.any()


@pytest.mark.parametrize("case", ["cgan conv", "wgan", "wgan_gp", "cycle_gan"])
def test_states_of_optimizers_that_are_made_first_change_nothing(case):
    """wgan has RMSprop, the others Adam."""
    plain, early = create(case), create(case)
    for optimizer in early.optimizers.values():
        make_states(optimizer)
        params = [p for group in optimizer.param_groups for p in group["params"]]
        assert len(optimizer.state) == len(params)
        assert all(p.grad is None for p in params)
    assert_close(dict(early.named_parameters()), dict(plain.named_parameters()), rtol=0, atol=0)
    for step in range(1, 8):
        for model in (plain, early):
            seed_all(0, step)
            model.optimize_parameters(make_batch(case, seed=step), step)
    assert_close(snapshot(early), snapshot(plain), rtol=0, atol=0)
