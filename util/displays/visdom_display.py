"""The visdom display: curves, pictures and options on the page of a visdom server."""

import importlib.util
import math
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit

import numpy as np
from dominate import tags
from tqdm import tqdm

from util.displays.display import Display
from util.displays.html_display import Options
from util.displays.logs import thinned
from util.displays.visdom_server import VisdomServer, is_listening
from util.images import make_labelled_grid
from util.metrics.record import METRICS_FILE, read_metrics
from util.metrics.score import Score
from util.types import Grid, Progress, Report

TIMEOUT = 5  # seconds: what a server that hangs costs the run, once
MAX_POINTS = 1000  # a curve: its window is sent and drawn anew each time, which is quicker than visdom's way of adding
REFRESH_SECONDS = 1  # at least, between two drawings of the curves
REFRESH_SHARE = 20  # the curves take at most this part of the time
PANE_SIZE = 640  # pixels: width of the largest window
OWN_SERVER_HOSTS = ("localhost", "127.0.0.1")
SCRIPTS = "from visdom.server.build import download_scripts; download_scripts()"


class VisdomDisplay(Display):
    """Shows a run in the windows ``<window>`` (losses), ``<window>_<pictures>``, ``_<metric>`` and ``_options``."""

    name = "visdom"
    install = (
        'pip install visdom "tornado<6.6"'
        if sys.version_info >= (3, 12)
        else 'pip install "setuptools<81" wheel && pip install --no-build-isolation -r requirements-visdom-py311.txt'
    )

    def __init__(self, folder: Path, title: str, options: Options, url: str, port: int, env: str, window: int) -> None:
        """Args: folder: for the files of a server that has to be started; url: of a server, without its port."""
        self.folder, self.title, self.options = folder, title, options
        self.url, self.port, self.env, self.window = url, port, env, window
        self.address = f"{url}:{port}"
        self.server: VisdomServer | None = None
        self.client: Any = None
        self.reports: list[Report] = []
        self.shown = 0  # how many of them
        self.measured: dict[str, list[Report]] = {}  # metric -> its scores
        self.next_refresh = 0.0

    def start(self, at: Progress, history: Sequence[Report]) -> None:
        """Connect to the server, or start one where none answers on this machine.

        Raises:
            ModuleNotFoundError: visdom is not installed.
            OSError: there is no server, and none can be started.
        """
        if not importlib.util.find_spec("visdom"):
            raise ModuleNotFoundError("No module named 'visdom'")
        scheme, host = urlsplit(self.url).scheme, urlsplit(self.url).hostname or ""
        local = host in OWN_SERVER_HOSTS
        if local and scheme == "http" and not is_listening(host, self.port):
            self.server = VisdomServer(self.port, self.folder)
        import visdom  # takes a second, in which the server starts

        if self.server:
            self.server.wait()
        # A proxy of the environment leads away from this machine.
        self.http = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))
        client: Any = visdom.Visdom(
            self.url,
            port=self.port,
            env=self.env,
            send=False,  # not yet: by its own means it would wait for an answer for ever
            raise_exceptions=True,
            use_incoming_socket=False,
        )
        client._handle_post = self._post
        client.send = True
        self.client = client
        # The page shows windows in the order in which they were made: keep a place for the losses.
        self.client.text("Nothing has been reported yet.", win=str(self.window), opts={"title": self._curves_title()})
        self.client.text(
            _options_table(self.options), win=f"{self.window}_options", opts={"title": f"{self.title} options"}
        )
        self._check_page()
        self.reports = list(history)
        self._show_curves()
        for when, score in read_metrics(self.folder.parent / METRICS_FILE):
            self._take(when, score)
        for metric in self.measured:
            self._show_metric(metric)
        own = ", a server of this run, which ends with it" if self.server else ""
        print(f"visdom: {self.address}/env/{quote(self.env.replace('/', '_'))}{own}")

    def losses(self, at: Progress, losses: dict[str, float]) -> None:
        self.reports.append((Progress(at.epoch, at.step, at.images), losses))
        if time.monotonic() >= self.next_refresh:
            self._show_curves()

    def metrics(self, at: Progress, scores: Sequence[Score], best: str) -> None:
        for score in scores:
            self._take(at, score)
        for metric in dict.fromkeys(score.metric for score in scores):
            self._show_metric(metric)

    def images(self, at: Progress, grids: dict[str, Grid]) -> None:
        for name, grid in grids.items():
            pixels = np.atleast_3d(np.asarray(make_labelled_grid(grid))).transpose(2, 0, 1)  # (C, H, W)
            scale = min(1, PANE_SIZE / pixels.shape[2])
            opts = {
                "title": f"{self.title} {name}, epoch {at.epoch}",
                "caption": ", ".join(grid.rows),
                "width": round(pixels.shape[2] * scale),
                "height": round(pixels.shape[1] * scale),
            }
            self.client.image(pixels, win=f"{self.window}_{name}", opts=opts)

    def close(self) -> None:
        """Draw the last losses; have a server of our own save its windows, and end it."""
        try:
            if self.client:
                self._show_curves()
                if self.server:
                    self.client.save([self.env])
        finally:
            if self.server:
                self.server.stop()

    def _show_curves(self) -> None:
        """Draw the curves of all losses, thinned to ``MAX_POINTS``, unless they show every report already."""
        if self.shown == len(self.reports):
            return
        start = time.monotonic()
        reports = thinned(self.reports, MAX_POINTS)
        names = list(dict.fromkeys(name for _, losses in self.reports for name in losses))
        self._draw(str(self.window), self._curves_title(), "loss", names, reports)
        self.shown = len(self.reports)
        now = time.monotonic()
        self.next_refresh = now + max(REFRESH_SECONDS, (now - start) * REFRESH_SHARE)

    def _take(self, at: Progress, score: Score) -> None:
        """Note a score, beside others of its metric and step."""
        reports = self.measured.setdefault(score.metric, [])
        if not reports or reports[-1][0].step != at.step:
            reports.append((Progress(at.epoch, at.step, at.images), {}))
        reports[-1][1][score.name] = score.value if math.isfinite(score.value) else math.nan  # JSON has no infinity

    def _show_metric(self, metric: str) -> None:
        """Draw the curves of all scores of a metric."""
        reports = self.measured[metric]
        names = list(dict.fromkeys(name for _, values in reports for name in values))
        self._draw(f"{self.window}_{metric}", f"{self.title} {metric}", metric, names, thinned(reports, MAX_POINTS))

    def _draw(self, window: str, title: str, what: str, names: list[str], reports: Sequence[Report]) -> None:
        """Draw a window of curves anew."""
        self.client.line(
            np.array([[values.get(name, math.nan) for name in names] for _, values in reports]),
            np.array([at.step for at, _ in reports], dtype=float),
            win=window,
            opts={
                "title": title,
                "xlabel": "step",
                "ylabel": what,
                "legend": names,
                "showlegend": True,
                "width": PANE_SIZE,
                "height": PANE_SIZE * 2 // 3,
                "traceopts": {"plotly": {name: {"connectgaps": True} for name in names}},  # a step may lack a loss
            },
        )

    def _curves_title(self) -> str:
        return f"{self.title} loss over time"

    def _post(self, url: str, data: Any = None) -> str:
        """Send a request in the client's place: with a time limit, and with an error when the server reports one.

        Raises:
            OSError: there was no good answer; nothing is sent any more.
        """
        try:
            request = urllib.request.Request(url, data=str(data or "{}").encode())
            with self.http.open(request, timeout=TIMEOUT) as answer:
                return str(answer.read().decode())
        except OSError as error:
            self.client = None
            raise OSError(f"{self.address}: {_reason(error)}") from None

    def _check_page(self) -> None:
        """Warn in one line when browsers will see nothing, although the server accepts what it is sent."""
        if self._status("/") == 403:
            warn = "answers 403, as it does with tornado 6.6 and newer; where the server is: pip install 'tornado<6.6'"
        elif self._status("/static/js/react-react.min.js") == 404:
            warn = f'stays empty until its scripts are there; with a network, once: python -c "{SCRIPTS}"'
        else:
            return
        tqdm.write(f"warning: visdom's page {warn}", file=sys.stderr)

    def _status(self, path: str) -> int:
        try:
            request = urllib.request.Request(self.address + path, method="HEAD" if path != "/" else "GET")
            with self.http.open(request, timeout=TIMEOUT) as answer:
                return int(answer.status)
        except HTTPError as error:
            return error.code
        except OSError as error:
            raise OSError(f"{self.address}: {_reason(error)}") from None


def _reason(error: OSError) -> object:
    """Return what went wrong, without what urllib wraps around it."""
    inner = error.reason if isinstance(error, URLError) and isinstance(error.reason, OSError) else error
    return inner.strerror or inner


def _options_table(options: Options) -> str:
    """Return all options as HTML, those not at their defaults in bold."""
    table = tags.table()
    for section, values in options.items():
        table.add(tags.tr(tags.th(section, colspan="2")))
        for name, (value, changed) in values.items():
            table.add(tags.tr(tags.td(name), tags.td(tags.b(value) if changed else value)))
    return table.render(pretty=False)
