"""Show runs side by side: what was measured, losses, samples of the same noise, and in what their options differ.

    python scripts/compare.py mnist_gan mnist_wgan mnist_wgan_gp
    python scripts/compare.py rps_plain rps_modern --epoch best --dataroot ~/rps

The page is results/compare/RUN_RUN.../index.html. Names of runs stand before the options, which are those of test.py.
"""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from dominate import tags

sys.path.insert(0, str(Path(__file__).parents[1]))

from data import create_dataset, create_loader, find_dataset
from models import find_model
from models.noise import NoiseModel
from models.trained import load_trained
from options.declare import unused_options
from options.parse import Config
from options.parse_tested import parse_runs
from options.test_options import COMMON, TestOptions
from options.train_options import TrainOptions
from util.config_file import shown
from util.console import one_line_errors, warn
from util.device import pick_device
from util.displays.logs import LossCsv, read_losses, thinned
from util.files import write_text
from util.images import make_grid, save_png
from util.metrics.record import METRICS_FILE, best_score, read_best, read_metrics
from util.metrics.score import Score, read_scores
from util.modes import evaluating
from util.pages.page import Page, beside_labels, relative_url
from util.pages.scores import Cell, score_table
from util.results.origin import strangeness
from util.types import Batch, Grid, Progress

HONOURED = COMMON | {"phase", "model_suffix"}  # of test.py's options
PREVIEW = 8  # held-out images that are translated
MAX_POINTS = 500  # of a curve
NO_DIFFERENCE = ("name", "checkpoints_dir")  # options in which runs differ anyway
Curves = dict[str, dict[str, list[tuple[int, float | None]]]]  # of what -> of which run -> (images, value)


def main(argv: Sequence[str] | None = None) -> None:
    configs = parse_runs(__doc__ or "", argv, find_model, find_dataset, HONOURED)
    with one_line_errors("compare.py", configs[0].run.verbose, ValueError, OSError):
        print(f"page: {compare(configs).resolve()}")


def compare(configs: list[Config[TestOptions]]) -> Path:
    """Write the page and return its path."""
    runs = [config.run for config in configs]
    folder = runs[0].results_dir / "compare" / "_".join(run.name for run in runs)[:200]
    (folder / "images").mkdir(parents=True, exist_ok=True)
    page = Page("Comparison", ", ".join(run.name for run in runs))
    groups = _measured(configs)
    measured = {cell for rows in groups.values() for cells in rows.values() for cell in cells}
    without = [run.name for run in runs if run.name not in measured]
    columns = [run.name for run in runs if run.name in measured]
    page.add(_section("Measured", score_table(columns, groups) if groups else ""))
    if without:
        text = f"Not measured: {', '.join(without)} (see --eval_freq of train.py, --metrics of test.py)."
        page.add(tags.p(text, cls="muted small"))
    page.add(_section("Samples of the same noise, or of the same images", _samples(configs, folder)))
    curves = _curves(runs)
    known = {run for lines in curves.values() for run in lines}
    legend = tags.p(
        tags.span(tags.span("● ", style=f"color: var(--line-{i % 8 + 1})"), run.name, cls="run")
        for i, run in enumerate(runs)
        if run.name in known
    )
    page.add(_section("Curves", legend, tags.div(id="charts", cls="figures")))
    page.add(_section("Options that differ", _table(["option", *(run.name for run in runs)], _differences(configs))))
    lines = [f"compare({json.dumps({'name': name, 'lines': lines})});\n" for name, lines in curves.items()]
    names = f"compareRuns({json.dumps([run.name for run in runs])});\n"
    write_text(folder / "data.js", names + "".join(lines))
    page.add(tags.script(src="data.js", defer=True))
    return page.write(folder, scripts=("chart.js", "compare.js"))


def _section(heading: str, *content: Any) -> Any:
    return tags.section(tags.h2(heading), *content)


def _table(header: list[str], rows: list[list[str]]) -> Any:
    lines = tags.table(tags.tr(tags.th(text, scope="col") for text in header), cls="numbers")
    for row in rows:
        lines.add(tags.tr(tags.td(text) for text in row))
    return tags.div(lines, cls="scroll whole", tabindex="0")


def _measured(configs: list[Config[TestOptions]]) -> dict[str, dict[str, dict[str, Cell]]]:
    """Return what was measured: when -> metric -> run. The last time, the best, and by test.py since."""
    groups: dict[str, dict[str, dict[str, Cell]]] = {}
    for config in configs:
        run, found = config.run, read_metrics(config.run.run_dir / METRICS_FILE)
        last = found[-1][0] if found else Progress()
        cells = [("last", Cell(score, f"{last.images:,} images")) for at, score in found if at.step == last.step]
        if best := read_best(run.run_dir):
            cells.append(("best", Cell(best_score(best), f"{best['images']:,} images")))
        for when, cell in cells + [(when, Cell(score)) for when, score in _tested(config)]:
            groups.setdefault(when, {}).setdefault(cell.score.name, {})[run.name] = cell
    return groups


def _tested(config: Config[TestOptions]) -> list[tuple[str, Score]]:
    """Return what ``test.py --metrics`` wrote of a run's checkpoints as they are now, and which results it is in."""
    run, found = config.run, []
    for path in sorted((run.results_dir / run.name).glob(f"*/{METRICS_FILE}")):
        label = path.parent.name.partition("_")[2].partition("-")[0]
        dataroot = str(config.trained.get("dataroot", config.data.dataroot))
        if why := strangeness(path.parent, run.run_dir, label, dataroot):
            warn(f"the scores in {path.parent} {why}: left out")
        else:
            found += [(f"{path.parent.name}, by test.py", score) for score in read_scores(path)]
    return found


def _curves(runs: list[TestOptions]) -> Curves:
    """Return the curves of all scores, then of all losses, over images seen."""
    curves: Curves = {}

    def add(name: str, run: str, at: Progress, value: float) -> None:
        point = (at.images, value if math.isfinite(value) else None)
        curves.setdefault(name, {}).setdefault(run, []).append(point)

    for run in runs:
        for at, score in read_metrics(run.run_dir / METRICS_FILE):
            add(score.name, run.name, at, score.value)
    for run in runs:
        for at, losses in thinned(read_losses(run.run_dir / LossCsv.FILE), MAX_POINTS):
            for name, value in losses.items():
                add(f"loss {name}", run.name, at, value)
    return curves


def _samples(configs: list[Config[TestOptions]], folder: Path) -> Any:
    """Draw what each model makes of the same noise, or of the same held-out images, side by side at one scale."""
    kinds: dict[str, list[tuple[str, Path, Grid]]] = {}  # of pictures -> (run, file, what is on it)
    notes: list[str] = []
    for config in configs:
        device = pick_device(config.run.device)
        model, weights = load_trained(config, device)
        draws = isinstance(model, NoiseModel)
        batch = Batch() if draws else _preview(config, model.spec, device)
        with evaluating(model):
            grids: dict[str, Grid] = model.grids(batch)
        for kind, grid in grids.items():
            grid = grid if draws else grid._replace(columns=1)  # images stand beside what is made of them
            path = folder / "images" / f"{config.run.name}_{kind}.png"
            save_png(path, make_grid(grid))
            kinds.setdefault(kind, []).append((config.run.name, path, grid))
        notes.append(f"{config.run.name}: epoch {config.run.label}, {weights}")
    pictures = tags.div(cls="beside")
    for kind, drawn in kinds.items():
        if len(drawn) > 1 and len({path.read_bytes() for _, path, _ in drawn}) == 1:
            drawn = [("all runs", *drawn[0][1:])]
        for text, path, grid in drawn:
            url, columns = relative_url(path, folder), min(grid.columns, len(grid.images))
            image = tags.img(src=url, alt=f"{kind}: {text}", loading="lazy")
            caption = tags.figcaption(kind, tags.span(text, cls="muted"))
            figure = tags.figure(caption, beside_labels(tags.a(image, href=url), grid.rows))
            figure["style"] = f"--columns: {columns}; --labels: {7 * bool(grid.rows)}rem"
            pictures.add(figure)
    return tags.div(tags.p("; ".join(notes) + ".", cls="muted small notes"), pictures)


def _preview(config: Config[TestOptions], spec: Any, device: torch.device) -> Batch:
    dataset = create_dataset(config.dataset_mode, config.data.like(spec))
    return create_loader(dataset, config.run, PREVIEW, device, trains=False).preview(PREVIEW)


def _differences(configs: list[Config[TestOptions]]) -> list[list[str]]:
    """Return a row for each option whose value is not the same in all runs that it means something to."""
    values = []
    for config in configs:
        unused = unused_options(TrainOptions, config.trained) | unused_options(type(config.model), config.trained)
        values.append({name: shown(value) for name, value in config.trained.items() if name not in unused})
    names = dict.fromkeys(name for options in values for name in options if name not in NO_DIFFERENCE)
    rows = [[name, *(options.get(name, "–") for options in values)] for name in names]  # noqa: RUF001
    return [row for row in rows if len(set(row[1:])) > 1]


if __name__ == "__main__":
    main()
