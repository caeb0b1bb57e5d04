"""Walks, truncation, nearest training images and reconstructions, as test.py shows them."""

import re
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageSequence
from torch.testing import assert_close

from models.cvae_gan_model import CVAEGANModel
from tests.bench import Bench, Outcome, save_images
from util.results import latents as latent_results
from util.results.latents import nearest_images
from util.types import Batch

TINY = "--batch_size 2 --nz 4 --device cpu --n_epochs 1"
MLP = "--netG mlp --netD mlp --hidden_G 8,8 --hidden_D 8,8 --image_size 8"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A bench with runs of an unconditional gan and of a cvae_gan."""
    bench = Bench(tmp_path_factory.mktemp("latent"))
    save_images(bench.folder / "digits", num=4, size=28)
    for options in (
        f"--model gan --dataroot hands --name plain {MLP} {TINY}",
        f"--model cvae_gan --dataroot digits --name coder --image_size 28 --ngf 8 --ndf 4 {TINY}",
    ):
        outcome = bench.train(options)
        assert outcome.status == 0, outcome.err
    return bench


def folder(outcome: Outcome) -> Path:
    assert outcome.status == 0, outcome.err
    return Path(outcome.out.split("results: ")[1].splitlines()[0]).parent


def pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


def test_memory_is_reported_at_the_end(trained):
    outcome = trained.train(f"--model gan --dataroot hands --name again --overwrite {MLP} {TINY}")
    ((now, most),) = re.findall(r"memory of the process: (\d+) MiB in use, (\d+) MiB at most", outcome.out)
    assert 50 < int(now) <= int(most) < 100_000


def test_labels_asked_of_a_model_without_are_an_error_of_one_line(trained):
    outcome = trained.test("--name plain --labels rock")
    assert outcome.status == 1
    assert outcome.err == "test.py: error: --labels rock: this model was trained without labels\n"


def test_truncation_changes_the_images_and_a_wide_one_does_not(trained):
    def first(words):
        return pixels(folder(trained.test(f"--name plain --num_test 2 {words}")) / "images/fake/00000.png")

    assert first("--truncation 0.1") != first("")
    assert first("--truncation 9") == first("--truncation 0") == first("")


def test_ways_of_walking_share_their_ends(trained):
    def walk(kind):
        page = folder(trained.test(f"--name plain --num_test 2 --interpolate 5 --interpolation {kind}"))
        with Image.open(page / "images/walk/walk.png") as image:
            return [image.crop((i * image.width // 5, 0, i * image.width // 5 + 90, 90)).tobytes() for i in range(5)]

    straight, round_ = walk("lerp"), walk("slerp")
    assert straight[0] == round_[0]
    assert straight[2] != round_[2]


def test_a_walk_becomes_a_film_there_and_back(trained):
    page = folder(trained.test("--name plain --num_test 2 --interpolate 5 --video"))
    with Image.open(page / "images/walk/walk.webp") as film:
        assert len(list(ImageSequence.Iterator(film))) == 8  # five steps and three on the way back
        assert film.info["loop"] == 0
        size = film.size
    with Image.open(page / "images/walk/walk.png") as image:
        assert size == ((image.width - 4 * 2) // 5, image.height)
    assert "walk.webp" in (page / "index.html").read_text()


def test_a_film_of_no_walk_is_refused_in_one_line(trained):
    outcome = trained.test("--name plain --video")
    assert outcome.status == 2
    assert "--video animates --interpolate, which has 0 steps" in outcome.err


def test_the_nearest_training_images_stand_beside_the_samples(trained):
    page = folder(trained.test("--name plain --num_test 3 --nearest 2"))
    strips = sorted((page / "images/nearest").iterdir())
    assert [strip.name for strip in strips] == ["00000.png", "00001.png", "00002.png"]
    with Image.open(strips[0]) as image:
        assert image.width == pytest.approx(3 * image.height, rel=0.05)  # one and two
    assert "Nearest training images" in (page / "index.html").read_text()


def test_real_images_are_decoded_and_change_their_class(trained):
    outcome = trained.test("--name coder --num_test 4 --phase train")
    page = folder(outcome)
    assert re.search(
        r"real images: mean squared error of a pixel in \[-1, 1\] \d\.\d{4}, KL \d+\.\d\d nats", outcome.out
    )
    assert (page / "images/swap/swap.png").is_file()
    assert "decoded as what they are, and as each class in turn" in (page / "index.html").read_text()


def test_nearest_images_are_found_in_order_over_all_batches():
    torch.manual_seed(0)
    images = torch.rand(30, 1, 4, 4)
    queries = images[[7, 22]] + 0.01 * torch.randn(2, 1, 4, 4)
    batches = [Batch({"image": part}) for part in images.split(8)]
    found = nearest_images(queries, batches, 3)
    assert found.shape == (2, 3, 1, 4, 4)
    order = torch.cdist(queries.flatten(1), images.flatten(1)).argsort(1)[:, :3]
    assert_close(found, images[order], rtol=0, atol=0)
    assert order[:, 0].tolist() == [7, 22]


def test_more_nearest_images_than_there_are_gives_all():
    images = torch.rand(3, 1, 4, 4)
    assert nearest_images(images, [Batch({"image": images})], 10).shape == (3, 3, 1, 4, 4)


def test_large_images_are_compared_small():
    images = torch.rand(4, 3, 64, 64)
    assert_close(nearest_images(images[1:2], [Batch({"image": images})], 1)[0, 0], images[1])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--model gan --dataroot hands --n_critic 0", "--n_critic: 0 is too small: at least 1"),
        ("--model wgan_gp --dataroot hands --lambda_gp -1", "--lambda_gp: -1.0 is too small: at least 0"),
        ("--model gan --dataroot hands --r1_gamma -1", "--r1_gamma: -1.0 is too small: at least 0"),
        ("--model gan --dataroot hands --r2_gamma nan", "--r2_gamma: nan is not a finite number"),
        ("--model gan --dataroot hands --penalty_freq 0", "--penalty_freq: 0 is too small: at least 1"),
        ("--model cgan --dataroot hands --r1_gamma 1 --image_size 32", "--norm_D instance or none"),
        ("--model wgan --dataroot hands --clip 0", "--clip: 0.0 is too small: more than 0"),
        ("--model wgan --dataroot hands --gan_mode hinge", "--gan_mode: 'hinge' is not a choice"),
        ("--model cvae_gan --dataroot digits --lambda_kl -1", "--lambda_kl: -1.0 is too small"),
        ("--model gan --dataroot hands --label_smoothing .7", "--label_smoothing: 0.7 is too large: at most 0.5"),
        ("--model gan --dataroot hands --instance_noise -1", "--instance_noise: -1.0 is too small"),
        ("--model gan --dataroot hands --netG conf", "--netG: 'conf' is not a choice; did you mean 'conv'"),
        ("--model dcgan --dataroot hands --norm_D layer", "--norm_D: 'layer' is not a choice"),
        ("--model gan --dataroot hands --optimizer sgd", "--optimizer: 'sgd' is not a choice"),
        (
            "--model gan --dataroot hands --diffaugment colour",
            "'colour' is not a choice; did you mean 'color'?",
        ),
        ("--model gan --dataroot hands --gan_mode hinge --label_smoothing .1", "--gan_mode hinge has no target"),
        ("--model wgan_gp --dataroot hands --netD dcgan --norm_D batch --image_size 32", "--norm_D instance or none"),
        (
            "--model dcgan --dataroot hands --image_size 48",
            "--netG dcgan makes images of 32, 64, 128, 256 pixels, not 48",
        ),
        ("--model gan --dataroot hands/paper --conditional", "--conditional needs images of two or more classes"),
        ("--model cvae_gan --dataroot hands/paper", "--model cvae_gan needs images of two or more classes"),
        ("--model cvae_gan --dataroot hands --image_size 30", "makes images of 28, 32, 64, 128, 256 pixels, not 30"),
        ("--model cgan --dataroot hands --no_conditional", "--no_conditional: cgan is the conditional GAN"),
        ("--model gan --dataroot hands --projection", "it needs --conditional"),
        ("--model gan --dataroot hands --upsample resize", "--netG mlp has no layer to replace, conv and dcgan have"),
        ("--model wgan --dataroot hands --spectral_norm", "--spectral_norm and --clip both bound D's weights"),
    ],
)
def test_a_mistake_of_training_is_one_line(trained, words, complaint):
    outcome = trained.train(f"{words} --name wrong --device cpu --batch_size 2")
    assert outcome.status in (1, 2)
    assert complaint in outcome.err
    assert outcome.err.count("\n") == 1
    assert not trained.run_dir("wrong").exists()


# Data that is not what the run was trained on


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory):
    """A bench with ``three`` class folders, of whose test part there are others, and a cvae_gan run ``cv`` of them."""
    bench = Bench(tmp_path_factory.mktemp("classes"))
    save_images(bench.folder / "three", ("paper", "rock", "scissors"), size=28)
    save_images(bench.folder / "two", ("rock", "scissors"), size=28)
    save_images(bench.folder / "flat", (".",), size=28)
    save_images(bench.folder / "other", ("rock", "lizard"), size=28)
    options = "--ngf 4 --ndf 4 --nz 4 --n_epochs 1 --batch_size 4 --device cpu --image_size 28"
    assert bench.train(f"--model cvae_gan --dataroot three --name cv {options}").status == 0
    return bench


def test_fewer_classes_keep_their_meaning(autoencoder, monkeypatch):
    """Of rock and scissors alone, rock is still the run's second class."""
    seen = []
    decode = CVAEGANModel.autoencode

    def autoencode(model, images, labels):
        seen.append(labels)
        return decode(model, images, labels)

    monkeypatch.setattr(CVAEGANModel, "autoencode", autoencode)
    assert autoencoder.test("--name cv --dataroot two --num_test 2").status == 0
    assert set(torch.cat(seen).tolist()) == {1, 2}


@pytest.mark.parametrize(
    ("dataroot", "complaint"),
    [
        ("flat", "--dataroot flat has no class folders; the model was trained on paper, rock, scissors"),
        ("other", "--dataroot other has the class lizard; the model knows paper, rock, scissors"),
    ],
)
def test_data_of_other_classes_is_refused(autoencoder, dataroot, complaint):
    outcome = autoencoder.test(f"--name cv --dataroot {dataroot} --num_test 2")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert complaint in outcome.err


def test_without_held_out_images_samples_are_shown_all_the_same(autoencoder):
    options = "--ngf 4 --ndf 4 --nz 4 --n_epochs 1 --batch_size 4 --device cpu --image_size 28 --val_fraction 0"
    assert autoencoder.train(f"--model cvae_gan --dataroot three --name all {options}").status == 0
    outcome = autoencoder.test("--name all --num_test 2")
    assert outcome.status == 0
    assert "no reconstructions are shown: --dataroot three holds no images for --phase test" in outcome.out


def test_batch_norm_of_single_vectors_is_refused_before_anything_is_deleted(bench):
    bench.small("--name kept --n_epochs 1")
    before = sorted(bench.run_dir("kept").rglob("*"))
    for more in ("--batch_size 1", "--batch_size 4 --accumulate 4"):
        outcome = bench.train(
            f"--model gan --dataroot hands --name kept --overwrite --device cpu --image_size 8 {more}"
        )
        assert (outcome.status, outcome.err.count("\n")) == (1, 1)
        assert "the batch norm of linear layers needs two images or more at a time" in outcome.err
    assert sorted(bench.run_dir("kept").rglob("*")) == before


def test_too_few_steps_for_g_are_said(bench):
    options = "--model wgan --dataroot hands --n_epochs 1 --batch_size 4 --image_size 8 --hidden_G 8 --hidden_D 8"
    outcome = bench.train(f"{options} --name w --device cpu")
    assert outcome.status == 0
    assert "warning: --n_critic 5: all 2 steps are D's, so G learns nothing" in outcome.err


def test_nearest_images_are_those_that_the_run_saw(bench, monkeypatch):
    bench.small("--name few --n_epochs 1 --max_dataset_size 4")
    searched = []
    find = latent_results.nearest_images

    def nearest(images, batches, num):
        found = [*batches]
        searched.append(sum(len(batch["image"]) for batch in found))
        return find(images, found, num)

    monkeypatch.setattr(latent_results, "nearest_images", nearest)
    assert bench.test("--name few --num_test 2 --nearest 1").status == 0
    assert searched == [4]
