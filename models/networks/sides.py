"""How networks for image translation change the sides of an image, and which sides they take."""

from typing import Literal

from torch import Tensor, nn

Upsample = Literal["deconv", "resize"]


def doubling(kind: Upsample, before: int, after: int, kernel: int, bias: bool = True) -> nn.Module:
    """Return the layer that doubles the sides and turns ``before`` channels into ``after``.

    deconv: a transposed convolution with ``kernel`` 3 or 4.
    resize: nearest neighbours, then a 3 x 3 convolution, which every output pixel sees alike: no checkerboards
    (Odena et al. 2016, "Deconvolution and Checkerboard Artifacts", doi:10.23915/distill.00003).
    """
    if kind == "deconv":
        return nn.ConvTranspose2d(before, after, kernel, 2, 1, output_padding=kernel % 2, bias=bias)
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=bias, padding_mode="reflect")
    return nn.Sequential(nn.Upsample(scale_factor=2), convolution)


def check_sides(images: Tensor, multiple: int, smallest: int) -> None:
    """Raise ValueError unless the sides of ``images`` are multiples of ``multiple`` from ``smallest`` on."""
    height, width = images.shape[-2:]
    if height % multiple or width % multiple or min(height, width) < smallest:
        rule = f"that are multiples of {multiple}, at least {smallest}" if multiple > 1 else f"of at least {smallest}"
        raise ValueError(f"images of {width} x {height} pixels: this network needs sides {rule}")
