"""The commands of pytorch-CycleGAN-and-pix2pix's and CUT's pages, as docs/migration.md says what becomes of each."""

import contextlib
import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from subprocess import run

import pytest
import torch

from data.files import combine as combining
from models.networks.architecture import GeneratorArchitecture
from models.networks.translation import create_generator
from tests.bench import Bench, save_images

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs/migration.md"
ROWS = re.findall(
    r"^\| `((?:python|bash|torchrun|pip|conda|docker|flake8|pytest) [^`]*)` \| (.*) \|$", PAGE.read_text(), re.M
)
RUN = [
    command for command, here in ROWS if here.startswith("as it is") and "tried" not in here and "bash" not in command
]
REST = "--dataroot ./datasets/facades --model pix2pix --direction BtoA"
SMALL = {  # in the place of networks and images of usual sizes
    "train": "--ngf 2 --ndf 2 --netD n_layers --n_layers_D 1 --n_epochs 1 --n_epochs_decay 0 --num_threads 0 "
    "--load_size 36 --crop_size 32 --device cpu",
    "test": "--num_threads 0 --device cpu --load_size 32 --crop_size 32",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A bench with small sets by the names of upstream's, and weights as they are downloaded."""
    bench = Bench(tmp_path_factory.mktemp("upstream"))
    sets = bench.folder / "datasets"
    save_images(sets / "maps", ("trainA", "trainB", "testA", "testB"), num=2, size=32)
    save_images(sets / "grumpifycat", ("trainA", "trainB", "testA", "testB"), num=2, size=32)
    save_images(sets / "horse2zebra", ("testA",), num=2, size=32)
    save_images(sets / "colorization", ("train", "test"), num=2, size=32)
    save_images(
        bench.folder / "data", [f"{side}/{phase}" for side in "AB" for phase in ("train", "test")], num=2, size=32
    )
    for phase in ("train", "test"):
        combine(bench, f"--fold_A data/A/{phase} --fold_B data/B/{phase} --fold_AB datasets/facades/{phase}")
    shutil.copytree(bench.folder / "data/B/test", sets / "facades/testB")
    for name, arch in {
        "horse2zebra": GeneratorArchitecture("resnet_9blocks", 3, 3, 2),
        "facades_label2photo": GeneratorArchitecture("unet_256", 3, 3, 2, "batch"),
        "grumpifycat_cut": GeneratorArchitecture("resnet_9blocks", 3, 3, 2, upsample="blur", antialias=True),
    }.items():
        folder = bench.run_dir(f"{name}_pretrained")
        folder.mkdir(parents=True)
        torch.save(create_generator(arch).state_dict(), folder / "latest_net_G.pth")
    return bench


def combine(bench, options):
    with contextlib.chdir(bench.folder):
        combining.main(shlex.split(options))


def test_the_page_speaks_of_fifty_commands():
    assert len(ROWS) >= 50
    assert len(RUN) >= 25


def test_scripts_that_the_page_promises_are_here():
    promised = [command.split()[1] for command, here in ROWS if command.startswith("bash ")]
    assert len(promised) >= 10
    assert [path for path in promised if not (REPOSITORY / path).is_file()] == []


@pytest.mark.parametrize(
    ("family", "options"), [("cyclegan", ["--unpaired"]), ("pix2pix", []), ("cut", ["--unpaired"])]
)
def test_downloads_by_the_names_of_upstream(family, options, tmp_path):
    script = REPOSITORY / f"datasets/download_{family}_dataset.sh"
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    outcome = run(["bash", script, "grumpycat"], capture_output=True, text=True, env=env)
    assert outcome.returncode == 1
    assert "did you mean 'grumpifycat'?" in outcome.stderr
    (tmp_path / "python").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "python").chmod(0o755)
    echoed = run(
        ["bash", script, "maps"], capture_output=True, text=True, env=env | {"PATH": f"{tmp_path}:{env['PATH']}"}
    )
    assert echoed.stdout.split()[1:] == [*options, "maps"]


def test_commands_run_as_they_are(home):
    """In the order of the page, since tests show what was trained before."""
    for number, command in enumerate(RUN):
        script, options = command.removeprefix("python ").split(" ", 1)
        if script == "datasets/combine_A_and_B.py":
            combine(home, options)
            continue
        kind = script.removesuffix(".py")
        options = options.replace("...", f"{REST} --name run_{number}")
        given = set(shlex.split(options))
        small = "" if "--continue_train" in given else SMALL[kind]
        if kind == "train" and "--continue_train" not in given:
            small += " --netG resnet_1blocks" if given & {"cycle_gan", "--CUT_mode"} else " --netG unet_32"
            small += " --nce_layers 0,4,8" if "--CUT_mode" in given else ""
        words = re.findall(r"(--\w+)((?: [^-]\S*)?)", small)
        added = " ".join(
            name + value
            for name, value in words
            if name not in given and not (name == "--device" and "--gpu_ids" in given)
        )
        outcome = (home.train if kind == "train" else home.test)(f"{options} {added}")
        assert outcome.status == 0, f"{command}\n{outcome.err}"
