"""Read the command line of test.py, and what it tests: a run of train.py, or weights from elsewhere."""

import sys
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import fields
from itertools import takewhile
from pathlib import Path
from typing import Any

from options.base_options import match_suffix
from options.declare import flags
from options.parse import Config, build, first_pass, message_of, print_help, texts, warn_unheeded
from options.parser import Parser, shown
from options.test_options import TestOptions
from options.train_options import TrainOptions
from options.upstream import RETIRED_TEST
from util.config_file import Entry, read_config, read_section
from util.foreign import OPTIONS_TABLE, read_options_table
from util.runs import OPTIONS_FILE, find_trained

OWN = {f.name for f in fields(TestOptions)}  # test.py's own: what the run says of these is another matter
CHANNELS = ("input_nc", "output_nc")  # of the data, but the model is built for them
FOREIGN = ("direction", "preprocess", "load_size", "crop_size", "norm", "dropout", "batch_size")


def parse_test(
    description: str,
    argv: Sequence[str] | None,
    find_model: Callable[[str], Any],
    find_dataset: Callable[[str], Any],
) -> Config[TestOptions]:
    """Parse the command line of test.py: its own options, those of the model and those of the data.

    Precedence: command line, ``--config``, what the run says, the declarations. How a run of ours was built it says
    itself, and another value on the command line is refused; of weights from elsewhere, the options table beside them
    is read. ``--model test`` shows one generator of any translation model.

    Exits with status 2 and one line when something is wrong.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = Parser(description, RETIRED_TEST)
    asked = first_pass(parser, argv)
    parser.add("testing", TestOptions, {})
    parser.epilog = "What the model and its data are is read from the run; --model X --help lists their options too."
    try:
        if "model" not in asked:
            print_help(parser, argv)
        config = read_config(Path(asked["config"])) if "config" in asked else {}
        own = {n: v for n, v in vars(parser.parse_known_args(argv)[0]).items() if n in OWN and v is not None}
        wanted = {n: f.default for n, f in parser.flags.items()} | texts(config) | own
        if wanted["model"]:
            find_model(wanted["model"])  # a mistyped one is named before anything else
        name = match_suffix(Path(wanted["checkpoints_dir"]), wanted["name"], wanted["suffix"])
        folder = find_trained(Path(wanted["checkpoints_dir"]), name)
        record = folder / OPTIONS_FILE
        entries = read_config(record) if record.exists() else read_options_table(folder / OPTIONS_TABLE)
        trained = str(entries["model"].value) if record.exists() else ""
        model, mode = _model_and_mode(wanted, entries, trained, folder.name, find_model)
        model_options, data_options = find_model(model).Options, find_dataset(mode).Options
        parser.add(f"--model {model}", model_options, {}, known=True)
        parser.add(f"--dataset_mode {mode}", data_options, {}, known=True)
        print_help(parser, argv)

        given = parser.convert(config) | parser.parse(argv)
        spec: dict[str, Any] = {}  # what weights alone do not say
        if trained:
            spec = read_section(record, "spec")
            stored = _options_of(entries, find_model, find_dataset)
            fixed = {f.name: stored[f.name] for f in flags(model_options) if f.name in stored and f.name not in OWN}
            _check_same(fixed | {k: spec[k] for k in CHANNELS if k in spec}, given, folder.name)
        else:
            stored = parser.convert({k: e for k, e in entries.items() if k in FOREIGN and k in parser.flags})
        values = {n: f.default for n, f in parser.flags.items()} | {k: v for k, v in stored.items() if k not in OWN}
        values |= {"max_dataset_size": 0, "dataroot": stored.get("dataroot", "")} | given | {"name": folder.name}
        if not values["dataroot"]:
            raise ValueError(f"--dataroot is required: {folder} does not say on which images it was trained")
        if values.get("preprocess") == "resize_and_crop" and "load_size" not in given:
            values["load_size"] = values["crop_size"]  # nothing is to be cut off
        return Config(
            **build({"run": TestOptions, "model": model_options, "data": data_options}, values),
            model_name=model,
            dataset_mode=mode,
            defaults={},
            spec=spec,
            given=frozenset(given),
            trained=stored,
        )
    except KeyError as error:
        parser.error(f"{record} says nothing about {error}: it was not written by train.py")
    except (LookupError, OSError, ValueError) as error:
        parser.error(message_of(error))


def parse_runs(
    description: str,
    argv: Sequence[str] | None,
    find_model: Callable[[str], Any],
    find_dataset: Callable[[str], Any],
    heeded: Set[str],
) -> list[Config[TestOptions]]:
    """Parse the command line of a script about several runs, whose names stand before the options of test.py.

    Args:
        heeded: which of test.py's own options the script heeds; of others that are given it warns.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    names = list(takewhile(lambda word: not word.startswith("-"), argv))
    rest, parser = argv[len(names) :], Parser(description, RETIRED_TEST)
    if names and "name" in first_pass(parser, rest):
        parser.error("--name beside names of runs: give one or the other")
    calls = [["--name", name, *rest] for name in dict.fromkeys(names)] or [rest]
    configs = [parse_test(description, call, find_model, find_dataset) for call in calls]
    unheeded = sorted((configs[0].given & OWN) - heeded)
    warn_unheeded(dict.fromkeys(unheeded, f"{parser.prog} does not do that"))
    return configs


def _model_and_mode(
    wanted: Mapping[str, Any],
    entries: Mapping[str, Entry],
    trained: str,
    name: str,
    find_model: Callable[[str], Any],
) -> tuple[str, str]:
    """Return which model class shows the run, and which data set class reads its images.

    Raises:
        ValueError: the run is of another model.
    """
    model = wanted["model"] or trained or "test"
    if trained and model not in (trained, "test"):
        raise ValueError(f"--model {model}: run {name!r} is of --model {trained}; leave it out, or say --model test")
    own = str(entries["dataset_mode"].value) if trained == model else find_model(model).dataset_mode
    return model, wanted["dataset_mode"] or own or "image_folder"


def _options_of(
    entries: Mapping[str, Entry], find_model: Callable[[str], Any], find_dataset: Callable[[str], Any]
) -> dict[str, Any]:
    """Return all options that a run was trained with."""
    reader = Parser("")
    reader.add("run", TrainOptions, {})
    reader.add("model", find_model(str(entries["model"].value)).Options, {})
    reader.add("data", find_dataset(str(entries["dataset_mode"].value)).Options, {})
    return {n: f.default for n, f in reader.flags.items()} | reader.convert(entries)


def _check_same(trained: Mapping[str, Any], given: Mapping[str, Any], name: str) -> None:
    """Refuse to show another model than was trained."""
    for option, before in trained.items():
        if option in given and given[option] != before:
            raise ValueError(f"--{option} {shown(given[option])}: run {name!r} was trained with {shown(before)}")
