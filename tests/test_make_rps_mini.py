"""The embedded set datasets/rps_mini, and the script that makes it."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

DATASETS = Path(__file__).resolve().parent.parent / "datasets"
RPS_MINI = DATASETS / "rps_mini"
CLASSES = ("paper", "rock", "scissors")
GLYPHS = {
    "fist": ("270a", "1f44a", "1f91b", "1f91c"),
    "palm": ("270b", "1f590", "1f91a"),
    "victory": ("270c",),
}


def images_of(folder):
    return sorted(folder.glob("*/*/*.png"))


def digests(paths):
    return {sha256(path.read_bytes()).hexdigest() for path in paths}


def make(*args):
    command = [sys.executable, str(DATASETS / "make_rps_mini.py"), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def package(tmp_path):
    """Three drawings under the names and in the folders of the emoji packages."""
    for vendor, colour in (("google", "gold"), ("twitter", "peru")):
        folder = tmp_path / "emoji" / "img" / vendor / "64"
        folder.mkdir(parents=True)
        for shape, codes in GLYPHS.items():
            glyph = Image.new("RGBA", (64, 64))
            pen = ImageDraw.Draw(glyph)
            pen.ellipse((12, 24, 52, 63), fill=colour)
            if shape == "palm":
                pen.rectangle((16, 0, 48, 44), fill=colour)
            elif shape == "victory":
                pen.line((20, 2, 32, 40, 44, 2), fill=colour, width=8)
            for code in codes:
                yellow = f"{code}-fe0f" if code in ("1f590", "270c") else code
                for name in (yellow, *(f"{code}-1f3f{tone}" for tone in "bcdef")):
                    glyph.save(folder / f"{name}.png")
    return tmp_path / "emoji"


@pytest.mark.parametrize(("split", "num_images"), [("train", 432), ("test", 36)])
def test_embedded_set_has_as_many_images_of_every_class(split, num_images):
    assert sorted(path.name for path in (RPS_MINI / split).iterdir()) == list(CLASSES)
    for name in CLASSES:
        files = sorted(path.name for path in (RPS_MINI / split / name).iterdir())
        assert files == [f"{index:04d}.png" for index in range(num_images)]


def test_embedded_set_is_small():
    assert sum(path.stat().st_size for path in RPS_MINI.rglob("*") if path.is_file()) < 2_000_000


def test_embedded_images_open_and_hold_the_whole_hand():
    for path in images_of(RPS_MINI):
        with Image.open(path) as file:
            image = np.asarray(file.convert("RGB"), dtype=np.int16)
        assert image.shape == (64, 64, 3), path
        for border in (image[0], image[-1], image[:, 0], image[:, -1]):
            assert np.abs(np.diff(border, axis=0)).max() < 12, f"{path}: something reaches the border"
        assert np.abs(image - image[0, 0]).max() > 32, f"{path}: there is no hand"


def test_embedded_set_repeats_no_image():
    paths = images_of(RPS_MINI)
    assert len(digests(paths)) == len(paths) == 3 * (432 + 36)


def test_same_seed_makes_the_same_bytes(package, tmp_path):
    counts = ("--google", package, "--twitter", package, "--train", 3, "--test", 2)
    made = [make(*counts, "--out", tmp_path / "a"), make(*counts, "--out", tmp_path / "b")]
    assert [result.returncode for result in made] == [0, 0], made[0].stderr
    first, second = images_of(tmp_path / "a"), images_of(tmp_path / "b")
    assert len(first) == 3 * (3 + 2)
    assert [path.relative_to(tmp_path / "a") for path in first] == [path.relative_to(tmp_path / "b") for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert len(digests(first)) == len(first)

    assert make(*counts, "--out", tmp_path / "c", "--seed", 1).returncode == 0
    assert digests(first).isdisjoint(digests(images_of(tmp_path / "c")))


def test_images_there_already_are_replaced_only_when_told_to(package, tmp_path):
    args = ("--google", package, "--twitter", package, "--out", tmp_path / "a", "--test", 1)
    assert make(*args, "--train", 3).returncode == 0
    refused = make(*args, "--train", 2)
    assert refused.returncode == 1
    assert "--overwrite" in refused.stderr
    assert len(images_of(tmp_path / "a")) == 3 * (3 + 1)
    assert make(*args, "--train", 2, "--overwrite").returncode == 0
    assert len(images_of(tmp_path / "a")) == 3 * (2 + 1)


def test_folder_without_glyphs_is_refused_in_one_line(tmp_path):
    result = make("--google", tmp_path, "--twitter", tmp_path, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert f"no file {tmp_path / 'img' / 'google' / '64' / '270a.png'}" in result.stderr
    assert not (tmp_path / "out").exists()
