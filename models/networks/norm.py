"""Normalization layers, and what old checkpoints hold of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MethodType
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import instance_norm
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import register_parametrization

from util.console import warn
from util.distributed import rank, total, world

Norm = Literal["instance", "batch", "syncbatch", "none"]


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm that can use each image's own statistics in evaluation mode, with its learned scales."""

    per_image = False

    def forward(self, input: Tensor) -> Tensor:
        return by_image(self, input) if self.per_image and not self.training else super().forward(input)


class SyncBatchNorm(BatchNorm2d):
    """The same, with statistics over all processes."""

    def forward(self, input: Tensor) -> Tensor:
        return by_all(self, input) if self.training and world() > 1 else super().forward(input)


def by_all(norm: nn.modules.batchnorm._BatchNorm, images: Tensor) -> Tensor:
    """Normalize ``images`` (N, C, ...) with the statistics of all processes, which see as many images each.

    Not torch.nn.SyncBatchNorm, which needs GPUs and cannot be differentiated twice, as gradient penalties ask for.
    """
    x = _wide(images)
    dims = [0, *range(2, x.ndim)]
    num = world() * x.numel() // x.shape[1]
    own = torch.cat(torch.var_mean(x, dim=dims, correction=0))
    others = own.new_zeros(world() - 1, len(own))
    var, mean = total(torch.cat([others[: rank()], own[None], others[rank() :]])).chunk(2, 1)  # (world, C) each
    var, mean = var.mean(0) + mean.var(0, correction=0), mean.mean(0)
    assert norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None
    with torch.no_grad():
        share = 1 / (int(norm.num_batches_tracked) + 1) if norm.momentum is None else norm.momentum
        norm.num_batches_tracked.add_(1)
        norm.running_mean.lerp_(mean.to(norm.running_mean), share)
        norm.running_var.lerp_((var * num / (num - 1)).to(norm.running_var), share)
    scale, shape = (var + norm.eps).rsqrt(), (1, -1, *[1] * (x.ndim - 2))
    result = (x - mean.view(shape)) * scale.view(shape)
    if norm.affine:
        result = result * norm.weight.view(shape) + norm.bias.view(shape)
    return result.to(images.dtype)


def synchronize(net: nn.Module) -> None:
    """Make all batch norms of ``net`` use the statistics of all processes in training."""
    for module in net.modules():
        if isinstance(module, BATCH_NORMS):
            module.forward = MethodType(_by_all_in_training, module)  # type: ignore[method-assign]


def share_statistics(net: nn.Module, choice: Literal["auto", "on", "off"]) -> None:
    """Synchronize the batch norms of ``net`` as ``--sync_batchnorm`` says; say what it means when they are not."""
    if world() == 1 or not has_batch_norm(net):
        return
    if choice == "off":
        warn(
            "--sync_batchnorm off: batch norm sees the images of one process only, so that gradients are not those of "
            "one process with all images"
        )
    else:
        synchronize(net)


def _by_all_in_training(norm: nn.modules.batchnorm._BatchNorm, images: Tensor) -> Tensor:
    return by_all(norm, images) if norm.training else type(norm).forward(norm, images)


class InstanceNorm2d(nn.InstanceNorm2d):
    """Instance norm that keeps the layout of channels-last images on a GPU; PyTorch's own copies them twice."""

    def forward(self, input: Tensor) -> Tensor:
        if input.is_cuda and input.is_contiguous(memory_format=torch.channels_last):
            return whitened(input, self.eps)
        return super().forward(input)


def whitened(images: Tensor, eps: float) -> Tensor:
    """Return ``images`` (N, C, H, W) with mean 0 and variance 1 in each plane, in their dtype, summed in fp32."""
    if images.dtype == torch.float32 or torch.compiler.is_compiling():  # a compiler decides itself what to keep
        return _whiten(images, eps)[0]
    whitened_images: Tensor = Whitening.apply(images, eps)
    return whitened_images


def _whiten(images: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the whitened images, and mean and 1 / standard deviation of each plane (N, C, 1, 1) in fp32."""
    x = _wide(images)
    var, mean = torch.var_mean(x, dim=(2, 3), correction=0, keepdim=True)
    rstd = (var + eps).rsqrt()
    return ((x - mean) * rstd).to(images.dtype), mean, rstd


def _wide(images: Tensor) -> Tensor:
    """Return ``images`` in fp32, or in float64 if that is their dtype."""
    return images.to(torch.promote_types(images.dtype, torch.float32))


class Whitening(torch.autograd.Function):
    """Whitening that saves only the low-precision images for its gradient, not two fp32 tensors of their size."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, eps: float) -> Tensor:
        result, mean, rstd = _whiten(images, eps)
        ctx.save_for_backward(images, mean, rstd)
        ctx.eps = eps
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        images, mean, rstd = ctx.saved_tensors
        if torch.is_grad_enabled():
            # With create_graph: mean and rstd depend on the images, but the saved ones have no graph.
            _, mean, rstd = _whiten(images, ctx.eps)
        white, g = (_wide(images) - mean) * rstd, _wide(gradient)
        plane = (2, 3)
        inner = g - g.mean(plane, keepdim=True) - white * (g * white).mean(plane, keepdim=True)
        return (rstd * inner).to(images.dtype), None


def by_image(norm: nn.BatchNorm2d, images: Tensor) -> Tensor:
    """Normalize each image (N, C, H, W) with its own statistics and the scales of ``norm``."""
    return instance_norm(images, weight=norm.weight, bias=norm.bias, eps=norm.eps)


LAYERS: dict[Norm, Callable[[int], nn.Module]] = {
    "instance": InstanceNorm2d,  # Ulyanov et al. 2016, arXiv:1607.08022; without weights or running statistics
    "batch": BatchNorm2d,  # Ioffe and Szegedy 2015, arXiv:1502.03167
    "syncbatch": SyncBatchNorm,  # the same state dict as batch
    "none": lambda channels: nn.Identity(),  # an identity, so that later layers keep their keys
}

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def norm_layer(kind: Norm, channels: int) -> nn.Module:
    return LAYERS[kind](channels)


def use_image_statistics(net: nn.Module, per_image: bool = True) -> None:
    """Make all batch norms of ``net`` use each image's own statistics in evaluation mode, or else running ones.

    pix2pix is tested with each image's, since its batch norm was trained on batches of one image (Isola et al. 2017,
    arXiv:1611.07004, Sec. 3.4).
    """
    for module in net.modules():
        if isinstance(module, BatchNorm2d):
            module.per_image = per_image


@contextmanager
def statistics_kept(layers: Iterable[nn.Module]) -> Iterator[None]:
    """Leave the running statistics of all batch norms of ``layers`` as they are: the block works on copies."""
    norms = [module for layer in layers for module in layer.modules() if isinstance(module, BATCH_NORMS)]
    kept = [dict(norm.named_buffers()) for norm in norms]
    for norm, buffers in zip(norms, kept, strict=True):
        for name, buffer in buffers.items():
            setattr(norm, name, buffer.clone())
    try:
        yield
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            for name, buffer in buffers.items():
                setattr(norm, name, buffer)


def needs_bias(kind: Norm) -> bool:
    """Return whether a convolution before this layer needs a bias; batch norm has its own."""
    return kind in ("instance", "none")


class SpectralNorm(_SpectralNorm):
    """Division by the largest singular value, which is estimated in fp32 at any precision of the network."""

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            return super().forward(weight)


def has_batch_norm(net: nn.Module) -> bool:
    """Return whether ``net`` mixes the images of a batch."""
    return any(isinstance(module, BATCH_NORMS) for module in net.modules())


def add_spectral_norm(net: nn.Module) -> nn.Module:
    """Divide the weights of linear layers and convolutions that learn by their largest singular values; return ``net``.

    Miyato et al. 2018, arXiv:1802.05957, Eq. 8; each pass in training mode improves the estimate once (Algorithm 1).
    """
    for module in list(net.modules()):
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) and isinstance(module.weight, nn.Parameter):
            outputs = 1 if isinstance(module, nn.ConvTranspose2d) else 0
            register_parametrization(module, "weight", SpectralNorm(module.weight, dim=outputs))
    return net


def drop_stale_statistics(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Return ``state`` without running statistics of instance norms of ``net`` that track none.

    Versions of PyTorch before 0.4 saved such statistics and never used them; a strict load refuses them today.
    All other keys stay, so that the load still finds what does not fit.
    """
    stale = {
        f"{name}.{key}" if name else key
        for name, module in net.named_modules()
        if isinstance(module, INSTANCE_NORMS) and not module.track_running_stats
        for key in STATISTICS
    }
    return {key: value for key, value in state.items() if key not in stale}
