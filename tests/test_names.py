"""Names of files: any bytes, letters written in two ways, as long as the file system allows, on any terminal."""

import csv
import io
import os
import sys
import unicodedata
from pathlib import Path

import pytest
import yaml
from PIL import Image

from data import create_dataset, find_dataset
from data.files.image_paths import held_out, match_names, read_list
from tests.bench import SMALL, Bench
from util.console import one_line_errors
from util.files import write_text
from util.results.results import safe_name

LATIN2 = os.fsdecode("bílý".encode("latin2"))
SJIS = os.fsdecode("日本".encode("shift-jis"))
RUN = f"--batch_size 2 --n_epochs 1 --n_epochs_decay 0 {SMALL}"
TINY = (
    "--netG resnet_1blocks --ngf 4 --netD n_layers --n_layers_D 1 --ndf 4 --load_size 16 --crop_size 16 --n_epochs 1 "
    "--n_epochs_decay 0 --display none --device cpu"
)


def save(path, size=16):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), "red").save(os.fsencode(path), "PNG")


@pytest.mark.parametrize("folder", [LATIN2, SJIS, os.fsdecode(b"\xff\xfe"), "\U0001f600\u202e", "a. ", "x\ny\tz"])
@pytest.mark.parametrize("layout", ["{}", "train/{}"])
def test_classes_and_files_of_any_bytes(tmp_path, folder, layout):
    bench = Bench(tmp_path)
    for name in ("a", folder):
        for i in range(3):
            save(tmp_path / "odd" / layout.format(name) / f"{folder}{i}.png")
            save(tmp_path / "odd" / layout.format(name).replace("train", "test") / f"{folder}{i}.png")
    outcome = bench.train(f"--model cgan --dataroot odd --name odd {RUN}")
    assert outcome.status == 0, outcome.err
    assert set(yaml.safe_load((bench.run_dir("odd") / "options.yaml").read_text())["spec"]["classes"]) == {"a", folder}
    outcome = bench.test("--name odd --num_test 4", "--labels", folder)
    assert outcome.status == 0, outcome.err
    with Path(tmp_path / "results/odd/test_latest/samples.csv").open(errors="surrogateescape") as file:
        rows = list(csv.DictReader(file))
    assert {row["class"] for row in rows} == {folder}
    assert all((tmp_path / "results/odd/test_latest" / row["file"]).exists() for row in rows)


@pytest.mark.parametrize("place", ["disk", "ram"])
def test_translation_of_names_of_any_bytes(tmp_path, place):
    bench = Bench(tmp_path)
    for folder in ("trainA", "trainB"):
        for i in range(2):
            save(tmp_path / "odd" / folder / f"{SJIS}{i}.png")
    outcome = bench.train(f"--model cycle_gan --dataroot odd --name odd --cache {place} --cache_dir cache {TINY}")
    assert outcome.status == 0, outcome.err
    outcome = bench.test(f"--name odd --phase train --cache {place} --cache_dir cache")
    assert outcome.status == 0, outcome.err
    assert (tmp_path / f"results/odd/train_latest/images/fake_B/{SJIS}1.png").exists()


def test_files_that_are_left_out_may_have_any_name(tmp_path):
    bench = Bench(tmp_path)
    (tmp_path / "hands/rock" / f"{LATIN2}.mp4").touch()
    outcome = bench.train(f"--model cgan --dataroot hands --name odd {RUN}")
    assert outcome.status == 0, outcome.err
    found = yaml.safe_load((bench.run_dir("odd") / "options.yaml").read_text())["found"]
    assert found["left_out_first"] == {"no images": [f"rock/{LATIN2}.mp4"]}


@pytest.mark.parametrize("word", ["é", "ガ", "ệ"])
def test_a_letter_written_in_two_ways_is_one_for_pairs_and_lists(tmp_path, word):
    nfc, nfd = (unicodedata.normalize(form, word) for form in ("NFC", "NFD"))
    assert nfc != nfd
    assert match_names([f"{nfc}/1.png", "2.png"], [f"{nfd}/1.png", "2.jpg"]) == {
        f"{nfc}/1.png": f"{nfd}/1.png",
        "2.png": "2.jpg",
    }
    (tmp_path / "list.txt").write_text(f"{nfd}.png\n", encoding="utf-8")
    assert read_list(tmp_path / "list.txt", tmp_path, [f"{nfc}.png"]) == {f"{nfc}.png"}
    save(tmp_path / "two/trainA" / f"{nfc}.png")
    save(tmp_path / "two/trainB" / f"{nfd}.png")
    assert len(create_dataset("aligned", find_dataset("aligned").Options(dataroot=str(tmp_path / "two")))) == 1


def test_lists_name_files_of_any_bytes(tmp_path):
    (tmp_path / "list.txt").write_bytes(os.fsencode(f"{SJIS}.png\n"))
    assert read_list(tmp_path / "list.txt", tmp_path, [f"{SJIS}.png"]) == {f"{SJIS}.png"}


def test_the_held_out_part_of_usual_names_is_what_it_was():
    assert held_out([f"{i}é.png" for i in range(20)], 0.1) == {"10é.png", "4é.png"}
    assert len(held_out([f"{SJIS}{i}" for i in range(20)], 0.1)) == 2


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "x" * 240])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path, name):
    write_text(tmp_path / name, "text")
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "text"


def test_long_names_are_translated(tmp_path):
    bench = Bench(tmp_path)
    names = ["x" * 251, "%" * 200, "é" * 125]
    for folder in ("trainA", "trainB"):
        for name in names:
            save(tmp_path / "long" / folder / f"{name}.png")
    assert bench.train(f"--model cycle_gan --dataroot long --name long {TINY}").status == 0
    outcome = bench.test("--name long --phase train")
    assert outcome.status == 0, outcome.err
    assert len(list((tmp_path / "results/long/train_latest/images/fake_B").iterdir())) == 3


def test_names_that_are_cut_stay_apart():
    names = [safe_name("%" * 120 + end) for end in "ab"]
    assert names[0] != names[1]
    assert all(len(name) <= 251 for name in names)
    assert safe_name("é" * 125) == "é" * 125


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1"])
def test_any_terminal_shows_any_name(monkeypatch, encoding):
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding=encoding, write_through=True))
    with one_line_errors("train.py", False, ValueError):
        print(f"skipped: {LATIN2} 日本")
    assert shown.getvalue().startswith(b"skipped: b")
