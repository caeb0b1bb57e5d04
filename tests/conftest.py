"""What all tests share."""

import pytest
import torch

from models.networks import projected
from tests import stand_in_backbone
from tests.bench import Bench

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
