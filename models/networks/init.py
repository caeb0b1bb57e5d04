"""Initial weights."""

from torch import nn

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def init_normal(net: nn.Module, std: float = 0.02) -> None:
    """Draw convolutions from N(0, std) and batch norm's scales from N(1, std) (Radford et al. 2015, Sec. 4).

    Linear and embedding layers keep PyTorch's own initialization.
    """
    for module in net.modules():
        if isinstance(module, CONVOLUTIONS):
            nn.init.normal_(module.weight, 0.0, std)
        elif isinstance(module, NORMS) and module.affine:
            nn.init.normal_(module.weight, 1.0, std)
            nn.init.zeros_(module.bias)
