"""Layouts of data: what people call phases, wrappers around the data, archives; phases are never classes."""

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from data import create_dataset, find_dataroot, find_dataset, recognize
from data.files.phases import is_of_a_phase, phase_of, phase_or_side
from data.findings import find, tell
from tests.bench import SMALL, Bench
from tests.test_findings import save


def opened(mode, folder, phase="train", **options):
    return create_dataset(mode, find_dataset(mode).Options(dataroot=str(folder), phase=phase, **options))


def test_names_of_phases():
    assert [phase_of(n) for n in ("TRAIN", "Training", "dev", "Valid", "eval", "trainer", "")] == [
        *("train", "train", "val", "val", "test", "", "")
    ]
    assert all(map(is_of_a_phase, ("trainA", "Test_B", "validationa", "val")))
    assert not any(map(is_of_a_phase, ("A", "trainC", "data", "_A", "bullet_train", "test tube", "trainé")))
    around = ("train_images", "Training set", "train2017", "0_train", "seg_train", "trainset", "train-00", "train ")
    assert {phase_of(name) for name in around} == {"train"}
    assert [phase_or_side(name) for name in ("train-A", "test B", "valset_a")] == ["train", "test", "val"]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        *(("training", "testing"), ("Train", "Test"), ("train", "valid"), ("TRAINING", "Dev"), ("Train", "evaluation")),
        *(
            ("seg_train", "seg_test"),
            ("training_set", "test_set"),
            ("train2017", "val2017"),
            ("train_data", "test img"),
        ),
        *(("train/train", "test/test"), ("train-00/train", "Valid")),
    ],
)
def test_phases_are_read_by_the_names_people_use(tmp_path, train, test):
    save(tmp_path, f"{train}/cat/0.png", f"{train}/dog/1.png", f"{test}/cat/2.png")
    for phase, names in {"train": ["cat/0.png", "dog/1.png"], "val": ["cat/2.png"], "test": ["cat/2.png"]}.items():
        dataset = opened("image_folder", tmp_path, phase)
        assert (dataset.names, dataset.spec.classes) == (names, ("cat", "dog"))


def test_the_usual_name_goes_first_and_the_other_is_told(tmp_path):
    save(tmp_path, "train/0.png", "training/1.png", "test/2.png", "eval/3.png")
    assert opened("image_folder", tmp_path, "test").names == ["2.png"]
    dataset = opened("image_folder", tmp_path)
    assert dataset.names == ["0.png"]
    assert find(dataset)["not_read"] == ["eval/", "test/", "training/"]


@pytest.mark.parametrize("name", ["training", "train_2", "trainset"])
def test_a_second_folder_of_the_same_phase_is_warned_of(tmp_path, capsys, name):
    save(tmp_path, "train/0.png", f"{name}/1.png", "test/2.png")
    assert tell(opened("image_folder", tmp_path))["images"].startswith("1 images")
    assert f"warning: {name}/ beside what is read may hold images of --phase train too" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["pets_{}", "{} (pets)", "pets-{}-v2"])
def test_classes_that_differ_in_a_phase_alone_are_refused(tmp_path, name):
    save(tmp_path, *(f"{name.format(p)}/{c}/0.png" for p in ("train", "Test") for c in "ab"))
    with pytest.raises(ValueError, match="differ in the name of a phase alone, so they are no classes: call them"):
        opened("image_folder", tmp_path)
    save(tmp_path / "words", *(f"{c}/{i}.png" for c in ("bullet train", "test tube", "dev kit") for i in range(2)))
    assert len(opened("image_folder", tmp_path / "words").spec.classes) == 3


@pytest.mark.parametrize("mode", ["single", "colorization"])
@pytest.mark.parametrize("there", ["trainA/0.png trainB/0.png", "Train/0.png", "A/0.png validB/0.png"])
def test_images_of_another_phase_do_not_stand_in_for_it(tmp_path, mode, there):
    save(tmp_path, *there.split())
    wanted = "train" if "valid" in there else "test"
    with pytest.raises(FileNotFoundError, match=f"has nothing for --phase {wanted}, but .*: choose another --phase"):
        opened(mode, tmp_path, wanted)


def test_phases_inside_class_folders(tmp_path):
    save(tmp_path, *(f"{c}/{p}/{c}{p}.png" for c in ("cat", "dog") for p in ("Train", "val")))
    assert opened("image_folder", tmp_path).names == ["cat/Train/catTrain.png", "dog/Train/dogTrain.png"]
    held_out = opened("image_folder", tmp_path, "test")
    assert (held_out.names, held_out.spec.classes) == (["cat/val/catval.png", "dog/val/dogval.png"], ("cat", "dog"))
    save(tmp_path, "cow/0.png", "cow/1.png")  # not all classes: then these are folders within classes
    assert len(opened("image_folder", tmp_path, val_fraction=0.0)) == 6


@pytest.mark.parametrize("names", [("test/cat/0.png",), ("testing/0/0.png", "val/0/1.png"), ("a/0.png", "valid/1.png")])
def test_a_phase_without_training_images_is_refused_as_a_class(tmp_path, names):
    save(tmp_path, *names)
    with pytest.raises(ValueError, match=rf"has {names[-1].split('/')[0]}/|has {names[0].split('/')[0]}/") as error:
        opened("image_folder", tmp_path)
    assert f"but no train/: put the training images into {tmp_path}/train" in str(error.value)


def test_test_images_alone_can_be_tested_on(tmp_path):
    save(tmp_path, "testing/cat/0.png", "testing/dog/0.png")
    dataset = opened("image_folder", tmp_path, "test")
    assert (len(dataset), dataset.spec.classes) == (2, ("cat", "dog"))


def test_a_class_called_train_is_warned_of(tmp_path, capsys):
    save(tmp_path, "bus/0.png", "car/0.png", "train/0.png")
    assert len(opened("image_folder", tmp_path)) == 1
    assert "train/ is read as the training images, so bus/, car/ beside it is not read" in capsys.readouterr().err
    save(tmp_path / "sorted", *(f"train/{c}/{i}.png" for c in ("bus", "car", "train") for i in range(2)))
    assert opened("image_folder", tmp_path / "sorted").spec.classes == ("bus", "car", "train")
    assert "the class train in" in capsys.readouterr().err
    save(tmp_path / "twice", "train/train/0.png", "train/test/0.png")
    with pytest.raises(ValueError, match=r"test, train in .* are named after phases, so they are no classes"):
        opened("image_folder", tmp_path / "twice")


@pytest.mark.parametrize(
    ("A", "B"),
    [
        ("A/{}A", "B/{}B"),
        ("A/{}", "B/{}"),
        ("{}_A", "{}_B"),
        ("{}a", "{}b"),
        ("{}/a", "{}/b"),
        ("A/{}ing", "B/{}ing"),
    ],
)
def test_both_sides_in_every_layout(tmp_path, A, B):
    for phase in ("train", "test"):
        save(tmp_path, f"{A.format(phase)}/{phase}1.png", f"{A.format(phase)}/{phase}2.png")
        save(tmp_path, f"{B.format(phase)}/{phase}1.png")
    for phase in ("train", "test"):
        pairs, collections = opened("aligned", tmp_path, phase), opened("unaligned", tmp_path, phase)
        assert pairs.names == [f"{phase}1.png"]
        assert collections.image_names("A") == [f"{phase}1.png", f"{phase}2.png"]
        assert collections.image_names("B") == [f"{phase}1.png"]
        assert opened("single", tmp_path, phase).names == collections.image_names("A")


def test_a_side_whose_phases_have_no_partner_is_named(tmp_path):
    save(tmp_path, "A/trainA/0.png", "B/0.png")
    with pytest.raises(FileNotFoundError, match="there is A/trainA/ but no B/trainB/"):
        opened("unaligned", tmp_path)


@pytest.mark.parametrize(
    "inside", ["train/cat/0.png test/cat/0.png", "trainA/0.png trainB/0.png", "cat/0.png dog/0.png"]
)
@pytest.mark.parametrize("wrapper", ["my data", "v1/images", "a-main/data/images"])
def test_one_wrapper_is_looked_through(tmp_path, inside, wrapper):
    save(tmp_path / wrapper, *inside.split())
    (tmp_path / "README.txt").touch()
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / wrapper / "annotations").mkdir()
    ((tmp_path / wrapper).parent / "labels").mkdir()
    ((tmp_path / wrapper).parent / "labels/0.txt").touch()
    assert find_dataroot(str(tmp_path)) == tmp_path / wrapper
    assert recognize(str(tmp_path))[1] == tmp_path / wrapper / "card.yaml"


@pytest.mark.parametrize("names", ["cat/0.png", "cat/0.png dog/0.png", "x/a/0.png x/b/0.png 1.png", "train/a/0.png"])
def test_other_folders_are_no_wrappers(tmp_path, names):
    save(tmp_path, *names.split())
    assert find_dataroot(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("names", [["all.zip"], ["train.zip", "Test.ZIP"], ["a.zip", "notes.txt"]])
def test_archives_in_a_folder_are_named(tmp_path, names):
    for name in names:
        (tmp_path / name).touch()
    packed = sorted(name for name in names if name != "notes.txt")
    with pytest.raises(FileNotFoundError) as error:
        recognize(str(tmp_path))
    assert str(error.value).endswith(f"give an archive itself ({tmp_path / packed[0]}), or unpack {', '.join(packed)}")


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_an_archive_is_unpacked_once(tmp_path, monkeypatch, capsys, kind):
    monkeypatch.setattr("data.files.dataroot.DATASETS", tmp_path / "datasets")
    save(tmp_path / "in/pets", "Train/cat/0.png", "Train/dog/0.png", "valid/cat/1.png")
    archive = shutil.make_archive(str(tmp_path / "pets"), kind, tmp_path / "in")
    assert recognize(archive)[0] == "image_folder"
    dataset = opened("image_folder", archive)
    assert dataset.names == ["cat/0.png", "dog/0.png"]
    assert dataset.folder.is_relative_to(tmp_path / "datasets/.cache")
    assert capsys.readouterr().out.count("unpacking") == 1
    state = Path(archive).stat()
    os.utime(archive, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    opened("image_folder", archive)
    assert capsys.readouterr().out.count("unpacking") == 1


def test_a_damaged_or_hostile_archive_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("data.files.dataroot.DATASETS", tmp_path / "datasets")
    for name in ("a.zip", "b.tgz", "c.tar"):
        (tmp_path / name).write_bytes(b"PK\3\4 no archive" * 9)
        with pytest.raises(ValueError, match=rf"{name} is damaged or no archive"):
            find_dataroot(str(tmp_path / name))
    with zipfile.ZipFile(tmp_path / "up.zip", "w") as packed:
        packed.writestr("../../../out.png", b"x")
    with pytest.raises(ValueError, match=r"up\.zip is refused: .* would be written outside"):
        find_dataroot(str(tmp_path / "up.zip"))
    assert not list(tmp_path.glob("out.png"))
    assert not list((tmp_path / "datasets/.cache").glob("*.tmp"))


def test_training_never_sees_the_test_images(tmp_path):
    bench = Bench(tmp_path)
    save(tmp_path / "digits", *(f"{p}/{c}/{i}.png" for p in ("training", "Testing") for c in "01" for i in range(3)))
    outcome = bench.train(
        f"--model cgan --dataroot digits --name d --batch_size 2 --n_epochs 1 --n_epochs_decay 0 {SMALL}"
    )
    assert outcome.status == 0, outcome.err
    assert (
        "data: 6 images of 8x8 pixels, 3 channels, 8 bits, numbers from 1 to 254; from digits/training" in outcome.out
    )
    assert "classes: 0 3, 1 3\nnot read: Testing/ (test)" in outcome.out
