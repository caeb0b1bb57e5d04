"""Check the saved state of an optimizer against its parameters before it is loaded."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

MOMENTS = {"Adam": {"step", "exp_avg", "exp_avg_sq"}, "RMSprop": {"step", "square_avg"}}
MAY_DIFFER = {"lr", "initial_lr", "betas", "alpha", "eps", "weight_decay", "capturable", "foreach", "fused"}


def check_moments(optimizer: Optimizer, state: Any) -> None:
    """Compare a saved state with what ``optimizer`` updates.

    PyTorch loads moments of any shape, and its fused updates then read and write past their ends.

    Raises:
        ValueError: groups, parameters or moments are not those of this optimizer.
    """
    own = optimizer.state_dict()
    if not (isinstance(state, dict) and isinstance(state.get("state"), dict)):
        raise ValueError("it is no state of an optimizer")
    groups = state.get("param_groups")
    if not isinstance(groups, list) or len(groups) != len(own["param_groups"]):
        raise ValueError("its groups of parameters are not those of this optimizer")
    for group, mine in zip(groups, own["param_groups"], strict=True):
        _check_group(group, mine)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]  # as they are numbered in a state
    wanted = MOMENTS.get(type(optimizer).__name__, set())
    for index, moments in state["state"].items():
        if type(index) is not int or not 0 <= index < len(parameters):
            raise ValueError(f"there is no parameter {index!r:.40}")
        if not isinstance(moments, dict) or (moments and wanted - moments.keys()):
            raise ValueError(f"moments of parameter {index} are missing")
        for name, value in moments.items():
            _check_moment(f"{name!s:.40} of parameter {index}", value, parameters[index], name == "step")


def _check_group(group: Any, mine: dict[str, Any]) -> None:
    if not isinstance(group, dict) or group.get("params") != mine["params"]:
        raise ValueError("its parameters are not those of this optimizer")
    rate = {"initial_lr": 0.0} if "initial_lr" in group else {}  # which ``mine`` has from the first epoch on
    for key, value in (rate | mine).items():
        has_default = value is None or isinstance(value, bool)  # PyTorch adds flags from version to version
        if key not in group and not has_default:
            raise ValueError(f"it has no {key}")
        if key in group and not (_alike(group[key], value) if key in MAY_DIFFER else group[key] == value):
            raise ValueError(f"its {key} is {group[key]!r:.60}, not such as {value!r:.60}")


def _alike(value: Any, mine: Any) -> bool:
    """Return whether two settings are of one kind."""
    if mine is None or isinstance(mine, bool):
        return value is None or isinstance(value, bool)
    if isinstance(mine, tuple):
        return isinstance(value, tuple) and len(value) == len(mine) and all(map(_alike, value, mine))
    if isinstance(mine, Tensor):
        return isinstance(value, Tensor) and _is_plain(value) and value.shape == mine.shape and bool(value.isfinite())
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _check_moment(name: str, value: Any, parameter: Tensor, is_step: bool) -> None:
    if is_step and isinstance(value, int | float):
        return
    if not isinstance(value, Tensor) or not _is_plain(value):
        raise ValueError(f"{name} is no plain tensor of floating-point numbers")
    if is_step:
        if value.shape != () or not value >= 0:
            raise ValueError(f"{name} is no count")
    elif value.shape != parameter.shape or value.dtype != parameter.dtype:
        found, wanted = (f"{tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}" for t in (value, parameter))
        raise ValueError(f"{name} is {found}, not {wanted}")


def _is_plain(value: Tensor) -> bool:
    return value.layout == torch.strided and not value.is_meta and value.is_floating_point()
