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
from options.test_options import COMMON, TestOptions
from util.config_file import shown
from util.console import one_line_errors, warn
from util.device import pick_device
from util.displays.logs import LossCsv, read_losses, thinned
from util.files import write_text
from util.images import make_labelled_grid, save_png
from util.metrics.record import METRICS_FILE, best_score, read_best, read_metrics
from util.metrics.score import Score, read_scores, table
from util.modes import evaluating
from util.pages.page import Page, relative_url
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
    page.add(_section("Measured", _table(["run", "when", "metric", "value", "settings"], _measured(configs))))
    legend = tags.p(
        tags.span(tags.span("● ", style=f"color: var(--line-{i % 8 + 1})"), run.name, " ") for i, run in enumerate(runs)
    )
    page.add(_section("Curves", legend, tags.div(id="charts", cls="figures")))
    page.add(_section("Samples of the same noise, or of the same images", _samples(configs, folder)))
    page.add(_section("Options that differ", _table(["option", *(run.name for run in runs)], _differences(configs))))
    lines = [f"compare({json.dumps({'name': name, 'lines': lines})});\n" for name, lines in _curves(runs).items()]
    write_text(folder / "data.js", "".join(lines))
    page.add(tags.script(src="data.js", defer=True))
    return page.write(folder, scripts=("chart.js", "compare.js"))


def _section(heading: str, *content: Any) -> Any:
    return tags.section(tags.h2(heading), *content)


def _table(header: list[str], rows: list[list[str]]) -> Any:
    lines = tags.table(tags.tr(tags.th(text, scope="col") for text in header), cls="numbers")
    for row in rows:
        lines.add(tags.tr(tags.td(text) for text in row))
    return tags.div(lines, cls="scroll", tabindex="0")


def _measured(configs: list[Config[TestOptions]]) -> list[list[str]]:
    """Return rows: of each run its last measurement, which was its best, and what test.py measured since."""
    rows = []
    for config in configs:
        run, found = config.run, read_metrics(config.run.run_dir / METRICS_FILE)
        last = found[-1][0].step if found else 0
        scores = [(f"last, {at.images} images", score) for at, score in found if at.step == last]
        if best := read_best(run.run_dir):
            scores.append((f"best, {best['images']} images", best_score(best)))
        scores += _tested(config)
        rows += [[run.name, when, *cells] for when, score in scores for cells in table([score])]
        if not scores:
            rows.append([run.name, "", "", "", "not measured: see --eval_freq of train.py, --metrics of test.py"])
    return rows


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
    """Draw what each model makes of the same noise, or of the same held-out images."""
    pictures = tags.div(cls="figures")
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
            pictures.add(tags.figure(tags.figcaption(text), tags.a(image, href=relative_url(path, folder))))
    return pictures


def _preview(config: Config[TestOptions], spec: Any, device: torch.device) -> Batch:
    dataset = create_dataset(config.dataset_mode, config.data.like(spec))
    return create_loader(dataset, config.run, PREVIEW, device, trains=False).preview(PREVIEW)


def _differences(configs: list[Config[TestOptions]]) -> list[list[str]]:
    """Return a row for each option whose value is not the same in all runs, as far as they say."""
    values = [{name: shown(value) for name, value in config.trained.items()} for config in configs]
    names = dict.fromkeys(name for options in values for name in options if name not in NO_DIFFERENCE)
    rows = [[name, *(options.get(name, "–") for options in values)] for name in names]  # noqa: RUF001
    return [row for row in rows if len(set(row[1:])) > 1]


if __name__ == "__main__":
    main()
