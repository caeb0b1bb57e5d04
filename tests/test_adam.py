"""Adam on weights that lie channels-last."""

from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.testing import assert_close

from models.adam import Adam


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


def test_weights_and_states_are_those_of_torchs_own():
    for layout in (torch.contiguous_format, torch.channels_last):
        (ours, adam), (reference, plain) = train(Adam, layout, 5), train(torch.optim.Adam, layout, 5)
        assert_close(dict(ours.named_parameters()), dict(reference.named_parameters()))
        assert_close(adam.state_dict()["state"], plain.state_dict()["state"])
        strides = {k: v.stride() for k, v in ours.state_dict().items()}
        assert strides == {k: v.stride() for k, v in reference.state_dict().items()}


def test_nothing_is_copied():
    model, adam = train(Adam, torch.channels_last, 2)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as trace:
        adam.step()
    assert "aten::_fused_adam_" in {event.name for event in trace.events()}
    copies = [event.input_shapes[0] for event in trace.events() if event.name == "aten::copy_"]
    assert not [shape for shape in copies if len(shape) == 4]
