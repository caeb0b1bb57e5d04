"""Fast steps learn what plain ones do: from each of 200 states of a plain fp32 run, one step of each, compared."""

import copy

import pytest
import torch
from torch import Tensor

from models.base_model import BaseModel
from models.step.fast import FastNetworks
from models.step.plan import Speed
from tests.tiny_models import create, make_batch
from util.seeding import seed_all
from util.types import Batch

STATES = 200
LOSS = 0.01  # how much a loss may differ, of itself or of 0.1, whichever is more
# The least cosine of the gradients of a network, and the median's; that of G in cycle_gan comes through two networks
# of instance norms on 4 x 4 features, where rounding to bf16 tells most.
COSINES = {
    ("cgan conv", "D"): (0.95, 0.999),
    ("cgan conv", "G"): (0.9, 0.995),
    ("cgan mlp", "D"): (0.85, 0.999),
    ("cgan mlp", "G"): (0.85, 0.999),
    ("pix2pix", "D"): (0.98, 0.995),
    ("pix2pix", "G"): (0.97, 0.99),
    ("cycle_gan", "D_A"): (0.98, 0.999),
    ("cycle_gan", "D_B"): (0.98, 0.999),
    ("cycle_gan", "G_A"): (0.6, 0.9),
    ("cycle_gan", "G_B"): (0.6, 0.9),
}


def gradient(model: BaseModel, net: str) -> Tensor:
    """Return the gradient of all parameters of a network, as one vector."""
    return torch.cat([p.grad.flatten() for p in model.nets[net].parameters() if p.grad is not None])


@pytest.mark.parametrize("case", sorted({case for case, _ in COSINES}))
def test_a_step_in_bf16_is_nearly_one_in_fp32(case):
    plain, fast = create(case), create(case)
    networks = FastNetworks(fast, Speed(torch.bfloat16, channels_last=True))
    cosines: dict[str, list[float]] = {net: [] for net in plain.nets}
    for step in range(1, STATES + 1):
        batch = make_batch(case, seed=step)
        fast.load_state_dict(plain.state_dict())
        for name, optimizer in fast.optimizers.items():
            optimizer.load_state_dict(copy.deepcopy(plain.optimizers[name].state_dict()))
        seed_all(0, step)
        expected = plain.optimize_parameters(Batch(batch), step)
        seed_all(0, step)
        with networks.in_use():
            losses = fast.optimize_parameters(Batch(batch), step)
        for name, value in expected.items():
            assert abs(float(losses[name] - value)) <= LOSS * max(float(value.abs()), 0.1), (step, name)
        for net, values in cosines.items():
            values.append(float(torch.cosine_similarity(gradient(plain, net), gradient(fast, net), dim=0)))
    for net, values in cosines.items():
        least, median = COSINES[case, net]
        assert min(values) >= least, (net, min(values))
        assert sorted(values)[STATES // 2] >= median, net
    assert any(not torch.equal(p, q) for p, q in zip(plain.parameters(), fast.parameters(), strict=True))
