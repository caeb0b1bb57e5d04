"""What --dataroot means: a path, a name in datasets/, or a set to download."""

import pytest

import data
import data.download.download
from data.files import dataroot


def test_a_path_wins_over_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rps_mini").mkdir()
    assert data.find_dataroot("rps_mini").resolve() == tmp_path / "rps_mini"


def test_a_name_is_looked_up_in_datasets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert data.find_dataroot("rps_mini") == dataroot.DATASETS / "rps_mini"


def test_a_known_set_that_is_not_there_is_downloaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("data.files.dataroot.DATASETS", tmp_path / "datasets")
    asked = []

    def download(name, folder):
        asked.append((name, folder))
        return folder / name

    monkeypatch.setattr(data.download.download, "download", download)
    assert data.find_dataroot("cifar10") == tmp_path / "datasets/cifar10"
    assert asked == [("cifar10", tmp_path / "datasets")]


def test_anything_else_is_an_error_that_lists_what_there_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"--dataroot ./rps_mni.*did you mean 'rps_mini'.*emoji_mini"):
        data.find_dataroot("./rps_mni")
