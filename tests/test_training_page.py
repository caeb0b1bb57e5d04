import json
import math
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageSequence

from tests.document import Document
from util.displays import html_display
from util.displays.display import Status
from util.displays.html_display import TrainingPage
from util.images import make_grid
from util.metrics.score import Score
from util.types import Grid, Progress

PAGE = Path(__file__).parent.parent / "util" / "pages" / "assets"
HOSTILE = "</script><script>alert('1')</script> \"&amp; ü \u2028\u2029 \\ %23#?"


def entries(folder):
    lines = (folder / "log.js").read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert all(line.startswith(b"ganvas(") and line.endswith(b");") and line.isascii() for line in lines)
    return [json.loads(line[len(b"ganvas(") : -len(b");")], parse_constant=pytest.fail) for line in lines]


def create(folder, title="run", options=None, commands=None):
    return TrainingPage(folder, title, options or {}, commands or {})


def at(epoch, step=0):
    return Progress(epoch=epoch, step=step, images=4 * step)


def grid(value=0.0, num=5, rows=()):
    return Grid(torch.full((num, 3, 8, 8), value), columns=3, rows=rows)


def test_everything_the_page_loads_lies_beside_it(tmp_path):
    create(tmp_path / "web")
    document = Document(tmp_path / "web" / "index.html")
    links = [link["href"] for link in document.of("link")] + [script["src"] for script in document.of("script")]
    assert "page.css" in links
    assert "page.js" in links
    assert all((tmp_path / "web" / link).is_file() for link in links)


def test_the_script_finds_every_element_it_asks_for(tmp_path):
    create(tmp_path, options={"run": {"name": ("a", False)}}, commands={"resume": "python train.py --continue_train"})
    ids = {attributes.get("id") for _, attributes in Document(tmp_path / "index.html").elements}
    asked = {part.split('"')[0] for part in (PAGE / "page.js").read_text().split('byId("')[1:]}
    assert asked
    assert asked <= ids


def test_title_options_and_commands_are_text(tmp_path):
    options = {HOSTILE: {HOSTILE: (HOSTILE, True)}, "other": {"same": ("0", False)}}
    create(tmp_path, HOSTILE, options, {HOSTILE: HOSTILE})
    document = Document(tmp_path / "index.html")
    assert document.text.count(HOSTILE) == 7  # title, heading, section, option, its value, caption, command
    assert all(not script.get("src", "").startswith("alert") for script in document.of("script"))
    assert len(document.of("script")) == 3


def test_changed_options_are_marked(tmp_path):
    create(tmp_path, options={"model": {"lr": ("0.1", True), "beta1": ("0.5", False)}, "data": {"flip": ("on", False)}})
    document = Document(tmp_path / "index.html")
    assert [row.get("class") for row in document.of("tr") if row.get("class")] == ["changed", "same", "same"]
    assert len([span for span in document.of("span") if span.get("aria-label") == "changed"]) == 1


def test_a_name_that_is_no_unicode_does_not_stop_the_page(tmp_path):
    page = create(tmp_path, "run\udcff", {"data": {"dataroot": ("caf\udce9", True)}})
    page.losses(at(1, 1), {"caf\udce9": 1.0})
    assert "run?" in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert entries(tmp_path)[0]["losses"] == {"caf\udce9": 1.0}


def test_reports_are_one_line_each(tmp_path):
    page = create(tmp_path)
    page.losses(at(1, 10), {"D": 0.123456789, HOSTILE: 2.0})
    page.epoch(at(1, 20), {"D": 0.25}, lr=2e-4)
    page.close()
    assert entries(tmp_path) == [
        {"kind": "losses", "epoch": 1, "step": 10, "images": 40, "losses": {"D": 0.123457, HOSTILE: 2.0}},
        {"kind": "epoch", "epoch": 1, "step": 20, "images": 80, "means": {"D": 0.25}, "lr": 2e-4},
    ]


def test_losses_that_are_not_finite_are_gaps(tmp_path):
    create(tmp_path).losses(at(1, 1), {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 1.0})
    assert entries(tmp_path)[0]["losses"] == {"a": None, "b": None, "c": None, "d": 1.0}


def test_the_log_is_only_appended_to(tmp_path):
    page = create(tmp_path)
    log = page.logs[0]
    assert page.logs == [tmp_path / "log.js"]
    before = b""
    reports = (
        lambda: page.images(at(0), {"real": grid(), "fake": grid()}),
        lambda: page.losses(at(1, 1), {"D": 1.0}),
        lambda: page.epoch(at(1, 2), {"D": 1.0}, 0.1),
        lambda: page.images(at(1, 2), {"fake": grid()}),
        lambda: page.images(at(1, 2), {"fake": grid()}),
        lambda: create(tmp_path, "resumed").losses(at(2, 3), {"D": 1.0}),
    )
    for report in reports:
        report()
        after = log.read_bytes()
        assert after.startswith(before)
        assert len(after) > len(before)
        before = after


def test_pictures_are_on_disk_before_the_log_speaks_of_them(tmp_path):
    page = create(tmp_path)
    page.images(at(0), {"real": grid(rows=("a", HOSTILE)), "fake": grid()})
    first, second = entries(tmp_path)
    assert (first["name"], first["file"], first["epoch"]) == ("real", "epoch000_real.png", 0)
    assert (first["rows"], first["lines"]) == (["a", HOSTILE], 2)
    assert second["file"] == "epoch000_fake.png"
    with Image.open(tmp_path / "images" / first["file"]) as image:
        assert list(image.size) == first["size"]


def test_a_later_picture_of_an_epoch_replaces_the_earlier(tmp_path):
    page = create(tmp_path)
    for value in (-1.0, 1.0):
        page.images(at(3, 7), {"fake": grid(value)})
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["epoch003_fake.png"]
    with Image.open(tmp_path / "images" / "epoch003_fake.png") as image:
        assert image.getpixel((0, 0)) == (255, 255, 255)


def test_any_kind_of_picture_has_a_file_of_its_own(tmp_path):
    kinds = ["a/b", "a_b", "../a b#", "ü"]
    page = create(tmp_path)
    page.images(at(1), {kind: grid() for kind in kinds})
    assert [entry["name"] for entry in entries(tmp_path)] == kinds
    files = {entry["file"] for entry in entries(tmp_path)}
    assert files == {path.name for path in (tmp_path / "images").iterdir()}
    assert len(files) == len(kinds)


needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def node(expression, folder=Path()):
    """Evaluate JavaScript with the page's functions and the entries of folder/log.js at hand."""
    log = folder / "log.js"
    program = f"""
        const chart = require({json.dumps(str(PAGE / "chart.js"))});
        const {{ fold, picturesAt, lossLine, metricLine }} = require({json.dumps(str(PAGE / "run.js"))});
        const entries = [];
        const ganvas = (entry) => entries.push(entry);
        {log.read_text() if log.exists() else ""}
        console.log(JSON.stringify({expression}));
    """
    result = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(result.stdout)


@needs_node
def test_the_script_reads_what_was_written(tmp_path):
    page = create(tmp_path)
    page.images(at(0), {"real": grid(), "fake": grid()})
    for epoch in (1, 2):
        page.losses(at(epoch, 10 * epoch), {HOSTILE: float(epoch), "bad": math.nan})
        page.epoch(at(epoch, 10 * epoch), {HOSTILE: float(epoch)}, 0.1)
        page.images(at(epoch, 10 * epoch), {"fake": grid()})
    page.images(at(2, 21), {"fake": grid()})

    assert node("fold(entries).names", tmp_path) == [HOSTILE, "bad"]
    name = json.dumps(HOSTILE)
    line = node(f"lossLine(fold(entries), {name}, 'step')", tmp_path)
    assert line == {"points": [[10, 1], [20, 2]], "means": [[5, 1], [15, 2]]}
    assert node("lossLine(fold(entries), 'bad', 'images').points", tmp_path) == [[40, None], [80, None]]

    shown = "picturesAt(fold(entries).pictures, {}).map((e) => [e.name, e.epoch, e.step, e.single])"
    assert node(shown.format(0), tmp_path) == [["fake", 0, 0, False], ["real", 0, 0, True]]
    assert node(shown.format(2), tmp_path) == [["fake", 2, 21, False], ["real", 0, 0, True]]


def figure(value, name="kid_stub"):
    return Score("kid", name, value, 0.1, 12, 4, "stub", 8, 0)


def test_measurements_are_one_line_each(tmp_path):
    create(tmp_path).metrics(at(1, 10), [figure(0.5), figure(math.nan, HOSTILE)], "kid_stub 0.5 after epoch 1")
    (entry,) = entries(tmp_path)
    assert entry["values"] == {"kid_stub": 0.5, HOSTILE: None}
    assert (entry["kind"], entry["best"]) == ("metrics", "kid_stub 0.5 after epoch 1")
    assert entry["settings"] == "12 images against 4 real ones, stub at 8 px, seed 0"


@needs_node
def test_the_script_reads_measurements(tmp_path):
    page = create(tmp_path)
    for step in (1, 2, 3, 2):  # a run that went back
        page.metrics(at(1, step), [figure(float(step))], "")
    page.metrics(at(2, 4), [figure(1.0, "recall_stub")], "")
    assert node("metricLine(fold(entries), 'kid_stub')", tmp_path) == [[4, 1], [8, 2]]
    assert node("metricLine(fold(entries), 'recall_stub')", tmp_path) == [[16, 1]]


@needs_node
def test_a_run_that_went_back_repeats_no_step(tmp_path):
    page = create(tmp_path)
    for step in (1, 2, 3, 2):
        page.losses(at(1, step), {"D": float(step)})
    assert node("fold(entries).reports.map((entry) => entry.step)", tmp_path) == [1, 2]


@needs_node
def test_charts_have_round_ticks_and_short_numbers():
    assert node("chart.niceTicks(0, 1200, 6)") == [0, 200, 400, 600, 800, 1000, 1200]
    assert node("chart.niceTicks(-0.3, 0.21, 4)") == pytest.approx([-0.2, 0, 0.2])
    assert node("chart.logTicks(0.02, 5)") == pytest.approx([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5])
    numbers = [0, 0.5, 0.51234, -12.5, 12345, 2.5e6, 0.0002, None]
    expected = ["0", "0.5", "0.5123", "-12.5", "12.35k", "2.5M", "2e-4", "–"]  # noqa: RUF001
    assert node(f"{json.dumps(numbers)}.map((n) => chart.formatNumber(n))") == expected


@needs_node
def test_curves_survive_gaps_spikes_and_constants():
    assert node("chart.valueRange([])") == [0, 1]
    assert node("chart.valueRange([3, 3, null])") == [0, 6]
    assert node("chart.valueRange([...Array(999).fill(0).map((_, i) => 1 + i / 999), 1e6])")[1] < 3
    assert node("chart.linePath([[0, 1], [1, null], [2, 3], [3, 4]], (x) => x, (y) => y)") == (
        "M0.0 1.0M2.0 3.0L3.0 4.0"
    )
    assert node("chart.lonePoints([[0, 1], [1, null], [2, 3], [3, 4], [4, null], [5, 6]])") == [[0, 1], [5, 6]]
    assert node("chart.lonePoints([[1, 2]])") == [[1, 2]]  # a run that was measured once
    assert node("chart.thin([[0, 0], [1, 2], [2, null], [3, 4], [4, null], [5, null]], 3)") == [
        [0.5, 1],
        [2.5, 4],
        [4.5, None],
    ]


def test_pictures_become_a_film_at_the_end(tmp_path):
    page = create(tmp_path)
    page.images(at(0), {"real": grid(), "fa/ke": grid()})
    for epoch in (2, 10):
        page.images(at(epoch, epoch), {"fa/ke": grid(epoch / 10)})
    log = page.logs[0].read_bytes()
    page.close()
    (film,) = tmp_path.glob("images/*.webp")  # of real there is one picture
    assert film.name == "fa%2Fke.webp"
    with Image.open(film) as image:
        assert len(list(ImageSequence.Iterator(image))) == 3
        assert image.size == make_grid(grid()).size
    assert page.logs[0].read_bytes() == log  # a resumed run's is that of one that never stopped
    create(tmp_path / "empty").close()


def test_a_film_leaves_out_frames_when_there_are_many_and_keeps_the_last(tmp_path, monkeypatch):
    monkeypatch.setattr(html_display, "FRAMES", 3)
    page = create(tmp_path)
    for epoch in range(7):
        page.images(at(epoch, epoch), {"fake": Grid(torch.full((1, 1, 8, 8), epoch / 3 - 1), 1)})
    page.close()
    with Image.open(tmp_path / "images" / "fake.webp") as image:
        assert len(list(ImageSequence.Iterator(image))) == 3
        assert image.info["loop"] == 0
        image.seek(2)
        assert image.convert("L").getpixel((4, 4)) == 255


def test_the_page_tells_what_the_run_is_doing(tmp_path):
    page = create(tmp_path)
    for text in ("D has won </script>", "a\u2028b"):
        page.status(Progress(3, 5, 10, 2), Status("training", 10, 254.0, 80.0, (text,)))
        line = (tmp_path / "status.js").read_text()
        assert line.startswith("ganvasStatus({") and line.endswith("});\n") and line.isascii()
        entry = json.loads(line[len("ganvasStatus(") : -3])
        assert (entry["state"], entry["rate"], entry["seconds_left"]) == ("training", 254.0, 80.0)
        assert entry["warnings"] == [text]
        assert abs(entry["time"] - time.time()) < 60
