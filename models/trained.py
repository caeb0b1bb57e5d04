"""Build a model from what was saved of it, by a run of ours or by pytorch-CycleGAN-and-pix2pix."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from models import create_model
from models.base_model import BaseModel
from models.networks.recognize import GeneratorArchitecture, compare, describe, recognize_generator
from options.parse import Config
from options.test_options import TestOptions
from util.training.checkpoint import find_net, import_net, import_run, load_net
from util.types import DataSpec

ARCHITECTURE = (
    "netG",
    "ngf",
    "norm",
    "dropout",
    "upsample",
    "antialias",
)  # the options that a generator's weights depend on
CHANNELS = ("input_nc", "output_nc")  # likewise, of the data


class Trained(NamedTuple):
    """A model with its weights, and which weights they are, for people."""

    model: BaseModel
    weights: str


def load_trained(config: Config[TestOptions], device: torch.device) -> Trained:
    """Return the model that test.py is asked to show.

    A run of ours is built as it says. Where there are weights alone, and for ``--model test``, which is one generator
    of any model that translates, they tell how it is to be built.

    Raises:
        ValueError: weights are missing, damaged or of another architecture than the options say.
    """
    opt = config.run
    if config.spec and config.model_name != "test":
        model = create_model(config.model_name, config.model, DataSpec.from_dict(config.spec), device)
    else:
        path = find_net(opt.run_dir, opt.label, _generators(config), opt.ema).path
        model = _create_for(path, config, device)
        if config.model_name == "test":
            import_net(path, "G", model)
            return Trained(model, f"{path.name}: {model.opt.netG}")
    weights = import_run(opt.run_dir, opt.label, model, opt.ema)
    if _is_backwards(config):
        model.reverse()
    return Trained(model, weights)


def _create_for(path: Path, config: Config[TestOptions], device: torch.device) -> Any:
    """Return a model of translation, as yet with initial weights, that is built as the generator in ``path`` needs it.

    Raises:
        ValueError: the file is damaged, holds no generator, or another one than the options say.
    """
    if config.trained.get("model") == "colorization":
        raise ValueError("--model test: what colorization turns L into is ab, which is no picture; leave --model out")
    state = load_net(path)
    try:
        found = recognize_generator(state)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    wanted = _wanted(config, found)
    if differences := compare(found, wanted):
        raise ValueError(f"{path} was made with {describe(differences)}")
    options = {name: getattr(wanted, name) for name in ARCHITECTURE if getattr(wanted, name) is not None}
    if hasattr(config.model, "pool_size"):
        options["pool_size"] = 0  # it is for training, and would have to know the size of the images
    spec = DataSpec((0, 0), found.input_nc, found.output_nc, batch_size=config.trained.get("batch_size", 1))
    limits, limits_A = (tuple(config.spec.get(name, ())) for name in ("value_range", "value_range_A"))
    spec = spec._replace(value_range=limits, value_range_A=limits_A)  # what was found in training holds in tests
    return create_model(config.model_name, replace(config.model, **options), spec, device)


def _generators(config: Config[TestOptions]) -> tuple[str, ...]:
    """Return the names under which a generator may have been saved, in the order to look for them."""
    if config.run.model_suffix:
        return (f"G{config.run.model_suffix}",)
    return ("G_B",) if _is_backwards(config) else ("G", "G_A", "G_B")


def _is_backwards(config: Config[TestOptions]) -> bool:
    """Say whether images are to be translated against the direction of the training."""
    trained = config.trained.get("direction", "AtoB")
    return bool(getattr(config.data, "direction", trained) != trained)


def _wanted(config: Config[TestOptions], found: GeneratorArchitecture) -> GeneratorArchitecture:
    """Return ``found`` with all that the user asked for otherwise."""
    asked: dict[str, Any] = {n: getattr(config.model, n) for n in ARCHITECTURE if n in config.given}
    return found._replace(**asked, **{n: getattr(config.data, n) for n in CHANNELS if n in config.given})
