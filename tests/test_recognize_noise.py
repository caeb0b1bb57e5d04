"""Generators that draw from noise, recognized by their weights alone."""

import shutil
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from models.networks.noise import NoiseGeneratorArchitecture, create_generator
from models.networks.recognize_noise import recognize_noise_generator
from models.trained import load_generator
from tests.tiny_models import create, save_run

RES = NoiseGeneratorArchitecture("res", 3, (96, 96), nz=7, ngf=2)
SNGAN = NoiseGeneratorArchitecture("sngan", 1, (64, 64), nz=7, ngf=3)


@pytest.mark.parametrize(
    "arch",
    [
        RES,
        replace(RES, image_size=(224, 224), nc=1, ngf=1),
        replace(RES, num_classes=5, label_dim=4),
        replace(RES, res_blocks=2, ngf=8),
        replace(RES, image_size=(28, 28), nc=1, palette=5),
        replace(RES, noise_inputs=True),
        replace(RES, num_classes=3, label_dim=2, res_blocks=1, noise_inputs=True, palette=2),
        SNGAN,
        replace(SNGAN, image_size=(32, 32)),
        replace(SNGAN, image_size=(128, 128), num_classes=6, ngf=1),
    ],
    ids=str,
)
def test_weights_show_what_made_them(arch):
    state = create_generator(arch).state_dict()
    assert recognize_noise_generator(state) == arch
    assert recognize_noise_generator({f"module.{key}": value for key, value in state.items()}) == arch


def test_other_weights_are_not_taken_for_them():
    state = create_generator(RES).state_dict()
    assert recognize_noise_generator({}) is None
    assert recognize_noise_generator({key: value for key, value in state.items() if "6" not in key}) is None
    assert recognize_noise_generator(state | {"more.weight": torch.ones(2)}) is None
    for case in ("dcgan", "cgan mlp", "pix2pix", "cycle_gan", "template"):
        assert recognize_noise_generator(next(iter(create(case).nets.values())).state_dict()) is None


@pytest.mark.parametrize("case", ["r3gan conditional", "r3gan palette", "gan res", "sngan", "sngan conditional"])
def test_weights_alone_draw_what_their_run_draws(case, tmp_path):
    model = save_run(case, tmp_path / "run")
    (tmp_path / "alone").mkdir()
    shutil.copy(tmp_path / "run/latest_net_G.pth", tmp_path / "alone")
    G = load_generator(tmp_path / "alone")
    assert G.classes == tuple(str(k) for k in range(model.spec.num_classes))
    expected = load_generator(tmp_path / "run").sample(3, seed=5)
    assert_close(G.sample(3, seed=5), expected, rtol=0, atol=0)
    assert_close(load_generator(tmp_path / "alone/latest_net_G.pth").sample(3, seed=5), expected, rtol=0, atol=0)


def test_test_py_shows_weights_alone(bench):
    save_run("r3gan conditional", bench.run_dir("run"))
    bench.run_dir("alone").mkdir()
    shutil.copy(bench.run_dir("run") / "latest_net_G.pth", bench.run_dir("alone"))
    outcome = bench.test("--name alone --model gan --num_test 6 --labels 1,2")
    assert outcome.status == 0, outcome.err
    assert len(list((bench.folder / "results/alone").rglob("fake/*/*.png"))) == 6
    assert "--model gan" in bench.test("--name alone").err
    for options, said in (
        ("--model test --dataroot hands", "draws from noise (--netG res): use --model gan"),
        ("--model gan --ngf 9", "was made with --ngf 4, not 9"),
        ("--model gan --netG sngan", "was made with --netG res, not sngan"),
    ):
        outcome = bench.test(f"--name alone {options}")
        assert (outcome.status, outcome.err.count("\n")) == (1, 1), outcome.err
        assert said in outcome.err
