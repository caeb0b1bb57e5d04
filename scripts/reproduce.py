"""Write the table of docs/results.md anew from what the recipes' runs left: options, times, scores, pictures.

    python scripts/reproduce.py                                      all runs of recipes that are here
    python scripts/reproduce.py rps_cgan --measure kid,precision,recall,accuracy

A row is a run, found in checkpoints/; its scores are those that test.py --metrics wrote, of the best checkpoint where
there is one. --measure has test.py write them first. Rows stay as they are of runs that are not here, and of those
that went on, or were made anew, after test.py. Pictures go to images/results/ beside the document.
"""

import argparse
import csv
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parents[1]))

import test
from util.config_file import read_config, read_section
from util.console import one_line_errors, warn
from util.files import write_text
from util.metrics.record import METRICS_FILE, read_best
from util.metrics.score import Score, read_scores
from util.results.origin import find_results, strangeness
from util.runs import OPTIONS_FILE

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "results.md"
BEGIN, END = "<!-- runs -->", "<!-- end of runs -->"
HEADER = ["run", "command", "data", "images seen", "time, hardware", "held-out scores", "picture"]
MAX_PICTURE = 1_000_000  # bytes: a larger one is left out of the repository
KNOWN = 0.98  # of the images that a run saw: if fewer are timed, its time is longer than is known


class Row(NamedTuple):
    """What the table says of a run."""

    cells: list[str]  # all but the picture
    picture: Path | None


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="runs; all that recipes make when none is given")
    parser.add_argument("--measure", default="", help="metrics to have measured first, such as kid,accuracy")
    parser.add_argument("--checkpoints_dir", type=Path, default=Path("checkpoints"))
    parser.add_argument("--results_dir", type=Path, default=Path("results"))
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="the file whose table is written")
    args = parser.parse_args(argv)
    with one_line_errors("reproduce.py", False, ValueError, OSError, LookupError):
        names = args.names or [n for n in recipe_runs() if (args.checkpoints_dir / n / OPTIONS_FILE).exists()]
        rows = {}
        for name in names:
            folder = args.checkpoints_dir / name
            if not (folder / OPTIONS_FILE).exists():
                raise FileNotFoundError(f"there is no run {name} in {args.checkpoints_dir}/")
            label = "best" if read_best(folder) else "latest"
            if args.measure:
                where = ["--checkpoints_dir", str(args.checkpoints_dir), "--results_dir", str(args.results_dir)]
                test.main(["--name", name, "--epoch", label, "--metrics", args.measure, *where])
            dataroot = str(read_config(folder / OPTIONS_FILE)["dataroot"].value)
            results = find_results(args.results_dir / name / f"test_{label}", folder, label, dataroot)
            if results.exists() and (why := strangeness(results, folder, label, dataroot)):
                warn(f"the row of {name} stays as it is: {results} {why}; --measure kid,accuracy makes them anew")
            else:
                rows[name] = read_row(folder, results, label)
        write_table(args.document, rows)
        print(f"{args.document}: {', '.join(rows) or 'nothing new'}")


def recipe_runs() -> list[str]:
    """Return the names that the recipes in scripts/ give to their runs."""
    scripts = sorted((ROOT / "scripts").rglob("*.sh"))
    calls = re.compile(r"(?:train\.py[^#]*?--name |^train )(\w+)", re.MULTILINE)
    found = [name for path in scripts for name in calls.findall(path.read_text(encoding="utf-8"))]
    return list(dict.fromkeys(found))


def read_row(folder: Path, results: Path, label: str) -> Row:
    """Return what the table says of the run in ``folder``."""
    options, about = read_config(folder / OPTIONS_FILE), read_section(folder / OPTIONS_FILE, "about")
    spec = read_section(folder / OPTIONS_FILE, "spec")
    height, width = spec["image_size"]
    processes = [about, *(about.get("resumed") or [])]
    images, time = trained(folder / "timing.csv")
    cells = [
        folder.name,
        ", then ".join(dict.fromkeys(f"`{command_text(process)}`" for process in processes)),
        f"{options['dataroot'].value}, {spec['num_images']} images, {width} x {height}",
        f"{images:,}",
        f"{time}, {', then '.join(dict.fromkeys(hardware(process) for process in processes))}",
        scores_text(read_scores(results / METRICS_FILE), label),
    ]
    picture = results / "images" / "grid" / "grid.png"
    return Row(cells, picture if picture.exists() and picture.stat().st_size <= MAX_PICTURE else None)


def command_text(process: dict[str, Any]) -> str:
    return re.sub(r"\S*/train\.py", "train.py", str(process.get("command", ""))).replace("|", "\\|")


def hardware(process: dict[str, Any]) -> str:
    device = str(process.get("device", ""))
    return f"CPU, {process.get('cpu_threads')} threads" if device == "cpu" else device


def trained(path: Path) -> tuple[int, str]:
    """Return how many images a run has seen by its timing.csv, and in what time, which it may know but in part.

    A run of before each save had a row lacks the time of what was trained of an epoch before a stop.
    """
    if not path.exists():
        return 0, "unknown"
    with path.open(newline="") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    seconds, images = sum(row["seconds"] for row in rows), int(rows[-1]["images"]) if rows else 0
    timed = sum(row["seconds"] * row["images_per_second"] for row in rows)
    return images, "at least " * (timed < KNOWN * images) + duration(seconds)


def duration(seconds: float) -> str:
    return (
        f"{seconds / 3600:.1f} h"
        if seconds >= 5400
        else f"{seconds / 60:.0f} min"
        if seconds >= 90
        else f"{seconds:.0f} s"
    )


def scores_text(scores: list[Score], label: str) -> str:
    """Return scores with their settings, those of equal settings together."""
    groups: dict[str, list[str]] = {}
    for score in scores:
        groups.setdefault(score.settings, []).append(f"{score.name} {score.text}")
    texts = [f"**{', '.join(values)}** ({label}; {settings})" for settings, values in groups.items()]
    return "; ".join(texts) or "not measured"


def write_table(document: Path, rows: dict[str, Row]) -> None:
    """Put ``rows`` into the table of ``document``, in the places of those of the same name or after all others.

    Their pictures go to images/results/ beside it.

    Raises:
        ValueError: it has no place for a table.
    """
    text = document.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{document} has no lines {BEGIN} and {END} between which the table goes")
    before, rest = text.split(BEGIN, 1)
    old, after = rest.split(END, 1)
    lines = {line.split("|")[1].strip(): line for line in old.strip().splitlines()[2:] if line.startswith("|")}
    for name, (cells, picture) in rows.items():
        link = ""
        if picture:
            copy = Path("images", "results", f"{name}.png")
            (document.parent / copy).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, document.parent / copy)
            link = f"![samples of {name}]({quote(copy.as_posix())})"
        lines[name] = f"| {' | '.join([*cells, link])} |"
    table = [f"| {' | '.join(HEADER)} |", "|" + "---|" * len(HEADER), *lines.values()]
    write_text(document, f"{before}{BEGIN}\n" + "\n".join(table) + f"\n{END}{after}")


if __name__ == "__main__":
    main()
