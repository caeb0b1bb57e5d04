"""Initial weights."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn

Init = Literal["normal", "xavier", "kaiming", "orthogonal"]

Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def init_weights(
    net: nn.Module,
    kind: Init = "normal",
    gain: float = 0.02,
    layers: tuple[type[Layer], ...] = (*CONVOLUTIONS, nn.Linear),
) -> None:
    """Draw the weights of ``layers`` from ``kind`` and batch norm's scales from N(1, gain); set biases to 0.

    normal: N(0, gain), as in DCGAN (Radford et al. 2015, arXiv:1511.06434, Sec. 4).
    xavier: Glorot and Bengio 2010, Eq. 12, times gain; normal instead of uniform.
    kaiming: He et al. 2015, arXiv:1502.01852, Eq. 10, from the number of inputs; knows no gain.
    orthogonal: Saxe et al. 2013, arXiv:1312.6120, times gain.

    Layers that are not named keep what PyTorch gave them.
    """
    draw: dict[Init, Callable[[Tensor], Tensor]] = {
        "normal": partial(nn.init.normal_, std=gain),
        "xavier": partial(nn.init.xavier_normal_, gain=gain),
        "kaiming": nn.init.kaiming_normal_,
        "orthogonal": partial(nn.init.orthogonal_, gain=gain),
    }
    for module in net.modules():
        if isinstance(module, layers):
            draw[kind](module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, NORMS) and module.affine:
            nn.init.normal_(module.weight, 1.0, gain)
            nn.init.zeros_(module.bias)


def init_normal(net: nn.Module, std: float = 0.02) -> None:
    """Initialize as in Radford et al. 2015 (Sec. 4), but keep PyTorch's initialization of linear layers."""
    init_weights(net, "normal", std, CONVOLUTIONS)
