"""Shards: tar files in webdataset's layout, read where they lie."""

import io
import os
import signal
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data import create_dataset, create_loader, find_dataset, recognize
from data.files import dataroot as dataroot_module
from data.files.shard_index import make_index, open_index
from data.files.tars import list_members
from data.findings import find, lines
from data.loading.loader import Loader
from data.loading.order import MIXED, RUN, in_blocks
from options.base_options import BaseOptions
from tests.bench import SMALL, Bench, in_child
from tests.ranks import together
from tests.test_resume import assert_same_run, by, interrupted

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def datasets(tmp_path, monkeypatch):
    """Keep indices in a folder of the test."""
    (tmp_path / "datasets").mkdir()
    monkeypatch.setattr(dataroot_module, "DATASETS", tmp_path / "datasets")
    return tmp_path / "datasets"


def image(number: int, size: tuple[int, int] = (8, 8), kind: str = "png") -> bytes:
    """Return an image file whose pixels are ``number``."""
    content = io.BytesIO()
    if kind == "npy":
        np.save(content, np.full((*size[::-1], 3), number, np.uint8))
    else:
        Image.new("RGB", size, (number, number, number)).save(content, kind, lossless=True)
    return content.getvalue()


def write_tar(path: Path, members: Mapping[str, Any], form: int = tarfile.PAX_FORMAT) -> Path:
    """Write a tar of members {name: bytes, or text, or a TarInfo of another kind}."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as tar:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            content = b"" if isinstance(content, tarfile.TarInfo) else content
            content = content.encode() if isinstance(content, str) else content
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def labelled(folder: Path, num: int = 12, per_shard: int = 4, name: str = "{}.tar") -> Path:
    """Write shards whose image i is of number i and class i mod 3."""
    for start in range(0, num, per_shard):
        members: dict[str, bytes | str] = {}
        for i in range(start, min(num, start + per_shard)):
            members |= {f"{i:06d}.png": image(i), f"{i:06d}.cls": str(i % 3)}
        write_tar(folder / name.format(f"{start // per_shard:03d}"), members)
    return folder


def pairs(folder: Path, num: int = 6, **options: Any) -> Path:
    members: dict[str, bytes] = {}
    for i in range(num):
        members |= {f"{i}.B.png": image(100 + i, **options), f"{i}.A.png": image(i, **options)}
    write_tar(folder / "0.tar", members)
    return folder


def open_data(mode: str, root: object, **options: Any) -> Any:
    if mode == "image_folder":
        options = {"image_size": 8, "val_fraction": 0.0, **options}
    else:
        options = {"load_size": 8, "crop_size": 8, "flip": False, **options}
    return create_dataset(mode, find_dataset(mode).Options(dataroot=str(root), **options))


def load(dataset: Any, batch_size: int, **options: Any) -> Loader:
    opt = BaseOptions(**{"num_threads": 0, "cache": "off", **options})
    return create_loader(dataset, opt, batch_size, CPU, shared=True)


def numbers(batches: Any, key: str = "image") -> list[int]:
    return [int(((one + 1) * 127.5).round()[0, 0, 0]) for batch in batches for one in batch[key]]


# What is in a tar


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_members_are_those_that_tarfile_finds(tmp_path, form):
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "a"
    folder = tarfile.TarInfo("folder")
    folder.type = tarfile.DIRTYPE
    names = ["a", f"{'deep/' * 30}b", "é.png", *([] if form == tarfile.USTAR_FORMAT else ["x" * 180])]
    members = {name: os.urandom(number) for number, name in enumerate(names, 511)}
    path = write_tar(tmp_path / "a.tar", {**members, "link": link, "folder": folder, "empty": b""}, form)
    with tarfile.open(path) as tar:
        known = [(m.name, m.offset_data, m.size, m.isreg()) for m in tar]
    found = list_members(path)
    assert [(e.name.rstrip("/"), e.offset, e.size, e.kind == "file") for e in found.entries] == known
    assert found.problem == ""


@pytest.mark.parametrize(
    ("damage", "problem", "num"),
    [
        (lambda b: b[: 512 * 5 + 100], "it ends within a header", 2),
        (lambda b: b[: 512 * 3 + 100], "it ends within b", 1),
        (lambda b: b[: 512 * 2 + 3] + b"#" + b[512 * 2 + 4 :], "a header, at byte 1024, is damaged", 1),
        (lambda b: b"#" * 2000, "it is no tar", 0),
        (lambda b: b"\x1f\x8b" + b, "it is compressed by gzip", 0),
        (lambda b: b"", "it is empty", 0),
    ],
)
def test_of_a_damaged_tar_what_is_whole_is_found(tmp_path, damage, problem, num):
    path = write_tar(tmp_path / "a.tar", {"a": b"a", "b": b"b" * 600, "c": b"c"}, tarfile.USTAR_FORMAT)
    content = path.read_bytes()
    path.write_bytes(damage(content))
    found = list_members(path)
    assert (found.problem, len(found.entries)) == (problem, num)


def test_what_is_no_sample_is_named_with_the_reason(tmp_path):
    link = tarfile.TarInfo("link.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    members = {
        "./ok.png": b"1", "ok.cls": "3", "ok.json": "{}", "ok.jpg": b"2", "/abs.png": b"3", "a/../../up.png": b"4",
        "link.png": link, "lost.cls": "1", "only.A.png": b"5", "empty.png": b"6", "empty.cls": "", "readme.md": "hi",
        "bad.png": b"7", "bad.cls": b"\xff\xfe\x00", "._ok.png": b"8", "none.webp": b"9",
        "p.a.jpg": b"A", "p.B.npy": b"B",
    }  # fmt: skip
    path = write_tar(tmp_path / "s.tar", members)
    with tarfile.open(path, "a") as tar:
        again = tarfile.TarInfo("ok.png")
        tar.addfile(again)
    index = make_index(path)
    assert index.names == ["ok.png", "none.webp", "p.a.jpg", "p.B.npy"]
    assert (index.sides.tolist(), index.labels.tolist(), index.texts) == ([0, 0, 1, 2], [0, -1, -1, -1], ["3"])
    assert index.left_out == {
        "links and other special members of a tar": ["s.tar/link.png"],
        "members with an unsafe name": ["s.tar//abs.png", "s.tar/a/../../up.png"],
        "members under a name that came before": ["s.tar/ok.png"],
        "further images of a sample": ["s.tar/ok.jpg"],
        "labels without an image": ["s.tar/lost.cls"],
        "without a partner of the same name": ["s.tar/only.A.png"],
        "with a .cls that is no number and no name": ["s.tar/empty.cls", "s.tar/bad.cls"],
        "no images": ["s.tar/readme.md", "s.tar/*.json (1)"],
    }


def test_an_index_is_kept_until_its_tar_changes_or_it_is_damaged(tmp_path, monkeypatch):
    tar = labelled(tmp_path / "s", 4) / "000.tar"
    first = open_index(tar, tmp_path / "cache")
    made = []

    def make(path):
        made.append(path)
        return make_index(path)

    monkeypatch.setattr("data.files.shard_index.make_index", make)

    def again():
        found = open_index(tar, tmp_path / "cache")
        assert [str(part) for part in found] == [str(part) for part in first]
        return len(made)

    assert again() == 0
    os.utime(tar, (1, 1))
    assert again() == 1
    for damage in (b"", b"no zip", None):
        for file in (tmp_path / "cache").iterdir():
            content = bytearray(file.read_bytes())
            at = content.find(b"000001.png")
            content[at : at + 6] = b"999999"
            file.write_bytes(content if damage is None else damage)
        before = len(made)
        assert again() == before + 1


def test_an_index_that_cannot_be_kept_costs_no_run(tmp_path, capsys):
    tar = labelled(tmp_path / "s", 4) / "000.tar"
    (tmp_path / "cache").write_text("a file")
    assert len(open_index(tar, tmp_path / "cache").names) == 4
    assert f"warning: the index of {tar} is not kept" in capsys.readouterr().err


# Labelled


def test_labelled_shards_are_recognized_and_read(tmp_path):
    root = labelled(tmp_path / "s")
    assert recognize(str(root), "")[0] == "image_folder"
    dataset = open_data("image_folder", root)
    assert dataset.spec.classes == ("0", "1", "2")
    assert dataset.names[5] == "001/000005.png"
    samples = [dataset[i] for i in range(12)]
    assert [int((s["image"][0, 0, 0] + 1) * 127.5 + 0.5) for s in samples] == list(range(12))
    assert [int(s["label"]) for s in samples] == [i % 3 for i in range(12)]
    assert [str(f) for f in dataset.files()] == [str(root / f"00{i}.tar") for i in range(3)]
    first = dataset.fingerprint()
    os.utime(root / "001.tar", (1, 1))
    assert open_data("image_folder", root).fingerprint() != first
    told = "\n".join(lines(find(dataset)))
    assert "data: 12 images of 8x8 pixels, 3 channels, 8 bits" in told
    assert "from s (3 shards)" in told and "classes: 0 4, 1 4, 2 4" in told


def test_shards_give_the_batches_of_a_folder_of_these_files(tmp_path):
    """From cache, file or worker alike."""
    root = labelled(tmp_path / "s")
    for i in range(12):
        file = tmp_path / "f" / str(i % 3) / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(image(i))
    folder = open_data("image_folder", tmp_path / "f", serial_batches=True)
    in_folder = [int(dataset_name.split("/")[1].split(".")[0]) for dataset_name in folder.names]
    for place, threads in (("ram", 2), ("off", 0), ("off", 2)):
        shards = open_data("image_folder", root, serial_batches=True)
        found = list(load(shards, 4, cache=place, num_threads=threads).epoch(1))
        assert numbers(found) == list(range(12))
        assert [label for batch in found for label in batch["label"].tolist()] == [i % 3 for i in range(12)]
    assert sorted(numbers(load(folder, 4).epoch(1))) == sorted(in_folder) == list(range(12))


def test_phases_lie_in_folders_or_in_names_or_a_part_is_held_out(tmp_path):
    labelled(tmp_path / "a/train", 8)
    labelled(tmp_path / "a/val", 4)
    labelled(tmp_path / "b", 8, name="set-train-{}.tar")
    labelled(tmp_path / "b", 4, name="set-val-{}.tar")
    for name in "ab":
        train, test = (open_data("image_folder", tmp_path / name, phase=p, val_fraction=0.5) for p in ("train", "test"))
        assert (len(train), len(test)) == (8, 4)
        assert (train.num_held_out, test.num_held_out) == (0, 0)
    labelled(tmp_path / "c", 12)
    train, test = (open_data("image_folder", tmp_path / "c", phase=p, val_fraction=0.25) for p in ("train", "test"))
    assert (len(train), len(test), train.num_held_out) == (9, 3, 3)
    assert not set(train.names) & set(test.names)
    assert torch.bincount(test.labels).tolist() == [1, 1, 1]
    labelled(tmp_path / "d", 8, name="test-{}.tar")
    with pytest.raises(ValueError, match=r"has shards such as test-000\.tar, but none for --phase train"):
        open_data("image_folder", tmp_path / "d")


@pytest.mark.parametrize("text", ["s/{000..001}.tar", "s/000.tar,s/001.tar", "s/00[01].tar,s/00?.tar"])
def test_shards_may_be_listed(tmp_path, monkeypatch, text):
    labelled(tmp_path / "s")
    monkeypatch.chdir(tmp_path)
    text = text.replace("[01]", "*")
    assert recognize(text, "")[0] == "image_folder"
    assert len(open_data("image_folder", text)) == (8 if "?" not in text else 12)
    with pytest.raises(FileNotFoundError, match=r"there is no s/003\.tar"):
        open_data("image_folder", "s/{002..003}.tar")


def test_a_single_tar_with_labels_is_a_shard_and_any_other_an_archive(tmp_path):
    root = labelled(tmp_path / "s", 4)
    assert len(open_data("image_folder", root / "000.tar")) == 4
    archive = write_tar(tmp_path / "archive.tar", {f"{c}/{i}.png": image(i) for c in "ab" for i in range(4)})
    assert open_data("image_folder", archive).spec.classes == ("a", "b")
    assert len(list((tmp_path / "datasets/.cache").glob("archive_*"))) == 1


def test_names_may_be_labels_and_samples_without_one_are_left_out(tmp_path):
    members = {f"{i}.png": image(i) for i in range(6)} | {f"{i}.cls": ("cat", "dog")[i % 2] for i in range(5)}
    write_tar(tmp_path / "s/0.tar", members)
    dataset = open_data("image_folder", tmp_path / "s")
    assert dataset.spec.classes == ("cat", "dog")
    assert dataset.left_out == {"without a .cls, as others have": ["0/5.png"]}
    few = {f"{i}.png": image(i) for i in range(6)} | {"0.cls": "cat"}
    write_tar(tmp_path / "few/0.tar", few)
    assert open_data("image_folder", tmp_path / "few").labels is None


def test_a_name_among_numbers_is_a_mistake(tmp_path):
    members = {f"{i}.png": image(i) for i in range(30)} | {f"{i}.cls": f"0{i % 2}\n" for i in range(30)}
    write_tar(tmp_path / "s/0.tar", members | {"7.cls": "o1"})
    dataset = open_data("image_folder", tmp_path / "s")
    assert dataset.spec.classes == ("0", "1")
    assert dataset.left_out == {"with a .cls that is no number, as others are": ["0/7.png (o1)"]}


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda f: write_tar(f / "0.tar", {"a.txt": "hi"}),
            r"there is no image in 1 shards such as .*0\.tar: no images: ",
        ),
        (lambda f: (f / "0.tar").write_bytes(b"#" * 999), r"there is no image in .*it is no tar"),
        (lambda f: (f / "0.tar.gz").write_bytes(b"#"), r"holds compressed shards, such as 0\.tar\.gz.*decompress them"),
        (lambda f: (f / "0.tar").write_bytes(b"\x1f\x8b" * 99), r"it is compressed by gzip"),
    ],
)
def test_a_folder_without_samples_is_one_clear_line(tmp_path, write, message):
    (tmp_path / "s").mkdir()
    write(tmp_path / "s")
    for do in (lambda: recognize(str(tmp_path / "s"), ""), lambda: open_data("image_folder", tmp_path / "s")):
        with pytest.raises(ValueError, match=message):
            do()
            open_data("image_folder", tmp_path / "s")


def test_a_tar_beside_images_is_left_out_as_before(tmp_path):
    labelled(tmp_path / "s")
    (tmp_path / "s/cat").mkdir()
    for i in range(4):
        (tmp_path / f"s/cat/{i}.png").write_bytes(image(i))
    dataset = open_data("image_folder", tmp_path / "s")
    assert dataset.spec.classes == ("cat",)
    assert len(dataset.left_out["no images"]) == 3


def test_a_tar_that_shrinks_or_vanishes_makes_its_images_bad(tmp_path, capsys):
    root = labelled(tmp_path / "s", 40, per_shard=20)
    dataset = open_data("image_folder", root)
    with (root / "001.tar").open("r+b") as file:
        file.truncate(38 * 1024)
    found = sorted(numbers(load(dataset, 40).epoch(1)))
    lost = capsys.readouterr().err.count("warning: 001/0000")
    assert 0 < lost < 5 and len(set(found)) == 40 - lost


# Pairs


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
@pytest.mark.parametrize("kind", ["png", "npy", "webp"])
def test_pairs_are_two_images_of_a_sample(tmp_path, direction, kind):
    members: dict[str, bytes] = {}
    for i in range(6):
        members |= {f"{i}.B.{kind}": image(100 + i, kind=kind), f"{i}.A.{kind}": image(i, kind=kind)}
    write_tar(tmp_path / "s/0.tar", members)
    assert recognize(str(tmp_path / "s"), "")[0] == "aligned"
    dataset = open_data("aligned", tmp_path / "s", direction=direction)
    assert dataset.names == [f"0/{i}.{kind}" for i in range(6)]
    batches = list(load(dataset, 3, num_threads=1).epoch(1))
    A, B = numbers(batches, "A"), numbers(batches, "B")
    assert [b - a for a, b in zip(A, B, strict=True)] == [100 if direction == "AtoB" else -100] * 6
    told = "\n".join(lines(find(dataset)))
    assert "A: 6 images of 8x8 pixels" in told


def test_pairs_side_by_side_in_one_image(tmp_path):
    def both(i):
        left, right = np.full((8, 8, 3), i, np.uint8), np.full((8, 8, 3), 50 + i, np.uint8)
        content = io.BytesIO()
        Image.fromarray(np.concatenate([left, right], 1)).save(content, "png")
        return content.getvalue()

    write_tar(tmp_path / "s/train-0.tar", {f"{i}.png": both(i) for i in range(4)})
    write_tar(tmp_path / "s/val-0.tar", {f"{i}.png": both(i) for i in range(2)})
    assert recognize(str(tmp_path / "s"), "")[0] == "aligned"
    batches = list(load(open_data("aligned", tmp_path / "s"), 2).epoch(1))
    assert [b - a for a, b in zip(numbers(batches, "A"), numbers(batches, "B"), strict=True)] == [50] * 4
    assert len(open_data("aligned", tmp_path / "s", phase="test")) == 2


def test_pairs_serve_other_data_sets_for_translation_too(tmp_path):
    root = pairs(tmp_path / "s")
    dataset = open_data("unaligned", root)
    assert (len(dataset.image_names("A")), len(dataset.image_names("B"))) == (6, 6)
    assert numbers([{"A": dataset[2]["A"][None], "B": dataset[2]["B"][None]}], "B") == [102]
    assert numbers([{"A": open_data("single", root)[3]["A"][None]}], "A") == [3]
    assert numbers([{"A": open_data("single", root, direction="BtoA")[3]["A"][None]}], "A") == [103]
    assert len(open_data("colorization", root)) == 6
    for side, num in (("A", 3), ("B", 5)):
        write_tar(tmp_path / f"u/train{side}/0.tar", {f"{i}.png": image(i) for i in range(num)})
    assert len(open_data("unaligned", tmp_path / "u")) == 5
    with pytest.raises(FileNotFoundError, match="has shards, but no pairs"):
        open_data("unaligned", labelled(tmp_path / "l"))


# Order, resuming, several processes


def test_blocks_are_an_order_of_all_samples_from_a_few_places_at_a_time():
    shards = np.repeat(np.arange(12), 1000)
    first, second, again = (in_blocks(shards, torch.Generator().manual_seed(seed)) for seed in (1, 2, 1))
    assert sorted(first.tolist()) == list(range(12000))
    assert torch.equal(first, again) and not torch.equal(first, second)
    blocks = {(i // 1000, i % 1000 // RUN) for i in first[: 10 * RUN].tolist()}
    assert 10 <= len(blocks) <= MIXED
    assert len({tar for tar, _ in blocks}) > 5  # and not one shard after another
    assert len({i // 1000 for i in first[:64].tolist()}) > 5


@pytest.mark.parametrize("shuffle", ["full", "blocks"])
def test_processes_see_parts_that_are_disjoint_and_an_epoch_goes_on_from_any_batch(tmp_path, monkeypatch, shuffle):
    monkeypatch.setattr("data.loading.order.RUN", 2)
    monkeypatch.setattr("data.loading.order.MIXED", 2)
    root = labelled(tmp_path / "s", 30, per_shard=7)

    def own():
        loader = load(open_data("image_folder", root, shuffle=shuffle), 5)
        first, second = numbers(loader.epoch(1)), numbers(loader.epoch(2))
        assert numbers(loader.epoch(2, first=1)) == second[5:]
        return first, second

    parts = together(own, tmp_path)
    for epoch in (0, 1):
        assert sorted(parts[0][epoch] + parts[1][epoch]) == list(range(30))
    assert parts[0][0] != parts[0][1]


def test_to_shuffle_a_folder_in_blocks_has_no_effect_and_says_so(tmp_path, capsys):
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(image(i))
    open_data("image_folder", tmp_path, shuffle="blocks")
    assert "warning: --shuffle blocks has no effect" in capsys.readouterr().err


@pytest.mark.parametrize("options", ["--cache ram", "--cache off --num_threads 2 --shuffle blocks"])
def test_a_run_on_shards_resumes_bit_for_bit(tmp_path, options):
    """In processes of their own."""
    bench = Bench(tmp_path)
    labelled(tmp_path / "s", 24)
    usual = (
        f"--model cgan --dataroot s --batch_size 2 {SMALL} --val_fraction 0 {options} --n_epochs 2 --n_epochs_decay 0"
    )

    assert bench.train(f"--name whole {usual}").status == 0  # here, so that the others need not import what it takes
    with interrupted(17, by(signal.SIGTERM)):  # in the second epoch
        assert in_child(lambda: bench.train(f"--name part {usual}")) == 128 + signal.SIGTERM
    assert in_child(lambda: bench.train("--name part --continue_train")) == 0
    assert_same_run(bench.run_dir("part"), bench.run_dir("whole"))
