"""Options as other projects have them: the one that does the job is named."""

import re

import pytest

from data import find_dataset, recognize
from models import find_model
from options.parse import parse_train
from options.upstream import ELSEWHERE
from tests.bench import Bench, save_images


def refused(capsys, *words):
    with pytest.raises(SystemExit):
        parse_train("", words, find_model, find_dataset, recognize)
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture
def data(tmp_path):
    return str(save_images(tmp_path / "data", num=2))


@pytest.mark.parametrize(
    ("words", "way"),
    [
        ("--fineSize 256", "--crop_size"),
        ("--loadSize=286", "--load_size"),
        ("--no_lsgan", "--gan_mode vanilla"),
        ("--which_direction BtoA", "--direction"),
        ("--which_model_netG unet_256", "--netG"),
        ("--which_model_netD basic", "--netD"),
        ("--resize_or_crop none", "--preprocess"),
        ("--batchSize 4", "--batch_size"),
        ("--identity 0.5", "--lambda_identity"),
        ("--image_size 64", "--crop_size"),
        ("--num-workers 4", "--num_threads"),
        ("--learning-rate 1", "--lr"),
        ("--nEpochs 1", "--n_epochs"),
    ],
)
def test_an_old_flag_suggests_the_one_that_does_the_job(data, capsys, words, way):
    line = refused(capsys, "--model", "cycle_gan", "--dataroot", data, *words.split())
    assert line.endswith(f"there is no option {words.split('=')[0].split()[0]} here; did you mean '{way}'?")


@pytest.mark.parametrize(
    ("word", "way"),
    [
        *(("--fineSize", "--image_size"), ("--latent_dim", "--nz"), ("--crop_size", "--image_size")),
        *(("--size", "--image_size"), ("--resize", "--image_size"), ("--ngpu", "--device")),
    ],
)
def test_what_is_suggested_is_an_option_of_this_model(data, capsys, word, way):
    assert refused(capsys, "--model", "gan", "--dataroot", data, word, "1").endswith(f"did you mean '{way}'?")


def test_a_config_is_answered_alike(data, tmp_path, capsys):
    (tmp_path / "old.yaml").write_text("fineSize: 256\n")
    line = refused(capsys, "--model", "cycle_gan", "--dataroot", data, "--config", str(tmp_path / "old.yaml"))
    assert line.endswith("old.yaml, line 1: there is no option fineSize; did you mean 'crop_size'?")


def test_every_suggestion_is_an_option_of_some_script(tmp_path, capsys):
    """A renamed option must not leave a suggestion of its old name behind."""
    outcome = [Bench(tmp_path).train(f"--model {model} --help").out for model in ("cycle_gan", "cgan", "dcgan")]
    outcome += [Bench(tmp_path).test("--help").out]
    known = set(re.findall(r"--\w+", " ".join(outcome)))
    assert {way.split()[0] for ways in ELSEWHERE.values() for way in ways} <= known


def test_test_py_answers_alike(tmp_path):
    bench = Bench(tmp_path)
    bench.small("--name h --n_epochs 1 --n_epochs_decay 0 --display none")
    assert "there is no option --how_many here; did you mean '--num_test'?" in bench.test("--how_many 3").err


@pytest.mark.parametrize("text", ["inf", "Infinity", "INF"])
def test_no_limit_may_be_called_infinite(data, tmp_path, text):
    words = ["--model", "cgan", "--dataroot", data, "--max_dataset_size", text]
    assert parse_train("", words, find_model, find_dataset, recognize).data.max_dataset_size == 0
    (tmp_path / "c.yaml").write_text("max_dataset_size: .inf\n")
    words[-2:] = ["--config", str(tmp_path / "c.yaml")]
    assert parse_train("", words, find_model, find_dataset, recognize).data.max_dataset_size == 0


def test_pix2pix_refuses_what_is_no_pairs(tmp_path):
    bench = Bench(tmp_path)
    save_images(tmp_path / "two", ("trainA", "trainB"), num=2, size=32)
    tiny = "--netG unet_32 --ngf 4 --ndf 4 --load_size 32 --crop_size 32 --device cpu"
    outcome = bench.train(f"--model pix2pix --dataset_mode unaligned --dataroot two --name no {tiny}")
    assert outcome.status == 1
    assert "pix2pix learns from pairs" in outcome.err
    assert "--model cycle_gan" in outcome.err
    for i, path in enumerate((tmp_path / "two/trainB").iterdir()):
        path.rename(path.with_name(f"zebra{i}.png"))
    outcome = bench.train(f"--model pix2pix --dataroot two --name no {tiny}")
    assert "without pairs, --model cycle_gan learns" in outcome.err
