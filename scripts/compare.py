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
from options.parse import Config
from options.parse_tested import parse_runs
from options.test_options import OF_ALL, TestOptions
from util.config_file import read_config
from util.console import one_line_errors
from util.device import pick_device
from util.files import write_text
from util.html import Page, relative_url
from util.images import make_labelled_grid, save_png
from util.modes import evaluating
from util.quality import METRICS_FILE, describe_best, read_best, read_metrics
from util.runs import OPTIONS_FILE
from util.types import Batch, Grid, Progress
from util.visualizer import LossCsv, read_losses

HEEDED = OF_ALL | {"phase", "model_suffix"}  # of test.py's options
PREVIEW = 8  # held-out images that are translated
MAX_POINTS = 500  # of a curve
NO_DIFFERENCE = ("name", "checkpoints_dir")  # options in which runs differ anyway
Curves = dict[str, dict[str, list[tuple[int, float | None]]]]  # of what -> of which run -> (images, value)


def main(argv: Sequence[str] | None = None) -> None:
    configs = parse_runs(__doc__ or "", argv, find_model, find_dataset, HEEDED)
    with one_line_errors("compare.py", configs[0].run.verbose, ValueError, OSError):
        print(f"page: {compare(configs).resolve()}")


def compare(configs: list[Config[TestOptions]]) -> Path:
    """Write the page and return its path."""
    runs = [config.run for config in configs]
    folder = runs[0].results_dir / "compare" / "_".join(run.name for run in runs)[:200]
    (folder / "images").mkdir(parents=True, exist_ok=True)
    page = Page("Comparison", ", ".join(run.name for run in runs))
    page.add(_section("Measured", _table(["run", "when", "metric", "value", "settings"], _measured(runs))))
    legend = tags.p(
        tags.span(tags.span("● ", style=f"color: var(--line-{i % 8 + 1})"), run.name, " ") for i, run in enumerate(runs)
    )
    page.add(_section("Curves", legend, tags.div(id="charts", cls="figures")))
    page.add(_section("Samples of the same noise, or of the same images", _samples(configs, folder)))
    page.add(_section("Options that differ", _table(["option", *(run.name for run in runs)], _differences(runs))))
    lines = [f"compare({json.dumps({'name': name, 'lines': lines})});\n" for name, lines in _curves(runs).items()]
    write_text(folder / "data.js", "".join(lines))
    page.add(tags.script(src="data.js", defer=True))
    return page.write(folder, scripts=("chart.js", "compare.js"))


def _section(heading: str, *content: Any) -> Any:
    return tags.section(tags.h2(heading), *content)


def _table(header: list[str], rows: list[list[str]]) -> Any:
    table = tags.table(tags.tr(tags.th(text, scope="col") for text in header), cls="numbers")
    for row in rows:
        table.add(tags.tr(tags.td(text) for text in row))
    return tags.div(table, cls="scroll", tabindex="0")


def _measured(runs: list[TestOptions]) -> list[list[str]]:
    """Return rows: of each run its last measurement, and which was its best."""
    rows = []
    for run in runs:
        found = read_metrics(run.run_dir / METRICS_FILE)
        last = found[-1][0].step if found else 0
        rows += [
            [run.name, f"last, {at.images} images", figure.name, figure.text, figure.settings]
            for at, figure in found
            if at.step == last
        ]
        if best := read_best(run.run_dir):
            rows.append([run.name, "best", str(best["name"]), f"{best['value']:.4g}", describe_best(best)])
        if not found:
            rows.append([run.name, "", "", "", "not measured: see --eval_freq of train.py, --metrics of test.py"])
    return rows


def _curves(runs: list[TestOptions]) -> Curves:
    """Return the curves of all figures, then of all losses, over images seen."""
    curves: Curves = {}

    def add(name: str, run: str, at: Progress, value: float) -> None:
        point = (at.images, value if math.isfinite(value) else None)
        curves.setdefault(name, {}).setdefault(run, []).append(point)

    for run in runs:
        for at, figure in read_metrics(run.run_dir / METRICS_FILE):
            add(figure.name, run.name, at, figure.value)
    for run in runs:
        reports = read_losses(run.run_dir / LossCsv.FILE)
        for at, losses in reports[:: max(1, len(reports) // MAX_POINTS)]:
            for name, value in losses.items():
                add(f"loss {name}", run.name, at, value)
    return curves


def _samples(configs: list[Config[TestOptions]], folder: Path) -> Any:
    """Draw what each model makes of the same noise, or of the same held-out images."""
    figures = tags.div(cls="figures")
    for config in configs:
        device = pick_device(config.run.device)
        model, weights = load_trained(config, device)
        batch = Batch() if isinstance(model, NoiseModel) else _preview(config, model.spec, device)
        with evaluating(model):
            grids: dict[str, Grid] = model.grids(batch)
        for kind, grid in grids.items():
            path = folder / "images" / f"{config.run.name}_{kind}.png"
            save_png(path, make_labelled_grid(grid))
            text = f"{config.run.name}: {kind}, epoch {config.run.label}, {weights}"
            image = tags.img(src=relative_url(path, folder), alt=text, loading="lazy")
            figures.add(tags.figure(tags.figcaption(text), tags.a(image, href=relative_url(path, folder))))
    return figures


def _preview(config: Config[TestOptions], spec: Any, device: torch.device) -> Batch:
    dataset = create_dataset(config.dataset_mode, config.data.like(spec))
    return create_loader(dataset, config.run, min(PREVIEW, len(dataset)), device).preview(PREVIEW)


def _differences(runs: list[TestOptions]) -> list[list[str]]:
    """Return a row for each option whose value is not the same in all runs."""
    values = [
        {name: str(entry.value) for name, entry in read_config(run.run_dir / OPTIONS_FILE).items()} for run in runs
    ]
    names = dict.fromkeys(name for options in values for name in options if name not in NO_DIFFERENCE)
    rows = [[name, *(options.get(name, "–") for options in values)] for name in names]  # noqa: RUF001
    return [row for row in rows if len(set(row[1:])) > 1]


if __name__ == "__main__":
    main()
