"""Show what a trained model makes: images in folders, and a page.

    python test.py                                            the newest run
    python test.py --name rps --labels rock,paper --interpolate 10
    python test.py --name mnist --labels 1 --num_test 100 --epoch 20
    python test.py --name faces --interpolate 10 --interpolation slerp --truncation 1 --nearest 5

What the model is and how its data looks is read from the run.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from data import create_dataset, create_loader, find_dataset
from models import create_model, find_model
from options.parse import Config, parse_test
from options.test_options import TestOptions

if TYPE_CHECKING:
    import torch

    from data.loader import Loader


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and write the results; a user's mistake ends in one line and status 2 (options) or 1."""
    config = parse_test(__doc__ or "", argv, find_model, find_dataset)
    from util.console import one_line_errors

    with one_line_errors("test.py", config.run.verbose, ValueError, OSError):
        test(config)


def test(config: Config[TestOptions]) -> None:
    """Load the run, let its model draw or translate, and print where the page is."""
    import torch  # which a mistyped option need not wait for

    from models.noise import NoiseModel
    from util.checkpoint import import_run
    from util.device import pick_device
    from util.latent_results import show_latents
    from util.latents import truncated
    from util.modes import evaluating
    from util.results import Results, draw_samples, read_labels, translate_all
    from util.summary import diagnose
    from util.types import DataSpec

    opt = config.run
    spec = DataSpec.from_dict(config.spec)
    model = create_model(config.model_name, config.model, spec, pick_device(opt.device))
    weights = import_run(opt.run_dir, opt.epoch, model, opt.ema)
    subtitle = f"{config.model_name}, epoch {opt.epoch}, {weights}, seed {opt.seed}"
    results = Results(opt.results_dir / opt.name / f"{opt.phase}_{opt.epoch}", opt.name, subtitle)
    with evaluating(model) if opt.eval else torch.no_grad():
        if isinstance(model, NoiseModel):
            labels = read_labels(opt.labels, model.spec.classes)
            z = truncated(model.latents(opt.num_test or 100, opt.seed), opt.truncation)
            draw_samples(results, model, labels, z, opt.seed, opt.batch_size)
            show_latents(results, model, labels, z, opt, lambda phase: open_data(config, model.device, phase))
        else:
            loader = open_data(config, model.device)
            num = min(opt.num_test or len(loader.dataset), len(loader.dataset))
            translate_all(results, model, loader.in_order(num), num)
    print(f"{subtitle}\nresults: {results.finish().resolve()}")
    if opt.verbose:
        print(diagnose(model, open_data(config, model.device).preview(8)))


def open_data(config: Config[TestOptions], device: "torch.device", phase: str = "") -> "Loader":
    """Return a loader of the run's data, or of ``--dataroot``, in the phase that is tested or another."""
    dataset = create_dataset(config.dataset_mode, replace(config.data, phase=phase or config.data.phase))
    return create_loader(dataset, config.run, min(config.run.batch_size, len(dataset)), device)


if __name__ == "__main__":
    main()
