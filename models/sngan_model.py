"""SNGAN (Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks", arXiv:1802.05957)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from models.gan_model import GANModel
from models.losses import GanMode
from models.networks.noise import NoiseNet, NoiseNetD


class SNGANModel(GANModel):
    """Residual networks, the hinge, and a D whose layers are divided by their largest singular values (Eq. 8).

    The settings of Sec. 4 for residual networks: Adam 2e-4 (0, .9), ``n_critic`` 5, z of 128, batches of 64. With
    ``--conditional`` it is cGAN with projection (Miyato and Koyama 2018, arXiv:1802.05637).
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(GANModel.Options):
        netG: NoiseNet = "sngan"
        netD: NoiseNetD = "sngan"
        nz: int = 128
        gan_mode: GanMode = "hinge"
        spectral_norm: bool = True
        n_critic: int = 5
        beta1: float = 0.0
        beta2: float = 0.9
        fake_labels: Literal["batch", "random"] = "random"

    opt: Options
    defaults: ClassVar = GANModel.defaults | {"batch_size": 64}
