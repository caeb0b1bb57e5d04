"""R3GAN (Huang et al. 2024, "The GAN is dead; long live the GAN! A Modern GAN Baseline", arXiv:2501.05441)."""

from dataclasses import dataclass
from typing import ClassVar

from models.gan_model import GANModel
from models.losses import GanMode
from models.networks.dcgan import NormD
from models.networks.noise import NoiseNet, NoiseNetD


class R3GANModel(GANModel):
    """Each fake is compared with a real image, and D is kept flat at both (Eq. 2 to 4).

    The objective, Adam (0, .99), the cosine and gamma 2 are the paper's, which has that gamma for faces of 64 pixels
    (Appendix, its hyperparameters); the rate of 1e-3, batches of 16 and penalties in every fourth step are for small
    data and minutes. So are plain networks: ``--res_blocks 2 --lr 2e-4 --penalty_freq 1 --gamma_end 0.1`` is the
    paper's way.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(GANModel.Options):
        netG: NoiseNet = "res"
        netD: NoiseNetD = "res"
        norm_D: NormD = "none"
        gan_mode: GanMode = "rpgan"
        r1_gamma: float = 2.0
        r2_gamma: float = 2.0
        penalty_freq: int = 4
        lr: float = 1e-3
        beta1: float = 0.0
        beta2: float = 0.99

    opt: Options
    presets: ClassVar = {}
    defaults: ClassVar = GANModel.defaults | {"batch_size": 16, "lr_policy": "cosine", "ema": 0.995}
