"""What test.py writes can be traced: names, the table of samples, earlier results, files that are damaged."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.bench import Bench, save_images
from util.results.translations import file_stems, flat

SMALL = (
    "--batch_size 2 --load_size 16 --crop_size 16 --ngf 2 --ndf 2 --netD pixel --netG resnet_1blocks --device cpu "
    "--n_epochs 1 --n_epochs_decay 0 --num_threads 1 --no_html"
)
OF_A, OF_B = ("real_A", "fake_B", "rec_A", "idt_B"), ("real_B", "fake_A", "rec_B", "idt_A")


@pytest.fixture(scope="module")
def animals(tmp_path_factory):
    """A bench with horses (A) and more zebras (B), all with names of their own, and a run of cycle_gan on them."""
    bench = Bench(tmp_path_factory.mktemp("traced"))
    for phase in ("train", "test"):
        pictures(bench.folder / f"animals/{phase}A", "horse", 2)
        pictures(bench.folder / f"animals/{phase}B", "zebra", 5)
    outcome = bench.train(f"--model cycle_gan --dataroot animals --name cycle {SMALL}")
    assert outcome.status == 0, outcome.err
    return bench


def pictures(folder, name, num):
    folder.mkdir(parents=True)
    numbers = np.random.default_rng(len(name) + num)
    for i in range(num):
        Image.fromarray(numbers.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / f"{name}{i}.png")
    return folder


def shown(bench, options):
    """Return the folder that a successful test.py wrote, and what it printed."""
    outcome = bench.test(options)
    assert outcome.status == 0, outcome.err
    return Path(outcome.out.rsplit("results: ", 1)[1].splitlines()[0]).parent, outcome


def names(folder, kind):
    return sorted(p.relative_to(folder / "images" / kind).as_posix() for p in (folder / "images" / kind).rglob("*.*"))


def table(folder):
    with (folder / "samples.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("direction", ["", "--direction BtoA"])
def test_images_of_each_side_bear_the_names_of_what_they_were_made_of(animals, direction):
    folder, _ = shown(animals, f"--name cycle --results_dir names {direction}")
    horses, zebras = [f"horse{i}.png" for i in range(2)], [f"zebra{i}.png" for i in range(5)]
    of_A, of_B = (zebras, horses) if direction else (horses, zebras)
    assert {kind: names(folder, kind) for kind in OF_A} == dict.fromkeys(OF_A, of_A)
    assert {kind: names(folder, kind) for kind in OF_B} == dict.fromkeys(OF_B, of_B)
    for name in of_B:
        source = animals.folder / f"animals/test{'A' if direction else 'B'}" / name
        assert (np.asarray(Image.open(folder / "images/real_B" / name)) == np.asarray(Image.open(source))).all()


def test_the_table_says_what_each_picture_was_made_of_and_its_size(animals):
    folder, _ = shown(animals, "--name cycle --aspect_ratio 2 --num_test 3")
    rows = table(folder)
    assert {(r["kind"], r["input"], r["output"]) for r in rows} == {
        (kind, f"animals/test{side}/{name}{i}.png", f"images/{kind}/{name}{i}.png")
        for side, name, num, kinds in (("A", "horse", 2, OF_A), ("B", "zebra", 3, OF_B))
        for i in range(num)
        for kind in kinds
    }
    assert {(r["width"], r["height"]) for r in rows} == {("32", "16")}
    assert all(Image.open(folder / r["output"]).size == (32, 16) for r in rows)


def test_equal_names_on_both_sides_are_two_images(animals):
    for side, shade in (("A", 40), ("B", 200)):
        (animals.folder / f"same/test{side}").mkdir(parents=True)
        Image.new("RGB", (16, 16), (shade, 0, 0)).save(animals.folder / f"same/test{side}/1.png")
    folder, _ = shown(animals, "--name cycle --dataroot same")
    reds = [Image.open(folder / f"images/{kind}/1.png").getchannel(0) for kind in ("real_A", "real_B")]
    assert [red.getpixel((3, 3)) for red in reds] == [40, 200]


@pytest.mark.parametrize(
    "names",
    [
        ["a.png", "a.jpg", "a.b.png", "a/b.png", "A.png"],
        ["%61.png", "a.png", "b%2Fc.png", "b/c.png", "b%252Fc.png"],
        ["\u00e9.png", "e\u0301.png", "y" * 250 + ".png", "y" * 250 + ".jpg", "-.png", "....png"],
        ["a.png", "a.jpg", "a.png.png", "a.jpg.jpg"],
    ],
)
def test_no_two_images_share_a_result(names):
    stems = file_stems(names)
    assert len(set(stems.values())) == len({flat(stem) for stem in stems.values()}) == len(names)
    assert all(len(os.fsencode(part)) <= 251 for stem in stems.values() for part in stem.split("/"))


# A second test beside the first


def test_results_of_another_kind_go_beside_the_first(animals):
    """Other data, another direction, another model: the first's images stay, and each has a folder of its own."""
    pictures(animals.folder / "others/testA", "mule", 2)
    pictures(animals.folder / "others/testB", "donkey", 2)
    call = "--name cycle --results_dir kinds"
    folders = [
        shown(animals, f"{call} {options}")[0]
        for options in ("", "--dataroot others", "--direction BtoA", "--model test", "", "--direction BtoA")
    ]
    assert [f.name for f in folders] == [f"test_latest{end}" for end in ("", "-2", "-3", "-4", "", "-3")]
    assert [names(f, "real_A")[0] for f in folders[:3]] == ["horse0.png", "mule0.png", "zebra0.png"]
    _, outcome = shown(animals, f"{call} --dataroot others")
    assert "test_latest stays as it is: it was made with --dataroot animals" in outcome.out
    assert "replacing" not in outcome.out


def test_labels_of_their_own_go_beside(bench):
    bench.small("--name hands --n_epochs 1")
    folders = [shown(bench, f"--name hands --num_test 4 {o}")[0] for o in ("--labels rock", "", "--labels paper")]
    assert [f.name for f in folders] == ["test_latest", "test_latest-2", "test_latest-3"]
    assert [{r["class"] for r in table(f)} for f in folders] == [{"rock"}, {"paper", "rock"}, {"paper"}]
    _, outcome = shown(bench, "--name hands")
    assert "test_latest stays as it is: it was made with --labels rock" in outcome.out
    assert "replacing results/hands/test_latest-2, which was made with --num_test 4" in outcome.out
    _, outcome = shown(bench, "--name hands --seed 1 --device cpu")
    assert "test_latest-2, which was made with default options" in outcome.out


# Damaged files


@pytest.mark.parametrize("options", ["", "--cache disk", "--cache off --num_threads 0", "--batch_size 8 --metrics l1"])
def test_a_damaged_photo_of_three_is_named_and_the_others_are_shown(bench, options):
    """Cut short, of another kind, or empty; alone, or beside what it is measured against."""
    save_images(bench.folder / "pairs", ("trainA", "trainB", "testA", "testB"), num=3, size=16)
    (bench.folder / "pairs/testA/1.png").write_bytes((bench.folder / "pairs/testA/1.png").read_bytes()[:100])
    assert bench.train(f"--model pix2pix --dataroot pairs --name p {SMALL}").status == 0
    folder, outcome = shown(bench, f"--name p {options}")
    assert names(folder, "fake_B") == ["0.png", "2.png"]
    assert "skipped: 1 of 3 images cannot be read: 1.png" in outcome.out
    assert [r["input"] for r in table(folder) if r["kind"] == "real_A"] == ["pairs/testA/0.png", "pairs/testA/2.png"]


def test_nothing_but_damaged_photos_is_an_error(bench):
    save_images(bench.folder / "pairs", ("trainA", "trainB", "testA", "testB"), num=2, size=16)
    for path in (bench.folder / "pairs/testB").iterdir():
        path.write_bytes(b"")
    assert bench.train(f"--model pix2pix --dataroot pairs --name p {SMALL}").status == 0
    outcome = bench.test("--name p")
    assert outcome.status == 1
    assert "2 of 2 images cannot be read: 0.png" in outcome.err
    assert "That is all of pairs: is this the right folder?" in outcome.err
