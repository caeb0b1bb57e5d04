"""How the data was understood: told, kept and shown before anything trains or is tested."""

import os

import cv2
import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

from data import create_dataset, create_loader, find_dataset
from data.files.image_paths import survey
from data.findings import find, lines, much_left_out, tell
from tests.bench import SMALL, Bench, save_images
from util.device import pick_device


def save(folder, *names, size=(8, 8), mode="RGB"):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(len(name)).integers(0, 256, (*size[::-1], 3), np.uint8)).convert(
            mode
        ).save(path)
    return folder


def opened(mode, folder, **options):
    return create_dataset(mode, find_dataset(mode).Options(dataroot=str(folder), **options))


def told(dataset):
    return "\n".join(lines(find(dataset)))


def test_class_folders_are_told_with_their_counts_sizes_and_depths(tmp_path):
    save(tmp_path, "train/cat/0.png", "train/cat/1.png", "test/cat/0.png", "old/0.png", size=(12, 8))
    save(tmp_path, "train/dog/0.png", size=(16, 20), mode="L")
    (tmp_path / "train/notes.txt").touch()
    text = told(opened("image_folder", tmp_path))
    assert text.splitlines() == [
        "data: 3 images of 12x8 to 16x20 pixels, 1 or 3 channels, 8 bits, numbers from 0 to 254; "
        f"from {tmp_path.name}/train",
        "classes: cat 2, dog 1",
        "not read: old/ (no phase), test/ (test)",
        "left out: 1 no images: notes.txt",
    ]


def test_both_collections_are_told(tmp_path):
    save(tmp_path, "trainA/0.png", "trainA/1.png", "testA/0.png", "testB/0.png")
    (tmp_path / "trainB").mkdir()
    np.save(tmp_path / "trainB/0.npy", np.arange(64, dtype=np.uint16).reshape(8, 8))
    text = told(opened("unaligned", tmp_path, preprocess="none"))
    assert text.splitlines()[:2] == [
        f"A: 2 images of 8x8 pixels, 3 channels, 8 bits, numbers from 0 to 252; "
        f"from {tmp_path.name}/trainA, {tmp_path.name}/trainB",
        "B: 1 images of 8x8 pixels, 1 channel, 16 bits, numbers from 0 to 63",
    ]
    assert "not read: testA/ (test), testB/ (test)" in text


@pytest.mark.parametrize(("fraction", "kept"), [(0.1, 2), (0.5, 10), (0.0, 0)])
def test_what_is_held_out_is_told(tmp_path, fraction, kept):
    save(tmp_path, *(f"{i}.png" for i in range(20)))
    text = told(opened("image_folder", tmp_path, val_fraction=fraction))
    assert f"data: {20 - kept} images" in text
    assert (f"kept for other phases: {kept} images" in text) == bool(kept)


def test_many_classes_are_told_by_their_number(tmp_path):
    save(tmp_path, *(f"{i}/{j}.png" for i in range(30) for j in range(1 + i % 3)))
    assert "classes: 30, of 1 to 3 images" in told(opened("image_folder", tmp_path, val_fraction=0.0))


def test_files_without_a_partner_are_told(tmp_path):
    save(tmp_path, "trainA/0.png", "trainA/1.png", "trainB/0.png")
    text = told(opened("aligned", tmp_path))
    assert f"left out: 1 without a partner of the same name: {tmp_path}/trainA/1.png" in text


@pytest.mark.parametrize(("bad", "warned"), [(1, False), (3, True)])
def test_damaged_files_are_told_and_many_are_warned_of(tmp_path, bad, warned):
    save(tmp_path, *(f"{i}.png" for i in range(40)))
    for i in range(bad):
        (tmp_path / f"{i}.png").write_bytes(b"no image")
    dataset = opened("image_folder", tmp_path, image_size=8, val_fraction=0.0)
    opt = type("Opt", (), {"cache": "ram", "cache_dir": tmp_path, "num_threads": 1, "seed": 0})()
    create_loader(dataset, opt, 1, pick_device("cpu"))
    assert f"left out: {bad} that cannot be read: 0.png" in told(dataset)
    assert bool(much_left_out(dataset)) == warned
    if warned:
        assert much_left_out(dataset).startswith("3 of 40 files are left out, such as 0.png")


def test_texts_beside_images_are_counted_and_not_warned_of(tmp_path):
    save(tmp_path, "0.png", "1.png")
    for name in ("README", "labels.csv", "card.yaml"):
        (tmp_path / name).touch()
    dataset = opened("image_folder", tmp_path, val_fraction=0.0)
    assert "left out: 3 no images: README, card.yaml, labels.csv" in told(dataset)
    assert much_left_out(dataset) == ""
    (tmp_path / "film.mp4").touch()
    assert "1 of 3 files are left out, such as film.mp4" in much_left_out(
        opened("image_folder", tmp_path, val_fraction=0.0)
    )


def test_links_are_followed_once_and_told(tmp_path):
    save(tmp_path / "there", "cat/0.png")
    root = save(tmp_path / "here", "dog/0.png")
    (root / "cat").symlink_to(tmp_path / "there/cat")
    (root / "puss").symlink_to(root / "cat")
    (root / "dog/round").symlink_to(root)
    (root / "dog/gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(root / "dog/pipe.png")
    found = survey(root)
    assert found.names == ["cat/0.png", "dog/0.png"]
    assert found.links == ["cat/"]
    assert found.left_out == {
        "dangling links": ["dog/gone.png"],
        "neither files nor folders": ["dog/pipe.png"],
        "links to folders that are read already": ["dog/round/", "puss/"],
    }
    assert "links followed: cat/" in told(opened("image_folder", root, val_fraction=0.0))


@pytest.mark.parametrize(
    ("mode", "names", "line"),
    [
        ("unaligned", "A/trainA/0.png B/trainB/0.png A/1.png A/2.png", "2 images beside the folders, such as A/1.png"),
        ("image_folder", "train/cat/0.png 1.png", "1 images beside the folders, such as 1.png"),
        ("single", "A/train/0.png A/spare/1.png C/2.png", "C/ (no phase), A/spare/ (no phase)"),
    ],
)
def test_what_lies_around_the_folders_that_are_read_is_told(tmp_path, mode, names, line):
    save(tmp_path, *names.split())
    assert f"not read: {line}" in told(opened(mode, tmp_path)).splitlines()


@pytest.mark.parametrize("name", ["__MACOSX", "@eaDir", "lost+found"])
def test_what_systems_put_among_images_is_no_class_and_named(tmp_path, name):
    save(tmp_path, "cat/0.png", "dog/1.png", f"{name}/cat/0.png", f"cat/{name}/0.png/thumb.png")
    dataset = opened("image_folder", tmp_path, val_fraction=0.0)
    assert (dataset.names, dataset.spec.classes) == (["cat/0.png", "dog/1.png"], ("cat", "dog"))
    assert sorted(dataset.left_out["folders of the system"]) == sorted([f"{name}/", f"cat/{name}/"])
    assert "left out: 2 folders of the system: " in told(dataset)


def test_an_empty_phase_says_what_was_left_out(tmp_path):
    save(tmp_path, "train/cat/0.png", "train/dog/0.png", "test/0.png", "test/1.png")
    with pytest.raises(FileNotFoundError, match=r"\(left out: 2 in no class folder, such as 0\.png\)"):
        opened("image_folder", tmp_path, phase="test")


def test_a_folder_that_cannot_be_opened_is_named(tmp_path, monkeypatch):
    save(tmp_path, "cat/0.png", "dog/0.png")
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert survey(tmp_path) == (["cat/0.png"], {"folders that cannot be opened": ["dog/"]}, [])


def test_train_and_test_tell_it_and_the_run_keeps_it(tmp_path):
    bench = Bench(tmp_path)
    outcome = bench.train(
        f"--model cgan --dataroot hands --name h --batch_size 2 --n_epochs 1 --n_epochs_decay 0 {SMALL}"
    )
    assert outcome.status == 0, outcome.err
    line = "data: 10 images of 8x8 pixels, 3 channels, 8 bits, numbers from 0 to 255; from hands"
    assert line in outcome.out
    assert "--- found" not in outcome.out
    found = yaml.safe_load((bench.run_dir("h") / "options.yaml").read_text())["found"]
    assert found["classes"] == {"paper": 5, "rock": 5}
    page = (bench.run_dir("h") / "web/index.html").read_text()
    assert "10 images of 8x8 pixels" in page
    assert "paper: 5, rock: 5" in page
    assert bench.test("--name h --num_test 2").status == 0


def test_test_py_tells_what_it_translates(tmp_path):
    bench = Bench(tmp_path)
    save_images(tmp_path / "pairs", ("trainA", "trainB", "testA", "testB"), num=2, size=32)
    tiny = "--netG unet_32 --ngf 4 --netD n_layers --n_layers_D 1 --ndf 4 --load_size 32 --crop_size 32 --device cpu"
    options = f"--model pix2pix --dataroot pairs --name p --n_epochs 1 --n_epochs_decay 0 --display none {tiny}"
    assert bench.train(options).status == 0
    assert (
        "A: 2 images of 32x32 pixels, 3 channels, 8 bits, numbers from 0 to 255; from pairs/testA, pairs/testB"
        in bench.test("").out
    )


def test_a_link_higher_up_does_not_hide_what_lies_deeper_down(tmp_path):
    """The folders themselves are read, and each once, whichever name sorts first."""
    root = save(tmp_path / "here", "z/deep/0.png", "m/1.png")
    (root / "a").symlink_to(root / "z/deep")
    (root / "m/also").symlink_to(root / "z")
    found = survey(root)
    assert (found.names, found.links) == (["m/1.png", "z/deep/0.png"], [])
    assert found.left_out == {"links to folders that are read already": ["a/", "m/also/"]}


# What a user may not know of the images


def write(path, kind):
    """Write an image of some kind; return what is to be told of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    colour = np.dstack([grey, grey[::-1], grey.T])
    clear = np.dstack([colour, np.full((8, 8), 9, np.uint8)])
    if kind in ("gif", "webp", "png"):
        frames = [Image.fromarray(np.roll(colour, i, 0)) for i in range(3)]
        frames[0].save(path.with_suffix(f".{kind}"), save_all=True, append_images=frames[1:], lossless=True)
        return "several images in one file, of which the first is read"
    if kind == "pages":
        with tifffile.TiffWriter(path.with_suffix(".tif")) as file:
            for i in range(2):
                file.write((colour.astype(np.uint16) + i) * 99, photometric="rgb")
        return "several images in one file, of which the first is read"
    if kind in ("rgba", "la"):
        pixels = clear if kind == "rgba" else clear[:, :, 2:]
        Image.fromarray(pixels).save(path.with_suffix(".png"))
        return "transparent in parts, which become white"
    if kind == "rgba16":
        cv2.imwrite(str(path.with_suffix(".png")), clear.astype(np.uint16) * 257)
        return "transparent in parts, which become white"
    if kind == "tiff rgba16":
        deep = clear.astype(np.uint16) * 257
        tifffile.imwrite(path.with_suffix(".tif"), deep, photometric="rgb", extrasamples=["unassalpha"])
        return "transparent in parts, which become white"
    if kind == "opaque":
        Image.fromarray(np.dstack([colour, np.full((8, 8), 255, np.uint8)])).save(path.with_suffix(".png"))
        return ""
    if kind == "palette":
        Image.fromarray(grey).convert("P").save(path.with_suffix(".png"))
        return "grey, though stored as colour"
    if kind == "grey rgb":
        Image.fromarray(np.dstack([grey] * 3)).save(path.with_suffix(".bmp"))
        return "grey, though stored as colour"
    if kind == "grey rgb16":
        cv2.imwrite(str(path.with_suffix(".png")), np.dstack([grey.astype(np.uint16) * 99] * 3))
        return "grey, though stored as colour"
    Image.fromarray(grey if kind == "grey" else colour).save(path.with_suffix(".png"))
    return ""


@pytest.mark.parametrize(
    "kind",
    [
        *("gif", "webp", "png", "pages", "rgba", "la", "rgba16", "tiff rgba16", "opaque", "palette", "grey rgb"),
        *("grey rgb16", "grey", "colour"),
    ],
)
def test_what_is_odd_about_images_is_told(tmp_path, kind):
    for i in range(2):
        note = write(tmp_path / f"A/{i}", kind)
        write(tmp_path / f"B/{i}", "colour")
    text = told(opened("unaligned", tmp_path, load_size=8, crop_size=8))
    told_of_A = [line for line in text.splitlines() if "looked at of A" in line]
    assert len(told_of_A) == bool(note)
    if note:
        assert told_of_A[0].startswith(f"{note}: 2 of 2 files looked at of A, such as 0.")
        assert ("--input_nc 1 reads one channel" in told_of_A[0]) == ("grey" in note)
    assert "looked at of B" not in text


def test_a_grey_photo_among_others_is_no_news(tmp_path):
    write(tmp_path / "0", "grey rgb")
    write(tmp_path / "1", "colour")
    assert "though stored" not in told(opened("image_folder", tmp_path, val_fraction=0.0))


def test_a_test_does_not_repeat_the_advice_of_the_training(tmp_path, capsys):
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((8, 8), 100 + i, np.uint16))
    dataset = opened("single", tmp_path, load_size=8, crop_size=8)
    tell(dataset)
    assert "little of the 0 to 65535" in capsys.readouterr().err
    tell(dataset, trains=False)
    assert capsys.readouterr().err == ""
