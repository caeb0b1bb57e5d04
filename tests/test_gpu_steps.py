"""What a step would do on a GPU, by tensors without numbers: none of it may lie on, or come from, the host."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from models.step.fast import FastNetworks
from models.step.plan import Speed
from tests.tiny_models import LEARNERS, create, make_batch
from util.types import Batch


class OnGpu(TorchDispatchMode):
    """Fails on operations that put something out on the host."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if any(isinstance(t, Tensor) and t.device.type == "cpu" for t in tree_leaves(result)):
            raise AssertionError(f"{func} gives a tensor on the host")
        return result


@contextmanager
def gpu(mode: FakeTensorMode) -> Iterator[None]:
    """Within the block tensors have no numbers, and there is no backward pass, which needs a real device."""
    with pytest.MonkeyPatch.context() as patch, mode:
        patch.setattr(Tensor, "backward", lambda self: None)
        patch.setattr(torch.autograd, "grad", lambda outputs, inputs, create_graph: (torch.empty_like(inputs),))
        with OnGpu():
            yield


def move(model: Any, mode: FakeTensorMode) -> None:
    """Put a model on the pretended GPU; its optimizers do nothing there, for want of gradients."""
    new: dict[Tensor, Tensor] = {}
    with mode:
        for module in model.modules():
            for tensors in (module._parameters, module._buffers):
                for name, old in tensors.items():
                    if old is not None and old not in new:
                        empty = torch.empty_strided(old.shape, old.stride(), dtype=old.dtype, device="cuda")
                        new[old] = nn.Parameter(empty, old.requires_grad) if isinstance(old, nn.Parameter) else empty
                    if old is not None:
                        tensors[name] = new[old]
    for optimizer in model.optimizers.values():
        for group in optimizer.param_groups:
            group["params"] = [new[p] for p in group["params"]]
        optimizer.step = lambda: None
    if hasattr(model, "clipped"):
        model.clipped = [new[p] for p in model.clipped]


@pytest.mark.parametrize("case", LEARNERS)
@pytest.mark.parametrize("speed", [Speed(), Speed(torch.bfloat16, channels_last=True)], ids=str)
def test_a_step_takes_nothing_from_the_host(case, speed):
    model, images = create(case), make_batch(case)
    networks = FastNetworks(model, speed)
    mode = FakeTensorMode()
    move(model, mode)
    with mode:
        batch = Batch(
            {key: torch.empty(value.shape, dtype=value.dtype, device="cuda") for key, value in images.items()}
        )
    with gpu(mode), networks.in_use():
        losses = model.optimize_parameters(batch, 6)
        assert {loss.device.type for loss in losses.values()} == {"cuda"}
        assert {loss.dtype for loss in losses.values()} == {torch.float32}


def test_a_tensor_of_the_host_is_noticed():
    with gpu(FakeTensorMode()):
        x = torch.empty(3, device="cuda")
        x + 1
        with pytest.raises(AssertionError, match="on the host"):
            x + torch.tensor(1.0)
        with pytest.raises(AssertionError, match="on the host"):
            x[torch.arange(2)]
