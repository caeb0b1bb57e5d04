"""Data sets for image-to-image translation: where A and B are found, how they come to their size, what is refused."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from data import create_dataset, create_loader, find_dataset, recognize
from data.download.catalogue import ENTRIES
from data.files import dataroot
from data.loading.loader import Loader
from data.translation import TranslationDataset
from models import find_model
from options.base_options import BaseOptions
from options.parse import parse_train
from util.color import lab_to_rgb
from util.images import save_image
from util.types import Batch, DataSpec

CPU = torch.device("cpu")
LAYOUTS = ["{phase}A|{phase}B", "{phase}/A|{phase}/B", "A/{phase}|B/{phase}"]


def picture(path: Path, size: tuple[int, int] = (8, 8), channels: int = 3, dtype: Any = np.uint8) -> Path:
    """Write an image of ``size`` = (width, height) whose pixels follow from the last two parts of its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = list("/".join(path.parts[-2:]).encode())
    shape = (size[1], size[0], channels) if channels > 1 else (size[1], size[0])
    pixels = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    if path.suffix == ".npy":
        np.save(path, pixels)
    else:
        Image.fromarray(pixels).save(path)
    return path


def pictures(folder: Path, names: Sequence[str], size: tuple[int, int] = (8, 8), **kind: Any) -> Path:
    for name in names:
        picture(folder / name, size, **kind)
    return folder


def pngs(num: int) -> list[str]:
    return [f"{i}.png" for i in range(num)]


def open_data(mode: str, root: Path, **options: Any) -> Any:
    options = {"load_size": 8, "crop_size": 8, **options}
    return create_dataset(mode, find_dataset(mode).Options(dataroot=str(root), **options))


def load(dataset: Any, batch_size: int = 2, seed: int = 0, **options: Any) -> Loader:
    options = {"cache": "ram", "num_threads": 0, **options}
    return create_loader(dataset, BaseOptions(seed=seed, **options), batch_size, CPU)


def pixels(path: Path) -> np.ndarray:
    """Return the pixels of a file (C, H, W)."""
    return np.asarray(Image.open(path)).transpose(2, 0, 1)


def to_bytes(images: torch.Tensor) -> np.ndarray:
    return ((images + 1) * 127.5).round().to(torch.uint8).numpy()


# Aligned


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
@pytest.mark.parametrize("phase", ["train", "val", "test"])
@pytest.mark.parametrize("layout", [*LAYOUTS, "A|B"])
def test_pairs_in_two_folders(tmp_path, layout, phase, direction):
    A, B = (pictures(tmp_path / side.format(phase=phase), ["1.png", "sub/1.png"]) for side in layout.split("|"))
    dataset = open_data("aligned", tmp_path, phase=phase, direction=direction)
    assert dataset.names == ["1.png", "sub/1.png"]
    if direction == "BtoA":
        A, B = B, A
    for i, name in enumerate(dataset.names):
        assert (to_bytes(dataset[i]["A"]) == pixels(A / name)).all()
        assert (to_bytes(dataset[i]["B"]) == pixels(B / name)).all()


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_pairs_in_one_file(tmp_path, direction):
    pictures(tmp_path / "train", pngs(2), (16, 8))
    dataset = open_data("aligned", tmp_path, direction=direction)
    left, right = ("A", "B") if direction == "AtoB" else ("B", "A")
    whole = pixels(tmp_path / "train/1.png")
    assert (to_bytes(dataset[1][left]) == whole[:, :, :8]).all()
    assert (to_bytes(dataset[1][right]) == whole[:, :, 8:]).all()


def test_extensions_of_a_pair_may_differ(tmp_path, capsys):
    pictures(tmp_path / "trainA", ["1.png", "2.bmp", "3.png", "4.jpg", "4.png", "5.png"])
    pictures(tmp_path / "trainB", ["1.tif", "2.bmp", "3.bmp", "3.tif", "4.bmp", "6.png"])
    dataset = open_data("aligned", tmp_path)
    assert dataset.names == ["1.png", "2.bmp"]
    out = capsys.readouterr().out
    assert out.startswith("skipped: 8 files without a partner of the same name: ")
    for name in ("trainA/3.png", "trainA/4.jpg", "trainA/5.png", "trainB/3.bmp", "trainB/6.png"):
        assert str(tmp_path / name) in out


def test_of_many_files_without_a_partner_the_first_are_named(tmp_path, capsys):
    pictures(tmp_path / "trainA", pngs(30))
    pictures(tmp_path / "trainB", pngs(2))
    assert len(open_data("aligned", tmp_path)) == 2
    assert "28 files" in (out := capsys.readouterr().out)
    assert out.endswith("trainA/21.png and 8 more\n")


def test_a_pair_is_cropped_and_mirrored_alike(tmp_path):
    for side in "AB":
        for i in range(20):
            path = tmp_path / f"train{side}" / f"{i}.png"
            path.parent.mkdir(exist_ok=True)
            gradient = np.add.outer(np.arange(12), 12 * np.arange(16)).astype(np.uint8)
            Image.fromarray(gradient).save(path)
    loader = load(open_data("aligned", tmp_path, preprocess="crop", load_size=8, crop_size=8), 5)
    batches = [batch for epoch in (1, 2) for batch in loader.epoch(epoch)]
    assert all(torch.equal(batch["A"], batch["B"]) for batch in batches)
    assert len({to_bytes(image).tobytes() for batch in batches for image in batch["A"]}) > 15


def test_pairs_of_two_sizes_are_bad(tmp_path, capsys):
    for side in "AB":
        pictures(tmp_path / f"train{side}", pngs(12))
    picture(tmp_path / "trainB/3.png", (9, 8))
    for options in ({}, {"preprocess": "none"}, {"preprocess": "crop", "crop_size": 4}):
        dataset = open_data("aligned", tmp_path, **options)
        load(dataset, 1)
        assert len(dataset) == 11
        out = capsys.readouterr().out
        assert f"skipped: 1 of 12 images cannot be read: 3.png ({tmp_path}/trainA/3.png is 8x8" in out
        assert f"{tmp_path}/trainB/3.png is 9x8: pairs must be of one size" in out
    picture(tmp_path / "trainA/4.png", (8, 9))
    with pytest.raises(ValueError, match=r"2 of 12 .*4\.png is 8x9, .*4\.png is 8x8.* more than a tenth"):
        load(open_data("aligned", tmp_path), 1)


def test_an_odd_width_cannot_be_halved(tmp_path, capsys):
    pictures(tmp_path / "train", pngs(12), (16, 8))
    picture(tmp_path / "train/5.png", (15, 8))
    load(open_data("aligned", tmp_path))
    assert "5.png (a width of 15 pixels cannot be halved into A and B)" in capsys.readouterr().out


def test_files_that_are_no_wider_than_high_hold_no_two_images(tmp_path):
    pictures(tmp_path / "train/rock", pngs(3))
    with pytest.raises(ValueError, match=r"rock/0\.png is 8x8 pixels: no A\|B side by side; put pairs of tall"):
        open_data("aligned", tmp_path)


def test_pairs_beside_the_unpaired_set_of_that_name_are_found(tmp_path):
    """As upstream's two scripts leave datasets/facades: trainA/ and trainB/ of CycleGAN's, train/ of pix2pix's."""
    pictures(tmp_path / "train", pngs(3), (16, 8))
    for folder, names in (("trainA", ["1_A.jpg"]), ("trainB", ["1_B.jpg", "2_B.jpg"])):
        pictures(tmp_path / folder, names)
    assert len(open_data("aligned", tmp_path)) == 3
    assert len(open_data("unaligned", tmp_path)) == 2
    pictures(tmp_path / "trainB", ["1_A.jpg"])  # now they are pairs
    assert len(open_data("aligned", tmp_path)) == 1


def test_pairs_are_found_although_one_side_of_another_set_came_later(tmp_path):
    pictures(tmp_path / "test", pngs(3), (16, 8))
    pictures(tmp_path / "testB", pngs(4))
    assert len(open_data("aligned", tmp_path, phase="test")) == 3


def test_a_name_of_two_archives_means_the_one_that_the_model_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(dataroot, "DATASETS", tmp_path / "datasets")
    for name in ("maps", "./datasets/maps"):
        assert dataroot.meant(name, "unaligned") == "maps_unpaired"
        assert dataroot.meant(name, "aligned") == name
    pictures(tmp_path / "datasets/maps/train", pngs(3), (16, 8))
    assert dataroot.meant("maps", "unaligned") == "maps_unpaired"
    pictures(tmp_path / "datasets/maps/trainA", pngs(3))
    assert dataroot.meant("maps", "unaligned") == "maps"
    assert set(dataroot.UNPAIRED.values()) <= set(ENTRIES)


@pytest.mark.parametrize(
    ("name", "mode", "num"), [("mini", "unaligned", 20), ("mini_pix2pix", "aligned", 20), ("mini_colorization", "", 20)]
)
def test_small_sets_are_made_on_the_spot(tmp_path, monkeypatch, name, mode, num):
    monkeypatch.setattr(dataroot, "DATASETS", tmp_path)
    found = dataroot.find_dataroot(name)
    assert found == tmp_path / name and (found / "card.yaml").exists()
    assert len(open_data(mode or "colorization", found)) == num
    assert len(open_data(mode or "colorization", found, phase="test")) == 10
    assert dataroot.recognize(name)[0] == mode or mode == ""


# Unaligned


def unaligned(root: Path, num_A: int = 3, num_B: int = 5, **options: Any) -> Any:
    pictures(root / "trainA", [f"a{i}.png" for i in range(num_A)])
    pictures(root / "trainB", [f"b{i}.png" for i in range(num_B)])
    return open_data("unaligned", root, **{"flip": False, **options})


def seen(batches: Sequence[Batch], root: Path, key: str, folder: str) -> list[str]:
    """Return which files' images batches hold."""
    known = {pixels(path).tobytes(): path.stem for path in (root / folder).iterdir()}
    return [known[to_bytes(image).tobytes()] for batch in batches for image in batch[key]]


@pytest.mark.parametrize("place", ["ram", "off"])
def test_each_epoch_draws_its_own_partners(tmp_path, place):
    dataset = unaligned(tmp_path)
    loader = load(dataset, 5, cache=place)
    partners: list[tuple[str, str]] = []
    for epoch in range(1, 41):
        (batch,) = loader.epoch(epoch)
        A, B = (seen([batch], tmp_path, key, f"train{key}") for key in "AB")
        assert sorted(A) == ["a0", "a0", "a1", "a1", "a2"]
        partners += zip(A, B, strict=True)
    assert len(set(partners)) == 15
    assert_close(dict(next(loader.epoch(7))), dict(next(load(unaligned(tmp_path), 5).epoch(7))), rtol=0, atol=0)
    assert not torch.equal(next(loader.epoch(7))["B"], next(load(dataset, 5, seed=1).epoch(7))["B"])


def test_partners_follow_each_other_in_serial_batches_and_in_order(tmp_path):
    dataset = unaligned(tmp_path, serial_batches=True)
    for batches in (list(load(dataset, 5).epoch(3)), [b for b, _ in load(dataset, 2).in_order(5)]):
        assert seen(batches, tmp_path, "A", "trainA") == ["a0", "a1", "a2", "a0", "a1"]
        assert seen(batches, tmp_path, "B", "trainB") == ["b0", "b1", "b2", "b3", "b4"]


def test_samples_that_show_an_image_again_have_a_name_of_their_own(tmp_path):
    assert unaligned(tmp_path / "1", 2, 5).names == ["a0.png", "a1.png", "a0_2.png", "a1_2.png", "a0_3.png"]
    root = tmp_path / "2"
    pictures(root / "trainA", ["sub/a.png", "sub/a_2.png"])
    pictures(root / "trainB", pngs(4))
    assert open_data("unaligned", root).names == ["sub/a.png", "sub/a_2.png", "sub/a_3.png", "sub/a_2_2.png"]
    assert unaligned(tmp_path / "3", 5, 2).names == [f"a{i}.png" for i in range(5)]


def test_the_other_direction_swaps_the_folders(tmp_path):
    dataset = unaligned(tmp_path, 3, 5, direction="BtoA")
    assert dataset.names == [f"b{i}.png" for i in range(5)]
    (batch,) = load(dataset, 5).epoch(1)
    assert sorted(seen([batch], tmp_path, "A", "trainB")) == [f"b{i}" for i in range(5)]
    assert set(seen([batch], tmp_path, "B", "trainA")) <= {"a0", "a1", "a2"}


@pytest.mark.parametrize("place", ["ram", "disk"])
def test_a_bad_image_of_B_takes_none_of_A_along(tmp_path, place, capsys):
    unaligned(tmp_path / "data", 12, 20)
    (tmp_path / "data/trainB/b7.png").write_text("no image")
    for _ in range(2):  # the second time from the disk's record
        dataset = open_data("unaligned", tmp_path / "data", flip=False)
        loader = load(dataset, 19, cache=place, cache_dir=tmp_path / "cache")
        assert "skipped: 1 of 20 images cannot be read: b7.png" in capsys.readouterr().out
        assert len(dataset) == 19
        (tmp_path / "data/trainB/b7.png").rename(tmp_path / "b7.png")
        ((batch, names),) = loader.in_order(19)
        assert seen([batch], tmp_path / "data", "A", "trainA") == [f"a{i % 12}" for i in range(19)]
        assert seen([batch], tmp_path / "data", "B", "trainB") == [f"b{i}" for i in range(20) if i != 7]
        assert len(set(names)) == 19
        (tmp_path / "b7.png").rename(tmp_path / "data/trainB/b7.png")


def test_without_a_cache_a_bad_image_of_B_is_replaced_by_another_of_B_alone(tmp_path, capsys):
    unaligned(tmp_path / "data", 12, 20)
    (tmp_path / "data/trainB/b7.png").write_text("no image")
    dataset = open_data("unaligned", tmp_path / "data", flip=False)
    ((batch, _),) = load(dataset, 20, cache="off").in_order(20)
    assert "warning: b7.png cannot be read" in capsys.readouterr().err
    (tmp_path / "data/trainB/b7.png").unlink()
    assert seen([batch], tmp_path / "data", "A", "trainA") == [f"a{i % 12}" for i in range(20)]
    assert seen([batch], tmp_path / "data", "B", "trainB") == [f"b{i + (i == 7)}" for i in range(20)]


def test_a_part_of_each_collection(tmp_path):
    dataset = unaligned(tmp_path, 10, 4, max_dataset_size=3)
    assert dataset.names == ["a0.png", "a4.png", "a9.png"]
    assert dataset.image_names("B") == ["b0.png", "b2.png", "b3.png"]


# Single and colorization: one folder, or one file


@pytest.mark.parametrize(
    ("files", "options", "names"),
    [
        (["testA/1.png", "testB/2.png", "trainA/3.png"], {}, ["1.png"]),
        (["testA/1.png", "testB/2.png", "trainA/3.png"], {"direction": "BtoA"}, ["2.png"]),
        (["testA/1.png", "trainA/3.png"], {"phase": "train"}, ["3.png"]),
        (["valA/1.png", "trainA/3.png"], {}, ["1.png"]),
        (["test/1.png", "test/sub/1.png", "train/3.png"], {}, ["1.png", "sub/1.png"]),
        (["1.png", "sub/2.jpg", "notes.txt"], {}, ["1.png", "sub/2.jpg"]),
    ],
)
def test_single_reads_the_first_folder_that_is_there(tmp_path, files, options, names):
    for file in files:
        (pictures if file.endswith(("png", "jpg")) else touch)(tmp_path, [file])
    assert open_data("single", tmp_path, **{"phase": "test", **options}).names == names


def touch(folder: Path, names: Sequence[str]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("text")
    return folder


@pytest.mark.parametrize("mode", ["single", "colorization"])
def test_one_file_is_a_data_set(tmp_path, mode):
    pictures(tmp_path, pngs(3))
    dataset = open_data(mode, tmp_path / "1.png", phase="test")
    assert dataset.names == ["1.png"]
    ((batch, names),) = load(dataset, 1).in_order(1)
    assert (len(batch["A"]), names) == (1, ["1.png"])


def test_colorization_of_two_collections_reads_B(tmp_path):
    pictures(tmp_path / "trainA", ["a.png"])
    pictures(tmp_path / "trainB", ["b.png"])
    pictures(tmp_path / "other" / "train", ["c.png"])
    assert open_data("colorization", tmp_path).names == ["b.png"]
    assert open_data("colorization", tmp_path / "other").names == ["c.png"]
    emoji = open_data("colorization", Path("emoji_mini"), crop_size=64, load_size=64)
    assert len(emoji) == 479
    assert emoji.files()[0].parent.name == "trainB"


def test_colorization_shows_lightness_and_colour(tmp_path):
    path = pictures(tmp_path, pngs(6)) / "4.png"
    dataset = open_data("colorization", tmp_path, flip=False)
    assert (dataset.spec.input_nc, dataset.spec.output_nc) == (1, 2)
    batch = load(dataset, 6).preview()
    assert set(batch) == {"A", "B"}
    assert batch["A"].shape == (6, 1, 8, 8)
    assert batch["B"].shape == (6, 2, 8, 8)
    lab = torch.cat([(batch["A"][4] + 1) * 50, batch["B"][4] * 110])
    assert (to_bytes(lab_to_rgb(lab)) == pixels(path)).all()
    assert_close(dataset[4]["B"], batch["B"][4], rtol=0, atol=1e-6)


def test_grey_files_have_no_colour(tmp_path):
    pictures(tmp_path, pngs(2), channels=1)
    assert load(open_data("colorization", tmp_path)).preview()["B"].abs().max() < 1e-5


# Phases


@pytest.mark.parametrize("mode", ["aligned", "unaligned", "single", "colorization"])
def test_val_and_test_stand_in_for_each_other_and_say_so(tmp_path, capsys, mode):
    for folder in ("trainA", "trainB", "valA", "valB"):
        pictures(tmp_path / folder, [f"{folder}.png"] if mode == "unaligned" else ["1.png"])
    dataset = open_data(mode, tmp_path, phase="test")
    assert all(file.parent.name.startswith("val") for file in dataset.files())
    assert capsys.readouterr().out == f"{tmp_path} has nothing for --phase test: reading val\n"


@pytest.mark.parametrize(
    ("mode", "files", "options", "message"),
    [
        ("unaligned", ["trainA/1.png"], {}, "there is trainA/ but no trainB/"),
        ("unaligned", ["trainB/1.png"], {}, "there is trainB/ but no trainA/"),
        (
            "unaligned",
            ["trainA/1.png", "trainB/1.png"],
            {"phase": "test"},
            r"has no testA/ and testB/ for --phase test",
        ),
        ("unaligned", ["1.png"], {}, "has no trainA/ and trainB/ for --phase train"),
        ("unaligned", ["trainA/1.png", "trainB/a.txt"], {}, r"trainB holds no images: its 1 files, such as a\.txt"),
        ("unaligned", ["trainA/1.png", "trainB/sub/.png"], {}, "trainB holds no images"),
        ("aligned", ["train/A/1.png"], {}, "there is train/A/ but no train/B/"),
        ("aligned", ["A/train/1.png"], {}, "there is A/train/ but no B/train/"),
        ("aligned", ["A/1.png"], {}, "there is A/ but no B/"),
        ("aligned", ["trainA/1.png", "trainB/2.png"], {}, r"no name in .*trainA, such as 1\.png, is also in .*trainB"),
        ("aligned", ["1.png"], {}, r"has no pairs for --phase train: neither train/ with A\|B in each file"),
        ("aligned", ["train/1.png"], {"phase": "val"}, "has no pairs for --phase val"),
        ("aligned", ["train/1.txt"], {}, r"train holds no images: its 1 files, such as 1\.txt, are of other kinds"),
        (
            "single",
            ["a.txt", "b/c.md"],
            {"phase": "test"},
            r"its 2 files, such as a\.txt, are of other kinds \(read are",
        ),
        ("colorization", ["train/a.txt"], {}, "train holds no images: its 1 files"),
    ],
)
def test_what_is_missing_is_named(tmp_path, mode, files, options, message):
    for file in files:
        (pictures if Path(file).name[0].isdigit() and file.endswith(".png") else touch)(tmp_path, [file])
    with pytest.raises(FileNotFoundError, match=message):
        open_data(mode, tmp_path, **options)


# Size


@pytest.mark.parametrize(
    ("preprocess", "phase", "decoded", "shown"),
    [
        ("resize_and_crop", "train", (12, 12), (8, 8)),
        ("resize_and_crop", "test", (12, 12), (8, 8)),
        ("crop", "train", (10, 20), (8, 8)),
        ("crop", "test", (10, 20), (8, 8)),
        ("scale_width", "train", (6, 12), (6, 12)),
        ("scale_width", "test", (6, 12), (6, 12)),
        ("scale_width_and_crop", "train", (8, 12), (8, 8)),
        ("scale_width_and_crop", "test", (8, 12), (8, 8)),
        ("none", "train", (10, 20), (10, 20)),
        ("none", "test", (10, 20), (10, 20)),
    ],
)
def test_how_images_come_to_their_size(tmp_path, preprocess, phase, decoded, shown):
    pictures(tmp_path, pngs(2), (20, 10))
    dataset = open_data("single", tmp_path, preprocess=preprocess, load_size=12, crop_size=8, phase=phase)
    assert dataset.decode("A", 0).shape == dataset.shape("A", 0) == (3, *decoded)
    assert dataset.spec.image_size == shown
    assert load(dataset).preview()["A"].shape == (2, 3, *shown)
    assert next(load(dataset).epoch(1))["A"].shape == (2, 3, *shown)


def test_images_of_several_sizes_have_no_common_one(tmp_path):
    pictures(tmp_path, pngs(3), (20, 10))
    picture(tmp_path / "9.png", (21, 10))
    options = {"load_size": 20, "crop_size": 8}
    assert open_data("single", tmp_path, preprocess="none").spec.image_size == (0, 0)
    assert open_data("single", tmp_path, preprocess="scale_width", **options).spec.image_size == (10, 20)  # rounded
    dataset = open_data("single", tmp_path, preprocess="crop", **options)
    assert dataset.spec.image_size == (8, 8)
    for place in ("ram", "off"):
        (batch,) = load(dataset, 4, cache=place).epoch(1)
        assert batch["A"].shape == (4, 3, 8, 8)


@pytest.mark.parametrize("place", ["ram", "disk", "off"])
def test_files_of_several_sizes_keep_them(tmp_path, place):
    sizes = {"1.png": (9, 5), "2.png": (4, 7), "3.png": (4, 7)}
    for name, size in sizes.items():
        picture(tmp_path / "data" / name, size)
    dataset = open_data("single", tmp_path / "data", preprocess="none", phase="test")
    batches = list(load(dataset, 2, cache=place, cache_dir=tmp_path / "cache").in_order(3))
    assert [names for _, names in batches] == [["1.png"], ["2.png", "3.png"]]
    for batch, names in batches:
        for image, name in zip(batch["A"], names, strict=True):
            assert (to_bytes(image) == pixels(tmp_path / "data" / name)).all()


@pytest.mark.parametrize("preprocess", ["crop", "scale_width_and_crop"])
@pytest.mark.parametrize("phase", ["train", "test"])
def test_an_image_smaller_than_the_crop_is_named(tmp_path, preprocess, phase):
    pictures(tmp_path, pngs(12), (20, 20))
    picture(tmp_path / "7.png", (20, 10))
    dataset = open_data("single", tmp_path, preprocess=preprocess, load_size=20, crop_size=15, phase=phase)
    if preprocess == "scale_width_and_crop":  # stretched to the height of the crop
        assert load(dataset, 12).preview()["A"].shape == (12, 3, 15, 15)
        return
    with pytest.raises(ValueError, match=r"7\.png is 20x10 pixels, smaller than --crop_size 15: use --crop_size 10 or"):
        load(dataset)


def test_training_in_larger_batches_needs_one_size(tmp_path):
    for side in "AB":
        pictures(tmp_path / f"train{side}", ["1.png", "2.png"])
        picture(tmp_path / f"train{side}/3.png", (9, 8))
    for mode in ("aligned", "unaligned"):
        dataset = open_data(mode, tmp_path, preprocess="none")
        with pytest.raises(ValueError, match=r"--batch_size 2: 1\.png is 8x8, 3\.png is 9x8: use --batch_size 1, or"):
            load(dataset).check_sizes()
        assert len(list(load(dataset, 1).epoch(1))) == 3


# Options


@pytest.mark.parametrize(
    ("mode", "options", "message"),
    [
        ("aligned", {"load_size": 256, "crop_size": 286}, "--load_size 256 is smaller than --crop_size 286"),
        (
            "single",
            {"load_size": 256, "crop_size": 286, "preprocess": "scale_width_and_crop"},
            "--load_size 256 is smaller than --crop_size 286",
        ),
        ("single", {"value_range": (1.0,)}, "--value_range 1: two numbers are needed, the smaller one first"),
        ("single", {"value_range": (1.0, 1.0)}, "--value_range 1,1: two numbers"),
        ("single", {"value_range": (3.0, -1.5)}, r"--value_range 3,-1\.5: two numbers"),
        ("single", {"value_range": (1.0, 2.0, 3.0)}, "--value_range 1,2,3: two numbers"),
        ("colorization", {"input_nc": 3}, "colorization goes AtoB, from 1 channel"),
        ("colorization", {"output_nc": 3}, "--output_nc 3: colorization goes"),
        ("colorization", {"direction": "BtoA"}, "--direction BtoA .* colorization goes AtoB"),
        ("colorization", {"load_size": 1}, "--load_size 1 is smaller than --crop_size 256"),
    ],
)
def test_options_that_do_not_fit_are_refused_at_once(mode, options, message):
    with pytest.raises(ValueError, match=message):
        find_dataset(mode).Options(dataroot="nowhere", **options)


@pytest.mark.parametrize("preprocess", ["crop", "none", "scale_width"])
def test_load_size_may_be_small_where_it_does_not_matter(preprocess):
    TranslationDataset.Options(dataroot="nowhere", preprocess=preprocess, load_size=10)


# Channels and depth


def test_channels_are_those_of_the_files_or_as_asked(tmp_path):
    pictures(tmp_path / "trainA", pngs(2), channels=1)
    pictures(tmp_path / "trainB", pngs(2))
    for mode in ("aligned", "unaligned"):
        spec = open_data(mode, tmp_path).spec
        assert (spec.input_nc, spec.output_nc) == (1, 3)
        spec = open_data(mode, tmp_path, direction="BtoA").spec
        assert (spec.input_nc, spec.output_nc) == (3, 1)
        dataset = open_data(mode, tmp_path, input_nc=3, output_nc=1)
        assert (dataset.spec.input_nc, dataset.spec.output_nc) == (3, 1)
        assert (len(dataset[0]["A"]), len(dataset[0]["B"])) == (3, 1)
    spec = open_data("single", tmp_path / "trainA").spec
    assert (spec.input_nc, spec.output_nc) == (1, 1)


def test_grey_among_colour_is_read_as_colour(tmp_path):
    pictures(tmp_path, pngs(3))
    picture(tmp_path / "grey.png", channels=1)
    dataset = open_data("single", tmp_path)
    assert dataset.spec.input_nc == 3
    assert len(load(dataset, 4).preview()["A"]) == 4


def test_any_number_of_channels(tmp_path):
    pictures(tmp_path / "trainA", ["1.npy", "2.npy"], channels=6)
    pictures(tmp_path / "trainB", ["1.npy", "2.npy"], channels=2)
    dataset = open_data("aligned", tmp_path)
    assert (dataset.spec.input_nc, dataset.spec.output_nc) == (6, 2)
    assert load(dataset).preview()["A"].shape == (2, 6, 8, 8)


def test_files_that_differ_in_channels_are_refused(tmp_path):
    picture(tmp_path / "1.npy", channels=2)
    picture(tmp_path / "2.npy", channels=4)
    with pytest.raises(ValueError, match=r"1\.npy has 2 channels, .*2\.npy has 4: they cannot be one data set"):
        open_data("single", tmp_path)
    with pytest.raises(ValueError, match=r"it has 2 channels, not 4: see --input_nc and --output_nc"):
        load(open_data("single", tmp_path, input_nc=4))


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
@pytest.mark.parametrize(
    ("suffix", "channels", "dtype"),
    [
        (".png", 1, np.uint8),
        (".png", 3, np.uint8),
        (".png", 1, np.uint16),
        (".npy", 3, np.uint16),
        (".npy", 5, np.uint8),
        (".npy", 2, np.uint16),
    ],
)
@pytest.mark.parametrize("place", ["ram", "disk", "off"])
def test_what_goes_in_comes_out(tmp_path, suffix, channels, dtype, direction, place):
    """The whole way of an identity model: read, cached, made float, saved; the bytes are the same."""
    for side in "AB":
        pictures(
            tmp_path / "data" / f"test{side}", [f"1{suffix}", f"2{suffix}"], (9, 6), channels=channels, dtype=dtype
        )
    root = tmp_path / "data"
    dataset = open_data("aligned", root, preprocess="none", phase="test", direction=direction)
    assert dataset.spec.bit_depth == 8 * np.dtype(dtype).itemsize
    ((batch, names),) = load(dataset, cache=place, cache_dir=tmp_path / "cache").in_order(2)
    for image, name in zip(batch["A"], names, strict=True):
        path = save_image(tmp_path / name.replace(suffix, ".png"), image, dataset.spec.bit_depth)[-1]
        saved = np.load(path) if path.suffix == ".npy" else np.asarray(Image.open(path))
        if path.suffix == ".png" and dtype == np.uint16 and channels == 3:
            saved = cv2_read(path)
        file = root / f"test{direction[0]}" / name
        original = np.load(file) if suffix == ".npy" else np.asarray(Image.open(file))
        assert saved.dtype == dtype
        assert (saved == original).all()


def cv2_read(path: Path) -> np.ndarray:
    import cv2

    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return found[:, :, ::-1]


@pytest.mark.parametrize("place", ["ram", "disk", "off"])
def test_float_data_has_a_range(tmp_path, place):
    for i in range(2):
        np.save(picture(tmp_path / "data" / f"{i}.npy"), np.linspace(-1000, 3000, 64, dtype=np.float32).reshape(8, 8))
    root = tmp_path / "data"
    message = r"0\.npy holds float numbers from -1000 to 3000: .* with --value_range -1000,3000 or another"
    with pytest.raises(ValueError, match=message):
        open_data("single", root)
    dataset = open_data("single", root, value_range=(-1000.0, 3000.0))
    assert (dataset.spec.bit_depth, dataset.spec.value_range) == (32, (-1000, 3000))
    batch = load(dataset, cache=place, cache_dir=tmp_path / "cache").preview()
    assert_close(batch["A"][1].flatten(), torch.linspace(-1, 1, 64))
    assert open_data("single", root, value_range=(-1000.0, 3000.0), bit_depth="8").spec.bit_depth == 8


def test_16_bits_read_as_8_are_mentioned_once(tmp_path, capsys):
    pictures(tmp_path, pngs(4), channels=1, dtype=np.uint16)
    dataset = open_data("single", tmp_path, bit_depth="8")
    load(dataset, 4).preview()
    assert capsys.readouterr().out == (
        f"--bit_depth 8: {tmp_path}/0.png holds 16-bit values, only their upper byte is read "
        "(also in others of its kind)\n"
    )
    upper = np.asarray(Image.open(tmp_path / "2.png")) >> 8
    assert (dataset.decode("A", 2).numpy()[0] == upper).all()


def test_of_several_depths_the_deepest_counts(tmp_path):
    picture(tmp_path / "1.png", channels=1)
    picture(tmp_path / "2.png", channels=1, dtype=np.uint16)
    dataset = open_data("single", tmp_path)
    assert dataset.spec.bit_depth == 16
    assert (to_bytes(dataset[0]["A"])[0] == np.asarray(Image.open(tmp_path / "1.png"))).all()


# Bad files, and files that are none


@pytest.mark.parametrize("preprocess", ["resize_and_crop", "none"])
@pytest.mark.parametrize("mode", ["aligned", "unaligned", "single", "colorization"])
def test_damaged_files_are_named_counted_and_skipped_and_texts_are_no_images(tmp_path, capsys, mode, preprocess):
    for side in "AB":
        pictures(tmp_path / f"train{side}", pngs(22))
        touch(tmp_path / f"train{side}", ["5.png", "notes.txt", ".hidden.png"])
    whole = picture(tmp_path / "trainB/6.png", (60, 60)).read_bytes()
    (tmp_path / "trainB/6.png").write_bytes(whole[:700])
    dataset = open_data(mode, tmp_path, preprocess=preprocess)
    load(dataset, 1)
    out = capsys.readouterr().out
    assert "5.png (UnidentifiedImageError" in out
    assert ".txt" not in out
    assert "hidden" not in out
    if mode != "single":
        assert "skipped: 2 of 22 images cannot be read: 5.png (" in out
    assert len(dataset) == {"single": 21, "unaligned": 21}.get(mode, 20)


def test_a_link_may_lead_out_of_the_folder(tmp_path):
    pictures(tmp_path / "elsewhere", pngs(2))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data/alone.png").symlink_to(tmp_path / "elsewhere/1.png")
    dataset = open_data("single", tmp_path / "data")
    assert dataset.names == ["alone.png", "linked/0.png", "linked/1.png"]
    assert len(dataset[1]["A"]) == 3


def test_the_disk_cache_knows_a_partner_that_changed(tmp_path):
    for side in "AB":
        pictures(tmp_path / "data" / f"train{side}", pngs(2))
    first = open_data("unaligned", tmp_path / "data").fingerprint()
    assert open_data("unaligned", tmp_path / "data").fingerprint() == first
    shutil.copy(tmp_path / "data/trainB/0.png", tmp_path / "data/trainB/1.png")
    assert open_data("unaligned", tmp_path / "data").fingerprint() != first


# The embedded data


def test_the_embedded_pairs_serve_every_mode():
    assert recognize("emoji_mini")[0] == "unaligned"
    for mode, num in (("aligned", 479), ("unaligned", 479), ("single", 479), ("colorization", 479)):
        dataset = open_data(mode, Path("emoji_mini"), load_size=72, crop_size=64)
        assert len(dataset) == num
        assert dataset.spec.image_size == (64, 64)
        assert dataset.spec.bit_depth == 8
        assert len(open_data(mode, Path("emoji_mini"), load_size=72, crop_size=64, phase="test")) == 68


# The command line

TINY = "--ngf 4 --n_epochs 1 --n_epochs_decay 0 --batch_size 2 --device cpu --load_size 8 --crop_size 8"


def test_a_run_on_pairs_and_its_test(bench):
    for part in ("trainA", "trainB", "testA", "testB"):
        pictures(bench.folder / "pairs" / part, ["sub/1.png", "sub/2.png", "1.png"])
    outcome = bench.train(f"--model template --dataset_mode aligned --dataroot pairs --name x {TINY}")
    assert outcome.status == 0, outcome.err
    for part in ("testA", "testB"):  # grey files: the network still takes colour
        pictures(bench.folder / "pairs" / part, ["sub/1.png", "sub/2.png", "1.png"], channels=1)
    outcome = bench.test("--name x --device cpu")
    assert outcome.status == 0, outcome.err
    shown = bench.folder / "results/x/test_latest/images/fake_B"
    assert sorted(p.relative_to(shown).as_posix() for p in shown.rglob("*.png")) == ["1.png", "sub/1.png", "sub/2.png"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--load_size 7", "--load_size 7 is smaller than --crop_size 8: nothing to crop from"),
        ("--preprocess resise", "--preprocess: 'resise' is not a choice (known: resize_and_crop, crop, scale_width, "),
        ("--direction AtoC", "--direction: 'AtoC' is not a choice; did you mean 'AtoB'?"),
        ("--bit_depth 12", "--bit_depth: '12' is not a choice"),
        ("--value_range -1000,-2000", "--value_range -1000,-2000: two numbers are needed, the smaller one first"),
        ("--input_nc -1", "--input_nc: -1 is too small: at least 0"),
    ],
)
def test_a_mistyped_option_ends_in_one_line(bench, options, message):
    pictures(bench.folder / "pairs/train", pngs(2), (16, 8))
    outcome = bench.train(f"--model template --dataset_mode aligned --dataroot pairs {TINY} {options}")
    assert outcome.status == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_folder_that_does_not_fit_the_mode_ends_in_one_line(bench):
    outcome = bench.train(f"--model template --dataset_mode unaligned --dataroot hands {TINY}")
    assert outcome.status == 1
    assert "hands has no trainA/ and trainB/ for --phase train" in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_range_may_be_negative_on_the_command_line(bench):
    path = picture(bench.folder / "ct/0.npy", channels=1)
    words = f"--model template --dataset_mode single --dataroot {path} --value_range -1000,3e3".split()
    assert parse_train("", words, find_model, find_dataset, recognize).data.value_range == (-1000, 3000)


def test_a_record_without_depth_is_of_8_bits():
    spec = DataSpec.from_dict({"image_size": [8, 8], "input_nc": 3, "output_nc": 3, "classes": []})
    assert (spec.bit_depth, spec.value_range) == (8, ())
    deep = spec._replace(bit_depth=32, value_range=(-1000.0, 3000.0))
    assert DataSpec.from_dict(json.loads(json.dumps(deep._asdict()))) == deep
