"""WGAN-GP (Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", arXiv:1704.00028)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from models.gan_model import GANModel
from models.networks.dcgan import NormD


class WGANGPModel(GANModel):
    """WGAN whose critic is kept 1-Lipschitz by a penalty on the norm of its gradient (Eq. 3) instead of clipping.

    Algorithm 1: lambda 10, ``n_critic`` 5, Adam 1e-4 (0, .9). The critic has no batch norm, which would make the
    gradient of one image depend on the others (Sec. 4).
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(GANModel.Options):
        gan_mode: Literal["wgangp"] = "wgangp"
        n_critic: int = 5
        lr: float = 1e-4
        beta1: float = 0.0
        beta2: float = 0.9
        norm_D: NormD = "none"
        hidden_D: tuple[int, ...] = (256, 256)

    opt: Options
    presets: ClassVar = {}
