"""Processes that train one model together take the steps that one process takes on all their images."""

from typing import Any

import torch
from torch import nn
from torch.testing import assert_close

from models.networks.norm import BatchNorm2d, synchronize
from tests.ranks import Drawn, alone, together
from tests.tiny_models import LEARNERS, NUM, create, make_batch
from util import distributed
from util.types import Batch

# What cannot draw the same numbers: dropout, histories, and the noise on images of two kinds in one batch.
ALIKE: dict[str, Any] = {"dropout": 0, "pool_size": 0}
# A process draws its own places, so that all are taken here, and tells apart the patches of its own images alone.
ALIKE |= {"num_patches": 10**6, "nce_includes_all_negatives_from_minibatch": False}
BY_BATCH = ("template_noise",)  # compares images with the average of a batch: a process has its own
CASES = [(case, 1, 6) for case in LEARNERS if case.split()[0] not in BY_BATCH]  # all updates and penalties
CASES += [("cgan conv rpgan", 1, step) for step in (1, 3)]  # D's alone, without and with
CASES += [(case, 2, 6) for case in ("cgan conv rpgan", "cvae_gan 28", "pix2pix", "wgan_gp", "cycle_gan rpgan")]


def gradients_of_a_step(case, accumulate, step, batch, *ranks):
    """Return the gradients that each optimizer gets in a step of a fresh model, in one row, and the losses."""
    options: dict[str, Any] = {k: v for k, v in ALIKE.items() if hasattr(create(case).opt, k)}
    if "dropout" in options:
        options["dropout"] = type(create(case).opt.dropout)(0)
    if case == "cvae_gan 32":
        options["instance_noise"] = 0.0
    model = create(case, accumulate=accumulate, **options)
    # Real and generated images draw their numbers one after the other, however many processes there are.
    model.in_one_pass = lambda use, net, *groups: [use(net, *group) for group in groups]
    found = {}

    def note(optimizer, name):
        params = [p for group in optimizer.param_groups for p in group["params"]]
        return lambda *_: found.update({name: torch.cat([p.grad.flatten() for p in params if p.grad is not None])})

    for name, optimizer in model.optimizers.items():
        optimizer.register_step_pre_hook(note(optimizer, name))
    if distributed.world() > 1:
        synchronize(model)
    with Drawn(*ranks):
        losses = model.optimize_parameters(batch, step)
    return found, losses


def compare_all():
    """Return for each case how far the gradients and losses of two processes are from those of one."""
    torch.set_default_dtype(torch.float64)  # where real and generated images nearly cancel, fp32 is 1e-5 off by itself
    rank, group, worst = distributed.rank(), distributed._group, {}
    for case, accumulate, step in CASES:
        batch = make_batch(case, num=2 * NUM)
        own = Batch({k: torch.cat(v.chunk(2 * accumulate)[rank::2]) for k, v in batch.items()})
        found, losses = gradients_of_a_step(case, accumulate, step, own, rank)
        if rank:
            continue
        alone()
        expected, expected_losses = gradients_of_a_step(case, accumulate, step, batch, 0, 1)
        distributed._group = group
        assert found.keys() == expected.keys()
        assert losses.keys() == expected_losses.keys()
        far = {name: float((found[name] - row).norm() / row.norm()) for name, row in expected.items()}
        far |= {
            name: abs(float(losses[name] - loss)) / (1 + abs(float(loss))) for name, loss in expected_losses.items()
        }
        worst[case, accumulate, step] = far
    return worst


def test_gradients_of_two_processes_are_those_of_one_on_twice_the_images(tmp_path):
    worst, _ = together(compare_all, tmp_path)
    assert worst.keys() == set(CASES)
    for key, far in worst.items():
        assert max(far.values()) < 1e-9, (key, far)


def second_derivatives():
    """Return outputs, gradients of a penalty and statistics of synchronized batch norm on this process's half."""
    world, rank = distributed.world(), distributed.rank()
    x = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 2 + 1
    x = x.chunk(world)[rank].requires_grad_()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 5, 3), BatchNorm2d(5), nn.Tanh(), nn.Conv2d(5, 1, 2))
    if world > 1:
        synchronize(net)
    out = net(x)
    (slope,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
    slope.square().sum().backward()
    grads = [p.grad for p in net.parameters() if p.grad is not None]
    distributed.average(grads)
    return out.detach(), slope.detach(), [g * world for g in grads], [*net.buffers()]


def test_synchronized_batch_norm_can_be_differentiated_twice(tmp_path):
    halves = together(second_derivatives, tmp_path)
    out, slope, grads, buffers = second_derivatives()
    assert_close(torch.cat([half[0] for half in halves]), out)
    assert_close(torch.cat([half[1] for half in halves]), slope)
    for half in halves:
        assert_close(half[2], grads, rtol=1e-4, atol=1e-4)
        assert_close(half[3], buffers)
