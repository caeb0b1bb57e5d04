"""Losses of a few steps, as they were: a change that is meant to keep the numbers shows here that it does.

Made by running this file as a script, ``python -m tests.test_golden_losses``, which prints the losses of the third
step of each tiny model from seed 0, on one CPU thread (torch 2.14.1). Make them anew only when new numbers are meant.
"""

import pytest
import torch
from torch.testing import assert_close

from tests.tiny_models import LEARNERS, create, train

torch.set_num_threads(1)

GOLDEN = {
    "cgan conv": {"D_real": 0.7179469, "D_fake": 0.6689197, "G": 0.7178221},
    "cgan conv random labels": {"D_real": 1.109877, "D_fake": 0.00287038, "G": 1.109273},
    "cgan mlp": {"D_real": 0.8092689, "D_fake": 0.5952443, "G": 0.8152587},
    "cgan mlp one-hot": {"D_real": 0.8472058, "D_fake": 0.5595533, "G": 0.8473403},
    "cgan mlp mismatch": {"D_real": 0.8152691, "D_fake": 0.5982617, "D_wrong": 0.6179417, "G": 0.7962271},
    "cgan conv projection": {"D_real": 0.9250844, "D_fake": 1.061936, "G": -0.06197578},
    "cgan conv rpgan": {"D_pair": 0.6931217, "r1": 1.833668e-08, "r2": 1.586953e-08, "D_wrong": 0.6931037},
    "colorization": {"D_real": 0.6694959, "D_fake": 0.7161834, "G_GAN": 0.6710446, "G_L1": 50.26687},
    "cvae_gan rpgan": {
        "C": 1.344303,
        "D_pair": 0.679336,
        "r1": 0.000187918,
        "rec": 184.4236,
        "kl": 0.2128455,
        "G_adv": 0.715678,
        "G_cls": 1.362493,
    },
    "cvae_gan 28": {
        "C": 1.392806,
        "D_real": 0.6989495,
        "D_fake": 0.681042,
        "rec": 177.8535,
        "kl": 0.3684387,
        "G_adv": 0.7044372,
        "G_cls": 1.389399,
    },
    "cvae_gan 32": {
        "C": 1.064789,
        "D_real": 0.7660818,
        "D_fake": 0.7449833,
        "rec": 523.6184,
        "kl": 0.5649065,
        "G_adv": 0.7500416,
        "G_cls": 0.9771884,
    },
    "cycle_gan": {
        "G_A": 1.014913,
        "cycle_A": 5.16223,
        "G_B": 1.025242,
        "cycle_B": 5.111286,
        "idt_A": 2.567611,
        "idt_B": 2.598725,
        "D_A": 0.5546724,
        "D_B": 0.5417367,
    },
    "cycle_gan batch norm": {
        "G_A": 0.973903,
        "cycle_A": 5.178981,
        "G_B": 0.9460352,
        "cycle_B": 5.0823,
        "D_A": 0.4761736,
        "D_B": 0.4465124,
    },
    "cycle_gan wgangp": {"D_A": -0.02816659, "D_B": 0.01445898, "gp_A": 0.9312474, "gp_B": 0.9103036},
    "cycle_gan rpgan": {
        "G_A": 0.7098637,
        "cycle_A": 5.196466,
        "G_B": 0.6931267,
        "cycle_B": 5.20187,
        "idt_A": 2.583672,
        "idt_B": 2.586777,
        "D_A": 0.6792059,
        "D_B": 0.6986481,
    },
    "dcgan": {"D_real": 0.7744941, "D_fake": 0.6343359, "G": 0.7840598},
    "dcgan conditional": {"D_real": 0.7431988, "D_fake": 0.6161956, "G": 0.8887594},
    "dcgan conv28": {"D_real": 0.7046847, "D_fake": 0.6800606, "G": 0.7069275},
    "dcgan conv32": {"D_real": 0.5724121, "D_fake": 0.7199097, "G": 0.6722445},
    "dcgan conv_k8": {"D_real": 0.758857, "D_fake": 0.6421767, "G": 0.7663124},
    "gan": {"D_real": 0.7633337, "D_fake": 0.6266438, "G": 0.7643626},
    "gan ada": {"D_real": 0.7633337, "D_fake": 0.6266438, "ada_p": 0.0, "G": 0.7643626},
    "gan conditional": {"D_real": 0.8320254, "D_fake": 0.6064599, "G": 0.7948266},
    "pix2pix": {"D_real": 0.7546731, "D_fake": 0.6429471, "G_GAN": 0.7469042, "G_L1": 50.07643},
    "pix2pix pixels": {"D_real": 0.6942787, "D_fake": 0.6921524, "G_GAN": 0.6941152, "G_L1": 50.45509},
    "pix2pix wgangp": {"D_real": 0.01520679, "D_fake": -0.0165795, "gp": 0.97114, "G_GAN": 0.01588558, "G_L1": 50.0218},
    "pix2pix helped": {"D_real": 0.9877207, "D_fake": 0.5010215, "G_GAN": 1.010253, "G_L1": 50.0766},
    "gan res": {"D_real": 0.7067297, "D_fake": 0.6693132, "G": 0.7363954},
    "r3gan": {"D_pair": 0.6817472, "G": 0.7346407},
    "r3gan conditional": {"D_pair": 1.092098, "G": 0.6220353},
    "r3gan ada": {"D_pair": 0.6827104, "ada_p": 0.0, "G": 0.7312642},
    "sngan": {"D_real": 3.037099, "D_fake": 0.06192009},
    "sngan conditional": {"D_real": 0.0, "D_fake": 14.15163},
    "template_noise": {"D_real": 0.6922156, "D_fake": 0.6922038, "G": 1.388535},
    "template": {"regression": 0.4911507},
    "wgan": {"D_real": 0.2110648, "D_fake": -0.2110649, "G": 0.2110649},
    "wgan conv28": {"D_real": 0.02908716, "D_fake": -0.02909103, "G": 0.02906859},
    "wgan_gp": {"D_real": 0.1364782, "D_fake": -0.1381488, "gp": 0.9406914, "G": 0.1382835},
    "wgan_gp dcgan conditional": {"D_real": -0.0001499879, "D_fake": -7.670313e-05, "gp": 0.9990077, "G": 0.0001561094},
}


@pytest.mark.parametrize("case", LEARNERS)
def test_losses_are_those_of_before(case):
    if case not in GOLDEN:
        pytest.skip("no golden losses: see step 6 of 'Add a model' in CONTRIBUTING.md")
    losses = {name: loss.item() for name, loss in train(create(case), case, range(1, 4))[-1].items()}
    assert_close(losses, GOLDEN[case], rtol=1e-4, atol=1e-6)


if __name__ == "__main__":
    for golden in LEARNERS:
        last = train(create(golden), golden, range(1, 4))[-1]
        print(f'    "{golden}": {{' + ", ".join(f'"{k}": {v.item():.7g}' for k, v in last.items()) + "},")
