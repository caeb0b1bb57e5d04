"""What the benchmark prints and writes: a table, rows of CSV, and a plot of the ratios."""

import csv
import io
from pathlib import Path
from statistics import median
from typing import NamedTuple
from xml.sax.saxutils import escape

from util.files import append_text, write_text


class Timing(NamedTuple):
    """Times and memory of one side of a job; 0 where nothing was measured."""

    ms: float  # of a step
    gib: float  # at most: of tensors on a GPU, of the process on a CPU
    start_up: float  # seconds from the command to the end of the first step
    first: float = 0.0  # of these, seconds of the first step
    data_ms: float = 0.0  # of a batch, by the loader alone
    epoch: float = 0.0  # seconds of an epoch after the first
    first_epoch: float = 0.0  # seconds
    spread: float = 0.0  # of the rounds: from the fastest to the slowest, as a part of the median


class Row(NamedTuple):
    """A job, timed."""

    job: str
    device: str
    batch_size: int
    reference: Timing
    ours: Timing
    against: str = "reference"  # who the reference is

    @property
    def ratio(self) -> float:
        """How many times as fast as the reference ours is."""
        return self.reference.ms / self.ours.ms


COLUMNS = ("job", "device", "reference_ms", "ours_ms", "ratio", "reference_gib", "ours_gib")  # of the CSV
LEFT, WIDTH, BAR = 320, 860, 26  # of the plot, in pixels: where bars begin, where all ends, height of a row


def spread_of(times: list[float]) -> float:
    """Return how far the rounds' times lie apart, as a part of their median."""
    return (max(times) - min(times)) / median(times)


def table(row: Row) -> str:
    """Return the figures of a job, a line for each side, without columns in which nothing was measured."""
    sides = (row.reference, row.ours)
    columns = {
        "ms/step": [f"{side.ms:.2f}" for side in sides],
        "spread %": [f"{100 * side.spread:.0f}" if side.spread else "" for side in sides],
        "img/s": [f"{1000 * row.batch_size / side.ms:.1f}" for side in sides],
        "peak GiB": [f"{side.gib:.2f}" for side in sides],
        "data ms": [f"{side.data_ms:.2f}" if side.data_ms else "" for side in sides],
        "start-up s": [f"{side.start_up:.2f}" for side in sides],
        "first step s": [f"{side.first:.2f}" if side.first else "" for side in sides],
        "epoch s": [f"{side.epoch:.2f}" if side.epoch else "" for side in sides],
        "first epoch s": [f"{side.first_epoch:.2f}" if side.first_epoch else "" for side in sides],
    }
    names = [f"{row.job} ({row.device})", row.against, "ours"]
    lines = [name.ljust(max(map(len, names))) for name in names]
    for title, cells in columns.items():
        if any(cells):
            width = 2 + max(map(len, (title, *cells)))
            lines = [line + cell.rjust(width) for line, cell in zip(lines, (title, *cells), strict=True)]
    return "\n".join([*lines, f"ratio {row.ratio:.2f}"])


def check_csv(path: Path) -> None:
    """Raise an OSError or ValueError when rows cannot be appended to ``path``."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"--out {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise IsADirectoryError(f"--out {path} is a folder")
    if path.exists() and path.read_text(encoding="utf-8").partition("\n")[0].strip() not in ("", ",".join(COLUMNS)):
        raise ValueError(f"--out {path} is there and holds other columns than {','.join(COLUMNS)}")


def append_csv(path: Path, row: Row) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not path.exists() or not path.stat().st_size:
        writer.writerow(COLUMNS)
    values = (row.reference.ms, row.ours.ms, row.ratio, row.reference.gib, row.ours.gib)
    writer.writerow([row.job, row.device, *(f"{value:.4g}" for value in values)])
    append_text(path, text.getvalue())


def write_plot(path: Path, rows: list[Row]) -> None:
    """Draw how many times as fast as the reference ours is, a bar a job, as SVG."""
    scale = (WIDTH - LEFT - 160) / max(1.0, *(row.ratio for row in rows))
    who = "the reference" if rows[0].against == "reference" else rows[0].against
    title = f"How many times as fast as {who}, on {rows[0].device} (ms a step)"
    one, bottom = LEFT + scale, 40 + BAR * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 30}" font-family="sans-serif" '
        f'font-size="13"><rect width="{WIDTH}" height="{bottom + 30}" fill="white"/>',
        f'<text x="12" y="24">{escape(title)}</text>',
    ]
    for top, row in zip(range(40, bottom, BAR), rows, strict=True):
        length, colour = scale * row.ratio, "#2a7f62" if row.ratio >= 1 else "#b5532a"
        figures = f"{row.ratio:.2f} ({row.reference.ms:.4g} : {row.ours.ms:.4g})"
        parts += [
            f'<text x="{LEFT - 8}" y="{top + 15}" text-anchor="end">{escape(row.job[:42])}</text>',
            f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR - 6}" fill="{colour}"/>',
            f'<text x="{LEFT + length + 6:.1f}" y="{top + 15}">{figures}</text>',
        ]
    dashes = f'<line x1="{one:.1f}" x2="{one:.1f}" y1="36" y2="{bottom}" stroke="#333" stroke-dasharray="4 3"/>'
    write_text(path, "\n".join([*parts, dashes, "</svg>"]) + "\n")
