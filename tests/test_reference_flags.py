"""Every option of pytorch-CycleGAN-and-pix2pix is taken by train.py and test.py, with its name and its default."""

import pytest

from data import find_dataset, recognize
from models import find_model
from options.parse import parse_train
from options.parse_tested import parse_test
from options.upstream import spelled_out
from tests.bench import save_images
from tests.test_parse import save_run

BASE = {
    "name": "n",
    "checkpoints_dir": "./checkpoints",
    "gpu_ids": "-1",
    "input_nc": "3",
    "output_nc": "3",
    "ngf": "64",
    "ndf": "64",
    "netD": "basic",
    "netG": "resnet_9blocks",
    "n_layers_D": "3",
    "norm": "instance",
    "init_type": "normal",
    "init_gain": "0.02",
    "no_dropout": "",
    "dataset_mode": "unaligned",
    "direction": "AtoB",
    "serial_batches": "",
    "num_threads": "4",
    "batch_size": "1",
    "load_size": "286",
    "crop_size": "256",
    "max_dataset_size": "100",
    "preprocess": "resize_and_crop",
    "no_flip": "",
    "display_winsize": "256",
    "epoch": "latest",
    "load_iter": "0",
    "verbose": "",
    "suffix": "{model}_{netG}_size{load_size}",
    "use_wandb": "",
    "wandb_project_name": "CycleGAN-and-pix2pix",
}
TRAIN = {
    "display_freq": "400",
    "update_html_freq": "1000",
    "print_freq": "100",
    "no_html": "",
    "display_ncols": "4",
    "display_id": "1",
    "display_server": "http://localhost",
    "display_env": "main",
    "display_port": "8097",
    "save_latest_freq": "5000",
    "save_epoch_freq": "5",
    "save_by_iter": "",
    "epoch_count": "1",
    "phase": "train",
    "n_epochs": "100",
    "n_epochs_decay": "100",
    "niter": "100",
    "niter_decay": "100",
    "beta1": "0.5",
    "lr": "0.0002",
    "gan_mode": "lsgan",
    "pool_size": "50",
    "lr_policy": "linear",
    "lr_decay_iters": "50",
    "lambda_A": "10",
    "lambda_B": "10",
    "lambda_identity": "0.5",
    "new_dataset_option": "2",
}
TEST = {"results_dir": "./results/", "aspect_ratio": "1.0", "phase": "test", "eval": "", "num_test": "50"}
# What the reference has as default and we have too; the rest is named in docs/migration.md.
DEFAULTS = {"netD", "netG", "ngf", "ndf", "n_layers_D", "norm", "init_type", "init_gain", "direction", "batch_size"}
DEFAULTS |= {
    "load_size",
    "crop_size",
    "preprocess",
    "display_freq",
    "print_freq",
    "save_latest_freq",
    "save_epoch_freq",
}
DEFAULTS |= {"n_epochs", "n_epochs_decay", "beta1", "lr", "gan_mode", "pool_size", "lr_policy", "lr_decay_iters"}
DEFAULTS |= {"lambda_A", "lambda_B", "lambda_identity", "display_port", "display_env", "display_server"}


@pytest.fixture
def folder(bench, monkeypatch):
    monkeypatch.chdir(bench.folder)
    save_images(bench.folder / "pairs", ("trainA", "trainB", "testA", "testB"), num=2)
    return bench.folder


def train(*words):
    call = ["--model", "cycle_gan", "--dataroot", "pairs", *words]
    return parse_train("", call, find_model, find_dataset, recognize)


def words(name, value):
    return [f"--{name}", *([value] if value else [])]


@pytest.mark.parametrize("name", BASE | TRAIN)
def test_train_py_takes_every_option(folder, name):
    train(*words(name, (BASE | TRAIN)[name]))


def test_train_py_takes_all_options_at_once_and_names_those_that_mean_nothing(folder, capsys):
    both = BASE | TRAIN
    config = train(*[word for name, value in both.items() for word in words(name, value)])
    assert config.run.name == "n_cycle_gan_resnet_9blocks_size286"
    warned = [line.split()[1] for line in capsys.readouterr().err.splitlines()]
    retired = "display_ncols new_dataset_option epoch load_iter update_html_freq display_winsize"
    unused = ["lr_decay_iters", "n_layers_D"]  # with a linear policy, and without --netD n_layers
    assert warned == [f"--{name}" for name in [*retired.split(), *unused]]


def test_defaults_are_those_of_the_reference(folder):
    config = train()
    values = vars(config.run) | vars(config.model) | vars(config.data)
    for name in DEFAULTS:
        expected = (BASE | TRAIN)[name]
        assert values[name] == type(values[name])(expected), name


@pytest.mark.parametrize("name", BASE | TEST)
def test_test_py_takes_every_option(folder, name):
    save_run(train("--name", "n"))
    save_run(train("--name", "n_test_resnet_9blocks_size286"))
    suffix = (BASE | TEST)[name].replace("{model}_{netG}_size{load_size}", "test_resnet_9blocks_size286")
    parse_test("", ["--name", "n", *words(name, suffix)], find_model, find_dataset)


def test_pix2pix_has_its_own_defaults(folder):
    model = parse_train("", ["--model", "pix2pix", "--dataroot", "pairs"], find_model, find_dataset, recognize).model
    assert (model.norm, model.netG, model.gan_mode, model.pool_size, model.lambda_L1) == (
        "batch",
        "unet_256",
        "vanilla",
        0,
        100,
    )


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("--nce_idt False --lr 1", "--no_nce_idt --lr 1"),
        ("--nce_idt yes --flip_equivariance=0", "--nce_idt --no_flip_equivariance"),
        ("--model cut --nce_idt --nce_T .1 --name true", "--model cut --nce_idt --nce_T .1 --name true"),
        ("--name False --CUT_mode=FastCUT", "--model cut --name False --CUT_mode=FastCUT"),
        ("--CUT_mode CUT --model=test", "--CUT_mode CUT --model=test"),
    ],
)  # fmt: skip
def test_a_command_line_of_cut_is_read_as_it_means_it(given, wanted):
    assert spelled_out(given.split()) == wanted.split()
