"""A run that diverges says so, whatever of it is not finite, and what it saved before can be shown."""

import pytest
import torch
from torch import nn

from models.cgan_model import CGANModel
from util.training.divergence import check_finite
from util.weights import load_safely


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["0.weight", "1.bias", "1.running_var"])
def test_every_weight_and_buffer_must_be_finite(name, bad):
    nets = {"": nn.Sequential(nn.Linear(2, 2)), "average: ": nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))}
    check_finite(nets)
    dict(nets["average: "].state_dict())[name].view(-1)[-1] = bad
    with pytest.raises(FloatingPointError, match=f"average: {name} is not finite"):
        check_finite(nets)


@pytest.mark.parametrize("name", ["exp_avg", "exp_avg_sq"])
def test_every_moment_must_be_finite(name):
    net = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    net(torch.ones(2)).sum().backward()
    optimizer.step()
    check_finite({"": net}, {"G": optimizer})
    optimizer.state[net.bias][name][1] = float("inf")
    with pytest.raises(FloatingPointError, match=f"{name} of optimizer G is not finite"):
        check_finite({"": net}, {"G": optimizer})


def test_a_second_moment_that_overflows_ends_a_run_whose_weights_are_finite(bench, monkeypatch):
    """Gradients of 1e20 have squares that no float32 holds; the weights stay where they are from then on."""
    step = CGANModel.optimize_parameters

    def overflow(self, batch, number):
        losses = step(self, batch, number)
        for state in self.optimizers["G"].state.values():
            state["exp_avg_sq"].fill_(float("inf"))
        return losses

    monkeypatch.setattr(CGANModel, "optimize_parameters", overflow)
    options = "--netG mlp --netD mlp --hidden_G 8,8 --hidden_D 8,8 --nz 4 --image_size 8 --device cpu --n_epochs 1"
    outcome = bench.train(f"--model cgan --dataroot hands --batch_size 2 --name a {options}")
    assert outcome.status == 1
    assert "exp_avg_sq of optimizer G is not finite, so the last save is kept" in outcome.err.splitlines()[-1]


def test_a_buffer_that_is_not_finite_ends_a_run_whose_losses_are(bench, monkeypatch):
    forward = nn.BatchNorm1d.forward

    def overflow(self, x):
        self.running_var.fill_(float("inf"))
        return forward(self, x)

    monkeypatch.setattr(nn.BatchNorm1d, "forward", overflow)
    options = "--netG mlp --netD mlp --hidden_G 8,8 --hidden_D 8,8 --nz 4 --image_size 8 --device cpu --n_epochs 1"
    outcome = bench.train(f"--model cgan --dataroot hands --batch_size 2 --name a {options}")
    assert outcome.status == 1
    assert "running_var is not finite, so the last save is kept" in outcome.err.splitlines()[-1]
    monkeypatch.undo()
    shown = bench.test("--name a --num_test 4")  # the networks of the first save
    assert shown.status == 0, shown.err


def test_weights_that_are_not_finite_are_not_shown(bench):
    bench.small("--name a --n_epochs 1")
    for path in bench.run_dir("a").glob("latest_net_G*.pth"):
        state = load_safely(path)
        next(t for t in state.values() if t.is_floating_point()).view(-1)[0] = float("nan")
        torch.save(state, path)
    outcome = bench.test("--name a --num_test 4")
    assert outcome.status == 1
    assert "is not finite, as the training diverged; choose another --epoch or run" in outcome.err.splitlines()[-1]
