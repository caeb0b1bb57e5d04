import math

import pytest
import torch

from util.training.schedule import Plateau, lr_factor
from util.weights import load_safely

LR = 2e-4
# What pytorch-CycleGAN-and-pix2pix uses in epochs 1 to 20 with --n_epochs 10 --n_epochs_decay 10 --lr_decay_iters 5.
REFERENCE = {
    "linear": [LR] * 10
    + [
        0.00018181818181818183,
        0.00016363636363636363,
        0.00014545454545454546,
        0.00012727272727272728,
        0.00010909090909090909,
        9.090909090909092e-05,
        7.272727272727273e-05,
        5.4545454545454546e-05,
        3.636363636363636e-05,
        1.818181818181819e-05,
    ],
    "step": [LR] * 5 + [2e-5] * 5 + [2e-6] * 5 + [2e-7] * 5,
    "constant": [LR] * 20,
}


@pytest.mark.parametrize("policy", REFERENCE)
def test_rates_are_those_of_the_reference(policy):
    rates = [LR * lr_factor(policy, epoch, 10, 10, 5) for epoch in range(1, 21)]
    assert rates == pytest.approx(REFERENCE[policy], rel=1e-12)


def test_cosine_falls_from_1_to_almost_0_over_all_epochs():
    factors = [lr_factor("cosine", epoch, 12, 8, 5) for epoch in range(1, 21)]
    assert factors[0] == 1
    assert factors[10] == pytest.approx(0.5)
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] == pytest.approx((1 - math.cos(math.pi / 20)) / 2)
    assert 0 < factors[-1] < 0.01


@pytest.mark.parametrize("policy", ["constant", "linear", "step", "cosine", "plateau"])
@pytest.mark.parametrize(("n_epochs", "n_epochs_decay"), [(1, 0), (1, 1), (7, 0), (3, 4)])
def test_the_first_epoch_has_the_initial_rate_and_none_has_0(policy, n_epochs, n_epochs_decay):
    factors = [
        lr_factor(policy, epoch, n_epochs, n_epochs_decay, 2) for epoch in range(1, n_epochs + n_epochs_decay + 1)
    ]
    assert factors[0] == 1
    assert all(0 < factor <= 1 for factor in factors)


def test_a_plateau_is_5_epochs_without_a_fall_and_costs_four_fifths():
    plateau, factors = Plateau(), []
    for value in [3.0, 2.0, *[2.0] * 5, 2.0, *[1.999] * 6, 1.0, 1.0]:  # a fall of less than a hundredth is none
        plateau.update(value)
        factors.append(plateau.factor)
    assert factors == pytest.approx([1.0] * 7 + [0.2] * 6 + [0.04] * 3)


def test_a_plateau_survives_being_saved(tmp_path):
    values = [2.0, 1.0, *[1.0] * 14]
    whole, part = Plateau(), Plateau()
    for value in values:
        whole.update(value)
    for value in values[:6]:
        part.update(value)
    torch.save(part.state_dict(), tmp_path / "state")
    again = Plateau()
    again.load_state_dict(load_safely(tmp_path / "state"))
    assert again.state_dict() == part.state_dict()
    for value in values[6:]:
        again.update(value)
    assert again.factor == whole.factor == pytest.approx(0.04)
    assert again.state_dict() == whole.state_dict()
