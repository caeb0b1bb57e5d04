import os
import signal

import pytest

from tests.bench import in_child
from util.files import FolderLock, append_text, cut_back, length, write_text, written_whole


def test_a_file_is_written_whole(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "Hände\n")
    assert path.read_bytes() == "Hände\n".encode()
    with written_whole(path) as file:
        file.write(b"new")
        assert path.read_bytes() == "Hände\n".encode()  # not before the block has ended
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_after_an_error_the_file_is_what_it_was(tmp_path, error):
    path = tmp_path / "a.txt"
    with pytest.raises(error), written_whole(path) as file:
        file.write(b"half")
        raise error
    assert list(tmp_path.iterdir()) == []
    write_text(path, "old")
    with pytest.raises(error), written_whole(path) as file:
        file.write(b"half")
        raise error
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_after_a_kill_the_file_is_what_it_was(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def killed():
        with written_whole(path) as file:
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(killed) == -signal.SIGKILL
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"


def test_the_file_is_on_the_disk_before_it_bears_its_name(tmp_path, monkeypatch):
    path, order = tmp_path / "a.txt", []
    sync = os.fsync

    def noted(file):
        order.append(path.exists())
        sync(file)

    monkeypatch.setattr(os, "fsync", noted)
    write_text(path, "text")
    assert order == [False]


def test_logs_grow_at_their_end_and_are_cut_back(tmp_path):
    path = tmp_path / "log"
    assert length(path) == 0
    append_text(path, "ü\n")
    kept = length(path)
    assert kept == 3  # bytes, not characters, and no carriage return
    append_text(path, "more\n")
    cut_back(path, kept)
    assert path.read_bytes() == "ü\n".encode()
    cut_back(path, 100)  # shorter than it was: left as it is
    assert path.read_bytes() == "ü\n".encode()
    cut_back(path, 0)
    assert not path.exists()
    cut_back(path, 0)
    cut_back(path, 5)  # deleted by the user
    assert not path.exists()


def test_a_lock_keeps_other_processes_out_until_it_is_released(tmp_path):
    def refused():
        with pytest.raises(BlockingIOError, match="run is in use by another process"):
            FolderLock(tmp_path / "run")

    lock = FolderLock(tmp_path / "run")
    assert in_child(refused) == 0
    assert in_child(refused) == 0  # nor did the first one that was refused open it
    lock.release()
    assert in_child(lambda: FolderLock(tmp_path / "run")) == 0


def test_a_lock_ends_with_its_process_even_when_a_child_of_it_lives_on(tmp_path):
    alive, end = os.pipe()

    def hold():
        FolderLock(tmp_path / "run")
        if os.fork() == 0:
            os.close(end)
            os.read(alive, 1)  # until the test ends
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(hold) == -signal.SIGKILL
    assert in_child(lambda: FolderLock(tmp_path / "run")) == 0
    os.close(end)
    os.close(alive)


def test_a_log_that_was_cut_short_keeps_its_whole_lines_and_says_what_is_lost(tmp_path, capsys):
    path = tmp_path / "timing.csv"
    path.write_text("1,2\n3,4\n5")
    cut_back(path, 12)
    assert path.read_text() == "1,2\n3,4\n"
    assert "timing.csv was cut short: 4 bytes of the saved run's 12 are lost" in capsys.readouterr().err
    path.unlink()
    cut_back(path, 12)
    assert not path.exists()
    assert "timing.csv was cut short: 12 bytes" in capsys.readouterr().err
