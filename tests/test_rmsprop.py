import torch
from torch import nn
from torch.testing import assert_close

from models.rmsprop import RMSprop


def test_steps_are_those_of_torch():
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
