"""Decoding once: places to keep the images, bad files, and the files of the disk cache."""

import _thread
import errno
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from PIL import Image

from data.base_dataset import BaseDataset
from data.files.decode import BadImageError
from data.image_folder_dataset import ImageFolderDataset
from data.loading import cache as cache_module
from data.loading import cache_file
from data.loading.cache import Place, choose_place
from data.loading.loader import Loader
from data.single_dataset import SingleDataset
from tests.bench import save_images
from util.types import DataSpec

CPU = torch.device("cpu")
PLACES = ("gpu", "ram", "disk", "off")  # without a GPU the first is memory too


class Counted(BaseDataset):
    """Samples whose pixels have the value of their number; some are bad, and every look is noted."""

    keys = ("A", "B")

    def __init__(self, num: int, bad: tuple[int, ...] = ()) -> None:
        super().__init__(BaseDataset.Options(dataroot="numbers"))
        self.names = [f"{i}.png" for i in range(num)]
        self.labels: torch.Tensor = torch.arange(num) % 3
        self.spec = DataSpec((2, 3), 1, 3)
        self.bad = bad
        self.looks: list[tuple[str, str]] = []

    def decode(self, key, index):
        name = self.names[index]
        self.looks.append((key, name))
        number = int(name.split(".")[0])
        if number in self.bad:
            raise BadImageError(f"number {number} is bad")
        return torch.full((1 if key == "A" else 3, 2, 3), number + (100 if key == "B" else 0), dtype=torch.uint8)

    def files(self):
        return []


def build_cache(dataset: BaseDataset, place: str, folder: Path, device: torch.device, num_threads: int) -> Any:
    """Build a cache, which is None when ``place`` is "off"."""
    return cache_module.build_cache(dataset, cast(Place, place), folder, device, num_threads)


def numbers_in(cache, key="A"):
    """Return the value of each sample of a dataset, as the cache has it."""
    return cache.fetch(key, torch.arange(len(cache.rows[key])))[:, 0, 0, 0].tolist()


def leftovers(folder: Path) -> list[str]:
    return [f.name for f in folder.iterdir() if f.suffix == ".tmp"] if folder.exists() else []


# What is kept


@pytest.mark.parametrize("num_threads", [0, 1, 4])
@pytest.mark.parametrize("place", PLACES)
def test_every_image_is_decoded_once(tmp_path, place, num_threads):
    dataset = Counted(50)
    cache = build_cache(dataset, place, tmp_path, CPU, num_threads)
    assert sorted(dataset.looks) == sorted((k, n) for k in "AB" for n in dataset.names)
    if place == "off":
        assert cache is None
        assert list(tmp_path.iterdir()) == []
        return
    assert numbers_in(cache, "A") == list(range(50))
    assert numbers_in(cache, "B") == list(range(100, 150))
    few = cache.fetch("B", torch.tensor([7, 3, 7]))
    assert few.dtype == torch.uint8
    assert few.shape == (3, 3, 2, 3)
    assert few[:, 2, 1, 2].tolist() == [107, 103, 107]


def test_what_is_fetched_is_the_callers_own(tmp_path):
    for place in ("ram", "disk"):
        cache = build_cache(Counted(5), place, tmp_path, CPU, 0)
        cache.fetch("A", torch.arange(5)).zero_()
        assert numbers_in(cache) == [0, 1, 2, 3, 4]


def test_auto_takes_what_has_room(tmp_path, monkeypatch):
    assert choose_place(1000, CPU) == "ram"
    monkeypatch.setattr(cache_module, "_free_memory", lambda: 1000)
    assert choose_place(int(1000 * cache_module.SHARE) - 1, CPU) == "ram"
    assert choose_place(1000, CPU) == "disk"
    build_cache(Counted(100), "auto", tmp_path, CPU, 0)  # 100 * (6 + 18) bytes
    assert len(list(tmp_path.glob("*.bin"))) == 2


def test_free_memory_is_known_or_guessed(monkeypatch):
    assert cache_module._free_memory() > 2**20
    monkeypatch.setattr(Path, "read_text", lambda _self: "MemTotal: 3 kB\nMemAvailable:   2048 kB\n")
    assert cache_module._free_memory() == 2048 * 1024
    monkeypatch.setattr(Path, "read_text", lambda _self: "something else")
    assert cache_module._free_memory() == 4 * 2**30


def test_images_of_a_shape_that_was_not_promised_are_refused(tmp_path):
    class Uneven(Counted):
        def decode(self, key, index):
            return super().decode(key, index)[:, : 1 if index == 9 else 2]

    for place in PLACES:
        with pytest.raises(ValueError, match=r"9\.png decodes to \(1, 1, 3\), not to \(1, 2, 3\)"):
            build_cache(Uneven(20), place, tmp_path, CPU, 2)
    assert list(tmp_path.iterdir()) == []


# Bad files


@pytest.mark.parametrize("place", PLACES)
def test_bad_files_are_named_counted_and_skipped(tmp_path, place, capsys):
    dataset = Counted(40, bad=(3, 17))
    cache = build_cache(dataset, place, tmp_path, CPU, 2)
    assert capsys.readouterr().out == (
        "skipped: 2 of 40 images cannot be read: 3.png (number 3 is bad); 17.png (number 17 is bad)\n"
    )
    good = [i for i in range(40) if i not in (3, 17)]
    assert dataset.names == [f"{i}.png" for i in good]
    assert dataset.labels.tolist() == [i % 3 for i in good]
    if cache:
        assert numbers_in(cache) == good
    assert [int(dataset[i]["path"].split(".")[0]) for i in range(len(dataset))] == good


def test_the_first_file_may_be_bad(tmp_path):
    dataset = Counted(20, bad=(0, 1))
    assert numbers_in(build_cache(dataset, "ram", tmp_path, CPU, 0)) == list(range(2, 20))


def test_a_second_run_from_disk_names_them_too(tmp_path, capsys):
    build_cache(Counted(40, bad=(3, 17)), "disk", tmp_path, CPU, 2)
    first = capsys.readouterr().out
    dataset = Counted(40, bad=(3, 17))
    cache = build_cache(dataset, "disk", tmp_path, CPU, 2)
    assert capsys.readouterr().out == first
    assert len(dataset) == len(numbers_in(cache)) == 38
    assert dataset.looks == []


@pytest.mark.parametrize("place", PLACES)
def test_more_than_a_tenth_bad_stops(tmp_path, place):
    assert len(Counted(20, bad=(1, 2))) == 20
    build_cache(Counted(20, bad=(1, 2)), "ram", tmp_path, CPU, 0)
    with pytest.raises(ValueError, match=r"3 of 20 images cannot be read: 1\.png .*more than a tenth"):
        build_cache(Counted(20, bad=(1, 2, 3)), place, tmp_path, CPU, 0)
    assert list(tmp_path.iterdir()) == []


def test_of_many_bad_files_the_first_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"30 of 60 .*; 19\.png \(number 19 is bad\); and 10 more\. That") as error:
        build_cache(Counted(60, bad=tuple(range(30))), "ram", tmp_path, CPU, 2)
    assert "20.png" not in str(error.value)


def test_nothing_but_bad_files(tmp_path):
    with pytest.raises(ValueError, match=r"5 of 5 images cannot be read: 0\.png .* all of numbers"):
        build_cache(Counted(5, bad=(0, 1, 2, 3, 4)), "ram", tmp_path, CPU, 0)


def test_text_and_truncated_files_in_a_folder(tmp_path, capsys):
    root = save_images(tmp_path / "hands", num=12)
    (root / "rock" / "text.jpg").write_text("no image")
    Image.effect_noise((64, 64), 50).save(root / "rock" / "cut.jpg")
    (root / "rock" / "cut.jpg").write_bytes((root / "rock" / "cut.jpg").read_bytes()[:700])
    dataset = ImageFolderDataset(ImageFolderDataset.Options(dataroot=str(root), image_size=8, val_fraction=0.0))
    assert len(dataset) == 26
    build_cache(dataset, "ram", tmp_path / "cache", CPU, 2)
    assert len(dataset) == 24
    out = capsys.readouterr().out
    assert out.startswith("skipped: 2 of 26 images cannot be read: rock/cut.jpg (")
    assert "truncated" in out
    assert "rock/text.jpg (UnidentifiedImageError" in out
    assert {Path(n).suffix for n in dataset.names} == {".png"}


# The files of the disk cache


@pytest.fixture
def root(tmp_path):
    return save_images(tmp_path / "hands", num=5)


class Folder(ImageFolderDataset):
    """A folder that counts what it decodes."""

    def __init__(self, root: Path, **options: Any) -> None:
        options = {"image_size": 8, "val_fraction": 0.0, **options}
        super().__init__(ImageFolderDataset.Options(dataroot=str(root), **options))
        self.num_looks = 0

    def decode(self, key, index):
        self.num_looks += 1
        return super().decode(key, index)


def build_on_disk(root: Path, **options: Any) -> tuple[int, torch.Tensor]:
    """Return how many images were decoded, and all images."""
    dataset = Folder(root, **options)
    cache = build_cache(dataset, "disk", root.parent / "cache", CPU, 2)
    return dataset.num_looks, cache.fetch("image", torch.arange(len(dataset)))


def test_the_disk_cache_is_found_again(root):
    num_looks, images = build_on_disk(root)
    assert num_looks == 10
    again = build_on_disk(root)
    assert again[0] == 0
    assert torch.equal(again[1], images)
    assert leftovers(root.parent / "cache") == []


def change_pixels(root):
    Image.new("RGB", (8, 8), "red").save(root / "rock" / "0.png")


def change_time(root):
    os.utime(root / "rock" / "0.png", ns=(0, 0))


def add_file(root):
    shutil.copy(root / "rock" / "0.png", root / "rock" / "99.png")


def rename_file(root):
    (root / "rock" / "0.png").rename(root / "rock" / "98.png")


@pytest.mark.parametrize("change", [change_pixels, change_time, add_file, rename_file])
def test_the_disk_cache_is_made_anew_when_a_file_changes(root, change):
    build_on_disk(root)
    change(root)
    num_looks, images = build_on_disk(root)
    assert num_looks == len(images)
    expected = Folder(root)
    assert torch.equal(images, torch.stack([expected.decode("image", i) for i in range(len(expected))]))


@pytest.mark.parametrize("option", [{"image_size": 4}, {"channels": "1"}, {"val_fraction": 0.5}, {"phase": "test"}])
def test_the_disk_cache_is_made_anew_for_other_options(root, option):
    build_on_disk(root, val_fraction=0.2)
    num_looks, images = build_on_disk(root, **{"val_fraction": 0.2, **option})
    assert num_looks == len(images)


def test_another_folder_of_the_same_names_has_a_cache_of_its_own(root):
    _, images = build_on_disk(root)
    other = shutil.copytree(root, root.parent / "other", copy_function=shutil.copy2)
    Image.new("RGB", (8, 8), "red").save(other / "rock" / "0.png")
    assert not torch.equal(build_on_disk(other)[1], images)


@pytest.mark.parametrize("missing", ["json", "bin"])
def test_a_cache_that_lacks_a_file_is_made_anew(root, missing):
    _, images = build_on_disk(root)
    for file in (root.parent / "cache").glob(f"*.{missing}"):
        file.unlink()
    num_looks, again = build_on_disk(root)
    assert num_looks == 10
    assert torch.equal(again, images)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, OSError])
def test_an_interrupted_build_leaves_nothing_and_the_next_one_works(tmp_path, error):
    class Interrupted(Counted):
        def decode(self, key, index):
            if index == 33:
                raise error
            return super().decode(key, index)

    with pytest.raises(error):
        build_cache(Interrupted(100), "disk", tmp_path, CPU, 2)
    assert list(tmp_path.iterdir()) == []
    assert numbers_in(build_cache(Counted(100), "disk", tmp_path, CPU, 2)) == list(range(100))


def test_a_build_that_is_killed_leaves_nothing_that_is_taken_for_whole(tmp_path):
    class Killed(Counted):
        def decode(self, key, index):
            if index == 60:
                os._exit(9)
            return super().decode(key, index)

    pid = os.fork()
    if pid == 0:
        build_cache(Killed(100), "disk", tmp_path, CPU, 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    assert {f.suffix for f in tmp_path.iterdir()} == {".tmp"}
    dataset = Counted(100)
    assert numbers_in(build_cache(dataset, "disk", tmp_path, CPU, 2)) == list(range(100))
    assert len(dataset.looks) == 200
    for file in tmp_path.glob("*.tmp"):
        os.utime(file, (time.time() - 90_000,) * 2)
    build_cache(Counted(101), "disk", tmp_path, CPU, 2)  # clears up after a day
    assert leftovers(tmp_path) == []


def test_ctrl_c_does_not_wait_for_the_rest(tmp_path):
    class Slow(Counted):
        def decode(self, key, index):
            if index == 40:
                _thread.interrupt_main()
            time.sleep(0.001)
            return super().decode(key, index)

    dataset = Slow(2000)
    with pytest.raises(KeyboardInterrupt):
        build_cache(dataset, "ram", tmp_path, CPU, 2)
    assert len(dataset.looks) < 1000


def test_ctrl_c_while_the_bar_is_drawn_does_not_wait_either(tmp_path, monkeypatch):
    def interrupt(_bar, _num):
        raise KeyboardInterrupt

    monkeypatch.setattr("data.loading.cache.tqdm.update", interrupt)
    dataset = Counted(20_000)
    with pytest.raises(KeyboardInterrupt):
        build_cache(dataset, "ram", tmp_path, CPU, 2)
    assert len(dataset.looks) < 20_000


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    def refuse(_file, _start, length):
        assert length >= 100 * 6
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match=r"--cache disk: No space left on device: \S+ needs 600 bytes; choose another"):
        build_cache(Counted(100), "disk", tmp_path, CPU, 2)
    assert list(tmp_path.iterdir()) == []


def test_the_cache_of_another_user_can_be_read(tmp_path):
    build_cache(Counted(5), "disk", tmp_path, CPU, 0)
    for file in tmp_path.iterdir():
        file.chmod(0o444)
    assert numbers_in(build_cache(Counted(5), "disk", tmp_path, CPU, 0)) == [0, 1, 2, 3, 4]


def test_the_record_says_which_files_were_bad(tmp_path):
    build_cache(Counted(40, bad=(3,)), "disk", tmp_path, CPU, 0)
    (record,) = tmp_path.glob("*.json")
    assert json.loads(record.read_text())["content"]["noted"] == {"A": {"3": "number 3 is bad"}}


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def empty(path):
    path.write_bytes(b"")


def longer(path):
    path.write_bytes(path.read_bytes() + b"0")


def zeros(path):
    path.write_bytes(bytes(len(path.read_bytes())))


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def text(path):
    path.write_text("no cache")


def deep(path):
    path.write_text("[" * 100_000)


def list_of_one(path):
    path.write_text("[1]")


def earlier_version(path):
    path.write_text('{"A": {"3": "number 3 is bad"}}')


def another_format(path):
    found = json.loads(path.read_text())
    found["content"]["format"] += 1
    path.write_text(json.dumps(found))


DAMAGES = [cut, empty, longer, zeros, flip_a_bit, text]
OF_RECORDS = [cut, empty, zeros, flip_a_bit, text, deep, list_of_one, earlier_version, another_format]


@pytest.mark.parametrize(
    ("kind", "damage"), [*(("bin", damage) for damage in DAMAGES), *(("json", damage) for damage in OF_RECORDS)]
)
def test_a_damaged_cache_is_made_anew_with_a_line(tmp_path, kind, damage, capsys):
    build_cache(Counted(40, bad=(3,)), "disk", tmp_path, CPU, 2)
    for file in tmp_path.glob(f"*.{kind}"):
        damage(file)
    capsys.readouterr()
    dataset = Counted(40, bad=(3,))
    cache = build_cache(dataset, "disk", tmp_path, CPU, 2)
    assert len(dataset.looks) == 80 - 1  # the other image of a bad pair is not looked at
    error = capsys.readouterr().err
    assert error.startswith("warning: the disk cache is damaged and made anew: ")
    assert error.count("\n") == 1
    assert numbers_in(cache) == [i for i in range(40) if i != 3]
    again = Counted(40, bad=(3,))
    build_cache(again, "disk", tmp_path, CPU, 2)
    assert again.looks == []
    assert capsys.readouterr().err == ""


def test_the_block_that_is_damaged_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cache_file, "BLOCK", 100)
    build_cache(Counted(40), "disk", tmp_path, CPU, 2)  # A has 240 bytes
    (path,) = tmp_path.glob("*_A.bin")
    content = bytearray(path.read_bytes())
    content[239] ^= 1
    path.write_bytes(content)
    build_cache(Counted(40), "disk", tmp_path, CPU, 2)
    assert f"{path}: the checksum of the block at byte 200 is wrong" in capsys.readouterr().err


@pytest.mark.parametrize("sizes", [(8,), (8, 12)], ids=["of one size", "of several"])
def test_a_cache_that_is_cut_short_under_a_run_is_left_for_the_images(tmp_path, sizes, capsys):
    root = save_images(tmp_path / "data", ("train",), num=6)
    Image.new("RGB", (sizes[-1], 8)).save(root / "train" / "5.png")

    def open_loader(place):
        options = SingleDataset.Options(dataroot=str(root), preprocess="none")
        dataset = SingleDataset(options)
        cache = build_cache(dataset, place, tmp_path / "cache", CPU, 1)
        more: Any = {"batch_size": 1, "seed": 0, "device": CPU, "num_threads": 0}
        return Loader(dataset, cache, **more)

    expected = [batch["A"] for batch in open_loader("ram").epoch(1)]
    loader = open_loader("disk")
    batches = loader.epoch(1)
    found = [next(batches)["A"]]
    for file in (tmp_path / "cache").glob("*.bin"):
        os.truncate(file, 100)
    found += [batch["A"] for batch in batches]
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
    assert "_A.bin was cut short" in capsys.readouterr().err
    assert all(torch.equal(a["A"], b) for a, b in zip(loader.epoch(1), expected, strict=True))
    assert capsys.readouterr().err == ""  # once
