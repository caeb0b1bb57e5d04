"""The MNIST family's files, packed or not, in torchvision's layouts, whole or damaged."""

import gzip
import tracemalloc

import numpy as np
import pytest
import torch

from data import create_dataset, recognize
from data.files.idx_files import find_idx_files, read_idx
from data.idx_dataset import FASHION, IdxDataset
from data.loading.cache import build_cache
from util.types import DataSpec

SIZE = 5
NUM = {"train": 30, "t10k": 10}


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


def digits(part):
    """Return images whose pixels all have the value of their place, and labels that count 0 to 9."""
    numbers = np.arange(NUM[part])
    return np.broadcast_to(numbers[:, None, None], (NUM[part], SIZE, SIZE)), numbers % 10


def write(folder, packed=True, parts=("train", "t10k")):
    """Write the files of MNIST in small; return ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        images, labels = digits(part)
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
            else:
                (folder / name).write_bytes(idx_bytes(array))
    return folder


def open_idx(folder, phase="train", **options):
    return IdxDataset(IdxDataset.Options(dataroot=str(folder), phase=phase, **{"image_size": SIZE, **options}))


@pytest.mark.parametrize("packed", [True, False], ids=["gz", "plain"])
@pytest.mark.parametrize("layout", ["", "raw", "MNIST/raw"])
def test_files_are_found_packed_or_not_in_every_layout(tmp_path, layout, packed):
    write(tmp_path / layout, packed)
    assert recognize(str(tmp_path))[0] == "idx"
    dataset = open_idx(tmp_path)
    assert len(dataset) == 30
    assert dataset.labels.tolist() == [i % 10 for i in range(30)]
    assert all((dataset.decode("image", i) == i).all() for i in range(30))
    assert dataset.spec == DataSpec((SIZE, SIZE), 1, 1, tuple("0123456789"))


@pytest.mark.parametrize("phase", ["val", "test"])
def test_val_and_test_are_the_t10k_files(tmp_path, phase):
    write(tmp_path)
    assert len(open_idx(tmp_path, phase)) == 10


def test_the_unpacked_file_wins(tmp_path):
    write(tmp_path / "raw", packed=True)
    write(tmp_path / "raw", packed=False)
    assert open_idx(tmp_path).file.suffix == ""


def test_folders_that_bear_the_name_of_a_file_are_no_files(tmp_path):
    """One well-known archive of MNIST unpacks each file into a folder of the same name."""
    write(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").mkdir()
    assert len(open_idx(tmp_path)) == 30


def test_images_are_bytes_as_they_are_or_resized(tmp_path):
    write(tmp_path)
    same, larger = open_idx(tmp_path).decode("image", 7), open_idx(tmp_path, image_size=8).decode("image", 7)
    assert (same.shape, larger.shape) == ((1, 5, 5), (1, 8, 8))
    assert same.dtype == larger.dtype == torch.uint8
    assert (larger == 7).all()
    same.zero_()  # what the caller does with it stays with the caller
    assert (open_idx(tmp_path).decode("image", 7) == 7).all()


def test_a_part_of_the_data_has_all_classes(tmp_path):
    write(tmp_path)
    small = open_idx(tmp_path, max_dataset_size=10)
    assert sorted(small.labels.tolist()) == list(range(10))
    for i, label in enumerate(small.labels.tolist()):
        number = int(small.decode("image", i)[0, 0, 0])
        assert number % 10 == label
        assert small.names[i] == f"{number:05d}.png"


def test_samples_that_are_dropped_leave_the_others_as_they_were(tmp_path):
    write(tmp_path)
    dataset = open_idx(tmp_path)
    dataset.keep([4, 17, 2])
    assert [int(dataset.decode("image", i)[0, 0, 0]) for i in range(3)] == [4, 17, 2]
    assert dataset.labels.tolist() == [4, 7, 2]
    assert dataset.names == ["00004.png", "00017.png", "00002.png"]


def test_fashion_is_known_by_its_folder(tmp_path):
    write(tmp_path / "FashionMNIST" / "raw")
    assert open_idx(tmp_path / "FashionMNIST").spec.classes == FASHION
    assert len(FASHION) == 10


def test_classes_may_be_named(tmp_path):
    write(tmp_path)
    names = tuple("abcdefghijk")
    assert open_idx(tmp_path, class_names=names).spec.classes == names
    with pytest.raises(ValueError, match="names 3 classes, but the data has label 9"):
        open_idx(tmp_path, class_names=("a", "b", "c"))


def test_a_missing_part_is_named(tmp_path):
    write(tmp_path, parts=["train"])
    with pytest.raises(FileNotFoundError, match="no t10k-images-idx"):
        open_idx(tmp_path, "test")
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match="no train-labels-idx"):
        open_idx(tmp_path)


def test_files_without_images(tmp_path):
    for name, shape in (("images-idx3", (0, SIZE, SIZE)), ("labels-idx1", (0,))):
        (tmp_path / f"train-{name}-ubyte").write_bytes(idx_bytes(np.zeros(shape)))
    with pytest.raises(FileNotFoundError, match="holds no images for --phase train"):
        create_dataset("idx", IdxDataset.Options(dataroot=str(tmp_path)))


WHOLE = idx_bytes(np.arange(24).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WHOLE[:-1], "damaged: 23 bytes where"),
        (WHOLE + b"x", "damaged: 25 or more bytes where"),
        (WHOLE[:10], "damaged"),
        (b"", "is not an idx file"),
        (b"\0\0", "is not an idx file"),
        (b"hello, this is a text", "is not an idx file"),
        (b"\0\0\x0d\x01" + bytes(20), "is not an idx file"),  # floats
        (b"\0\0\x08\x07" + bytes(40), "is not an idx file"),  # seven dimensions
    ],
)
@pytest.mark.parametrize("packed", [True, False], ids=["gz", "plain"])
def test_damaged_content_is_named(tmp_path, content, message, packed):
    path = tmp_path / ("train-images-idx3-ubyte" + ".gz" * packed)
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ValueError, match=message) as error:
        read_idx(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_a_damaged_archive_is_named(tmp_path, damage):
    whole = gzip.compress(idx_bytes(np.random.default_rng(0).integers(0, 256, (20, 9, 9))))
    middle = len(whole) // 2
    content = {
        "cut": whole[:middle],
        "flipped": whole[:middle] + bytes(b ^ 0xFF for b in whole[middle : middle + 200]) + whole[middle + 200 :],
        "empty": b"",
        "text": b"no archive",
    }[damage]
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz is"):
        read_idx(path)


def test_whole_content_is_read(tmp_path):
    path = tmp_path / "x-idx3-ubyte"
    path.write_bytes(WHOLE)
    assert read_idx(path).tolist() == np.arange(24).reshape(2, 3, 4).tolist()


def test_images_and_labels_that_do_not_fit(tmp_path):
    write(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(np.arange(29))))
    with pytest.raises(ValueError, match=r"\(30, 5, 5\).*\(29,\).* do not fit"):
        open_idx(tmp_path)


def test_a_folder_of_something_else_has_no_idx_files(tmp_path):
    (tmp_path / "notes.txt").touch()
    assert find_idx_files(tmp_path) == {}
    assert find_idx_files(tmp_path / "nowhere") == {}


@pytest.mark.parametrize(
    ("sides", "message"), [((60_000, 2000, 2000), "inflates to"), ((1, 2, 3), "damaged: 7 or more")]
)
def test_a_packed_file_takes_no_more_memory_than_a_data_set_has(tmp_path, sides, message):
    head = bytes([0, 0, 8, 3]) + b"".join(side.to_bytes(4, "big") for side in sides)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(head + bytes(30_000_000), compresslevel=1))
    assert path.stat().st_size < 200_000
    tracemalloc.start()
    with pytest.raises(ValueError, match=message):
        read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_a_header_that_promises_much_takes_nothing(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(bytes([0, 0, 8, 3]) + b"\xff" * 12)
    with pytest.raises(ValueError, match="damaged: 0 bytes where"):
        read_idx(path)


@pytest.mark.parametrize("place", ["ram", "disk", "off"])
@pytest.mark.parametrize("size", [SIZE, SIZE + 3], ids=["as it is", "resized"])
def test_images_of_the_right_size_are_handed_over_whole(tmp_path, monkeypatch, place, size):
    """MNIST's 60,000 took a second one by one."""
    decoded: list[int] = []
    decode = IdxDataset.decode

    def noted(self, key, index):
        decoded.append(index)
        return decode(self, key, index)

    monkeypatch.setattr(IdxDataset, "decode", noted)
    dataset = open_idx(write(tmp_path / "data"), image_size=size)
    dataset.keep([3, 1, 7, 20])
    cache = build_cache(dataset, place, tmp_path / "cache", torch.device("cpu"), 1)
    assert len(decoded) == (0 if size == SIZE else 4)
    if cache:
        expected = torch.stack([decode(dataset, "image", i) for i in range(4)])
        assert torch.equal(cache.fetch("image", torch.arange(4)), expected)
