"""What all tests share."""

import os

import pytest
import torch

from models.networks import projected
from tests import stand_in_backbone
from tests.bench import Bench

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # what is tested is the CPU, on machines with a GPU too; processes inherit it
torch.set_num_threads(1)  # tiny networks are faster so, numbers repeat, and a process may fork


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture(autouse=True)
def own_backbone(monkeypatch):
    """Have D see through a stand-in; the value is what makes the network itself."""
    own = projected.backbone
    monkeypatch.setattr(projected, "backbone", stand_in_backbone.backbone)
    return own
