"""Write the table of docs/results.md anew from what the recipes' runs left: options, times, figures, pictures.

    python scripts/reproduce.py                                      all runs of recipes that are here
    python scripts/reproduce.py rps_cgan --measure kid,precision,recall,accuracy

A row is a run, found in checkpoints/; its figures are those that test.py --metrics wrote, of the best checkpoint where
there is one. --measure has test.py write them first. Rows of runs that are not here stay as they are.
"""

import argparse
import csv
import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import test
from util.config_file import read_config, read_section
from util.console import one_line_errors
from util.files import write_text
from util.metrics.figure import Figure, from_cells
from util.quality import METRICS_FILE, read_best
from util.runs import OPTIONS_FILE

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "results.md"
PICTURES = ROOT / "docs" / "images" / "results"
BEGIN, END = "<!-- runs -->", "<!-- end of runs -->"
HEADER = ["run", "command", "data", "images seen", "time, hardware", "held-out figures", "picture"]
MAX_PICTURE = 1_000_000  # bytes: a larger one is left out of the repository


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="runs; all that recipes make when none is given")
    parser.add_argument("--measure", default="", help="metrics to have measured first, such as kid,accuracy")
    parser.add_argument("--checkpoints_dir", type=Path, default=Path("checkpoints"))
    parser.add_argument("--results_dir", type=Path, default=Path("results"))
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="the file whose table is written")
    args = parser.parse_args()
    with one_line_errors("reproduce.py", False, ValueError, OSError, LookupError):
        names = args.names or [n for n in recipe_runs() if (args.checkpoints_dir / n / OPTIONS_FILE).exists()]
        rows = {}
        for name in names:
            folder = args.checkpoints_dir / name
            if not (folder / OPTIONS_FILE).exists():
                raise FileNotFoundError(f"there is no run {name} in {args.checkpoints_dir}/")
            label = "best" if read_best(folder) else "latest"
            results = args.results_dir / name / f"test_{label}"
            if args.measure:
                where = ["--checkpoints_dir", str(args.checkpoints_dir), "--results_dir", str(args.results_dir)]
                test.main(["--name", name, "--epoch", label, "--metrics", args.measure, *where])
            rows[name] = row(name, folder, results, label)
        write_table(args.document, rows)
        print(f"{args.document}: {', '.join(rows) or 'no run of a recipe is here'}")


def recipe_runs() -> list[str]:
    """Return the names that the recipes in scripts/ give to their runs."""
    scripts = sorted((ROOT / "scripts").glob("*.sh"))
    calls = re.compile(r"(?:train\.py[^#]*?--name |^train )(\w+)", re.MULTILINE)
    found = [name for path in scripts for name in calls.findall(path.read_text(encoding="utf-8"))]
    return list(dict.fromkeys(found))


def row(name: str, folder: Path, results: Path, label: str) -> list[str]:
    """Return the cells of a run."""
    options = read_config(folder / OPTIONS_FILE)
    about, spec = read_section(folder / OPTIONS_FILE, "about"), read_section(folder / OPTIONS_FILE, "spec")
    with (folder / "timing.csv").open(newline="") as file:
        epochs = list(csv.DictReader(file))
    seconds = sum(float(epoch["seconds"]) for epoch in epochs)
    seen = f"{int(epochs[-1]['images']):,}" if epochs else "0"
    height, width = spec["image_size"]
    hardware = str(about.get("device", ""))
    if hardware == "cpu":
        hardware = f"CPU, {about.get('cpu_threads')} threads"
    command = re.sub(r"\S*/train\.py", "train.py", str(about.get("command", ""))).replace("|", "\\|")
    return [
        name,
        f"`{command}`",
        f"{options['dataroot'].value}, {spec['num_images']} images, {width} x {height}",
        seen,
        f"{duration(seconds)}, {hardware}",
        figures_text(results / METRICS_FILE, label),
        picture(name, results),
    ]


def duration(seconds: float) -> str:
    return (
        f"{seconds / 3600:.1f} h"
        if seconds >= 5400
        else f"{seconds / 60:.0f} min"
        if seconds >= 90
        else f"{seconds:.0f} s"
    )


def figures_text(path: Path, label: str) -> str:
    """Return figures with their settings, those of equal settings together."""
    if not path.exists():
        return "not measured"
    with path.open(newline="", encoding="utf-8") as file:
        figures: list[Figure] = [from_cells(cells) for cells in csv.DictReader(file)]
    groups: dict[str, list[str]] = {}
    for figure in figures:
        groups.setdefault(figure.settings, []).append(f"{figure.name} {figure.text}")
    return "; ".join(f"**{', '.join(values)}** ({label}; {settings})" for settings, values in groups.items())


def picture(name: str, results: Path) -> str:
    """Copy a picture of samples into docs/ and return a link to it, "" when there is none that is small enough."""
    source = results / "images" / "grid" / "grid.png"
    if not source.exists() or source.stat().st_size > MAX_PICTURE:
        return ""
    PICTURES.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, PICTURES / f"{name}.png")
    return f"![samples of {name}](images/results/{name}.png)"


def write_table(document: Path, rows: dict[str, list[str]]) -> None:
    """Put ``rows`` into the table of ``document``, in the places of those of the same name or after all others.

    Raises:
        ValueError: it has no place for a table.
    """
    text = document.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{document} has no lines {BEGIN} and {END} between which the table goes")
    before, rest = text.split(BEGIN, 1)
    old, after = rest.split(END, 1)
    lines = {line.split("|")[1].strip(): line for line in old.strip().splitlines()[2:] if line.startswith("|")}
    lines |= {name: f"| {' | '.join(cells)} |" for name, cells in rows.items()}
    table = [f"| {' | '.join(HEADER)} |", "|" + "---|" * len(HEADER), *lines.values()]
    write_text(document, f"{before}{BEGIN}\n" + "\n".join(table) + f"\n{END}{after}")


if __name__ == "__main__":
    main()
