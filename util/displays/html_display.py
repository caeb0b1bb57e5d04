"""The HTML display of a training run: a page that opens from disk and follows the run while it is open.

``index.html`` is written once; what happens in training is appended to ``log.js``, one call of a function per line,
because a page opened from disk may load scripts but no data. util/pages/assets/page.js reads it and draws.
"""

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dominate import tags

from util.displays.display import Display, Status
from util.files import append_text, write_text
from util.images import make_grid, save_film, save_png
from util.metrics.score import Score
from util.open_image import open_image
from util.pages.page import Page
from util.types import Grid, Progress

FRAMES = 100  # of a film, at most
FRAME = 0.25  # seconds that it shows each

Options = dict[str, dict[str, tuple[str, bool]]]  # section -> name -> (value as text, changed from the default?)


class TrainingPage(Display):
    """Writes ``<run_dir>/web/``. An epoch's pictures may come more than once: the later ones take their place."""

    name = "html"

    def __init__(self, folder: Path, title: str, options: Options, commands: dict[str, str]) -> None:
        """Write the page, whose ``commands`` map a caption to a command line; a log that exists is continued."""
        self.folder = folder
        self._log = folder / "log.js"
        (folder / "images").mkdir(parents=True, exist_ok=True)
        page = Page(title)
        page.add(tags.p("Nothing has been reported yet.", id="status", cls="muted"))
        page.add(tags.ul(id="warnings", hidden=True))
        page.add(tags.noscript(tags.p("Curves and images need JavaScript; nothing is loaded from the network.")))
        page.add(_images_section())
        page.add(_metrics_section())
        page.add(_losses_section())
        page.add(_epochs_section())
        if commands:
            page.add(_commands_section(commands))
        if options:
            page.add(_options_section(options))
        page.write(folder, scripts=("chart.js", "run.js", "page.js"))

    @property
    def logs(self) -> list[Path]:
        """The append-only files, to be cut back when a run resumes from an earlier state."""
        return [self._log]

    def losses(self, at: Progress, losses: dict[str, float]) -> None:
        """Report losses, averaged since the last report."""
        self._append("losses", at, losses=_numbers(losses))

    def epoch(self, at: Progress, means: dict[str, float], lr: float) -> None:
        """Report the end of an epoch: its mean losses and the learning rate it was trained with."""
        self._append("epoch", at, means=_numbers(means), **_numbers({"lr": lr}))

    def metrics(self, at: Progress, scores: Sequence[Score], best: str) -> None:
        """Report a measurement, and which was the best so far."""
        values = _numbers({score.name: score.value for score in scores})
        self._append("metrics", at, values=values, settings=scores[0].settings, best=best)

    def images(self, at: Progress, grids: dict[str, Grid]) -> None:
        """Show the pictures of an epoch; epoch 0 is before training."""
        for name, grid in grids.items():
            picture = make_grid(grid)
            file = f"epoch{at.epoch:03d}_{quote(name, safe='')}.png"
            save_png(self.folder / "images" / file, picture)
            # The picture is there before the log speaks of it.
            lines = math.ceil(len(grid.images) / grid.columns)
            details = {"name": name, "file": file, "size": picture.size, "lines": lines, "rows": grid.rows}
            self._append("images", at, **details)

    def status(self, at: Progress, status: Status) -> None:
        """Say what the run is doing, in a file apart: it holds the clock, and the log of a resumed run holds none."""
        entry = status._asdict() | {"time": round(time.time())}
        write_text(self.folder / "status.js", f"ganvasStatus({json.dumps(entry, allow_nan=False)});\n")

    def close(self) -> None:
        """Make a film of each kind of picture, which page.js looks for; all else is on disk by now."""
        kinds: dict[str, list[Path]] = {}
        for path in sorted((self.folder / "images").glob("epoch*_*.png"), key=_epoch):
            kinds.setdefault(path.stem.split("_", 1)[1], []).append(path)
        for kind, paths in kinds.items():
            if len(paths) > 1:
                _film(self.folder / "images" / f"{kind}.webp", paths)

    def _append(self, kind: str, at: Progress, **fields: Any) -> None:
        entry = {"kind": kind, "epoch": at.epoch, "step": at.step, "images": at.images, **fields}
        # ASCII only, so that neither U+2028 nor a lone surrogate can end or spoil the line.
        append_text(self._log, f"ganvas({json.dumps(entry, allow_nan=False)});\n")


def _epoch(path: Path) -> int:
    return int(path.stem.removeprefix("epoch").split("_", 1)[0])


def _film(path: Path, pictures: Sequence[Path]) -> None:
    """Write the ``pictures`` as a film of those that are as large as the last, some of them left out when many."""
    every = math.ceil(len(pictures) / FRAMES)
    frames = []
    for picture in [*pictures[-1::-every]][::-1]:
        with open_image(picture) as image:
            frames.append(image.convert("RGB"))
    save_film(path, [frame for frame in frames if frame.size == frames[-1].size], FRAME)


def _numbers(values: dict[str, float]) -> dict[str, float | None]:
    """Round to six digits; JSON has no NaN and no infinity, the page leaves a gap at null."""
    return {name: float(f"{value:.6g}") if math.isfinite(value) else None for name, value in values.items()}


def _images_section() -> Any:
    section = tags.section(tags.h2("Images"), id="images", hidden=True)
    section.add(
        tags.div(
            tags.button("Play", id="play", type="button"),
            tags.input_(id="epoch", type="range", min="0", max="0", step="1", aria_label="Epoch shown"),
            tags.output(id="epoch-shown", for_="epoch"),
            cls="controls",
        ),
        tags.div(id="grids"),
    )
    return section


def _losses_section() -> Any:
    section = tags.section(tags.h2("Losses"), id="losses", hidden=True)
    axis = tags.select(tags.option("steps", value="step"), tags.option("images", value="images"), id="axis")
    section.add(
        tags.div(
            tags.span(id="cursor-at", cls="muted", aria_live="polite"),
            tags.label("Count in", axis),
            tags.label(tags.input_(type="checkbox", id="log-scale"), "Log scale"),
            cls="controls",
        ),
        tags.div(id="legend"),
        tags.div(id="loss-chart", cls="chart", tabindex="0", role="img", aria_label="Loss curves, read by arrow keys"),
        tags.p("Thin: as reported. Thick: means of epochs.", cls="muted small"),
    )
    return section


def _metrics_section() -> Any:
    section = tags.section(tags.h2("Quality"), id="metrics", hidden=True)
    section.add(
        tags.p(id="best"),
        tags.div(id="metric-charts", cls="figures"),
        tags.p(id="metric-settings", cls="muted small"),
    )
    return section


def _epochs_section() -> Any:
    section = tags.section(tags.h2("Epochs"), id="epochs", hidden=True)
    section.add(
        tags.h3("Learning rate"),
        tags.div(id="lr-chart", cls="chart", role="img", aria_label="Learning rate of every epoch"),
        tags.details(
            tags.summary("Mean losses of every epoch"),
            tags.div(tags.table(id="epoch-table", cls="numbers"), cls="scroll", tabindex="0"),
        ),
    )
    return section


def _commands_section(commands: dict[str, str]) -> Any:
    section = tags.section(tags.h2("Commands"), id="commands")
    for caption, command in commands.items():
        section.add(tags.div(tags.h3(caption), tags.pre(tags.code(command), tabindex="0"), id=f"command-{caption}"))
    return section


def _options_section(options: Options) -> Any:
    section = tags.section(tags.h2("Options"), id="options")
    section.add(
        tags.label(
            tags.input_(type="checkbox", id="only-changed", checked=True), "Only those changed from their default"
        )
    )
    columns = section.add(tags.div(cls="columns"))
    for name, values in options.items():
        any_changed = any(changed for _, changed in values.values())
        block = columns.add(tags.div(tags.h3(name), cls="block" if any_changed else "block same"))
        table = block.add(tags.table())
        for option, (value, changed) in values.items():
            mark = tags.span("●", cls="mark", role="img", aria_label="changed") if changed else ""
            table.add(tags.tr(tags.th(option, mark, scope="row"), tags.td(value), cls="changed" if changed else "same"))
    return section
