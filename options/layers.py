"""The layers that option values come from, in order of precedence, for train.py, test.py and the benchmark."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from options.parser import HELP, Parser
from util.config_file import Entry, brief, read_config

Layer = Literal["declaration", "model", "card", "run", "config", "command line"]
LAYERS: tuple[Layer, ...] = get_args(Layer)  # weakest first
Layers = Mapping[Layer, Mapping[str, Any]]  # layer -> the options that it sets; a layer that sets none may be missing

# Options of a single command: never saved, never read from a config.
OF_ONE_COMMAND = ("config", "continue_train", "resume_or_start", "accept_data", "overwrite", "suffix")
CLASSES = ("model", "dataset_mode")
FIRST = (*CLASSES, "dataroot", "name", "checkpoints_dir")  # they decide which other options there are
NOTHING: dict[str, Entry] = {}
OF_A_AND_B = ("aligned", "unaligned", "single")  # a noise model reads these folders as plain images


def resolve(layers: Layers, first: Layer = "declaration", last: Layer = "command line") -> dict[str, Any]:
    """Return the value of each option: from the strongest layer, of ``first`` to ``last``, that sets it."""
    values: dict[str, Any] = {}
    for layer in LAYERS[LAYERS.index(first) : LAYERS.index(last) + 1]:
        values |= layers.get(layer, {})
    return values


def first_pass(parser: Parser, argv: Sequence[str]) -> dict[str, str]:
    """Return the options on the command line that decide which others there are, as text."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ("config", "suffix", *FIRST):
        first.add_argument(f"--{name}", default=None)
    first.add_argument("--continue_train", action="store_const", const="yes", default=None)
    try:
        found = first.parse_known_args(argv)[0]
    except argparse.ArgumentError as error:
        if not HELP & set(argv):
            parser.error(str(error))
        return {}
    return {name: value for name, value in vars(found).items() if value is not None}


def texts(entries: Mapping[str, Entry]) -> dict[str, str]:
    """Return the options in a file that decide which others there are, as text.

    Raises:
        ValueError: a value is a list, a switch or nothing; the message says where.
    """
    found = {name: entries[name] for name in FIRST if name in entries}
    for name, (value, where) in found.items():
        if value is None or isinstance(value, bool | list | dict):
            raise ValueError(f"{where}: {name}: {brief(value)} is not a text")
    return {name: str(value) for name, (value, _) in found.items()}


def first_options(
    asked: Mapping[str, str], config: Mapping[str, Entry], run: Mapping[str, Entry] = NOTHING
) -> dict[str, str]:
    """Return the options that decide which others there are; a run that is resumed keeps its classes."""
    kept = {name: text for name, text in texts(run).items() if name in CLASSES}  # what differs is refused later
    return resolve({"run": texts(run), "config": texts(config), "command line": asked}) | kept


def read_asked_config(asked: Mapping[str, str]) -> dict[str, Entry]:
    """Read the file of ``--config``; raise ValueError when it holds an option of a single command."""
    config = read_config(Path(asked["config"])) if "config" in asked else {}
    for name in OF_ONE_COMMAND:
        if name in config:
            raise ValueError(f"{config[name].where}: {name} belongs on the command line")
    return config


def read_card(
    first: Mapping[str, str], model_class: Any, recognize: Callable[[str, str], tuple[str, Path]]
) -> tuple[str, dict[str, Entry], bool]:
    """Return the dataset_mode, the data set's card, and whether the card was written for that dataset_mode."""
    mode = first.get("dataset_mode") or model_class.dataset_mode
    if not (dataroot := first.get("dataroot")):
        return mode or "image_folder", {}, True
    recognized, file = recognize(dataroot, mode)
    mode = mode or suited(recognized, model_class.needs)
    card = read_config(file) if file.is_file() else {}  # a folder of this name is a class
    return mode, {k: e for k, e in card.items() if k not in ("about", "licence")}, mode == recognized


def presets(model_class: Any, layers: Layers) -> dict[str, Any]:
    """Return the model's defaults that go with the choices of ``layers``."""
    values = resolve(layers)
    chosen = [by_choice.get(values.get(option), {}) for option, by_choice in model_class.presets.items()]
    return {name: value for defaults in chosen for name, value in defaults.items()}


def suited(recognized: str, needs: Sequence[str]) -> str:
    """Return the data set class that suits a model with these ``needs``, given the kind of data ``recognized``."""
    return "image_folder" if "image" in needs and recognized in OF_A_AND_B else recognized
