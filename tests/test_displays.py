"""The displays beyond the page: what they show is what losses.csv says, and what they lack or raise ends no run.

Where a package is not installed, a stand-in lets the code run that talks to it; what reads real files back is skipped.
"""

import csv
import importlib.util
import json
import re
import signal
import struct
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from options.declare import flags
from options.train_options import TrainOptions
from tests.bench import SMALL, in_child
from tests.test_resume import by, interrupted
from util.displays.html_display import TrainingPage
from util.displays.tensorboard_display import TensorBoardDisplay
from util.displays.wandb_display import ID_FILE, WandbDisplay
from util.types import Progress

# Steps of 2 images, 5 to an epoch. Reports at steps 2, 4, 5 ...; saves at 3, 6, 9 and at the end.
USUAL = "--n_epochs 2 --print_freq 4 --save_latest_freq 6 --save_epoch_freq 0"


def needs(package):
    return pytest.mark.skipif(not importlib.util.find_spec(package), reason=f"{package} is not installed")


def warnings(outcome):
    assert outcome.status == 0, outcome.err
    return [line for line in outcome.err.splitlines() if "warning" in line.lower()]


def reports(folder):
    """Return (step, value) of each loss in losses.csv."""
    with (folder / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    return {name: [(int(row["step"]), float(row[name])) for row in rows] for name in ("D_real", "D_fake", "G")}


# --- options


def test_a_display_has_flags_that_turn_it_on():
    base = {f.name: f.default for f in flags(TrainOptions)}

    def displays(**given):
        return TrainOptions(**(base | given)).displays

    assert displays() == ("html",)
    assert displays(display=("html", "wandb"), use_wandb=True, display_id=3) == ("html", "wandb", "visdom")
    assert displays(display=("none",)) == ()
    for off in (0, -1):  # as users of the reference say it
        assert displays(display_id=off) == ("html",)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("http://localhost", "http://localhost"),
        ("http://LocalHost/", "http://LocalHost"),
        ("vis.example.org", "http://vis.example.org"),
        ("https://10.0.0.7", "https://10.0.0.7"),
        ("http://[::1]", "http://[::1]"),
    ],
)
def test_the_server_is_a_scheme_and_a_host(text, value):
    assert {f.name: f for f in flags(TrainOptions)}["display_server"].parse(text) == value


@pytest.mark.parametrize("text", ["http://localhost:8097", "localhost:8097", "ftp://a", "http://", "http://a/b", ""])
def test_another_server_address_is_refused(text):
    with pytest.raises(ValueError, match=r"address|port|host"):
        {f.name: f for f in flags(TrainOptions)}["display_server"].parse(text)


# --- what ends a display and not the run


@pytest.mark.parametrize("where", ["losses", "epoch", "images"])
def test_a_display_that_raises_is_warned_of_once(bench, monkeypatch, where):
    def fail(*_):
        raise RuntimeError("no\nink")

    monkeypatch.setattr(TrainingPage, where, fail)
    (line,) = warnings(bench.small(f"--name a {USUAL}"))
    assert line == "warning: --display html is switched off, training goes on: no ink"
    assert len(reports(bench.run_dir("a"))["G"]) == 6


def test_a_package_that_is_not_there_is_said_in_one_line(bench, monkeypatch):
    for module in ("visdom", "torch.utils.tensorboard", "wandb"):
        monkeypatch.setitem(sys.modules, module, None)
    lines = warnings(bench.small(f"--name a {USUAL} --display html,visdom,tensorboard,wandb"))
    assert [line.split(" is left out: ")[0] for line in lines] == [
        f"warning: --display {name}" for name in ("visdom", "tensorboard", "wandb")
    ]
    assert all("; to install it: pip install " in line for line in lines)
    assert (bench.run_dir("a") / "web/log.js").exists()
    assert not (bench.run_dir("a") / "visdom").exists()


def test_the_record_of_the_run_is_no_display(bench, monkeypatch):
    monkeypatch.setattr("util.displays.logs.append_text", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    outcome = bench.train(f"--model cgan --dataroot hands --batch_size 2 {SMALL} --n_epochs 1")
    assert outcome.status == 1
    assert outcome.err.splitlines()[-1] == "train.py: error: disk full"


# --- TensorBoard


@pytest.fixture
def writers(monkeypatch):
    """A stand-in for torch.utils.tensorboard; returns the writers it is asked for."""
    made = []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            self.folder, self.purge_step, self.scalars, self.images, self.unsaved = folder, purge_step, [], [], True
            made.append(self)

        def add_text(self, tag, text, step):
            assert tag == "options" and "| run | name | a |" in text

        def add_scalar(self, tag, value, step):
            self.scalars.append((tag, step, value))

        def add_image(self, tag, pixels, step, dataformats):
            assert pixels.ndim == len(dataformats)
            self.images.append((tag, step))

        def flush(self):
            pass

        close = flush

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=SummaryWriter))
    return made


def test_tensorboard_gets_each_report_and_picture(bench, writers):
    assert warnings(bench.small(f"--name a {USUAL} --display tensorboard")) == []
    (writer,) = writers
    for name, points in reports(bench.run_dir("a")).items():
        found = [(step, value) for tag, step, value in writer.scalars if tag == f"loss/{name}"]
        assert found == [(step, pytest.approx(value)) for step, value in points]
    assert [step for tag, step, _ in writer.scalars if tag == "lr"] == [5, 10]
    assert writer.images == [("real", 0), ("fake", 0), ("fake", 5), ("fake", 10)]


@pytest.mark.parametrize(("step", "reported", "purged"), [(0, [], 0), (5, [2, 5], 6), (5, [2, 4], 5)])
def test_tensorboard_drops_what_losses_csv_does_not_have(tmp_path, writers, step, reported, purged):
    display = TensorBoardDisplay(tmp_path, {"run": {"name": ("a", True)}})
    display.start(Progress(1, step), [(Progress(1, s), {"G": 1.0}) for s in reported])
    assert writers[0].purge_step == purged


@needs("tensorboard")
@pytest.mark.parametrize("step", [5, 8])
def test_tensorboard_files_of_a_killed_run_say_what_losses_csv_says(bench, step):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with interrupted(step, by(signal.SIGKILL)):
        killed = in_child(lambda: bench.small(f"--name a {USUAL} --display tensorboard"))
    assert killed == -signal.SIGKILL
    folder = bench.run_dir("a")
    (first,) = (folder / "tensorboard").iterdir()
    first.rename(first.with_name(re.sub(r"\d{10}", "1000000000", first.name)))  # not in the same second as the next
    assert warnings(bench.train("--name a --continue_train")) == []
    assert len(list((folder / "tensorboard").iterdir())) == 2
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    for name, points in reports(folder).items():
        found = [(event.step, event.value) for event in events.Scalars(f"loss/{name}")]
        assert found == [(step, pytest.approx(value, rel=1e-6)) for step, value in points]  # they are of 32 bits
    assert [event.step for event in events.Images("fake")] == [0, 5, 10]


# --- Weights & Biases


@pytest.fixture
def wandb_runs(monkeypatch):
    """A stand-in for wandb and the server it talks to: the rows of each run by its id."""
    runs: dict[str, dict[int, dict[str, Any]]] = {}

    class Run:
        def __init__(self, rows):
            self.rows = rows
            self.step = max(rows, default=-1) + 1

        def log(self, values, step):
            assert step >= self.step, f"step {step} after {self.step} would be ignored"
            self.step = step
            self.rows.setdefault(step, {}).update(values)

        def finish(self):
            pass

    def init(id, **given):
        assert given["resume"] == "allow" and given["project"] == "hands" and given["name"] == "a"
        assert given["config"]["run"]["print_freq"] == 4 and given["settings"].init_timeout < 20
        return Run(runs.setdefault(id, {}))

    wandb = types.ModuleType("wandb")
    settings = types.SimpleNamespace(mode="offline", init_timeout=90.0)
    wandb.__dict__.update(
        init=init,
        Settings=lambda: settings,
        setup=lambda: types.SimpleNamespace(settings=settings),
        Image=lambda i, **_: i,
    )
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    return runs


def assert_rows_are(rows, folder):
    """Compare W&B's rows by step with losses.csv."""
    for name, points in reports(folder).items():
        found = [(step, float(f"{row[f'loss/{name}']:.9g}")) for step, row in rows.items() if f"loss/{name}" in row]
        assert found == points


def test_wandb_gets_each_report_and_picture_as_one_row_a_step(bench, wandb_runs):
    assert warnings(bench.small(f"--name a {USUAL} --use_wandb --wandb_project_name hands")) == []
    ((run_id, rows),) = wandb_runs.items()
    assert (bench.run_dir("a") / ID_FILE).read_text() == f"{run_id}\n"
    assert_rows_are(rows, bench.run_dir("a"))
    assert [step for step, row in rows.items() if "fake" in row] == [0, 5, 10]
    assert rows[10].keys() >= {"epoch", "images", "lr", "epoch_mean/G", "loss/G", "fake"}


@pytest.mark.parametrize(("step", "lost"), [(3, 0), (5, 0), (8, 0), (8, 2), (8, 100)])
def test_wandb_has_each_step_once_after_a_crash(bench, wandb_runs, step, lost):
    options = f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name a {USUAL} --use_wandb"
    with interrupted(step, lambda: sys.exit(9)):
        assert bench.train(f"{options} --wandb_project_name hands").status == 9
    (rows,) = wandb_runs.values()
    for late in sorted(rows)[len(rows) - lost if lost < len(rows) else 0 :]:
        del rows[late]  # W&B had not got it
    assert warnings(bench.train("--name a --continue_train")) == []
    assert_rows_are(rows, bench.run_dir("a"))


def test_wandb_that_cannot_be_reached_is_given_up_at_once(tmp_path, monkeypatch, wandb_runs):
    settings = sys.modules["wandb"].setup().settings
    settings.mode, settings.base_url = "online", "http://127.0.0.1:1"
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    display = WandbDisplay(tmp_path, "a", "hands", {})
    with pytest.raises(OSError, match=r"127\.0\.0\.1:1 cannot be reached .*WANDB_MODE=offline"):
        display.start(Progress(), [])
    display.close()


def wandb_records(path: Path) -> Iterator[bytes]:
    """Yield the records of a .wandb file, which is in LevelDB's log format: 7 bytes, then blocks of 32 kB."""
    data, at, record = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        room = 32768 - at % 32768
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        if room < 7 or kind == 0:  # the end of a block, left empty
            at += room
            continue
        record += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            yield record
            record = b""


@needs("wandb")
def test_the_last_offline_folder_of_wandb_has_all_of_losses_csv(bench, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with interrupted(8, by(signal.SIGKILL)):
        killed = in_child(lambda: bench.small(f"--name a {USUAL} --display wandb"))
    assert killed == -signal.SIGKILL
    assert warnings(bench.train("--name a --continue_train")) == []
    files = sorted((bench.run_dir("a") / "wandb").glob("offline-run-*/*.wandb"))
    assert len({file.name for file in files}) == 1  # named by their id
    rows: dict[int, dict[str, Any]] = {}
    messages = importlib.import_module("wandb.proto.wandb_internal_pb2")
    for data in wandb_records(files[-1]):
        record = messages.Record.FromString(data)
        if record.WhichOneof("record_type") == "history":
            row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            assert row["_step"] not in rows
            rows[row["_step"]] = row
    assert_rows_are(rows, bench.run_dir("a"))
