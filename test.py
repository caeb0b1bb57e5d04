"""Show what a trained model makes: images in folders, and a page.

    python test.py                                            the newest run
    python test.py --name rps_mini_demo --labels rock,paper --interpolate 10
    python test.py --name mnist_cgan --labels 1 --num_test 100 --seed 5
    python test.py --model test --name horse2zebra_cycle_gan --dataroot my/horses --preprocess none
    python test.py --name faces_dcgan --interpolate 10 --interpolation slerp --truncation 1 --nearest 5

What the model is and how its data looks is read from the run, or from the weights themselves.
"""

if __name__ == "__main__":
    from util.begin import begin

    begin("test.py")

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from data import create_dataset, create_loader, find_dataset
from models import find_model
from options.parse import Config, message_of, warn_unused
from options.parse_tested import parse_test
from options.test_options import COMMON, OF_NOISE, OF_PLACE, OF_TRANSLATION, TestOptions
from util.config_file import options_table
from util.console import one_line_errors, only_first_speaks, said_once, warn
from util.files import write_text
from util.launch import launch
from util.metrics.names import OF_CLASSES
from util.results.origin import KIND
from util.runs import TEST_TABLE

DAY = 86400.0  # seconds that the processes wait for the one that has most to do

if TYPE_CHECKING:
    from data.loading.loader import Loader
    from models.base_model import BaseModel


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and write the results; a user's mistake ends in one line and status 2 (options) or 1."""
    with said_once():
        config = parse_test(__doc__ or "", argv, find_model, find_dataset)
    if config.run.num_processes > 1 and "WORLD_SIZE" not in os.environ:
        launch(test_or_tell, config.run.num_processes, config)
    else:
        test_or_tell(config)


def test_or_tell(config: Config[TestOptions]) -> None:
    """Write the results; when that is not possible, end the process with one line and status 1."""
    from util.memory import naming_memory

    kinds = ValueError, OSError, LookupError, FloatingPointError
    with one_line_errors("test.py", config.run.verbose, *kinds), naming_memory(config):
        test(config)


def test(config: Config[TestOptions]) -> None:
    """Load the run, let its model draw or translate, and print where the page is."""
    import torch  # which a mistyped option need not wait for

    from data.findings import tell
    from data.held_out import BATCH, open_held_out
    from models.noise import NoiseModel
    from models.trained import load_trained
    from util import distributed
    from util.begin import interrupts_raise
    from util.device import pick_device
    from util.metrics.evaluator import Evaluator
    from util.metrics.record import describe_best, read_best
    from util.modes import evaluating
    from util.results.interpolation import truncated
    from util.results.latents import show_latents
    from util.results.origin import describe_origin
    from util.results.results import Results, draw_samples, read_labels, show_scores, untrained
    from util.results.translations import translate_all
    from util.training.summary import diagnose

    interrupts_raise()
    only_first_speaks()
    distributed.start("gloo", DAY)
    opt, is_first = config.run, distributed.is_first()
    model, weights = load_trained(config, pick_device(opt.device))
    subtitle = f"{config.model_name}, epoch {opt.label}, {weights}, seed {opt.seed}"
    if opt.label == "best" and (best := read_best(opt.run_dir)):
        subtitle += f"; best: {describe_best(best)}"
    others = config.given & (OF_TRANSLATION if isinstance(model, NoiseModel) else OF_NOISE)
    reasons = dict.fromkeys(sorted(others), f"{config.model_name} does not use it")
    if opt.metrics and model.spec.classes:
        reasons["labels"] = "--metrics always covers all classes; --labels only selects the samples shown"
    warn_unused({name: why for name, why in (opt.idle() | reasons).items() if name in config.given})
    if opt.tile:
        model.use_tiles(opt.tile, opt.tile_overlap)
    evaluator = None
    if opt.metrics:  # before anything is drawn: what cannot be measured is told of at once
        num = min(config.data.max_dataset_size or opt.eval_images, opt.eval_images)
        held_out = partial(
            open_held_out,
            config.dataset_mode,
            replace(config.data.like(model.spec), phase=opt.phase, max_dataset_size=num),
            opt,
            model.device,
            # Without --eval as the reference tests: batch norm with the statistics of one image.
            (opt.batch_size or BATCH) if opt.eval else 1,
            model.spec.classes,
        )
        open_train = partial(open_data, config, model, "train")
        create = partial(Evaluator, opt, held_out, open_train, batch_size=opt.batch_size, learnt_from=model.learnt_from)
        evaluator = distributed.on_first(create)
        if not is_first and set(OF_CLASSES) & set(opt.metrics):  # the classifier sees what each process draws
            evaluator = create()
        if evaluator:
            evaluator.check(model)
    origin = describe_origin(opt.run_dir, opt.label, *results_of(config))
    results = Results(opt.results_dir / opt.name / f"{opt.phase}_{opt.label}", opt.name, subtitle, origin)
    with evaluating(model) if opt.eval else torch.no_grad():
        if isinstance(model, NoiseModel):
            labels = read_labels(opt.labels, model.spec.classes, untrained(opt.run_dir))
            z = truncated(model.latents(opt.num_test or 100, opt.seed), opt.truncation)
            see = evaluator.see if evaluator and evaluator.judge else None
            draw_samples(results, model, labels, z, opt.seed, opt.batch_size or 50, see)
            if is_first:
                show_latents(results, model, labels, z, opt, lambda phase: open_data(config, model, phase))
        else:
            loader = open_data(config, model, limit=opt.num_test, shared=True)
            tell(loader.dataset, trains=False)
            model.check_batch(loader.preview(1), config.dataset_mode)
            translate_all(results, model, loader, opt)
        if evaluator and is_first:
            show_scores(results, evaluator.measure(model))
    distributed.stop()
    if not is_first:
        return
    print(f"{subtitle}\nresults: {results.finish().resolve()}")
    leave_options(config)
    if opt.verbose:
        print(diagnose(model, open_data(config, model).preview(8)))


def leave_options(config: Config[TestOptions]) -> None:
    """Leave the options beside the weights, for scripts that read them there as pytorch-CycleGAN-and-pix2pix has them.

    Others' weights may lie where nothing can be written: that is only warned of.
    """
    try:
        write_text(config.run.run_dir / TEST_TABLE, options_table(config.sections(), config.defaults))
    except OSError as error:
        warn(f"{TEST_TABLE} is not written: {message_of(error)}")


def results_of(config: Config[TestOptions]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what sets results apart from others of the same checkpoint, and the other options that change them."""
    options = vars(config.data) | vars(config.run) | {"model": config.model_name}
    kind = {name: options.get(name, "") for name in KIND}
    others = config.given - COMMON - OF_PLACE - kind.keys()
    return kind, {name: options[name] for name in sorted(others & options.keys())}


def open_data(
    config: Config[TestOptions], model: "BaseModel", phase: str = "", limit: int = 0, shared: bool = False
) -> "Loader":
    """Return a loader of the run's data, or of ``--dataroot``, in the phase that is tested; or of another, as trained.

    Of the data only the first ``limit`` samples are read, which is said; 0: all. ``shared``: every process opens
    it, for its share.
    """
    opt = config.run
    options = config.data.like(model.spec)
    if phase:
        options = replace(options, phase=phase, max_dataset_size=config.trained.get("max_dataset_size", 0))
    dataset = create_dataset(config.dataset_mode, options)
    if model.spec.classes:
        dataset.relabel(model.spec.classes)
    if 0 < limit < len(dataset):
        print(f"--num_test {limit}: {len(dataset) - limit} of the {len(dataset)} images are left out")
        dataset.keep(range(limit))
    # Without --eval as the reference tests: batch norm with the statistics of one image.
    batch_size = (opt.batch_size or 8) if opt.eval else 1
    return create_loader(dataset, opt, batch_size, model.device, trains=False, shared=shared)


if __name__ == "__main__":
    main()
