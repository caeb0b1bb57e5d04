"""datasets/make_shards.py: what it writes is read as the folder it was made of."""

import errno
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data import create_dataset, find_dataset, recognize
from data.files import dataroot as dataroot_module
from data.make_shards import main
from tests.bench import save_images


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datasets").mkdir()
    monkeypatch.setattr(dataroot_module, "DATASETS", tmp_path / "datasets")


def open_data(root, mode, **options):
    sizes = {"image_size": 8, "val_fraction": 0.0} if mode == "image_folder" else {"load_size": 8, "crop_size": 8}
    return create_dataset(mode, find_dataset(mode).Options(dataroot=str(root), **sizes, **options))


def contents(dataset, key):
    """Return the images, as bytes, each with its class."""
    classes = [dataset.spec.classes[i] for i in dataset.labels] if dataset.labels is not None else [""] * len(dataset)
    return sorted(zip((dataset.decode(key, i).numpy().tobytes() for i in range(len(dataset))), classes, strict=True))


@pytest.mark.parametrize("phases", [("",), ("train", "test"), ("train", "val", "test")])
def test_class_folders(tmp_path, phases, capsys):
    for number, phase in enumerate(phases, 1):
        save_images(tmp_path / "hands" / phase, ("paper", "rock"), num=3 * number)
    (tmp_path / "hands" / "card.yaml").write_text("image_size: 8\n")
    main(["--dataroot", "hands", "--shard_size", "4"])
    assert "next: python train.py --model cgan --dataroot hands_shards" in capsys.readouterr().out
    assert recognize("hands_shards", "") == ("image_folder", Path("hands_shards/card.yaml"))
    for phase in phases:
        options = {"phase": phase} if phase else {}
        folder, shards = (open_data(root, "image_folder", **options) for root in ("hands", "hands_shards"))
        assert contents(shards, "image") == contents(folder, "image")
        assert shards.spec == folder.spec
    names = {f.name.partition("-")[0] for f in Path("hands_shards").glob("*.tar")}
    assert names == ({"shard"} if len(phases) == 1 else set(phases))
    prefix = "shard-" if len(phases) == 1 else "train-"
    assert sorted(f.name for f in Path("hands_shards").glob(f"{prefix}*")) == [f"{prefix}00000{i}.tar" for i in (0, 1)]
    with tarfile.open(f"hands_shards/{prefix}000000.tar") as tar:
        assert len({name.split("/")[0] for name in tar.getnames()}) == 2  # classes are mixed


def test_the_same_images_make_the_same_files(tmp_path):
    save_images(tmp_path / "hands")
    for out in ("a", "b"):
        main(["--dataroot", "hands", "--out", out])
    assert Path("a/shard-000000.tar").read_bytes() == Path("b/shard-000000.tar").read_bytes()


def test_pairs_in_two_folders_are_pairs_and_serve_as_two_collections(tmp_path):
    save_images(tmp_path / "p", ("trainA", "testA", "trainB", "testB"), num=4)
    main(["--dataroot", "p"])
    assert recognize("p_shards", "")[0] == "aligned"
    for key in "AB":
        for phase in ("train", "test"):
            for mode in ("aligned", "unaligned"):
                folder, shards = (open_data(root, mode, phase=phase) for root in ("p", "p_shards"))
                assert contents(shards, key) == contents(folder, key)
    folder, shards = (open_data(root, "aligned") for root in ("p", "p_shards"))
    both = [
        {d.decode("A", i).numpy().tobytes() + d.decode("B", i).numpy().tobytes() for i in range(4)}
        for d in (folder, shards)
    ]
    assert both[0] == both[1]


def test_pairs_in_one_file(tmp_path):
    (tmp_path / "p/train").mkdir(parents=True)
    for i in range(3):
        Image.fromarray(np.full((8, 16, 3), i, np.uint8)).save(tmp_path / f"p/train/{i}.png")
    main(["--dataroot", "p"])
    assert recognize("p_shards", "")[0] == "aligned"
    assert contents(open_data("p_shards", "aligned"), "B") == contents(open_data("p", "aligned"), "B")


def test_collections_without_pairs(tmp_path, capsys):
    save_images(tmp_path / "u", ("trainA",), num=3)
    save_images(tmp_path / "u", ("trainB",), num=5)
    main(["--dataroot", "u", "--shard_size", "2"])
    assert "--model cycle_gan --dataroot u_shards" in capsys.readouterr().out
    assert len(list(Path("u_shards/trainB").glob("*.tar"))) == 3
    assert recognize("u_shards", "")[0] == "unaligned"
    dataset = open_data("u_shards", "unaligned")
    assert [len(dataset.image_names(key)) for key in "AB"] == [3, 5]


def test_names_that_are_no_keys_are_changed_and_stay_apart(tmp_path):
    for i, name in enumerate(("1.5.png", "1_5.png", "1.5.jpg", "x.png")):
        (tmp_path / "f").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (i, i, i)).save(tmp_path / "f" / name)
    main(["--dataroot", "f"])
    assert len(open_data("f_shards", "image_folder")) == 4


def test_shards_are_written_whole_or_not_at_all(tmp_path, monkeypatch, capsys):
    save_images(tmp_path / "hands")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "addfile", full)
        with pytest.raises(SystemExit) as stop:
            main(["--dataroot", "hands"])
    assert stop.value.code == 1
    assert "make_shards.py: error: [Errno 28] No space left" in capsys.readouterr().err
    assert sorted(f.name for f in tmp_path.iterdir()) == ["datasets", "hands"]
    main(["--dataroot", "hands"])
    for words, message in (
        (["--dataroot", "hands"], "--out hands_shards is there already"),
        (["--dataroot", "hands_shards", "--out", "b"], "--dataroot hands_shards is in shards already"),
        (["--dataroot", "gone"], "--dataroot gone: neither a path nor a name"),
    ):
        with pytest.raises(SystemExit):
            main(words)
        assert message in capsys.readouterr().err
