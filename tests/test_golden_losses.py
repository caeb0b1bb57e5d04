"""Losses of a few steps, as they were: a change that is meant to keep the numbers shows here that it does.

Made by running this file as a script, ``python -m tests.test_golden_losses``, which prints the losses of the third
step of each tiny model from seed 0, on one CPU thread (torch 2.14.1). Make them anew only when new numbers are meant.
"""

import pytest
import torch
from torch.testing import assert_close

from tests.tiny_models import LEARNERS, create, train

torch.set_num_threads(1)

GOLDEN = {
    "cgan conv": {"D_real": 0.7179328, "D_fake": 0.6689058, "G": 0.7179456},
    "cgan conv random labels": {"D_real": 1.110088, "D_fake": 0.002868921, "G": 1.108821},
    "cgan mlp": {"D_real": 0.8093311, "D_fake": 0.5894966, "G": 0.8001602},
    "cgan mlp one-hot": {"D_real": 0.8472058, "D_fake": 0.5595533, "G": 0.8473403},
    "cgan mlp mismatch": {"D_real": 0.7871143, "D_fake": 0.6041146, "D_wrong": 0.6052993, "G": 0.7839319},
    "template": {"regression": 0.4911507},
}


@pytest.mark.parametrize("case", LEARNERS)
def test_losses_are_those_of_before(case):
    assert case in GOLDEN, "run python -m tests.test_golden_losses and add what it prints"
    losses = {name: loss.item() for name, loss in train(create(case), case, range(1, 4))[-1].items()}
    assert_close(losses, GOLDEN[case], rtol=1e-4, atol=1e-6)


if __name__ == "__main__":
    for golden in LEARNERS:
        last = train(create(golden), golden, range(1, 4))[-1]
        print(f'    "{golden}": {{' + ", ".join(f'"{k}": {v.item():.7g}' for k, v in last.items()) + "},")
