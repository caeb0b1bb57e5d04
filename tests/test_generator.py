"""A trained generator in code of one's own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from models.trained import load_generator
from tests.tiny_models import GREY_8, save_run
from util.images import from_image, to_image, to_uint8
from util.types import DataSpec

REPOSITORY = Path(__file__).parents[1]


def test_three_lines_in_another_folder_draw_what_test_py_draws(bench):
    bench.small("--name hands --n_epochs 1 --ema .9")
    assert bench.test("--name hands --labels rock --seed 1 --num_test 3").status == 0
    script = bench.folder / "elsewhere" / "mine.py"
    script.parent.mkdir()
    script.write_text(
        "from models.trained import load_generator\n"
        'G = load_generator("../checkpoints/hands")\n'
        'images = G(num=3, labels="rock", seed=1)\n'
        'for i, image in enumerate(images): image.save(f"{i}.png")\n'
    )
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script.name], cwd=script.parent, env=environment, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    drawn = bench.folder / "results" / "hands" / "test_latest" / "images" / "fake" / "rock"
    for i in range(3):
        with Image.open(script.with_name(f"{i}.png")) as mine, Image.open(drawn / f"{i:05d}.png") as theirs:
            assert mine.tobytes() == theirs.tobytes()


def test_noise_depends_on_seed_number_and_label_alone(tmp_path):
    model = save_run("cgan mlp", tmp_path / "run")
    G = load_generator(tmp_path / "run")
    assert G.draws and G.classes == GREY_8.classes and G.weights == "weights as trained"
    labels = torch.tensor([3, 1, 3])
    with torch.no_grad():
        assert_close(G.sample(3, labels="3,1", seed=5), model.sample(model.latents(3, 5), labels), rtol=0, atol=0)
    assert torch.equal(G.sample(3, labels=(3, 1), seed=5), G.sample(3, labels=["3", "1"], seed=5))
    assert torch.equal(G.sample(9)[4], G.sample(5)[4])  # all classes take turns
    assert not torch.equal(G.sample(1, 0), G.sample(1, 0, seed=1))
    assert not torch.equal(G.sample(1, 0), G.sample(1, 0, truncation=0.5))
    pictures = G(num=2, labels=2)
    assert [(p.mode, p.size) for p in pictures] == [("L", (8, 8))] * 2
    assert pictures[1].tobytes() == to_image(to_uint8(G.sample(2, 2))[1]).tobytes()


@pytest.mark.parametrize("case", ["pix2pix", "colorization", "test", "template"])
def test_pictures_and_tensors_are_translated_alike(tmp_path, case):
    model = save_run("pix2pix" if case == "test" else case, tmp_path / "run")
    if case == "test":  # weights alone
        (tmp_path / "run" / "options.yaml").unlink()
    G = load_generator(tmp_path / "run")
    assert not G.draws
    nc = 1 if case == "template" else 3
    pixels = np.random.default_rng(0).integers(0, 256, (37, 45, nc), dtype=np.uint8)  # sides that no network takes
    picture = Image.fromarray(pixels[..., 0] if nc == 1 else pixels)
    tensor = from_image(picture, nc)[None]
    result = G(tensor)
    assert result.shape == (1, 3, 37, 45) and not result.requires_grad
    assert G(picture).tobytes() == to_image(to_uint8(result)[0]).tobytes()
    if case == "pix2pix":
        assert torch.equal(result, model.translate(tensor).detach())
    if case == "colorization":  # where sRGB has the colours, lightness stays
        grey = from_image(picture.convert("L"), 3)[None]
        assert torch.equal(G(grey), model.recolor(grey).detach())


def test_both_ways_of_a_cycle(tmp_path):
    spec_run = tmp_path / "run"
    model = save_run("cycle_gan batch norm", spec_run)  # 1 channel to 2
    A, B = torch.rand(1, 1, 16, 20) * 2 - 1, torch.rand(1, 2, 16, 20) * 2 - 1
    with torch.no_grad():
        to_B, to_A = model.netG_A(A), model.netG_B(B)
    assert_close(load_generator(spec_run)(A), to_B)
    assert_close(load_generator(spec_run, direction="BtoA")(B), to_A)
    assert_close(load_generator(spec_run / "latest_net_G_A.pth")(A), to_B)
    assert_close(load_generator(spec_run / "latest_net_G_B.pth")(B), to_A)
    (spec_run / "options.yaml").unlink()
    alone = load_generator(spec_run / "latest_net_G_B.pth")  # its batch norm may have seen single images
    assert alone(B).shape == to_A.shape and not torch.equal(alone(B), to_A)


def test_transparent_parts_are_white():
    picture = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    picture.putpixel((1, 0), (255, 0, 0, 255))
    assert from_image(picture, 3).tolist() == [[[1, 1]], [[1, -1]], [[1, -1]]]
    assert from_image(Image.new("L", (1, 1), 51), 1).item() == pytest.approx(-0.6)


@pytest.mark.parametrize(
    ("path", "options", "complaint"),
    [
        ("hnads", {}, r"no run 'hnads' in .*; did you mean 'hands'\?"),
        ("hands", {"epoch": 7}, "there is no 7_net_G.pth in .*; --epoch can be cut, latest"),
        ("hands", {"epoch": "first"}, "'first' is neither 'latest' nor 'best'"),
        ("hands", {"direction": "AB"}, "direction 'AB' is neither AtoB nor BtoA"),
        ("hands", {"direction": "BtoA"}, "this model has learnt one way only"),
        ("hands", {"device": "gpu"}, "--device gpu: not a device"),
        ("hands/latest_net_D.pth", {}, "latest_net_D.pth is a discriminator, which makes no images: give latest_net_G"),
        ("hands/cut_net_G.pth", {}, "'cut' is neither"),
        ("cut", {}, "latest_net_G.pth is damaged"),
        ("cut/latest_net_G.pth", {}, "latest_net_G.pth is damaged"),
        ("swapped", {}, "latest_net_G.pth: weights of no generator known here"),
        ("hands/generator.pth", {}, "a generator's file is called LABEL_net_G.pth"),
        ("hands/8_net_G.pth", {}, "there is no .*8_net_G.pth"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, path, options, complaint):
    save_run("cgan mlp", tmp_path / "hands")
    weights = (tmp_path / "hands" / "latest_net_G.pth").read_bytes()
    (tmp_path / "hands" / "cut_net_G.pth").write_bytes(weights)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "latest_net_G.pth").write_bytes(weights[: len(weights) // 2])
    (tmp_path / "swapped").mkdir()
    (tmp_path / "swapped" / "latest_net_G.pth").write_bytes((tmp_path / "hands" / "latest_net_D.pth").read_bytes())
    with pytest.raises((ValueError, FileNotFoundError), match=complaint) as error:
        load_generator(tmp_path / path, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [("9", "^labels 9: there is no such class"), (4, "^label 4: run has 4 classes, counted from 0"), (-1, "^label -1")],
)
def test_a_class_that_there_is_not_is_named(tmp_path, labels, complaint):
    save_run("cgan mlp", tmp_path / "run")
    with pytest.raises(ValueError, match=complaint):
        load_generator(tmp_path / "run")(labels=labels)


def test_what_a_model_does_not_do_is_refused(tmp_path):
    save_run("gan", tmp_path / "noise")
    save_run("pix2pix", tmp_path / "pairs")
    noise, pairs = load_generator(tmp_path / "noise"), load_generator(tmp_path / "pairs")
    with pytest.raises(ValueError, match="trained without labels"):
        noise(labels="1")
    with pytest.raises(ValueError, match="noise draws images from noise and translates none"):
        noise(torch.zeros(1, 1, 8, 8))
    with pytest.raises(ValueError, match="pairs translates images and draws none from noise"):
        pairs(num=2)
    with pytest.raises(ValueError, match=r"pairs translates images \(N, 3, H, W\), not \(3, 32, 32\)"):
        pairs(torch.zeros(3, 32, 32))
    deep = load_generator(tmp_path / "pairs")
    deep.model.spec = DataSpec((32, 32), 3, 3, bit_depth=16)
    with pytest.raises(ValueError, match="trained on 16-bit images of 3 channels"):
        deep(Image.new("RGB", (32, 32)))
