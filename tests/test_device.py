"""Which device computes."""

from typing import Any

import pytest
import torch

from util.device import pick_device


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """A machine with two GPUs, the second of which is the current one; the devices that were made current since."""
    made_current: list[torch.device] = []

    def set_device(device: torch.device) -> None:
        if device.index is None:  # as torch does
            raise ValueError(f"Expected a torch.device with a specified index or an integer, but got:{device}")
        made_current.append(device)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", set_device)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    return made_current


@pytest.mark.parametrize("name, index", [("auto", 1), ("cuda", 1), ("cuda:0", 0), ("cuda:1", 1)])
def test_a_gpu_always_has_an_index(gpus: list[torch.device], name: str, index: int) -> None:
    device = pick_device(name)
    assert device == torch.device("cuda", index)
    assert gpus == [device]


@pytest.mark.parametrize("name", ["cuda:2", "cuda:77"])
def test_a_gpu_that_is_not_there_is_named(gpus: list[torch.device], name: str) -> None:
    with pytest.raises(ValueError, match=f"--device {name}: torch sees cuda:0 to cuda:1 here$"):
        pick_device(name)
    assert not gpus


def test_a_single_gpu_is_named(gpus: list[torch.device], monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match=r"^--device cuda:1: torch sees one CUDA device here: use cuda:0$"):
        pick_device("cuda:1")


@pytest.mark.parametrize(("built_for", "why"), [("13.0", ""), (None, "this torch is built without CUDA; ")])
def test_without_any_gpu_there_is_a_way_on(monkeypatch: Any, built_for: str | None, why: str) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.version, "cuda", built_for)
    monkeypatch.setattr(torch.version, "hip", None)
    with pytest.raises(ValueError, match=f"^--device cuda: torch finds no CUDA device here; {why}--device auto "):
        pick_device("cuda")


def test_without_a_gpu_auto_is_the_processor(monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")
