"""States of optimizers that do not fit are refused before PyTorch's fused updates see them."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import Adam, RMSprop

from util.moments import check_moments
from util.training.checkpoint import Checkpoint


def stepped(kind=Adam, **more):
    """Return an optimizer of a small network after a step."""
    net = nn.Linear(2, 3)
    optimizer = kind(net.parameters(), lr=torch.tensor(0.1), **more)
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", 0.1)
    return optimizer


@pytest.mark.parametrize(("kind", "more"), [(Adam, {"fused": True}), (Adam, {}), (RMSprop, {})])
def test_a_state_of_its_own_passes(kind, more):
    state = stepped(kind, **more).state_dict()
    fresh = kind(nn.Linear(2, 3).parameters(), lr=torch.tensor(0.1), **more)
    check_moments(fresh, state)
    check_moments(stepped(kind), fresh.state_dict() | {"param_groups": state["param_groups"]})


def change(name, value):
    def apply(state):
        state["state"][0][name] = value

    return apply


def change_group(name, value):
    def apply(state):
        state["param_groups"][0][name] = value

    return apply


DAMAGE = {
    "shorter": (change("exp_avg", torch.zeros(1)), r"exp_avg of parameter 0 is \(1,\) float32, not \(3, 2\) float32"),
    "larger": (change("exp_avg_sq", torch.zeros(300, 200)), "exp_avg_sq of parameter 0 is"),
    "transposed": (change("exp_avg", torch.zeros(2, 3)), "exp_avg"),
    "integers": (change("exp_avg", torch.zeros(3, 2, dtype=torch.int64)), "no plain tensor"),
    "doubles": (change("exp_avg", torch.zeros(3, 2, dtype=torch.float64)), "float64"),
    "half": (change("exp_avg", torch.zeros(3, 2, dtype=torch.float16)), "float16"),
    "meta": (change("exp_avg", torch.zeros(3, 2, device="meta")), "no plain tensor"),
    "a text": (change("exp_avg", "x" * 9999), "no plain tensor"),
    "steps": (change("step", torch.zeros(4)), "step of parameter 0 is no count"),
    "a step that is none": (change("step", torch.tensor(float("nan"))), "step"),
    "no moments": (lambda state: state["state"][1].pop("exp_avg"), "moments of parameter 1 are missing"),
    "another parameter": (lambda state: state["state"].update({7: state["state"][0]}), "no parameter 7"),
    "other parameters": (change_group("params", [0, 1, 2]), "parameters"),
    "parameters twice": (change_group("params", [0, 0]), "parameters"),
    "amsgrad": (change_group("amsgrad", True), "amsgrad"),
    "one beta": (change_group("betas", (0.5,)), "betas"),
    "rates": (change_group("lr", torch.ones(9)), "lr"),
    "a rate of nothing": (change_group("lr", torch.tensor(float("nan"))), "lr"),
    "no rate": (lambda state: state["param_groups"][0].pop("lr"), "no lr"),
    "two groups": (lambda state: state["param_groups"].append(state["param_groups"][0]), "groups"),
    "no groups": (lambda state: state.pop("param_groups"), "groups"),
    "no state": (lambda state: state.pop("state"), "no state"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_does_not_fit_is_refused(damage, tmp_path):
    apply, complaint = DAMAGE[damage]
    optimizer = stepped(fused=True)
    state = copy.deepcopy(optimizer.state_dict())
    apply(state)
    with pytest.raises(ValueError, match=complaint):
        check_moments(optimizer, state)
    before = optimizer.state_dict()["state"][0]["exp_avg"].clone()
    checkpoint = Checkpoint(tmp_path, {"optimizer_G": optimizer})
    torch.save({"format": 2, "optimizer_G": state}, checkpoint.path)
    told = rf"latest_state.pth .*optimizer_G: .*{complaint}.*--overwrite"
    if damage == "meta":
        told = "latest_state.pth is damaged, or holds more than tensors"  # refused before it is read
    with pytest.raises(ValueError, match=told) as error:
        checkpoint.load()
    assert len(str(error.value)) < 600
    assert "\n" not in str(error.value)
    assert torch.equal(optimizer.state_dict()["state"][0]["exp_avg"], before)


@pytest.mark.parametrize("value", ["x", None, float("nan"), float("inf"), -3, [1.0]])
@pytest.mark.parametrize("name", ["initial_lr", "eps", "weight_decay"])
def test_rates_of_a_fresh_optimizer_must_be_numbers(name, value):
    """Before its first epoch it knows of no initial rate itself."""
    state = copy.deepcopy(stepped(fused=True).state_dict())
    change_group(name, value)(state)
    with pytest.raises(ValueError, match=f"its {name} is"):
        check_moments(Adam(nn.Linear(2, 3).parameters(), lr=torch.tensor(0.1), fused=True), state)


def test_a_state_of_another_optimizer_is_refused():
    with pytest.raises(ValueError, match="it has no momentum"):
        check_moments(stepped(RMSprop), stepped(Adam).state_dict())
