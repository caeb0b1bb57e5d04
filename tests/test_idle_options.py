"""Options that mean nothing next to the values of others: their declarations, and what a run says of them."""

from pathlib import Path

import pytest

from data import find_dataset
from models import find_model
from options.declare import flags, unused_options
from options.parse import parse_train
from options.train_options import TrainOptions
from util.registry import list_names

MODELS = list_names("models", "_model")


def said(capsys, words):
    """Return what parsing a command line says of options without effect, by their names."""

    def recognize(root, mode):
        return mode or "image_folder", Path("no card")

    parse_train("", [*words.split(), "--dataroot", "photos", "--name", "x"], find_model, find_dataset, recognize)
    lines = capsys.readouterr().err.splitlines()
    return dict(line.removeprefix("warning: --").split(" has no effect without ") for line in lines)


def test_what_an_option_needs_exists():
    """Somewhere: a model may have built in the value, as wgan has its objective."""
    known = [flag for cls in (TrainOptions, *(find_model(name).Options for name in MODELS)) for flag in flags(cls)]
    asking = {flag.name: flag.rule.only_with for flag in known if flag.rule.only_with}
    assert len(asking) > 10
    for option, terms in asking.items():
        for name, *value in (term.split() for term in terms):
            there = [flag for flag in known if flag.name == name]
            assert there and name != option, (option, name)
            choices = {choice for flag in there for choice in flag.choices}
            assert not choices or set(value) <= choices, (option, name, value)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("gan --hidden_D 8", {}),
        ("gan --hidden_D 8 --netD conv28 --netG conv28", {"hidden_D 8": "--netD mlp"}),
        ("dcgan --hidden_G 8,8", {"hidden_G 8,8": "--netG mlp"}),
        ("dcgan --palette 3 --noise_inputs", dict.fromkeys(("noise_inputs on", "palette 3"), "--netG res")),
        ("r3gan --palette 3 --noise_inputs", {}),
        ("gan --ada_target 0.5", {"ada_target 0.5": "--augment ada"}),
        ("gan --ada_target 0.5 --augment ada", {}),
        ("gan --gamma_end 0.5", {"gamma_end 0.5": "--r1_gamma or --r2_gamma"}),
        ("gan --gamma_end 0.5 --r2_gamma 1", {}),
        ("gan --penalty_freq 4", {"penalty_freq 4": "--r1_gamma or --r2_gamma or --gan_mode wgangp"}),
        ("gan --penalty_freq 4 --gan_mode wgangp", {}),
        ("wgan_gp --penalty_freq 4 --lambda_gp 1", {}),
        ("cgan --lambda_gp 1", {"lambda_gp 1.0": "--gan_mode wgangp"}),
        ("r3gan --norm_D batch --netD projected", {}),
        ("gan --norm_D none", {"norm_D none": "--netD conv, dcgan, conv32, conv_k8, res, projected"}),
        ("gan --res_blocks 2", {"res_blocks 2": "--netG res or --netD res"}),
        ("gan --res_blocks 2 --netD res", {}),
        (
            "gan --label_dim 9 --label_input onehot",
            dict.fromkeys(("label_dim 9", "label_input onehot"), "--conditional"),
        ),
        ("gan --label_dim 9 --conditional", {}),
        ("dcgan --fake_labels random", {"fake_labels random": "--conditional"}),
        ("cgan --label_dim 9 --fake_labels random", {}),
        ("pix2pix --n_layers_D 2", {"n_layers_D 2": "--netD n_layers"}),
        ("pix2pix --n_layers_D 2 --netD n_layers", {}),
        ("cycle_gan --plateau_loss G_A", {"plateau_loss G_A": "--lr_policy plateau"}),
        ("gan --lr_decay_iters 9 --lr_policy step", {}),
    ],
)
def test_a_run_names_what_has_no_effect_and_what_would_use_it(words, expected, capsys):
    assert said(capsys, f"--model {words}") == expected


def test_defaults_of_a_model_are_not_spoken_of(capsys):
    for name in MODELS:
        if find_model(name).trains:
            assert said(capsys, f"--model {name}") == {}


def test_options_are_judged_by_the_values_that_there_are():
    options = find_model("pix2pix").Options
    known = {"netD": "n_layers", "n_layers_D": 3, "gan_mode": "lsgan", "lambda_gp": 10, "r1_gamma": 0, "r2_gamma": 0}
    assert list(unused_options(options, known)) == ["lambda_gp", "gamma_end", "penalty_freq"]
    assert "n_layers_D" in unused_options(options, known | {"netD": "basic"})
    assert "lambda_gp" not in unused_options(options, {"lambda_gp": 10})  # a run whose record does not say
