"""Batches that follow from (seed, epoch) alone, wherever the images come from."""

import itertools
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from data import create_loader
from data.base_dataset import BaseDataset
from data.files.decode import BadImageError
from data.image_folder_dataset import ImageFolderDataset
from data.loading.cache import build_cache
from data.loading.loader import Loader
from data.loading.undecoded import Undecoded
from data.transforms import MIDDLE, crop, crop_all, flip_some, to_float
from options.train_options import TrainOptions
from tests.bench import save_images
from util.types import Batch, DataSpec

CPU = torch.device("cpu")
NUM, BATCH = 22, 4


class Numbered(BaseDataset):
    """Pairs whose pixels say which sample they are (A) and which column (B), so that a flip can be seen."""

    keys = ("A", "B")

    def __init__(self, num: int = NUM, flip: bool = False, labels: bool = True) -> None:
        super().__init__(BaseDataset.Options(dataroot="numbers", flip=flip))
        self.names = [f"{i}.png" for i in range(num)]
        self.labels = torch.arange(num) % 3 if labels else None
        self.spec = DataSpec((2, 3), 1, 1)

    def decode(self, key, index):
        start = index if key == "A" else 100
        return torch.arange(start, start + 3, dtype=torch.uint8).expand(1, 2, 3).contiguous()

    def files(self):
        return []


def load(dataset, tmp_path, *, place="ram", seed=0, batch_size=BATCH, num_threads=0):
    cache = build_cache(dataset, place, tmp_path / "cache", CPU, num_threads)
    return Loader(dataset, cache, batch_size=batch_size, seed=seed, device=CPU, num_threads=num_threads)


def assert_same(first, second):
    assert_close([dict(b) for b in first], [dict(b) for b in second], rtol=0, atol=0)


def columns(images):
    """Return the pixel values of the first row of each image, as bytes."""
    return ((images[:, 0, 0] + 1) * 127.5).round().long()


def samples(batches):
    """Return which samples an epoch saw, in order, whether flipped or not."""
    return [int(row.min()) for batch in batches for row in columns(batch["A"])]


def flips(batches):
    """Return {sample: flipped} of an epoch."""
    return {int(row.min()): bool(row[0] > row[2]) for batch in batches for row in columns(batch["A"])}


# The same batches everywhere


@pytest.mark.parametrize("num_threads", [0, 2])
def test_cached_and_decoded_batches_are_the_same_bit_for_bit(tmp_path, num_threads):
    root = save_images(tmp_path / "hands", ("paper", "rock", "scissors"), num=6)
    options = ImageFolderDataset.Options(dataroot=str(root), image_size=5, flip=True, val_fraction=0.0)
    epochs = {}
    for place in ("ram", "disk", "gpu", "off"):
        loader = load(ImageFolderDataset(options), tmp_path, place=place, num_threads=num_threads)
        epochs[place] = list(itertools.chain(loader.epoch(1), loader.epoch(2), [loader.preview(7)]))
        epochs[place] += [batch for batch, _ in loader.in_order(10)]
    assert len(epochs["ram"]) == 2 * 4 + 1 + 3
    for place in ("disk", "gpu", "off"):
        assert_same(epochs[place], epochs["ram"])
    assert epochs["ram"][0]["image"].dtype == torch.float32
    assert epochs["ram"][0]["label"].dtype == torch.int64


@pytest.mark.parametrize("place", ["ram", "disk"])
def test_batches_that_are_fetched_ahead_are_the_same(tmp_path, monkeypatch, place):
    monkeypatch.setattr("data.loading.loader.pinned", torch.Tensor.clone)  # to pin memory takes a GPU
    loader = load(Numbered(flip=True), tmp_path, place=place)
    assert not loader.is_ahead  # on a CPU
    expected = [*loader.epoch(1), *loader.epoch(2, first=3), loader.preview(7)]
    loader.is_ahead = True
    assert_same([*loader.epoch(1), *loader.epoch(2, first=3), loader.preview(7)], expected)


def test_the_number_of_threads_makes_no_difference(tmp_path):
    first, second = (load(Numbered(flip=True), tmp_path, place="off", num_threads=n) for n in (0, 2))
    assert_same(first.epoch(3), second.epoch(3))


def test_loading_leaves_the_random_numbers_of_training_alone(tmp_path):
    for place, num_threads in (("ram", 0), ("off", 0), ("off", 2)):
        loader = load(Numbered(flip=True), tmp_path, place=place, num_threads=num_threads)
        state = torch.get_rng_state()
        list(loader.epoch(1))
        loader.preview()
        list(loader.in_order(3))
        assert torch.equal(torch.get_rng_state(), state), (place, num_threads)


def test_the_random_numbers_of_training_make_no_difference(tmp_path):
    loader = load(Numbered(flip=True), tmp_path)
    torch.manual_seed(1)
    first = list(loader.epoch(1))
    torch.manual_seed(2)
    assert_same(first, loader.epoch(1))


# Order


def test_an_epoch_sees_each_sample_at_most_once_and_drops_the_rest(tmp_path):
    loader = load(Numbered(), tmp_path)
    batches = list(loader.epoch(1))
    assert len(loader) == len(batches) == NUM // BATCH == 5
    assert all(len(batch["A"]) == len(batch["B"]) == len(batch["label"]) == BATCH for batch in batches)
    assert len(set(samples(batches))) == 20
    assert samples(batches) != sorted(samples(batches))


def test_every_sample_is_seen_when_the_batches_come_out_even(tmp_path):
    assert sorted(samples(load(Numbered(20), tmp_path).epoch(1))) == list(range(20))


def test_the_samples_that_are_dropped_differ_from_epoch_to_epoch(tmp_path):
    loader = load(Numbered(), tmp_path)
    assert set().union(*(samples(loader.epoch(e)) for e in range(1, 9))) == set(range(NUM))


def test_the_order_differs_by_epoch_and_by_seed(tmp_path):
    orders = [tuple(samples(load(Numbered(), tmp_path, seed=s).epoch(e))) for s in (0, 1) for e in (1, 2, 3)]
    assert len(set(orders)) == 6


def test_labels_belong_to_their_images(tmp_path):
    for batch in load(Numbered(), tmp_path).epoch(1):
        assert batch["label"].tolist() == [number % 3 for number in samples([batch])]


def test_data_without_labels_has_none(tmp_path):
    assert set(next(load(Numbered(labels=False), tmp_path).epoch(1))) == {"A", "B"}


@pytest.mark.parametrize(("place", "num_threads"), [("ram", 0), ("off", 0), ("off", 2)])
@pytest.mark.parametrize("first", [0, 2, 4, 5])
def test_an_epoch_goes_on_from_any_batch(tmp_path, first, place, num_threads):
    loader = load(Numbered(flip=True), tmp_path, place=place, num_threads=num_threads)
    assert_same(loader.epoch(3, first=first), list(loader.epoch(3))[first:])


def test_processes_share_the_batches_of_one_with_all_images(tmp_path):
    def epoch(first, **parts):
        return list(Loader(Numbered(), None, seed=0, device=CPU, num_threads=0, **parts).epoch(2, first))

    for first in (0, 1):
        whole = epoch(first, batch_size=2 * BATCH)
        halves = [epoch(first, batch_size=BATCH, part=part, num_parts=2) for part in (0, 1)]
        joined = [{key: torch.cat([a[key], b[key]]) for key in a} for a, b in zip(*halves, strict=True)]
        assert_same(joined, whole)
        assert len(whole) == 2 - first
    with pytest.raises(ValueError, match="--batch_size 12 of 2 processes is more than the 22 images"):
        epoch(0, batch_size=12, part=0, num_parts=2)


def test_images_fewer_than_the_batch_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--batch_size 23 is more than the 22 images there are"):
        load(Numbered(), tmp_path, batch_size=23)
    assert len(list(load(Numbered(), tmp_path, batch_size=22).epoch(1))) == 1


def test_bad_files_count_before_the_batch_size_is_checked(tmp_path):
    root = save_images(tmp_path / "hands", num=6)
    (root / "rock" / "0.png").write_text("no image")
    options = ImageFolderDataset.Options(dataroot=str(root), image_size=5, val_fraction=0.0)
    with pytest.raises(ValueError, match="--batch_size 12 is more than the 11 images"):
        load(ImageFolderDataset(options), tmp_path, batch_size=12)


def test_a_batch_is_not_changed_by_the_next_one(tmp_path):
    loader = load(Numbered(), tmp_path)
    batches = loader.epoch(1)
    first = next(batches)
    kept = Batch({key: value.clone() for key, value in first.items()})
    first["A"] += 1
    next(batches)
    first["A"] -= 1
    assert_same([first], [kept])
    assert_same([next(loader.epoch(1))], [kept])


# Flips


def test_half_of_the_images_are_mirrored_and_both_of_a_pair_alike(tmp_path):
    batches = list(load(Numbered(200, flip=True), tmp_path).epoch(1))
    for batch in batches:
        A, B = columns(batch["A"]), columns(batch["B"])
        assert ((A[:, 0] > A[:, 2]) == (B[:, 0] > B[:, 2])).all()
        assert (A.sort(1).values - A.min(1, keepdim=True).values == torch.arange(3)).all()
    assert 70 < sum(flips(batches).values()) < 130


def test_nothing_is_mirrored_unless_asked_for(tmp_path):
    assert not any(flips(load(Numbered(200), tmp_path).epoch(1)).values())


def test_a_flip_follows_from_seed_epoch_and_sample(tmp_path):
    dataset = Numbered(20, flip=True)
    by_four, by_five = (flips(load(dataset, tmp_path, batch_size=b).epoch(1)) for b in (4, 5))
    assert by_four == by_five
    others = [flips(load(dataset, tmp_path, seed=s).epoch(e)) for s, e in ((0, 2), (0, 3), (1, 1))]
    assert all(other != by_four for other in others)


def test_flip_some_mirrors_the_columns_only():
    images = torch.arange(2 * 3 * 4).reshape(1, 2, 3, 4).expand(50, -1, -1, -1).float()
    flipped = flip_some(images, torch.arange(50).numpy(), 1, 2)
    same = (flipped == images).flatten(1).all(1)
    mirrored = (flipped == images.flip(3)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 0 < same.sum() < 50


def test_bytes_become_floats_from_minus_one_to_one():
    floats = to_float(torch.arange(256, dtype=torch.uint8))
    assert floats.dtype == torch.float32
    assert floats[[0, 255]].tolist() == [-1, 1]
    assert_close(floats[1:] - floats[:-1], torch.full((255,), 2 / 255))


# In order, and a preview


def test_in_order_gives_all_samples_with_their_names_not_flipped(tmp_path):
    loader = load(Numbered(flip=True), tmp_path)
    pairs = list(loader.in_order(NUM))
    assert [len(names) for _, names in pairs] == [4, 4, 4, 4, 4, 2]
    assert samples(batch for batch, _ in pairs) == list(range(NUM))
    assert [name for _, names in pairs for name in names] == loader.dataset.names
    assert not any(flips(batch for batch, _ in pairs).values())
    assert samples(batch for batch, _ in loader.in_order(3)) == [0, 1, 2]


def test_the_preview_is_from_all_over_the_data_and_always_the_same(tmp_path):
    loader = load(Numbered(100, flip=True), tmp_path)
    assert samples([loader.preview(4)]) == [0, 33, 66, 99]
    assert samples([loader.preview(1)]) == [0]
    assert not any(flips([loader.preview()]).values())
    assert len(loader.preview()["A"]) == 66
    assert len(load(Numbered(), tmp_path).preview()["A"]) == NUM
    assert_same([loader.preview()], [loader.preview()])


# Crops


class Squares(Numbered):
    """Images of 6 rows and 7 columns whose pixels say where they are: 10 * row + column, for both keys."""

    def __init__(self, *, paired: bool = True, phase: str = "train") -> None:
        super().__init__(40, labels=False)
        self.opt = BaseDataset.Options(dataroot="squares", phase=cast(Any, phase))
        self.spec = DataSpec((3, 3), 1, 1)
        self.crop_size = 3
        self.paired = paired  # type: ignore[misc]

    def decode(self, key, index):
        return (10 * torch.arange(6)[:, None] + torch.arange(7)).to(torch.uint8)[None]

    def shape(self, key, index):
        return 1, 6, 7


def corners(images):
    """Return (top, left) of each square; all of it must be there."""
    pixels = columns(images.flatten(2)[:, :, None]).reshape(-1, 3, 3)
    offset = 10 * torch.arange(3)[:, None] + torch.arange(3)
    assert (pixels - pixels[:, :1, :1] == offset).all()
    return [divmod(int(p[0, 0]), 10) for p in pixels]


def test_crops_are_everywhere_and_the_same_for_both_of_a_pair(tmp_path):
    batches = [b for e in range(1, 13) for b in load(Squares(), tmp_path).epoch(e)]
    found = [c for b in batches for c in corners(b["A"])]
    assert set(found) == {(top, left) for top in range(4) for left in range(5)}
    assert found == [c for b in batches for c in corners(b["B"])]


def test_unpaired_images_are_cropped_and_mirrored_each_on_its_own(tmp_path):
    batches = list(load(Squares(paired=False), tmp_path).epoch(1))
    same = [a == b for batch in batches for a, b in zip(corners(batch["A"]), corners(batch["B"]), strict=True)]
    assert 0 < sum(same) < 10
    mirrored = Numbered(200, flip=True)
    mirrored.paired = False  # type: ignore[misc]
    batches = list(load(mirrored, tmp_path).epoch(1))
    both = [(row[0] > row[2]) for batch in batches for key in "AB" for row in columns(batch[key])]
    assert 140 < sum(map(int, both)) < 260
    per_key = [[row[0] > row[2] for batch in batches for row in columns(batch[key])] for key in "AB"]
    assert 60 < sum(a == b for a, b in zip(*per_key, strict=True)) < 140


def test_crops_are_from_the_middle_where_nothing_is_random(tmp_path):
    loader = load(Squares(), tmp_path)
    assert set(corners(loader.preview()["A"])) == {(2, 2)}
    assert all(set(corners(batch["A"])) == {(2, 2)} for batch, _ in loader.in_order(40))
    assert corners(loader.dataset[5]["B"][None]) == [(2, 2)]


def test_crop_all_crops_each_image_where_crop_does():
    images = torch.rand(20, 2, 9, 7)
    places = np.random.default_rng(0).random((20, 2))
    expected = torch.stack([crop(image, 4, place) for image, place in zip(images, places, strict=True)])
    assert torch.equal(crop_all(images, 4, places), expected)
    assert crop_all(images, 0, MIDDLE) is images
    assert crop(images[0], 9 - 2, places[0]).shape == (2, 7, 7)


def test_16_bits_become_floats_from_minus_one_to_one():
    floats = to_float(torch.tensor([-32768, 0, 32767], dtype=torch.int16))
    assert_close(floats, torch.tensor([-1, 1 / 65535, 1]), rtol=0, atol=1e-7)


# Several sizes


class Ragged(Numbered):
    """Images of two sizes, in runs of three."""

    def __init__(self, *, phase: str = "train", labels: bool = False) -> None:
        super().__init__(14, labels=labels)
        self.opt = BaseDataset.Options(dataroot="ragged", phase=cast(Any, phase), flip=True)
        self.spec = DataSpec((0, 0), 1, 1)

    def decode(self, key, index):
        _, height, width = self.shape(key, index)
        return torch.full((1, height, width), int(self.names[index].split(".")[0]), dtype=torch.uint8)

    def shape(self, key, index):
        return 1, 2 + int(self.names[index].split(".")[0]) // 3 % 2, 5


@pytest.mark.parametrize("place", ["ram", "disk", "off"])
def test_images_of_several_sizes_train_one_by_one(tmp_path, place):
    loader = load(Ragged(), tmp_path, place=place, batch_size=1)
    assert_same(loader.epoch(1), load(Ragged(), tmp_path, batch_size=1).epoch(1))
    assert sorted(samples(loader.epoch(1))) == list(range(14))
    for batch in loader.epoch(1):
        assert batch["A"].shape == batch["B"].shape == (1, 1, 2 + samples([batch])[0] // 3 % 2, 5)


@pytest.mark.parametrize("place", ["ram", "disk", "off"])
def test_images_of_several_sizes_are_batched_by_size_in_order(tmp_path, place):
    loader = load(Ragged(phase="test"), tmp_path, place=place, batch_size=2)
    pairs = list(loader.in_order(14))
    assert [len(names) for _, names in pairs] == [2, 1] * 4 + [2]
    assert samples(batch for batch, _ in pairs) == list(range(14))
    assert len(loader.preview()["A"]) == 8  # those of the size of the first
    assert set(samples([loader.preview()])) == {0, 1, 2, 6, 7, 8, 12, 13}


def test_images_of_several_sizes_make_no_larger_batches_for_training(tmp_path):
    with pytest.raises(
        ValueError, match=r"--batch_size 2: 0\.png is 5x2, 3\.png is 5x3: use --batch_size 1, or a --pr"
    ):
        load(Ragged(), tmp_path, batch_size=2).check_sizes()


def test_an_image_too_small_to_be_judged_is_named(tmp_path):
    load(Ragged(), tmp_path, batch_size=1).check_sizes(2)
    with pytest.raises(ValueError, match=r"0\.png is 5x2, and --netD takes images of 3 pixels or more"):
        load(Ragged(), tmp_path, batch_size=1).check_sizes(3)
    load(Numbered(), tmp_path, batch_size=1).check_sizes(99)  # images of one size are the model's to judge


def test_serial_batches_come_in_order(tmp_path):
    dataset = Numbered()
    dataset.opt = BaseDataset.Options(dataroot="numbers", serial_batches=True)
    loader = load(dataset, tmp_path)
    assert samples(loader.epoch(1)) == samples(loader.epoch(2)) == list(range(20))


# Nothing is done before it is needed


def test_the_first_batch_of_many_samples_waits_for_no_others(tmp_path):
    """A million samples took ten seconds to be picked; now as many are as the batches that are under way take."""
    dataset = Numbered()
    picked = []
    pick = dataset.pick
    dataset.pick = lambda key, indices, draw: [picked.append(key), pick(key, indices, draw)][1]  # type: ignore
    for place in ("ram", "off"):
        picked.clear()
        next(load(dataset, tmp_path, place=place).epoch(1))
        assert picked == ["A", "B"], place


class Damaged(Numbered):
    """Samples of two classes, some of which are bad, whose decoding is noted."""

    def __init__(self, bad: tuple[str, ...], num: int = 30) -> None:
        super().__init__(num)
        self.bad, self.decoded = bad, list[str]()
        self.labels = torch.arange(num) % 2

    def decode(self, key, index):
        self.decoded.append(self.names[index])
        if self.names[index] in self.bad:
            raise BadImageError("it is bad")
        return super().decode(key, index)


def uncached(dataset, tmp_path, num_threads=0, trains=True):
    opt = TrainOptions(model="cgan", cache="off", cache_dir=tmp_path, num_threads=num_threads)
    return create_loader(dataset, opt, 2, CPU, trains=trains)


def test_without_a_cache_nothing_is_decoded_before_it_is_needed(tmp_path):
    dataset = Damaged(())
    batches = uncached(dataset, tmp_path).epoch(1)
    assert dataset.decoded == []
    next(batches)
    assert len(set(dataset.decoded)) == 2


@pytest.mark.parametrize("num_threads", [0, 2])
def test_another_image_of_its_class_stands_in_for_a_bad_one_which_is_told_once(tmp_path, capsys, num_threads):
    loader = uncached(Damaged(("7.png", "9.png", "29.png")), tmp_path, num_threads)
    first = [(n, label) for b in loader.epoch(1) for n, label in zip(samples([b]), b["label"].tolist(), strict=True)]
    assert sorted(n for n, _ in first) == sorted([*(set(range(30)) - {7, 9, 29}), 11, 11, 1])
    assert all(number % 2 == label for number, label in first)
    list(loader.epoch(2))
    err = capsys.readouterr().err
    assert err.count("warning") == err.count("it is bad): another image takes its place") == 3
    assert err.count("7.png cannot be read") == 1


def test_what_is_tested_is_no_other_image(tmp_path, capsys):
    dataset = Damaged(("7.png",))
    loader = uncached(dataset, tmp_path, trains=False)
    assert len(dataset) == 29 and "1 of 30 images cannot be read: 7.png" in capsys.readouterr().out
    dataset.bad = ("8.png",)  # damaged since it was looked at
    with pytest.raises(ValueError, match=r"1 of 29 images cannot be read: 8\.png \(it is bad\): is numbers the right"):
        list(loader.in_order(29))


def test_a_folder_of_bad_images_ends_the_run(tmp_path):
    with pytest.raises(ValueError, match=r"40 of 60 images cannot be read: .* is numbers the right folder"):
        list(uncached(Damaged(tuple(f"{i}.png" for i in range(60)), 60), tmp_path).epoch(1))


def test_no_list_of_stand_ins_is_made_for_each_of_a_million_samples():
    dataset = Numbered(labels=False)
    dataset.names = range(10**15)  # type: ignore[assignment]  no list of so many fits anywhere
    assert list(itertools.islice(Undecoded(dataset, True)._like("A", 5), 2)) == [5, 6]
