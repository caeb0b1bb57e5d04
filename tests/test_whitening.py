"""Instance norm in low precision on a GPU: the numbers of the plain form, and less memory."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import instance_norm
from torch.testing import assert_close

from models.networks.norm import InstanceNorm2d, Whitening, whitened
from tests.tiny_models import build
from util.types import DataSpec

EPS = 1e-5


def images(dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    numbers = torch.Generator().manual_seed(seed)
    x = (torch.randn(2, 3, 4, 5, generator=numbers, dtype=torch.float64) * 2 + 1).to(dtype)
    return x.to(memory_format=torch.channels_last).requires_grad_()


def test_gradients_and_theirs_are_those_of_finite_differences():
    whiten = lambda x: Whitening.apply(x, EPS)  # noqa: E731
    assert gradcheck(whiten, images())
    assert gradgradcheck(whiten, images())


def test_a_penalty_through_it_is_that_of_the_plain_form():
    """The gradient of a gradient's norm, as a gradient penalty takes it."""
    results = []
    for whiten in (lambda x: Whitening.apply(x, EPS), lambda x: instance_norm(x, eps=EPS)):
        x = images()
        (gradient,) = torch.autograd.grad(whiten(x).sin().sum(), x, create_graph=True)
        ((gradient.norm() - 1) ** 2).backward()
        results.append((gradient.detach(), x.grad))
    assert_close(results[0], results[1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_rounds_once(dtype):
    x = images(dtype)
    result = whitened(x, EPS)
    assert result.dtype == dtype
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert_close(result, instance_norm(x.float(), eps=EPS).to(dtype), rtol=2 * torch.finfo(dtype).eps, atol=1e-3)
    plain = images(dtype)
    result.float().sin().sum().backward()
    instance_norm(plain.float(), eps=EPS).sin().sum().backward()
    assert_close(x.grad, plain.grad, rtol=0.02, atol=0.02)


def kept(dtype: torch.dtype) -> int:
    """Return the bytes that the backward pass of one layer keeps, beside its planes' means."""
    x, sizes = images(dtype), []

    def note(tensor: Tensor) -> Tensor:
        sizes.append(tensor.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        whitened(x, EPS)
    return sum(size for size in sizes if size > 24)


def test_it_keeps_nothing_but_the_low_precision_images():
    assert kept(torch.bfloat16) == images().numel() * 2
    assert kept(torch.float32) >= images().numel() * 8


def test_it_compiles():
    compiled = torch.compile(lambda x: whitened(x, EPS), backend="aot_eager", fullgraph=True)
    x = images(torch.bfloat16)
    assert_close(compiled(x), whitened(x, EPS))


def kept_by_generator(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the bytes that the backward pass of a small resnet keeps beside its weights, normalized as on a GPU."""
    monkeypatch.setattr(InstanceNorm2d, "forward", lambda self, x: whitened(x, self.eps))
    spec = DataSpec((64, 64), 3, 3)
    net = build("cycle_gan", spec, 1, ngf=16, netG="resnet_3blocks").netG_A.to(memory_format=torch.channels_last)
    weights = {p.data_ptr() for p in net.parameters()}
    storages: dict[int, torch.UntypedStorage] = {}  # held, so that no address is used twice

    def note(tensor: Tensor) -> Tensor:
        if tensor.numel() > 3 * 64 * 64 and tensor.shape[0] == 1 and tensor.data_ptr() not in weights:
            storages[tensor.data_ptr()] = tensor.untyped_storage()
        return tensor

    x = torch.rand(1, 3, 64, 64).to(memory_format=torch.channels_last)
    with (
        torch.autocast("cpu", torch.bfloat16, enabled=dtype != torch.float32),
        torch.autograd.graph.saved_tensors_hooks(note, lambda t: t),
    ):
        net(x).float().abs().mean()
    return sum(storage.nbytes() for storage in storages.values())


def test_a_generator_keeps_little_more_than_half_in_bf16(monkeypatch):
    """On a GPU CycleGAN at 256 px took more memory in bf16 than in fp32."""
    assert kept_by_generator(torch.bfloat16, monkeypatch) < 0.6 * kept_by_generator(torch.float32, monkeypatch)
