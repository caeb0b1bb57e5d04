"""DCGAN (Radford et al. 2015, "Unsupervised Representation Learning with Deep Convolutional ...", arXiv:1511.06434)."""

from dataclasses import dataclass

from models.gan_model import GANModel
from models.networks.noise import NoiseNet, NoiseNetD


class DCGANModel(GANModel):
    """The GAN with convolutional networks, and the settings of Sec. 4: Adam 2e-4 (.5, .999), weights N(0, .02).

    ``--netG`` and ``--netD`` dcgan follow Fig. 1 and Sec. 3 for 32 to 256 pixels; conv28, conv32 and conv_k8 are the
    layers of tutorials for one size each.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(GANModel.Options):
        netG: NoiseNet = "dcgan"
        netD: NoiseNetD = "dcgan"

    opt: Options
