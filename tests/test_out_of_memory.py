"""Pictures and measurements when the device has no memory left for them beside recorded steps."""

from typing import Any

import pytest
import torch

from models.cgan_model import CGANModel
from models.step.stepper import Stepper

MLP = "--model cgan --netG mlp --netD mlp --hidden_G 8 --hidden_D 4 --nz 4 --image_size 8 --batch_size 2"
OOM = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 24 GiB")


def failing(monkeypatch: pytest.MonkeyPatch, times: int) -> list[str]:
    """Let the first pictures after a step fail for want of memory; return what is called."""
    calls: list[str] = []
    grids, make_room = CGANModel.grids, Stepper.make_room

    def tight(self: CGANModel, batch: Any) -> Any:
        calls.append("pictures")
        if calls.count("pictures") <= times:
            raise OOM
        return grids(self, batch)

    def noted(self: Stepper) -> None:
        calls.append("make room")
        make_room(self)

    monkeypatch.setattr(CGANModel, "grids", tight)
    monkeypatch.setattr(Stepper, "make_room", noted)
    return calls


def test_pictures_without_memory_are_made_once_recordings_are_given_up(bench, monkeypatch):
    calls = failing(monkeypatch, 1)
    outcome = bench.train(f"{MLP} --dataroot hands --n_epochs 1 --name a")
    assert outcome.status == 0
    assert calls[:3] == ["pictures", "make room", "pictures"]
    assert outcome.err.count("CUDA out of memory") == 1
    assert "memory of recorded steps is given back for it" in outcome.err


def test_a_second_failure_is_final(bench, monkeypatch):
    failing(monkeypatch, 2)
    with pytest.raises(torch.OutOfMemoryError):
        bench.train(f"{MLP} --dataroot hands --n_epochs 1 --name a")
