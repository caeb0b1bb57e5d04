"""Show what a trained model makes: images in folders, and a page.

    python test.py                                            the newest run
    python test.py --name rps --labels rock,paper --interpolate 10
    python test.py --name mnist --labels 1 --num_test 100 --epoch 20
    python test.py --model test --name horse2zebra --dataroot my/horses --preprocess none
    python test.py --name faces --interpolate 10 --interpolation slerp --truncation 1 --nearest 5

What the model is and how its data looks is read from the run, or from the weights themselves.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from data import create_dataset, create_loader, find_dataset
from models import find_model
from options.parse import Config
from options.parse_tested import parse_test
from options.test_options import TestOptions

if TYPE_CHECKING:
    from data.loader import Loader
    from models.base_model import BaseModel


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and write the results; a user's mistake ends in one line and status 2 (options) or 1."""
    config = parse_test(__doc__ or "", argv, find_model, find_dataset)
    from util.console import one_line_errors

    with one_line_errors("test.py", config.run.verbose, ValueError, OSError, LookupError, FloatingPointError):
        test(config)


def test(config: Config[TestOptions]) -> None:
    """Load the run, let its model draw or translate, and print where the page is."""
    import torch  # which a mistyped option need not wait for

    from models.noise import NoiseModel
    from models.trained import load_trained
    from util.device import pick_device
    from util.evaluation import Evaluator
    from util.latent_results import show_latents
    from util.latents import truncated
    from util.modes import evaluating
    from util.quality import describe_best, read_best
    from util.results import Results, draw_samples, read_labels, show_figures
    from util.summary import diagnose
    from util.translations import translate_all

    opt = config.run
    model, weights = load_trained(config, pick_device(opt.device))
    subtitle = f"{config.model_name}, epoch {opt.label}, {weights}, seed {opt.seed}"
    if opt.label == "best" and (best := read_best(opt.run_dir)):
        subtitle += f"; best: {describe_best(best)}"
    results = Results(opt.results_dir / opt.name / f"{opt.phase}_{opt.label}", opt.name, subtitle)
    with evaluating(model) if opt.eval else torch.no_grad():
        if isinstance(model, NoiseModel):
            labels = read_labels(opt.labels, model.spec.classes)
            z = truncated(model.latents(opt.num_test or 100, opt.seed), opt.truncation)
            draw_samples(results, model, labels, z, opt.seed, opt.batch_size or 50)
            show_latents(results, model, labels, z, opt, lambda phase: open_data(config, model, phase))
        else:
            if opt.tile:
                use_tiles(model, opt.tile, opt.tile_overlap)
            loader = open_data(config, model)
            model.check_batch(loader.preview(1), config.dataset_mode)
            total = len(loader.dataset)
            num = min(opt.num_test or total, total)
            translate_all(results, model, loader.in_order(num), loader.dataset.names[:num], loader.dataset.spec, opt)
            if num < total:
                print(f"--num_test {num}: {total - num} of the {total} images are left out")
        if opt.metrics:
            held_out = open_data(config, model, limit=opt.eval_images)
            evaluator = Evaluator(opt, held_out, lambda: open_data(config, model, "train"))
            show_figures(results, evaluator.measure(model))
    print(f"{subtitle}\nresults: {results.finish().resolve()}")
    if opt.verbose:
        print(diagnose(model, open_data(config, model).preview(8)))


def use_tiles(model: "BaseModel", tile: int, overlap: int) -> None:
    """Let the model translate tile by tile; raise ValueError when it cannot, or not in such tiles."""
    from models.translation import TranslationModel

    if not isinstance(model, TranslationModel):
        raise ValueError(f"--tile {tile}: this model has no generator that works in tiles")
    model.use_tiles(tile, overlap)


def open_data(config: Config[TestOptions], model: "BaseModel", phase: str = "", limit: int = 0) -> "Loader":
    """Return a loader of the run's data, or of ``--dataroot``, in the phase that is tested or another.

    ``limit``: take so many images from all over it; 0: as ``--max_dataset_size`` says.
    """
    opt = config.run
    options = replace(config.data.like(model.spec), phase=phase or config.data.phase)
    if limit:
        options = replace(options, max_dataset_size=limit)
    dataset = create_dataset(config.dataset_mode, options)
    batch_size = opt.batch_size or 8
    if not opt.eval:
        batch_size = 1  # as the reference tests: batch norm with the statistics of one image
    return create_loader(dataset, opt, min(batch_size, len(dataset)), model.device)


if __name__ == "__main__":
    main()
