"""What all tests share."""

import pytest
import torch

from tests.bench import Bench

torch.set_num_threads(1)  # tiny networks are faster so, numbers repeat, and a process may fork


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)
