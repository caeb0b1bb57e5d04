"""The visdom display: windows through the server's own API, and what befalls a run whose server does not behave.

Where visdom is not installed, a stand-in for its client lets the code run that talks to a server.
"""

import contextlib
import csv
import importlib.metadata
import importlib.util
import json
import math
import socket
import sys
import threading
import time
import types
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from util.displays.display import Visualizer
from util.displays.visdom_display import MAX_POINTS, VisdomDisplay
from util.displays.visdom_server import VisdomServer, is_listening
from util.metrics.score import Score
from util.types import Progress

ROOT = Path(__file__).resolve().parents[1]
USUAL = "--name v --n_epochs 2 --print_freq 2 --display html,visdom"
INSTALLED = bool(importlib.util.find_spec("visdom"))
needs_visdom = pytest.mark.skipif(not INSTALLED, reason="visdom is not installed: see requirements-visdom-py311.txt")


class Server(ThreadingHTTPServer):
    """What visdom's server does with windows, in this process."""

    daemon_threads = True

    def __init__(self, page=200, scripts=200):
        super().__init__(("127.0.0.1", 0), Handler)
        self.page, self.scripts, self.windows = page, scripts, {}
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/events":
            self.server.windows[message["eid"], message["win"]] = message
        self.answer(200)

    def do_GET(self):
        self.answer(self.server.page)

    def do_HEAD(self):
        self.answer(self.server.scripts)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


class Client:
    """What of visdom's client the display uses."""

    def __init__(self, server, port, env, send, raise_exceptions, use_incoming_socket):
        assert (send, raise_exceptions, use_incoming_socket) == (False, True, False)
        self.url, self.env = f"{server}:{port}", env
        self._handle_post: Callable[..., str]  # the display's

    def _event(self, win, kind, opts, content):
        message = {"eid": self.env, "win": win, "opts": opts, "data": content, "kind": kind}
        self._handle_post(f"{self.url}/events", data=json.dumps(message))

    def text(self, text, win, opts):
        self._event(win, "text", opts, [{"type": "text", "content": text}])

    def line(self, Y, X, win, opts):
        curves = [{"name": n, "x": X.tolist(), "y": y.tolist()} for n, y in zip(opts["legend"], Y.T, strict=True)]
        self._event(win, "line", opts, curves)

    def image(self, img, win, opts):
        assert img.dtype == np.uint8 and img.shape[0] in (1, 3)
        self._event(win, "image", opts, [{"type": "image", "content": {"caption": opts["caption"]}}])

    def save(self, envs):
        self._handle_post(f"{self.url}/save", data=json.dumps({"data": envs}))


@pytest.fixture
def server():
    server = Server()
    yield server
    with contextlib.suppress(OSError):
        server.stop()


@pytest.fixture(autouse=True)
def visdom(request, monkeypatch):
    if not INSTALLED:
        module = types.ModuleType("visdom")
        module.__spec__ = ModuleSpec("visdom", None)
        module.__dict__["Visdom"] = Client
        monkeypatch.setitem(sys.modules, "visdom", module)
    for name in ("http_proxy", "HTTP_PROXY"):  # never asked for this machine
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setattr("util.displays.visdom_server.START_SECONDS", 60)  # other tests keep the machine busy


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def display_at(port, folder, host="http://localhost"):
    return VisdomDisplay(folder, "a", {"run": {"name": ("<a>", True)}}, host, port, "main", 1)


def warnings(outcome):
    assert outcome.status == 0, outcome.err
    return [line for line in outcome.err.splitlines() if "warning" in line.lower()]


def losses(folder):
    with (folder / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    return {
        name: ([int(row["step"]) for row in rows], [pytest.approx(float(row[name])) for row in rows])
        for name in ("D_real", "D_fake", "G")
    }


def curves(data):
    return {curve["name"]: (curve["x"], curve["y"]) for curve in data}


# --- a server that answers


def test_curves_pictures_and_options_are_windows(bench, server):
    outcome = bench.small(f"{USUAL} --display_port {server.server_port} --display_id 7 --display_env mine")
    assert warnings(outcome) == []
    assert f"visdom: http://localhost:{server.server_port}/env/mine\n" in outcome.out
    windows = {win: message for (env, win), message in server.windows.items() if env == "mine"}
    assert list(windows) == ["7", "7_options", "7_real", "7_fake"]
    assert curves(windows["7"]["data"]) == losses(bench.run_dir("v"))
    assert windows["7_fake"]["opts"]["title"] == "v fake, epoch 2"
    assert windows["7_fake"]["data"][0]["content"]["caption"] == "paper, rock"
    assert "<td>n_epochs</td><td><b>2</b></td>" in windows["7_options"]["data"][0]["content"]
    assert not (bench.run_dir("v") / "visdom").exists()


def test_a_resumed_run_draws_its_curves_from_the_beginning(bench, server):
    options = f"--display_port {server.server_port}"
    bench.small(f"{USUAL} {options} --n_epochs 1")
    server.windows.clear()
    assert warnings(bench.train(f"--name v --continue_train --n_epochs 2 {options}")) == []
    assert curves(server.windows["main", "1"]["data"]) == losses(bench.run_dir("v"))


def test_each_metric_has_a_window_with_its_figures(bench, server, monkeypatch):
    monkeypatch.setattr("util.metrics.classifier.STEPS", 2)
    metrics = "--eval_freq 4 --eval_images 12 --metrics accuracy,shares --val_fraction .4"
    options = f"--display_port {server.server_port} {metrics}"
    assert warnings(bench.small(f"{USUAL} {options} --n_epochs 1")) == []
    server.windows.clear()
    assert warnings(bench.train(f"--name v --continue_train --n_epochs 2 --display_port {server.server_port}")) == []
    with (bench.run_dir("v") / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for metric in ("accuracy", "shares"):
        window = server.windows["main", f"1_{metric}"]
        names = dict.fromkeys(row["name"] for row in rows if row["metric"] == metric)
        assert curves(window["data"]) == {
            name: (
                [int(row["step"]) for row in rows if row["name"] == name],
                [pytest.approx(float(row["value"])) for row in rows if row["name"] == name],
            )
            for name in names
        }
        assert window["opts"]["title"] == f"v {metric}"


def test_an_infinite_figure_is_a_gap(tmp_path, server):
    display = display_at(server.server_port, tmp_path / "visdom")
    display.start(Progress(), [])
    for step, value in ((1, 30.0), (2, math.inf), (3, 40.0)):
        display.metrics(Progress(1, step), [Score("psnr", "psnr", value, None, 4, 4, "pixels", 0, 0)], "")
    (steps, values), *_ = curves(server.windows["main", "1_psnr"]["data"]).values()
    assert steps == [1, 2, 3]
    assert (values[0], values[2]) == (30, 40) and (values[1] is None or math.isnan(values[1]))


def test_long_curves_are_thinned_and_drawn_once_a_second(tmp_path, server):
    display = display_at(server.server_port, tmp_path)
    history = [(Progress(1, step), {"G": float(step)} | ({"D": 0.5} if step % 5 else {})) for step in range(2500)]
    display.start(Progress(1, 2500), history)
    for step in range(2500, 2600):
        display.losses(Progress(1, step), {"G": float(step)})
    shown = curves(server.windows["main", "1"]["data"])
    assert shown["G"][0][-1] == 2499
    display.close()
    shown = curves(server.windows["main", "1"]["data"])
    assert shown["G"][0][-1] == 2599 and shown["G"][0] == shown["G"][1]
    assert MAX_POINTS // 2 <= len(shown["G"][0]) <= MAX_POINTS


def test_options_are_text_and_no_markup(tmp_path, server):
    display_at(server.server_port, tmp_path).start(Progress(), [])
    assert "<b>&lt;a&gt;</b>" in server.windows["main", "1_options"]["data"][0]["content"]


# --- one that does not


def test_a_server_that_goes_away_is_warned_of_once(bench, server, monkeypatch):
    images = Visualizer.images

    def stop_before_epoch_2(self, at, grids):
        if at.epoch == 1:
            server.stop()
        images(self, at, grids)

    monkeypatch.setattr(Visualizer, "images", stop_before_epoch_2)
    (line,) = warnings(bench.small(f"{USUAL} --display_port {server.server_port}"))
    assert line.startswith("warning: --display visdom is switched off, training goes on: http://localhost:")
    assert len(losses(bench.run_dir("v"))["G"][0]) == 10


def test_a_server_that_hangs_costs_its_time_limit_once(bench, monkeypatch):
    monkeypatch.setattr("util.displays.visdom_display.TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        start = time.monotonic()
        (line,) = warnings(bench.small(f"{USUAL} --display_port {deaf.getsockname()[1]}"))
        assert line.endswith(": timed out")
        assert time.monotonic() - start < 30  # with visdom's import; without a limit it would be for ever


def test_what_is_no_visdom_server_is_said(bench, server, monkeypatch):
    monkeypatch.delattr(Handler, "do_POST")
    (line,) = warnings(bench.small(f"{USUAL} --display_port {server.server_port}"))
    assert "HTTP Error 501" in line


def test_a_server_that_cannot_be_started_does_no_harm(bench, monkeypatch):
    monkeypatch.setattr("util.displays.visdom_server.CHILD", "raise SystemExit('no room')")
    start = time.monotonic()
    (line,) = warnings(bench.small(f"{USUAL} --display_port {free_port()}"))
    assert "its server could not be started: no room (log: checkpoints/v/visdom/server.log)" in line
    assert len(losses(bench.run_dir("v"))["G"][0]) == 10
    assert time.monotonic() - start < 30  # with visdom's import, without the limit


def test_a_server_that_does_not_answer_in_time_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("util.displays.visdom_server.CHILD", "import time; time.sleep(60)")
    monkeypatch.setattr("util.displays.visdom_server.START_SECONDS", 0.2)
    server = VisdomServer(free_port(), tmp_path)
    with pytest.raises(OSError, match="it does not answer"):
        server.wait()
    assert server.process.poll() is not None


def test_none_is_started_on_another_machine(tmp_path, monkeypatch):
    monkeypatch.setattr("util.displays.visdom_display.VisdomServer", lambda *_: pytest.fail("started"))
    for host in ("http://visdom.invalid", "https://localhost"):
        with pytest.raises(OSError, match=host):
            display_at(free_port(), tmp_path, host).start(Progress(), [])


# --- the four traps


def test_trap_1_the_release_that_python_311_can_install_is_pinned():
    pinned = [Requirement(line.split("#")[0]) for line in _lines("requirements-visdom-py311.txt")]
    assert [str(r) for r in pinned] == ["visdom==0.2.4", "tornado<6.6"]
    if INSTALLED and sys.version_info < (3, 12):
        assert importlib.metadata.version("visdom") == "0.2.4"


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-visdom-py311.txt"])
def test_trap_2_no_tornado_that_breaks_the_page_is_installed(file):
    (tornado,) = [r for r in (Requirement(line.split("#")[0]) for line in _lines(file)) if r.name == "tornado"]
    assert tornado.specifier.contains("6.5.10") and not tornado.specifier.contains("6.6")


def test_trap_2_a_page_that_tornado_breaks_is_warned_of_in_one_line(bench):
    server = Server(page=403)
    (line,) = warnings(bench.small(f"{USUAL} --display_port {server.server_port}"))
    server.stop()
    assert "403" in line and line.endswith("pip install 'tornado<6.6'")
    assert ("main", "1_fake") in server.windows


def test_trap_3_a_page_without_its_scripts_is_warned_of_in_one_line(bench):
    server = Server(scripts=404)
    (line,) = warnings(bench.small(f"{USUAL} --display_port {server.server_port}"))
    server.stop()
    assert "visdom's page stays empty" in line
    assert ("main", "1_fake") in server.windows


@needs_visdom
def test_traps_3_and_4_a_server_of_the_run_needs_no_network_and_serves_only_this_machine(bench, monkeypatch):
    """Proxies that do not answer stand for a network that is not there."""
    import visdom

    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    port, seen = free_port(), {}
    close = VisdomDisplay.close

    def look_and_close(display):
        display._show_curves()
        monkeypatch.setenv("no_proxy", "localhost")  # for this client, which is no part of the run
        client = visdom.Visdom(port=port, raise_exceptions=True, use_incoming_socket=False)
        seen.update({win: json.loads(client.get_window_data(win)) for win in ("1", "1_fake", "1_options")})
        seen["exists"] = [client.win_exists(win) for win in ("1_real", "2")]
        seen["listening"] = _listening(port)
        seen["server"] = display.server.process
        close(display)

    monkeypatch.setattr(VisdomDisplay, "close", look_and_close)
    outcome = bench.small(f"{USUAL} --display_port {port}")
    assert [line for line in warnings(outcome) if "visdom's page" not in line] == []
    assert "a server of this run, which ends with it" in outcome.out
    assert curves(seen["1"]["content"]["data"]) == losses(bench.run_dir("v"))
    assert seen["1_fake"]["title"] == "v fake, epoch 2"
    assert seen["1_fake"]["content"]["src"].startswith("data:image/png;base64,")
    assert seen["1_options"]["type"] == "text"
    assert seen["exists"] == [True, False]
    assert seen["listening"] in ([], ["0100007F"])  # 127.0.0.1, as Linux writes it
    assert seen["server"].poll() is not None
    assert not is_listening("127.0.0.1", port)
    saved = json.loads((bench.run_dir("v") / "visdom/main.json").read_text())
    assert set(saved["jsons"]) == {"1", "1_options", "1_real", "1_fake"}


@needs_visdom
def test_a_server_ends_with_the_process_that_started_it_and_its_end_is_warned_of_once(bench, monkeypatch):
    images = VisdomDisplay.images

    def end_before_epoch_2(display, at, grids):
        if at.epoch == 1:
            display.server.process.stdin.close()  # what the system does when a process is killed
            assert display.server.process.wait(timeout=5) == 0
        images(display, at, grids)

    monkeypatch.setattr(VisdomDisplay, "images", end_before_epoch_2)
    lines = warnings(bench.small(f"{USUAL} --display_port {free_port()}"))
    (line,) = [line for line in lines if "visdom's page" not in line]
    assert line.startswith("warning: --display visdom is switched off, training goes on: http://localhost:")
    assert len(losses(bench.run_dir("v"))["G"][0]) == 10


def _lines(name):
    return [line for line in (ROOT / name).read_text().splitlines() if line.split("#")[0].strip()]


def _listening(port):
    """Return the addresses on which this machine takes connections to ``port``, [] where Linux does not tell."""
    tables = [path for path in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if path.exists()]
    sockets = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    local = [fields[1].split(":") for fields in sockets if fields[3] == "0A"]  # LISTEN
    return [address for address, number in local if int(number, 16) == port]
