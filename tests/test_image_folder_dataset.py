"""Class folders and flat folders, with and without a split of their own."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data import create_dataset, recognize
from data.image_folder_dataset import ImageFolderDataset


def save(folder, *names, mode="RGB", size=(8, 8)):
    """Write small images that all differ; return ``folder``."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.frombuffer((name * 600)[: size[0] * size[1] * 3].encode(), np.uint8).reshape(*size, 3)
        Image.fromarray(pixels).convert(mode).save(path)
    return folder


def open_folder(folder, phase="train", **options):
    options = {"image_size": 8, **options}
    return ImageFolderDataset(ImageFolderDataset.Options(dataroot=str(folder), phase=phase, **options))


def names_by_class(dataset):
    found: dict[str, list[str]] = {name: [] for name in dataset.spec.classes}
    for name, label in zip(dataset.names, dataset.labels.tolist(), strict=True):
        found[dataset.spec.classes[label]].append(name)
    return found


@pytest.fixture
def hands(tmp_path):
    """Class folders without a split: 20 of paper, 10 of rock, 5 of scissors."""
    numbers = {"paper": 20, "rock": 10, "scissors": 5}
    return save(tmp_path / "hands", *(f"{c}/{i}.png" for c, n in numbers.items() for i in range(n)))


# Classes


def test_folders_are_the_classes(hands):
    dataset = open_folder(hands, val_fraction=0.0)
    assert dataset.spec.classes == ("paper", "rock", "scissors")
    assert {name: len(found) for name, found in names_by_class(dataset).items()} == {
        "paper": 20,
        "rock": 10,
        "scissors": 5,
    }
    assert all(n.startswith(f"{c}/") for c, found in names_by_class(dataset).items() for n in found)
    assert dataset.names[:11] == [f"paper/{i}.png" for i in range(11)]


def test_class_2_comes_before_class_10(tmp_path):
    save(tmp_path, *(f"{c}/{i}.png" for c in (10, 9, 2, 1) for i in range(2)))
    assert open_folder(tmp_path).spec.classes == ("1", "2", "9", "10")


def test_folders_within_a_class_belong_to_it(tmp_path):
    save(tmp_path, "cat/a/1.png", "cat/b/c/2.png", "dog/3.png")
    dataset = open_folder(tmp_path, val_fraction=0.0)
    assert names_by_class(dataset) == {"cat": ["cat/a/1.png", "cat/b/c/2.png"], "dog": ["dog/3.png"]}


def test_one_folder_is_one_class(tmp_path):
    save(tmp_path, "only/1.png", "only/2.png")
    dataset = open_folder(tmp_path, val_fraction=0.0)
    assert dataset.spec.classes == ("only",)
    assert dataset.labels.tolist() == [0, 0]


def test_loose_images_beside_class_folders_are_skipped_and_named(hands, capsys):
    save(hands, "cover.png")
    dataset = open_folder(hands, val_fraction=0.0)
    assert len(dataset) == 35
    assert "skipped 1 images that lie in no class folder, such as cover.png" in capsys.readouterr().out


def test_empty_folders_and_other_files_are_no_classes(hands):
    (hands / "well").mkdir()
    (hands / "lizard").mkdir()
    (hands / "lizard" / "notes.txt").touch()
    assert open_folder(hands).spec.classes == ("paper", "rock", "scissors")


def test_a_flat_folder_has_no_labels(tmp_path):
    save(tmp_path, *(f"{i}.png" for i in range(12)))
    train, held_out = open_folder(tmp_path), open_folder(tmp_path, "test")
    assert train.labels is None
    assert train.spec.classes == ()
    assert train.spec.num_classes == 0
    assert (len(train), len(held_out)) == (11, 1)
    assert set(train.names) | set(held_out.names) == {f"{i}.png" for i in range(12)}
    assert "label" not in train[0]


# The held-out part


def test_the_held_out_part_is_stratified_disjoint_and_complete(hands):
    train, test = open_folder(hands), open_folder(hands, "test")
    assert {c: len(n) for c, n in names_by_class(test).items()} == {"paper": 2, "rock": 1, "scissors": 1}
    assert not set(train.names) & set(test.names)
    assert len(train) + len(test) == 35
    assert train.spec == test.spec


def test_the_held_out_part_is_the_same_every_time_and_for_val_and_test(hands):
    assert open_folder(hands, "test").names == open_folder(hands, "test").names == open_folder(hands, "val").names
    copy = save(hands.parent / "elsewhere", *open_folder(hands, val_fraction=0.0).names)
    assert open_folder(copy, "test").names == open_folder(hands, "test").names


def test_nothing_need_be_held_out(hands):
    assert len(open_folder(hands, val_fraction=0.0)) == 35
    with pytest.raises(FileNotFoundError, match="holds no images for --phase test"):
        options = ImageFolderDataset.Options(dataroot=str(hands), phase="test", val_fraction=0.0)
        create_dataset("image_folder", options)


def test_a_list_says_what_is_held_out(hands, tmp_path):
    wanted = ["paper/3.png", "rock/0.png", "rock/1.png"]
    (tmp_path / "list.txt").write_text("".join(f"hands/{name}\n" for name in wanted))
    options = {"val_list": str(tmp_path / "list.txt"), "val_fraction": 0.5}
    assert open_folder(hands, "test", **options).names == wanted
    train = open_folder(hands, **options)
    assert len(train) == 32
    assert not set(train.names) & set(wanted)
    assert train.spec.classes == open_folder(hands, "test", **options).spec.classes == ("paper", "rock", "scissors")


def test_a_list_of_a_flat_folder(tmp_path):
    save(tmp_path / "flat", *(f"{i}.png" for i in range(5)))
    (tmp_path / "list.txt").write_text("3.png\nflat/4.png\n")
    assert open_folder(tmp_path / "flat", "test", val_list=str(tmp_path / "list.txt")).names == ["3.png", "4.png"]


def test_a_list_that_names_a_missing_file(hands, tmp_path):
    (tmp_path / "list.txt").write_text("paper/99.png\n")
    with pytest.raises(ValueError, match=r"line 1: paper/99\.png is not among the images"):
        open_folder(hands, val_list=str(tmp_path / "list.txt"))


# Folders train/, val/, test/


def test_train_and_test_folders_are_taken_as_they_are(tmp_path):
    save(tmp_path, "train/a/1.png", "train/a/2.png", "train/b/1.png", "test/a/9.png", "test/b/8.png", "test/b/9.png")
    train, test = open_folder(tmp_path, val_fraction=0.9), open_folder(tmp_path, "test")
    assert train.names == ["a/1.png", "a/2.png", "b/1.png"]
    assert test.names == ["a/9.png", "b/8.png", "b/9.png"]
    assert open_folder(tmp_path, "val").names == test.names
    assert train.spec == test.spec
    assert train.spec.classes == ("a", "b")


def test_val_and_test_are_two_things_where_both_exist(tmp_path):
    save(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/2.png", "test/a/3.png")
    assert open_folder(tmp_path, "val").names == ["a/2.png"]
    assert open_folder(tmp_path, "test").names == ["a/3.png"]


def test_val_stands_in_for_test(tmp_path):
    save(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/2.png")
    assert open_folder(tmp_path, "test").names == ["a/2.png"]


def test_a_class_missing_from_test_keeps_its_index(tmp_path):
    save(tmp_path, "train/a/1.png", "train/b/1.png", "train/c/1.png", "test/a/2.png", "test/c/2.png")
    test = open_folder(tmp_path, "test")
    assert test.spec.classes == ("a", "b", "c")
    assert test.labels.tolist() == [0, 2]


def test_a_class_that_only_test_has_is_refused(tmp_path):
    save(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/2.png", "test/well/2.png")
    with pytest.raises(ValueError, match="classes that are not trained: well"):
        open_folder(tmp_path, "test")


def test_only_train_is_split(tmp_path):
    save(tmp_path, *(f"train/{c}/{i}.png" for c in "ab" for i in range(10)))
    train, test = open_folder(tmp_path), open_folder(tmp_path, "test")
    assert (len(train), len(test)) == (18, 2)
    assert train.spec.classes == test.spec.classes == ("a", "b")
    assert not set(train.names) & set(test.names)


def test_flat_train_and_test_folders(tmp_path):
    save(tmp_path, "train/1.png", "train/2.png", "test/3.png")
    assert open_folder(tmp_path).names == ["1.png", "2.png"]
    assert open_folder(tmp_path, "test").names == ["3.png"]
    assert open_folder(tmp_path).labels is None


def test_a_list_beside_a_test_folder_is_refused(tmp_path):
    save(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/2.png")
    (tmp_path / "list.txt").write_text("a/1.png\n")
    for phase in ("train", "test"):
        with pytest.raises(ValueError, match=r"--val_list .* has its own test or val folder"):
            open_folder(tmp_path, phase, val_list=str(tmp_path / "list.txt"))


# Size and channels


def test_a_part_of_the_data_has_all_classes_in_proportion(hands):
    small = open_folder(hands, val_fraction=0.0, max_dataset_size=7)
    assert len(small) == 7
    assert {c: len(n) for c, n in names_by_class(small).items()} == {"paper": 4, "rock": 2, "scissors": 1}
    assert small.names == open_folder(hands, val_fraction=0.0, max_dataset_size=7).names
    assert small.spec.classes == ("paper", "rock", "scissors")
    assert len(open_folder(hands, val_fraction=0.0, max_dataset_size=1)) == 1
    assert len(open_folder(hands, val_fraction=0.0, max_dataset_size=34)) == 34
    assert len(open_folder(hands, val_fraction=0.0, max_dataset_size=99)) == 35


@pytest.mark.parametrize(
    ("mode", "channels", "expected"), [("L", "auto", 1), ("RGB", "auto", 3), ("L", "3", 3), ("RGB", "1", 1)]
)
def test_channels_are_those_of_the_files_or_as_asked_for(tmp_path, mode, channels, expected):
    save(tmp_path, "a/1.png", "b/2.png", mode=mode)
    dataset = open_folder(tmp_path, channels=channels)
    assert (dataset.spec.input_nc, dataset.spec.output_nc) == (expected, expected)
    assert dataset.decode("image", 0).shape == (expected, 8, 8)


def test_one_colour_image_among_grey_ones_makes_all_of_them_rgb(tmp_path):
    save(tmp_path, *(f"a/{i}.png" for i in range(5)), mode="L")
    save(tmp_path, "b/1.png")
    assert open_folder(tmp_path, val_fraction=0.0).spec.output_nc == 3


def test_a_damaged_file_has_no_say_in_the_channels(tmp_path):
    save(tmp_path, *(f"a/{i}.png" for i in range(5)), mode="L")
    (tmp_path / "a" / "text.png").write_text("no image")
    assert open_folder(tmp_path, val_fraction=0.0).spec.output_nc == 1


def test_images_have_the_size_that_was_asked_for(tmp_path):
    save(tmp_path, "a/1.png", size=(30, 20))
    save(tmp_path, "b/1.png", size=(5, 9))
    dataset = open_folder(tmp_path, image_size=16, val_fraction=0.0)
    assert dataset.spec.image_size == (16, 16)
    assert [dataset.decode("image", i).shape for i in range(2)] == [(3, 16, 16)] * 2


def test_a_folder_without_images(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no images for --phase train"):
        create_dataset("image_folder", ImageFolderDataset.Options(dataroot=str(tmp_path)))


def test_opening_many_files_reads_few_of_them(tmp_path, monkeypatch):
    """What opening costs must not grow with the files' contents: nothing is decoded, a thousand headers are read."""
    for c in range(60):
        (tmp_path / f"c{c}").mkdir()
        for i in range(20):
            (tmp_path / f"c{c}" / f"{i}.png").touch()
    opened = []
    monkeypatch.setattr("data.image_folder_dataset.is_grey", lambda path: opened.append(path))
    dataset = open_folder(tmp_path)
    assert (len(dataset), dataset.spec.num_classes) == (1080, 60)
    assert len(opened) == 1000


@pytest.mark.parametrize("layout", ["c{}/{}.png", "train/c{}/{}.png", "wrapper/Train/c{}/{}.png"])
def test_opening_many_folders_lists_each_a_few_times_and_looks_at_no_file(tmp_path, monkeypatch, layout):
    for c in range(40):
        (tmp_path / layout.format(c, 0)).parent.mkdir(parents=True)
        for i in range(3):
            (tmp_path / layout.format(c, i)).touch()
    monkeypatch.setattr("data.image_folder_dataset.is_grey", lambda path: True)
    listed, scandir = Counter[str](), os.scandir

    def counting(path):
        listed[str(path)] += 1
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counting)
    assert recognize(str(tmp_path))[0] == "image_folder"
    assert open_folder(tmp_path, val_fraction=0.0).spec.num_classes == 40
    classes = [num for path, num in listed.items() if Path(path).name.startswith("c")]
    assert (len(classes), sorted(classes)[20]) == (40, 1)
    assert max(classes) <= 6


def test_images_that_are_not_square_are_squashed_or_their_middle_is_cropped(tmp_path):
    stripes = np.zeros((8, 24), np.uint8)
    stripes[:, 8:16] = 255
    (tmp_path / "wide").mkdir()
    for i in range(4):
        Image.fromarray(stripes).save(tmp_path / "wide" / f"{i}.png")
    squashed, cropped = (open_folder(tmp_path / "wide", fit=fit).decode("image", 0) for fit in ("squash", "crop"))
    assert cropped.shape == squashed.shape == (1, 8, 8)
    assert (cropped == 255).all()
    assert squashed[0, 4, 0] < 50
    assert open_folder(tmp_path / "wide", fit="crop").fingerprint() != open_folder(tmp_path / "wide").fingerprint()
