"""The embedded set datasets/emoji_mini, and the script that makes it."""

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw

DATASETS = Path(__file__).resolve().parent.parent / "datasets"
EMOJI_MINI = DATASETS / "emoji_mini"
FOLDERS = ("trainA", "trainB", "testA", "testB")


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def contents_of(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.png")}


def make(*args):
    command = [sys.executable, str(DATASETS / "make_emoji_mini.py"), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def entry(number, category="Food & Drink", subcategory="food-fruit", **known):
    has_images = {"has_img_google": True, "has_img_twitter": True}
    kind = {"category": category, "subcategory": subcategory, "sort_order": number}
    return {"short_name": f"fruit_{number}", "image": f"{number:04x}.png", **kind, **has_images, **known}


@pytest.fixture
def package(tmp_path):
    """Sixteen fruits in no order, and three emoji that the set leaves out, as both packages have them."""
    others = [
        entry(20, subcategory="keycap", category="Symbols"),
        entry(21, has_img_twitter=False),
        entry(22, subcategory="money", category="Objects"),
    ]
    table = others + [entry(number) for number in range(16, 0, -1)]
    for vendor, colour in (("google", "gold"), ("twitter", "peru")):
        folder = tmp_path / "emoji" / "img" / vendor / "64"
        folder.mkdir(parents=True)
        for number in range(1, 23):
            glyph = Image.new("RGBA", (64, 64))
            ImageDraw.Draw(glyph).ellipse((2, 2, 20 + 2 * number, 20 + number), fill=colour, outline="#fefefe")
            glyph.save(folder / f"{number:04x}.png")
    (tmp_path / "emoji" / "emoji.json").write_text(json.dumps(table))
    return tmp_path / "emoji"


@pytest.mark.parametrize(("split", "num_pairs"), [("train", 479), ("test", 68)])
def test_embedded_set_has_the_same_names_in_A_and_B(split, num_pairs):
    names = names_in(EMOJI_MINI / f"{split}A")
    assert names == names_in(EMOJI_MINI / f"{split}B")
    assert len(names) == num_pairs


def test_embedded_set_has_no_emoji_in_both_splits():
    assert set(names_in(EMOJI_MINI / "trainA")).isdisjoint(names_in(EMOJI_MINI / "testA"))


def test_embedded_set_is_small():
    assert sum(path.stat().st_size for path in EMOJI_MINI.rglob("*") if path.is_file()) < 2_000_000


def test_embedded_images_are_small_palettes_on_pure_white():
    num_without_white = 0
    for folder in FOLDERS:
        for path in (EMOJI_MINI / folder).iterdir():
            with Image.open(path) as file:
                assert (file.mode, file.size) == ("P", (64, 64)), path
                image = np.asarray(file.convert("RGB"))
            white = (image == 255).all(axis=2).mean()
            assert white < 0.95, path
            num_without_white += white == 0
    assert num_without_white == 2  # Twemoji's window and keyboard are squares that leave nothing free


def test_embedded_set_repeats_no_image():
    digests = {sha256(content).hexdigest() for content in contents_of(EMOJI_MINI).values()}
    assert len(digests) == 2 * (479 + 68)


def test_card_says_what_the_images_show_and_what_may_be_done_with_them():
    card = yaml.safe_load((EMOJI_MINI / "card.yaml").read_text(encoding="utf-8"))
    assert "479 training and 68 test pairs" in card["about"]
    assert "Apache-2.0" in card["licence"]
    assert "CC BY 4.0" in card["licence"]


def test_every_eighth_emoji_in_order_is_for_testing_and_bytes_repeat(package, tmp_path):
    made = [make("--google", package, "--twitter", package, "--out", tmp_path / out) for out in "ab"]
    assert [result.returncode for result in made] == [0, 0], made[0].stderr
    assert "14 training and 2 test pairs" in made[0].stdout
    for side in "AB":
        assert names_in(tmp_path / "a" / f"test{side}") == ["fruit_16.png", "fruit_8.png"]
        assert len(names_in(tmp_path / "a" / f"train{side}")) == 14
    assert contents_of(tmp_path / "a") == contents_of(tmp_path / "b")


def test_background_becomes_pure_white(package, tmp_path):
    make("--google", package, "--twitter", package, "--out", tmp_path / "a")
    with Image.open(tmp_path / "a" / "trainB" / "fruit_5.png") as image:
        pixels = image.convert("RGB")
    assert pixels.getpixel((63, 63)) == (255, 255, 255)
    assert pixels.getpixel((14, 12)) == (205, 133, 63)  # peru


def test_images_there_already_are_replaced_only_when_told_to(package, tmp_path):
    args = ("--google", package, "--twitter", package, "--out", tmp_path / "a")
    assert make(*args).returncode == 0
    (tmp_path / "a" / "trainA" / "mine.png").write_bytes(b"")
    refused = make(*args)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "--overwrite" in refused.stderr
    assert make(*args, "--overwrite").returncode == 0
    assert "mine.png" not in names_in(tmp_path / "a" / "trainA")


@pytest.mark.parametrize("missing", ["emoji.json", "img/twitter/64/0003.png"])
def test_package_without_a_file_is_refused_in_one_line(package, tmp_path, missing):
    (package / missing).unlink()
    result = make("--google", package, "--twitter", package, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert f"no file {package / missing}" in result.stderr
    assert not (tmp_path / "out").exists()
