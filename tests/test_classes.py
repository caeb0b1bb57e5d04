"""Classes: numbers by value, indices that are said to be such, natural order, classes without an image."""

import csv
import re
from dataclasses import replace

import pytest
import torch

from data import create_dataset, find_dataset
from data.findings import find, lines, much_left_out
from models import create_model
from models.base_model import COLUMNS, MAX_CLASSES
from models.cgan_model import CGANModel
from models.noise import NoiseModel
from tests.bench import SMALL, Bench
from tests.test_findings import save
from util.config_file import read_section
from util.results.results import read_labels
from util.types import Batch, DataSpec

RUN = f"--batch_size 2 --n_epochs 1 --n_epochs_decay 0 --display none {SMALL}"


@pytest.mark.parametrize(
    ("classes", "words", "indices"),
    [
        (("01", "02", "03", "04"), ("1", "04", "3"), [0, 3, 2]),
        (("1", "2", "3"), ("3", "1"), [2, 0]),
        (("007", "10", "2001"), ("7", "0010"), [0, 1]),
        (("5", "05", "6"), ("05", "5", "6"), [1, 0, 2]),
        (("-1", "0", "1"), ("1", "-01", "0"), [2, 0, 1]),
        (("0.5", "1.50", "2"), ("1.5", "2.0"), [1, 2]),
        (("01", "02", "none"), ("2", "1"), [1, 0]),
        (("café", "thé"), ("the\u0301", "cafe\u0301"), [1, 0]),
    ],
)
def test_numbers_are_compared_by_value(classes, words, indices, capsys):
    assert read_labels(words, classes) == indices
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("classes", "word", "message"),
    [
        (("1", "2", "3"), "0", r"--labels 0: there is no such class \(known: 1, 2, 3\)"),
        (("01", "02"), "3", "there is no such class"),
        (("1", "2"), "1.5", "there is no such class"),
        (("-1", "1"), "0", "there is no such class"),
        (("5", "05"), "005", "may mean each of the classes 5, 05"),
        (("cat", "dog"), "2", "no class of that name, and indices go from 0 to 1"),
    ],
)
def test_what_is_no_class_is_refused(classes, word, message):
    with pytest.raises(ValueError, match=message):
        read_labels([word], classes)


@pytest.mark.parametrize("classes", [("cat", "dog"), ("class1", "class2"), ("1", "two")])
def test_an_index_of_named_classes_is_said_to_be_one(classes, capsys):
    assert read_labels(["0"], classes) == [0]
    assert capsys.readouterr().out == f"--labels 0: class {classes[0]}, counted from 0\n"


@pytest.mark.parametrize(
    ("classes", "note"),
    [(("1", "2", "10"), "2 before 10"), (("a9", "a10"), "a9 before a10"), (("B", "a"), ""), (("01", "02", "10"), "")],
)
def test_the_natural_order_is_told_where_it_differs(tmp_path, classes, note):
    save(tmp_path, *(f"{name}/{i}.png" for name in classes for i in range(2)))
    opt = find_dataset("image_folder").Options(dataroot=str(tmp_path))
    text = "\n".join(lines(find(create_dataset("image_folder", opt))))
    assert ("natural order" in text) == bool(note)
    assert note in text


def test_a_class_without_a_sound_image_is_warned_of_and_not_drawn(tmp_path):
    bench = Bench(tmp_path)
    save(tmp_path / "rare", *(f"{c}/{i}.png" for c in "ab" for i in range(8)), "c/0.png")
    (tmp_path / "rare/c/0.png").write_bytes(b"no image")
    outcome = bench.train(f"--model cgan --dataroot rare --name rare {RUN}")
    assert outcome.status == 0, outcome.err
    assert "no image to train on in class c" in outcome.err
    outcome = bench.test("--name rare --num_test 4")
    assert "not drawn: c, which had no image to learn from" in outcome.out
    with (tmp_path / "results/rare/test_latest/samples.csv").open() as file:
        assert [row["class"] for row in csv.DictReader(file)] == ["a", "b", "a", "b"]
    assert bench.test("--name rare --num_test 2 --labels c").status == 0


ODD = ("-rf", "--labels", "a,b", " a", "b ", "a=b", "'c'", "<", "card.yaml", "title>")


def test_classes_of_odd_names_are_trained_and_drawn(tmp_path):
    """By name with =, without spaces around it; one that a list cannot hold by index; what is hidden is told of."""
    bench = Bench(tmp_path)
    save(tmp_path / "odd", *(f"{c}/{i}.png" for c in (*ODD, "..a", "...") for i in range(2)))
    outcome = bench.train(f"--model cgan --dataroot odd --name odd {RUN}")
    assert outcome.status == 0, outcome.err
    assert "left out: 2 folders with images, hidden by the dot that their names begin with: .../, ..a/" in outcome.out
    classes = read_section(bench.run_dir("odd") / "options.yaml", "spec")["classes"]
    assert sorted(classes) == sorted(ODD)
    listed = {name: str(i) if "," in name else name.strip() for i, name in enumerate(classes)}
    outcome = bench.test("--name odd --num_test 10", f"--labels={','.join(listed.values())}")
    assert outcome.status == 0, outcome.err
    with (tmp_path / "results/odd/test_latest/samples.csv").open() as file:
        assert [row["class"] for row in csv.DictReader(file)] == classes
    outcome = bench.test("--name odd --labels rf")
    assert outcome.status == 1
    assert f"{listed['a,b']} for 'a,b'" in outcome.err
    outcome = bench.test("--name odd --labels -rf")
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert "--labels=-VALUE" in outcome.err


def test_accents_written_in_two_ways_make_one_class(tmp_path):
    """As when one disk is of a Mac and the other is not."""
    save(tmp_path, *(f"train/{c}/{i}.png" for c in ("b", "\u00e9") for i in range(2)), "train/e\u0301/9.png")
    save(tmp_path, "test/e\u0301/0.png", "test/b/1.png")
    opt = find_dataset("image_folder").Options(dataroot=str(tmp_path))
    dataset, held_out = (create_dataset("image_folder", replace(opt, phase=phase)) for phase in ("train", "test"))
    assert dataset.spec.classes == held_out.spec.classes == ("b", "\u00e9")
    assert dataset.labels is not None
    assert sorted(dataset.labels.tolist()) == [0, 0, 1, 1, 1]
    held_out.relabel(["e\u0301", "b"])  # a run that was trained by their names on that disk
    assert held_out.labels is not None
    assert dict(zip(held_out.names, held_out.labels.tolist(), strict=True)) == {"e\u0301/0.png": 0, "b/1.png": 1}


@pytest.mark.parametrize("name", ["", "notes.txt", "scan.dcm"])
def test_a_folder_without_an_image_is_told_to_be_no_class(tmp_path, name):
    save(tmp_path, *(f"{c}/{i}.png" for c in "ab" for i in range(2)))
    (tmp_path / "cow").mkdir()
    if name:
        (tmp_path / "cow" / name).touch()
    dataset = create_dataset("image_folder", find_dataset("image_folder").Options(dataroot=str(tmp_path)))
    assert dataset.spec.classes == ("a", "b")
    assert "left out: 1 folders without an image: cow/" in "\n".join(lines(find(dataset)))
    assert bool(much_left_out(dataset)) == (name == "scan.dcm")


def test_classes_that_most_images_are_in_none_of_are_told(tmp_path, capsys):
    save(tmp_path, "a/0.png", "b/0.png", *(f"{i}.png" for i in range(5)))
    create_dataset("image_folder", find_dataset("image_folder").Options(dataroot=str(tmp_path)))
    assert "no classes: most of the images lie in no folder, unlike a/0.png" in capsys.readouterr().out


# Many classes


def drawn(monkeypatch):
    """Return a list that fills with the number of images in each pass of a generator."""
    sizes, original = [], NoiseModel.sample

    def sample(model, z, labels):
        sizes.append(len(z))
        return original(model, z, labels)

    monkeypatch.setattr(NoiseModel, "sample", sample)
    return sizes


def test_pictures_show_some_of_many_classes_in_parts(tmp_path, monkeypatch):
    bench, sizes = Bench(tmp_path), drawn(monkeypatch)
    save(tmp_path / "many", *(f"c{c:02d}/{i}.png" for c in range(30) for i in range(2)))
    save(tmp_path / "many", "c09/no.png")
    for path in (tmp_path / "many/c29").iterdir():
        path.write_bytes(b"no image")  # a class without an image to learn from has no row
    options = f"--model cgan --dataroot many --name many {RUN} --val_fraction 0 --batch_size 10 --display html"
    outcome = bench.train(f"{options} --display_classes 4 --display_freq 1000")
    assert outcome.status == 0, outcome.err
    assert "pictures show 4 of 29 classes" in outcome.out
    log = (bench.run_dir("many") / "web/log.js").read_text()
    assert '"rows": ["c00", "c09", "c19", "c28"]' in log
    assert set(sizes) == {10, 2}  # 4 rows of 8
    outcome = bench.test("--name many --num_test 2 --interpolate 3 --display_classes 5")
    assert outcome.status == 0, outcome.err
    page = (tmp_path / "results/many/test_latest/index.html").read_text()
    assert re.findall(r'<span title="(\w+)">\1</span>', page) == ["c00", "c07", "c14", "c21", "c28"]


def test_all_classes_are_shown_for_the_asking():
    opt = CGANModel.Options(netG="mlp", netD="mlp")
    model = create_model("cgan", opt, DataSpec((8, 8), 1, 1, tuple(map(str, range(30)))), torch.device("cpu"), 0)
    assert len(model.grids(Batch())["fake"].rows) == MAX_CLASSES == 20
    model.show_classes(0, ["3"])
    grid = model.grids(Batch())["fake"]
    assert len(grid.images) == 29 * COLUMNS
    assert "3" not in grid.rows


@pytest.mark.parametrize(("most", "absent", "rows"), [(1, [], 1), (40, [], 30), (5, [str(k) for k in range(27)], 3)])
def test_no_more_rows_than_classes_or_than_asked_for(most, absent, rows):
    opt = CGANModel.Options(netG="mlp", netD="mlp")
    model = create_model("cgan", opt, DataSpec((8, 8), 1, 1, tuple(map(str, range(30)))), torch.device("cpu"), 0)
    model.show_classes(most, absent)
    grid = model.grids(Batch())["fake"]
    assert (len(grid.rows), len(grid.images)) == (rows, rows * COLUMNS)
