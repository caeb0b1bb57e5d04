"""What every data set class must do, checked for every file in data/, and how one is chosen."""

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from data import create_dataset, find_dataroot, find_dataset, recognize
from data.loading.cache import Place, build_cache
from data.loading.loader import Loader
from options.declare import flags
from tests.bench import save_images
from util.registry import list_names
from util.types import DataSpec

NUM, SIZE = 12, 8  # samples that a folder holds, and the side of its images


def idx_files(folder: Path) -> Path:
    numbers = np.random.default_rng(0)
    labels = np.arange(NUM) % 3
    for part in ("train", "t10k"):
        images = numbers.integers(0, 256, (NUM, SIZE, SIZE))
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
            (folder / name).write_bytes(header + array.astype(np.uint8).tobytes())
    return folder


def class_folders(folder: Path) -> Path:
    for part in ("train", "test"):
        save_images(folder / part, num=NUM // 2, size=SIZE)
    return folder


def pictures(folder: Path, size: tuple[int, int], num: int = NUM) -> Path:
    """Write ``num`` RGB images of ``size`` = (width, height) into ``folder``; no two folders get the same."""
    folder.mkdir(parents=True)
    numbers = np.random.default_rng(list(folder.name.encode()))
    for i in range(num):
        pixels = numbers.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def pairs(folder: Path) -> Path:
    for part in ("train", "test"):
        pictures(folder / part, (24, 14))
    return folder


def collections(folder: Path) -> Path:
    for part in ("trainA", "trainB", "testA", "testB"):
        pictures(folder / part, (12, 14))
    return folder


# What a data set class is tried on, and with which options: class folders and --image_size unless it stands here.
CROPPED = {"load_size": SIZE + 3, "crop_size": SIZE}
TRIED_ON: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "idx": (idx_files, {"image_size": SIZE}),
    "aligned": (pairs, CROPPED),
    "unaligned": (collections, CROPPED),
    "single": (collections, CROPPED),
    "colorization": (collections, CROPPED),
}
OTHERS: tuple[Callable[[Path], Path], dict[str, Any]] = (class_folders, {"image_size": SIZE})
NAMES = list_names("data", "_dataset")


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def root(name, tmp_path):
    (tmp_path / "data").mkdir()
    return TRIED_ON.get(name, OTHERS)[0](tmp_path / "data")


@pytest.fixture
def dataset(name, root):
    return open_dataset(name, root)


def open_dataset(name, root, **options):
    options = TRIED_ON.get(name, OTHERS)[1] | options
    return create_dataset(name, find_dataset(name).Options(dataroot=str(root), **options))


def test_every_row_of_the_table_is_for_a_class_that_exists():
    assert set(TRIED_ON) <= set(NAMES)
    assert {"image_folder", "idx", "template", "aligned", "unaligned", "single", "colorization"} <= set(NAMES)


def test_every_option_but_dataroot_has_a_default_and_all_have_help(name):
    for flag in flags(find_dataset(name).Options):
        assert flag.rule.help, flag.name
        assert (flag.default is dataclasses.MISSING) == (flag.name == "dataroot"), flag.name


def test_the_spec_says_what_a_model_must_know(dataset):
    spec = dataset.spec
    assert isinstance(spec, DataSpec)
    assert spec.image_size == (SIZE, SIZE)
    assert {spec.input_nc, spec.output_nc} <= {1, 2, 3}
    assert DataSpec.from_dict(spec._asdict()) == spec
    assert all(isinstance(c, str) for c in spec.classes)
    assert len(set(spec.classes)) == spec.num_classes
    assert (dataset.labels is None) == (spec.classes == ())


def test_samples_are_float_images_from_minus_one_to_one(dataset):
    assert len(dataset) == NUM
    for index in range(NUM):
        sample = dataset[index]
        keys = set(sample) - {"path", "label"}
        assert keys == ({"A", "B"} if dataset.keys == ("RGB",) else set(dataset.keys))
        assert ("label" in sample) == bool(dataset.spec.classes)
        assert sample["path"] == dataset.names[index]
        for key in keys:
            nc = dataset.spec.input_nc if key == "A" else dataset.spec.output_nc
            assert sample[key].dtype == torch.float32
            assert sample[key].shape == (nc, *dataset.spec.image_size)
            assert -1 <= sample[key].min() < sample[key].max() <= 1
        if dataset.spec.classes:
            assert sample["label"].dtype == torch.int64
            assert sample["label"].shape == ()
            assert 0 <= sample["label"] < dataset.spec.num_classes


def test_what_is_decoded_has_the_shape_that_was_promised_and_is_always_the_same(dataset):
    for key in dataset.keys:
        first, again = dataset.decode(key, 1), dataset.decode(key, 1)
        assert first.dtype == dataset.dtype == torch.uint8
        for index in range(len(dataset.image_names(key))):
            assert dataset.decode(key, index).shape == dataset.shape(key, index)
        assert torch.equal(first, again)
        assert not torch.equal(first, dataset.decode(key, 2))
        first.zero_()
        assert torch.equal(dataset.decode(key, 1), again)


def test_names_can_be_names_of_result_files(dataset):
    assert len(set(dataset.names)) == len(dataset) == len(dataset.names)
    for each in map(PurePosixPath, dataset.names):
        assert not each.is_absolute()
        assert ".." not in each.parts
        assert each.suffix


@pytest.mark.parametrize("place", ["ram", "off"])
def test_the_loader_gives_the_same_samples(dataset, tmp_path, place):
    expected = [dataset[i] for i in range(NUM)]
    cpu = torch.device("cpu")
    cache = build_cache(dataset, place, tmp_path / "cache", cpu, 2)
    loader = Loader(dataset, cache, batch_size=5, seed=0, device=cpu, num_threads=0)
    seen = 0
    for batch, names in loader.in_order(NUM):
        for i, name in enumerate(names):
            sample = {key: value[i] for key, value in batch.items()} | {"path": name}
            assert_close(sample | {"path": None}, expected[seen] | {"path": None}, rtol=0, atol=0)
            assert name == expected[seen]["path"]
            seen += 1
    assert seen == NUM


def test_an_epoch_is_the_same_from_every_place(name, root, tmp_path):
    epochs = []
    places: list[tuple[Place, int]] = [("ram", 2), ("disk", 0), ("off", 0), ("off", 2)]
    for place, num_threads in places:
        dataset = open_dataset(name, root, flip=True)
        cache = build_cache(dataset, place, tmp_path / "cache", torch.device("cpu"), num_threads)
        loader = Loader(dataset, cache, batch_size=5, seed=1, device=torch.device("cpu"), num_threads=num_threads)
        batches = [*loader.epoch(1), *loader.epoch(2), *loader.epoch(2, first=1), loader.preview(3)]
        epochs.append([dict(batch) for batch in batches])
    assert len(epochs[0]) == 2 + 2 + 1 + 1
    for epoch in epochs[1:]:
        assert_close(epoch, epochs[0], rtol=0, atol=0)
    assert_close(epochs[0][4], epochs[0][3], rtol=0, atol=0)


def test_samples_that_are_dropped_leave_the_others_as_they_were(dataset):
    before = {dataset.names[i]: dataset[i] for i in range(NUM)}
    dataset.keep([7, 0, 3])
    assert len(dataset) == 3
    for i in range(3):
        sample = dataset[i]
        assert_close(sample | {"path": None}, before[sample["path"]] | {"path": None}, rtol=0, atol=0)
    assert list(before).index(dataset.names[0]) == 7


def test_a_part_of_the_data_has_all_classes(name, root):
    small = open_dataset(name, root, max_dataset_size=6)
    assert len(small) == 6
    if small.labels is not None:
        assert set(small.labels.tolist()) == set(range(small.spec.num_classes))
    assert small.spec == open_dataset(name, root).spec


def test_test_data_is_other_data(name, root, dataset):
    test = open_dataset(name, root, phase="test")
    assert test.spec == dataset.spec
    assert {str(f) for f in test.files()}.isdisjoint(str(f) for f in dataset.files())


def test_the_fingerprint_changes_with_the_files_and_the_options(name, root, dataset):
    first = dataset.fingerprint()
    assert open_dataset(name, root).fingerprint() == first
    assert open_dataset(name, root, max_dataset_size=NUM - 1).fingerprint() != first
    files = dataset.files()
    assert files
    with files[-1].open("ab") as file:
        file.write(b"x")
    assert dataset.fingerprint() != first


def test_worker_processes_get_an_equal_copy(dataset):
    copy = pickle.loads(pickle.dumps(dataset))
    assert_close(copy[3] | {"path": None}, dataset[3] | {"path": None}, rtol=0, atol=0)


def test_an_empty_folder_is_refused(name, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError) as error:
        open_dataset(name, tmp_path / "empty")
    assert str(tmp_path / "empty") in str(error.value)


# Which data set


def test_a_dataroot_is_a_path_or_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr("data.files.dataroot.DATASETS", tmp_path / "datasets")
    for folder in ("datasets/hands", "datasets/digits", "datasets/.cache", "here/hands"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert find_dataroot("digits") == tmp_path / "datasets" / "digits"
    assert find_dataroot(str(tmp_path / "here")) == tmp_path / "here"
    monkeypatch.chdir(tmp_path / "here")
    assert find_dataroot("hands").resolve() == tmp_path / "here" / "hands"  # a path goes first
    with pytest.raises(FileNotFoundError, match=r"did you mean 'hands'\? \(in datasets/ there are: digits, hands\)"):
        find_dataroot("hand")


def test_class_folders_and_flat_folders_are_recognized(tmp_path):
    save_images(tmp_path / "hands", num=1)
    mode, card = recognize(str(tmp_path / "hands"))
    assert (mode, card) == ("image_folder", tmp_path / "hands" / "card.yaml")
    assert recognize(str(tmp_path / "hands" / "rock"))[0] == "image_folder"


@pytest.mark.parametrize(
    ("layout", "mode"),
    [
        (collections, "unaligned"),
        (pairs, "image_folder"),  # 24x14
        (lambda folder: pictures(folder / "train", (16, 8)).parent, "aligned"),
        (lambda folder: pictures(folder / "train" / "wide", (16, 8)).parents[1], "image_folder"),
        (lambda folder: pictures(folder / "train", (16, 8)) / "0.png", "single"),
    ],
)
def test_layouts_of_translation_are_recognized(tmp_path, layout, mode):
    assert recognize(str(layout(tmp_path)))[0] == mode


def test_one_image_that_is_not_a_pair_makes_a_folder_no_pairs(tmp_path):
    folder = pictures(tmp_path / "train", (16, 8))
    (folder / "text.png").write_text("no image")
    assert recognize(str(tmp_path))[0] == "aligned"
    Image.new("RGB", (15, 8)).save(folder / "7.png")
    assert recognize(str(tmp_path))[0] == "image_folder"


def test_a_folder_of_neither_images_nor_idx_files(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"no images in .* and no idx files"):
        recognize(str(tmp_path))


def test_an_unknown_data_set_class_is_named_with_the_nearest():
    with pytest.raises(LookupError, match=r"no file data/image_foldr_dataset\.py; did you mean 'image_folder'\?"):
        find_dataset("image_foldr")
