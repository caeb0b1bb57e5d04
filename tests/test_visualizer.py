import csv

from util.types import Progress
from util.visualizer import Display, LossCsv, TextLogs, Visualizer


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
    logs.write_losses(at(1), {"G": 0.25}, 0.5, 0.125)
    state, before = visualizer.state_dict(), logs.loss_log.read_text()
    assert state == {"loss_log.txt": len(before), "timing.csv": 0}
    assert before == "(epoch: 1, iters: 2, time: 0.500, data: 0.125) G: 0.250\n"
    logs.write_losses(at(2), {"G": 0.5}, 0.5, 0.125)
    logs.write_timing(at(2), 2.0, 1.0, 4)
    assert rows(logs.timing)[1:] == [["1", "2", "4", "2.000", "1.000", "2.0"]]
    visualizer.load_state_dict(state)
    assert logs.loss_log.read_text() == before
    assert not logs.timing.exists()
    visualizer.losses(at(2), {"G": 0.5})
    visualizer.close()
