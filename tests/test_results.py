"""Several tests of one run at once: each in a folder of its own until it is complete."""

import os
from functools import partial
from typing import Any

from util.results.origin import KIND, place_for, read_origin, write_origin
from util.results.results import DAY, Results


def test_tests_at_once_do_each_other_no_harm(tmp_path):
    folder = tmp_path / "a" / "test_latest"
    results = [Results(folder, "a", str(number)) for number in range(3)]
    for number, result in enumerate(results):
        (result.path("fake", "x")).write_text(str(number))
    for number, result in enumerate(results):
        assert result.finish() == folder / "index.html"
        assert (folder / "images" / "fake" / "x.png").read_text() == str(number)
    assert [p.name for p in folder.parent.iterdir()] == ["test_latest"]


def test_tests_of_other_kinds_at_once_end_in_folders_of_their_own(tmp_path):
    """None was there when they began; the third is of the first's kind and takes its place."""
    base, begun = tmp_path / "a" / "test_latest", []
    for kind in ("rock", "paper", "rock"):
        origin: dict[str, Any] = dict.fromkeys(KIND, "") | {"labels": kind, "given": {}}
        results = Results(place_for(base, origin), "a", kind, partial(place_for, base, origin, tells=False))
        write_origin(results.folder, origin)
        begun.append(results)
    pages = [results.finish() for results in begun]
    assert [page.parent.name for page in pages] == ["test_latest", "test_latest-2", "test_latest"]
    assert [read_origin(page.parent)["labels"] for page in pages] == ["rock", "paper", "rock"]


def test_what_a_killed_test_left_goes_after_a_day(tmp_path):
    folder = tmp_path / "test_latest"
    old, young = (Results(folder, "a", "").folder for _ in range(2))
    os.utime(old, (1, 1))
    Results(folder, "a", "")
    assert not old.exists()
    assert young.exists()
    assert DAY == 86400
