"""What the benchmark prints and writes: a table, rows of CSV, and a plot of the ratios."""

import csv
import io
from pathlib import Path
from statistics import median
from typing import NamedTuple
from xml.sax.saxutils import escape

from util.files import append_text, write_text


class Figures(NamedTuple):
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
    reference: Figures
    ours: Figures
    against: str = "reference"  # who the reference is

    @property
    def ratio(self) -> float:
        """How many times as fast as the reference ours is."""
        return self.reference.ms / self.ours.ms


COLUMNS = ("job", "device", "reference_ms", "ours_ms", "ratio", "reference_gib", "ours_gib")  # of the CSV
TITLES = (
    "",
    "ms/step",
    "spread %",
    "img/s",
    "peak GiB",
    "data ms",
    "start-up s",
    "first step s",
    "epoch s",
    "first epoch s",
)
NARROW, WIDTH, BAR = 320, 860, 26  # of the plot, in pixels: where bars begin, where all ends, height of a row


def spread_of(times: list[float]) -> float:
    """Return how far the rounds' times lie apart, as a part of their median."""
    return (max(times) - min(times)) / median(times)


def table(row: Row) -> str:
    """Return the figures of a job, a line for each side, without columns in which nothing was measured."""
    cells = [[f"{row.job} ({row.device})", *TITLES[1:]]]
    for name, side in ((row.against, row.reference), ("ours", row.ours)):
        values = (side.data_ms, side.start_up, side.first, side.epoch, side.first_epoch)
        rest = [f"{value:.2f}" if value else "" for value in values]
        spread = f"{100 * side.spread:.0f}" if side.spread else ""
        cells.append(
            [name, f"{side.ms:.2f}", spread, f"{1000 * row.batch_size / side.ms:.1f}", f"{side.gib:.2f}", *rest]
        )
    columns = [column for column in zip(*cells, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        for line in zip(*columns, strict=True)
    ]
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
    """Draw how many times as fast as the reference ours is, a bar a job."""
    scale = (WIDTH - NARROW - 160) / max(1.0, *(row.ratio for row in rows))
    who = "the reference" if rows[0].against == Row._field_defaults["against"] else rows[0].against
    height, one = BAR * len(rows) + 70, NARROW + scale
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="12" y="24">How many times as fast as {escape(who)}, on {escape(rows[0].device)} (ms a step)</text>',
    ]
    for i, row in enumerate(rows):
        top, length = 40 + BAR * i, scale * row.ratio
        colour = "#2a7f62" if row.ratio >= 1 else "#b5532a"
        label = escape(row.job if len(row.job) < 42 else f"{row.job[:40]}...")
        parts += [
            f'<text x="{NARROW - 8}" y="{top + 15}" text-anchor="end">{label}</text>',
            f'<rect x="{NARROW}" y="{top}" width="{length:.1f}" height="{BAR - 6}" fill="{colour}"/>',
            f'<text x="{NARROW + length + 6:.1f}" y="{top + 15}">{row.ratio:.2f} '
            f'<tspan fill="#666" font-size="11">({row.reference.ms:.4g} : {row.ours.ms:.4g})</tspan></text>',
        ]
    bottom = 40 + BAR * len(rows)
    parts += [
        f'<line x1="{one:.1f}" x2="{one:.1f}" y1="36" y2="{bottom}" stroke="#333" stroke-dasharray="4 3"/>',
        f'<text x="{one:.1f}" y="{bottom + 16}" text-anchor="middle">1</text>',
        "</svg>",
    ]
    write_text(path, "\n".join(parts) + "\n")
