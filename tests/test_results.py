"""Several tests of one run at once: each in a folder of its own until it is complete."""

import os
import time

import pytest

from util.files import FolderLock
from util.results.results import DAY, Results


def origin(labels=(), given=""):
    return {"weights": "0", "model": "cgan", "dataroot": "hands", "direction": "", "labels": list(labels)} | {
        "given": {"seed": given} if given else {}
    }


def visible(folder):
    return sorted(p.name for p in folder.iterdir() if p.name != ".lock")


def test_tests_at_once_do_each_other_no_harm(tmp_path):
    folder = tmp_path / "a" / "test_latest"
    results = [Results(folder, "a", str(number), origin()) for number in range(3)]
    for number, result in enumerate(results):
        (result.path("fake", "x")).write_text(str(number))
    for number, result in enumerate(results):
        assert result.finish() == folder / "index.html"
        assert (folder / "images" / "fake" / "x.png").read_text() == str(number)
    assert visible(folder.parent) == ["test_latest"]


def test_tests_of_several_kinds_at_once_replace_only_their_own(tmp_path, capsys):
    """All begin where nothing is; the place of each is found again when it ends."""
    kinds = [(), ("rock",), ("paper",), ("rock",)]
    results = [Results(tmp_path / "test_latest", "a", "", origin(labels)) for labels in kinds]
    places = [result.finish().parent.name for result in results]
    assert places == ["test_latest", "test_latest-2", "test_latest-3", "test_latest-2"]
    assert visible(tmp_path) == sorted(set(places))
    assert capsys.readouterr().out.count("test_latest stays as it is: it was made without --labels") == 3


def test_a_replacement_of_results_that_came_meanwhile_is_told_once(tmp_path, capsys):
    first, second = (Results(tmp_path / "test_latest", "a", "", origin(given=seed)) for seed in "12")
    assert first.finish() == second.finish()
    again = Results(tmp_path / "test_latest", "a", "", origin())
    again.finish()
    out = capsys.readouterr().out
    assert [out.count(f"test_latest, which was made with --seed {seed}") for seed in "12"] == [1, 1]


def test_what_is_nobodys_results_is_left_alone_even_if_it_came_meanwhile(tmp_path):
    folder = tmp_path / "test_latest"
    results = Results(folder, "a", "", origin())
    folder.mkdir()
    (folder / "mine").write_text("")
    with pytest.raises(FileExistsError, match="holds no earlier results"):
        results.finish()
    assert (folder / "mine").exists()


def test_processes_that_end_at_once_wait_for_each_other(tmp_path):
    results = Results(tmp_path / "test_latest", "a", "", origin())
    reader, writer = os.pipe()
    other = os.fork()
    if other == 0:
        lock = FolderLock(tmp_path)
        os.write(writer, b"x")
        time.sleep(0.2)
        lock.release()
        os._exit(0)
    os.read(reader, 1)
    with pytest.raises(BlockingIOError):
        FolderLock(tmp_path)
    assert results.finish().exists()
    os.waitpid(other, 0)


def test_what_a_killed_test_left_goes_after_a_day(tmp_path):
    folder = tmp_path / "test_latest"
    old, young = (Results(folder, "a", "", origin()).folder for _ in range(2))
    os.utime(old, (1, 1))
    Results(folder, "a", "", origin())
    assert not old.exists()
    assert young.exists()
    assert DAY == 86400
