import csv
import re
import threading
import time

from util.background import Background
from util.displays.display import Display, Visualizer
from util.displays.logs import LossCsv, TextLogs, read_losses
from util.training.checkpoint import Checkpoint
from util.types import Progress
from util.weights import load_safely


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def at(step):
    return Progress(epoch=1, step=step, images=2 * step)


def test_losses_are_a_row_a_report(tmp_path):
    log = LossCsv(tmp_path)
    log.write(at(1), {"G": 0.1, "D": 1 / 3})
    log.write(at(2), {"D": 2.0, "G": 1e-9})
    assert rows(tmp_path / "losses.csv") == [
        ["epoch", "step", "images", "G", "D"],
        ["1", "1", "2", "0.1", "0.333333333"],
        ["1", "2", "4", "1e-09", "2"],
    ]


def test_a_loss_that_comes_later_gets_a_column(tmp_path):
    log = LossCsv(tmp_path)
    log.write(at(1), {"D": 1.0})
    log.write(at(2), {"D": 2.0, 'G, "of" 5': 3.0})
    log.write(at(3), {"D": 4.0})
    assert rows(tmp_path / "losses.csv") == [
        ["epoch", "step", "images", "D", 'G, "of" 5'],
        ["1", "1", "2", "1", ""],
        ["1", "2", "4", "2", "3"],
        ["1", "3", "6", "4", ""],
    ]


def test_rows_and_columns_after_a_save_go_when_it_is_loaded(tmp_path):
    log = LossCsv(tmp_path)
    log.write(at(1), {"D": 1.0})
    state, before = log.state_dict(), (tmp_path / "losses.csv").read_bytes()
    log.write(at(2), {"D": 2.0, "G": 3.0})
    with (tmp_path / "losses.csv").open("a") as file:
        file.write("1,3,6,4")  # cut off by a crash
    again = LossCsv(tmp_path)
    again.load_state_dict(state)
    assert (tmp_path / "losses.csv").read_bytes() == before
    again.write(at(2), {"D": 5.0})
    assert rows(tmp_path / "losses.csv")[2:] == [["1", "2", "4", "5"]]


def test_logs_of_all_displays_are_cut_back_to_a_save(tmp_path):
    class Counter(Display):
        """A display that shows nothing of what it gets."""

    logs = TextLogs(tmp_path)
    visualizer = Visualizer([logs, Counter()], tmp_path)
    logs.write_losses(Progress(epoch=3, step=5, images=10, epoch_step=1), {"G": 0.25}, 0.5, 0.125)
    state, before = visualizer.state_dict(), logs.loss_log.read_text()
    assert state == {"loss_log.txt": len(before), "timing.csv": 0}
    header, line = before.splitlines()
    assert re.fullmatch(r"=+ Training Loss \(.*\) =+", header)
    assert line == "(epoch: 3, iters: 2, time: 0.500, data: 0.125) G: 0.250"
    logs.write_losses(at(2), {"G": 0.5}, 0.5, 0.125)
    logs.write_timing(at(2), 2.0, 1.0, 4)
    assert rows(logs.timing)[1:] == [["1", "2", "4", "2.000", "1.000", "2.0"]]
    visualizer.load_state_dict(state)
    assert logs.loss_log.read_text() == before
    assert not logs.timing.exists()
    visualizer.losses(at(2), {"G": 0.5})
    visualizer.close()


def test_the_reports_in_a_log_are_read_back(tmp_path):
    assert read_losses(tmp_path / "losses.csv") == []
    log = LossCsv(tmp_path)
    log.write(at(1), {"D": 1 / 3})
    log.write(at(2), {"G": -2.0})
    assert read_losses(tmp_path / "losses.csv") == [(at(1), {"D": 0.333333333}), (at(2), {"G": -2.0})]


class Noting(Display):
    """Notes what it is asked for, and fails at one of it."""

    name = "noting"

    def __init__(self, failing=""):
        self.failing, self.calls = failing, []

    def _note(self, call):
        self.calls.append(call)
        if call == self.failing:
            raise ValueError("x" * 500)

    def start(self, at, history):
        self._note(f"start after {len(history)}")

    def losses(self, at, losses):
        self._note("losses")

    def close(self):
        self._note("close")


def test_a_display_that_fails_is_off_and_the_others_are_not(tmp_path, capsys):
    displays = [Noting("start after 1"), Noting("losses"), Noting("close"), Noting()]
    visualizer = Visualizer(displays, tmp_path)
    visualizer.start(at(1), [(at(1), {"D": 1.0})])
    visualizer.losses(at(2), {"D": 1.0})
    visualizer.losses(at(3), {"D": 1.0})
    visualizer.close()
    all_calls = ["start after 1", "losses", "losses", "close"]
    assert [d.calls for d in displays] == [
        ["start after 1", "close"],
        ["start after 1", "losses", "close"],
        all_calls,
        all_calls,
    ]
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["warning: --display noting is switched off, training goes on: " + "x" * 300] * 3


def test_a_display_that_fails_again_when_it_is_closed_is_not_warned_of_again(tmp_path, capsys):
    display = Noting("losses")
    visualizer = Visualizer([display], tmp_path)
    visualizer.losses(at(1), {})
    display.failing = "close"
    visualizer.close()
    assert display.calls == ["losses", "close"]
    assert capsys.readouterr().err.count("warning") == 1


class Slow(Noting):
    """Takes its time, and notes when it is called."""

    def losses(self, at, losses):
        time.sleep(0.002)
        self.calls.append((at.step, dict(losses), threading.current_thread().name))
        super().losses(at, losses)


def test_displays_are_called_behind_the_run_in_order_with_what_there_was(tmp_path, capsys):
    display, failing, do = Slow(), Slow("losses"), Background()
    visualizer = Visualizer([failing, display], tmp_path, do)
    when = Progress(1, 0, 0, 0)
    visualizer.start(when, [])
    assert display.calls == ["start after 0"]
    for _ in range(20):
        when.advance(2)
        visualizer.losses(when, {"D": 1.0})
    do.wait()
    visualizer.close()
    reports = [call for call in display.calls if isinstance(call, tuple)]
    assert reports == [(step, {"D": 1.0}, "background") for step in range(1, 21)]
    assert display.calls[-1] == "close"
    assert failing.calls == ["start after 0", (1, {"D": 1.0}, "background"), "losses", "close"]
    assert capsys.readouterr().err.count("warning: --display noting is switched off") == 1


def test_the_lengths_of_the_logs_are_those_when_the_state_is_written(tmp_path):
    """A state that is saved while reports wait to be written knows of those before it, and of none after it."""
    logs, do = TextLogs(tmp_path), Background()
    visualizer = Visualizer([logs], tmp_path, do)
    checkpoint = Checkpoint(tmp_path, {"logs": visualizer}, late=["logs"], do=do)
    do(time.sleep, 0.05)
    do(logs.write_losses, at(1), {"G": 0.25}, 0.5, 0.125)
    checkpoint.save()
    do(logs.write_losses, at(2), {"G": 0.25}, 0.5, 0.125)
    do.wait()
    header, line, _ = logs.loss_log.read_bytes().splitlines(keepends=True)
    assert load_safely(checkpoint.path)["logs"] == {"loss_log.txt": len(header + line), "timing.csv": 0}
