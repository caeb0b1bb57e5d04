"""What surrounds a script: Ctrl-C from the first import on, and outputs that take little."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from util.console import one_line_errors

ROOT = Path(__file__).parents[1]
BEGIN = "from util.begin import begin, interrupts_raise; begin('train.py'); import os, signal\n"


def python(code, **more):
    return subprocess.run([sys.executable, "-c", BEGIN + code], cwd=ROOT, stderr=subprocess.PIPE, text=True, **more)


@pytest.mark.parametrize("around", ["{}", "try:\n {}\nexcept BaseException:\n raise ImportError"])
def test_an_interrupt_while_importing_is_one_line(around):
    done = python(around.format("os.kill(os.getpid(), signal.SIGINT)"))
    assert (done.returncode, done.stderr) == (130, "train.py: stopped\n")


def test_an_interrupt_later_can_be_answered():
    code = "interrupts_raise()\ntry:\n os.kill(os.getpid(), signal.SIGINT)\nexcept KeyboardInterrupt:\n os._exit(7)"
    assert python(code).returncode == 7


def test_a_reader_that_goes_ends_nothing():
    reader, writer = os.pipe()
    os.close(reader)
    done = python("for i in range(9999): print('é', i)\nprint(1, flush=True)\nraise SystemExit(5)", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (5, "")


def test_an_output_in_ascii_takes_all_letters():
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = python("print('größe ±')", stdout=subprocess.PIPE, env=env)
    assert (done.returncode, done.stdout) == (0, "gr??e ?\n")


def test_what_scripts_begin_with_imports_nothing_that_takes_time():
    """An interrupt before it is done shows a traceback."""
    code = "import sys; known = set(sys.modules); import util.begin; print(*sorted(set(sys.modules) - known))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert set(done.stdout.split()) <= {"__future__", "util", "util.begin"}


@pytest.mark.parametrize("script", ["train.py", "test.py"])
def test_scripts_begin_before_they_import(script):
    text = (ROOT / script).read_text()
    assert text.index(f'begin("{script}")') < text.index("\nfrom ")
    assert "interrupts_raise()" in text
    assert signal.getsignal(signal.SIGINT) is not None


@pytest.mark.parametrize(
    ("error", "place", "ends"),
    [
        (ValueError("no"), ("3", "0"), True),
        (FileNotFoundError("no"), ("3", "0"), True),
        (ConnectionError("another process has ended"), ("3", "0"), False),
        (ValueError("no"), ("3", "1"), False),
        (ValueError("no"), ("0", "0"), False),
    ],
)
def test_a_mistake_asks_torchrun_not_to_start_again(monkeypatch, capsys, error, place, ends):
    asked: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: asked.append(pid))
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", place[0])
    monkeypatch.setenv("LOCAL_RANK", place[1])
    with pytest.raises(SystemExit), one_line_errors("train.py", False, ValueError, OSError):
        raise error
    assert asked == [os.getppid()] * ends
    assert capsys.readouterr().err.count("\n") == 1
