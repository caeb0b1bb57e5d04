"""What a step asks of the device: never to be waited for, and the same operations whenever the variant is the same."""

import contextlib
from collections import defaultdict

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.tiny_models import LEARNERS, create, make_batch


class NoSync(TorchDispatchMode):
    """Fails on operations that, on a GPU, make the host wait for the device."""

    NAMES = ("_local_scalar_dense", "item", "is_nonzero", "nonzero", "equal", "masked_select", "unique", "_unique2")
    METHODS = ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__", "__array__")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        masked = name == "index" and any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])
        if name in self.NAMES or masked:
            raise AssertionError(f"aten::{name} waits for the device")
        return func(*args, **(kwargs or {}))

    @classmethod
    @contextlib.contextmanager
    def forbidden(cls, monkeypatch):
        """Also catch what reads a CPU tensor without an operation."""

        def refuse(name):
            def refused(*_args, **_kwargs):
                raise AssertionError(f"Tensor.{name} waits for the device")

            return refused

        with monkeypatch.context() as patch, cls():
            for name in cls.METHODS:
                patch.setattr(torch.Tensor, name, refuse(name))
            yield


WAITING = {
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x.sum()),
    "int": lambda x: int(x.sum()),
    "if": lambda x: 1 if x.sum() > 0 else 2,
    "index": lambda x: [1, 2][x.sum().long() * 0],
    "tolist": lambda x: x.tolist(),
    "numpy": lambda x: x.numpy(),
    "cpu": lambda x: x.cpu(),
    "nonzero": lambda x: x.nonzero(),
    "where": lambda x: torch.where(x > 0),
    "mask": lambda x: x[x > 0],
    "masked_select": lambda x: x.masked_select(x > 0),
    "equal": lambda x: torch.equal(x, x + 1),
    "isfinite": lambda x: bool(x.isfinite().all()),
    "unique": lambda x: x.unique(),
}


@pytest.mark.parametrize("name", WAITING)
def test_waiting_for_the_device_is_noticed(name, monkeypatch):
    x = torch.ones(3)
    with NoSync.forbidden(monkeypatch), pytest.raises(AssertionError, match="waits for the device"):
        WAITING[name](x)
    WAITING[name](x)  # and afterwards is allowed again


@pytest.mark.parametrize("case", LEARNERS)
def test_a_step_does_not_wait_for_the_device(case, monkeypatch):
    model = create(case)
    batches = {step: make_batch(case, seed=step) for step in range(1, 13)}
    for step, batch in batches.items():
        with NoSync.forbidden(monkeypatch):
            model.optimize_parameters(batch, step)


class Recorder(TorchDispatchMode):
    """Notes every operation, with the shapes of the tensors that go in."""

    def __init__(self):
        super().__init__()
        self.operations: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        shapes = [str(tuple(a.shape)) for a in args if isinstance(a, torch.Tensor)]
        self.operations.append(f"{func}{' '.join(shapes)}")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("case", LEARNERS)
def test_steps_of_one_variant_run_the_same_operations(case):
    model = create(case)
    recorded = defaultdict(list)
    for step in range(1, 17):
        batch = make_batch(case, seed=step)
        with Recorder() as recorder:
            model.optimize_parameters(batch, step)
        if step > 6:  # by then every optimizer has made its state
            recorded[model.variant(step)].append((step, recorder.operations))
    for variant, runs in recorded.items():
        (first, expected), *others = runs
        assert len(expected) > 10
        for step, operations in others:
            assert operations == expected, f"variant {variant}: step {step} is not like step {first}"
