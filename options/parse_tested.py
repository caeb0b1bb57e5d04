"""Parse the command line of test.py and find what it tests: a run of train.py, or weights from elsewhere."""

import sys
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import MISSING, fields
from itertools import takewhile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from options.base_options import match_suffix
from options.declare import flags
from options.layers import CLASSES, Layers, first_pass, resolve, texts
from options.parse import Config, message_of, print_help, warn_unused
from options.parser import Parser, reader_of
from options.test_options import TestOptions
from options.train_options import TrainOptions
from options.upstream import RETIRED_TEST, read_options_table, spelled_out
from util.config_file import Entry, read_config, read_section, shown
from util.runs import OPTIONS_FILE, OPTIONS_TABLE, find_trained

OWN = {f.name for f in fields(TestOptions)}  # test.py's own options, whatever the run's values
CHANNELS = ("input_nc", "output_nc")  # options of the data that the model is built for
FOREIGN = ("direction", "preprocess", "load_size", "crop_size", "norm", "dropout", "batch_size")


class Tested(NamedTuple):
    """A folder with weights, and what is known about their training."""

    folder: Path
    entries: dict[str, Entry]  # the options of the training, as saved in the folder
    model: str = ""  # "": weights from elsewhere, without an options.yaml
    dataset_mode: str = ""


def parse_test(
    description: str,
    argv: Sequence[str] | None,
    find_model: Callable[[str], Any],
    find_dataset: Callable[[str], Any],
) -> Config[TestOptions]:
    """Parse the command line of test.py: its own options, those of the model and those of the data.

    ``layers.LAYERS`` is the order of precedence; the layers "model" and "card" are empty, as the run has recorded their
    values. The architecture of a run cannot be changed on the command line. For weights from elsewhere, the options
    file beside them is read. ``--model test`` shows a single generator of any translation model.

    Exits with status 2 and one line on a user's mistake.
    """
    argv = spelled_out(sys.argv[1:] if argv is None else argv)
    parser = Parser(description, RETIRED_TEST)
    asked = first_pass(parser, argv)
    parser.add("run", TestOptions, "testing")
    parser.epilog = "The options of the model and its data are read from the run; --model X --help lists them too."
    try:
        if "model" not in asked:
            print_help(parser, argv)
        config = read_config(Path(asked["config"])) if "config" in asked else {}
        own = {n: v for n, v in vars(parser.parse_known_args(argv)[0]).items() if n in OWN and v is not None}
        wanted = resolve({"declaration": parser.defaults(), "config": texts(config), "command line": own})
        if wanted["model"]:
            find_model(wanted["model"])  # report a misspelt model first
        tested = _find_tested(wanted)
        model, mode = _model_and_mode(wanted, tested, find_model)
        parser.add("model", find_model(model).Options, f"--model {model}", known=True)
        parser.add("data", find_dataset(mode).Options, f"--dataset_mode {mode}", known=True)
        print_help(parser, argv)

        layers: Layers = {"config": parser.convert(config), "command line": parser.parse(argv)}
        given = resolve(layers)
        spec: dict[str, Any] = {}  # unknown for weights alone
        if tested.model:
            spec = read_section(tested.folder / OPTIONS_FILE, "spec")
            stored = _options_of(tested, find_model, find_dataset)
            built = stored.keys() & {flag.name for flag in flags(parser.sections["model"])} - OWN
            fixed = {n: stored[n] for n in parser.flags if n in built} | {k: spec[k] for k in CHANNELS if k in spec}
            _check_same(fixed, given, tested.folder.name)
        else:
            stored = parser.convert({k: e for k, e in tested.entries.items() if k in FOREIGN and k in parser.flags})
        run = {k: v for k, v in stored.items() if k not in OWN} | {"dataroot": stored.get("dataroot", "")}
        run["max_dataset_size"] = 0  # a limit of the training
        values = resolve({"declaration": parser.defaults(), "run": run, **layers}) | {"name": tested.folder.name}
        draws = "image" in find_model(model).needs
        if not values["dataroot"] and (tested.model or not draws):
            way = "" if tested.model else " (to draw from noise needs none: --model gan)"
            raise ValueError(f"--dataroot is required: {tested.folder} does not record its training data{way}")
        if values.get("preprocess") == "resize_and_crop" and "load_size" not in given:
            values["load_size"] = values["crop_size"]  # keep whole images
        return Config(
            **parser.build(values),
            model_name=model,
            dataset_mode=mode,
            defaults={n: v for n, v in parser.defaults().items() if v is not MISSING},
            spec=spec,
            given=frozenset(given),
            trained=stored,
        )
    except (LookupError, OSError, ValueError) as error:
        parser.error(message_of(error))


def parse_runs(
    description: str,
    argv: Sequence[str] | None,
    find_model: Callable[[str], Any],
    find_dataset: Callable[[str], Any],
    honoured: Set[str],
) -> list[Config[TestOptions]]:
    """Parse the command line of a script that takes several runs, named before the options of test.py.

    Args:
        honoured: the options of test.py that the script honours; it warns of others.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    names = list(takewhile(lambda word: not word.startswith("-"), argv))
    rest, parser = argv[len(names) :], Parser(description, RETIRED_TEST)
    if names and "name" in first_pass(parser, rest):
        parser.error("give names of runs or --name, not both")
    calls = [["--name", name, *rest] for name in dict.fromkeys(names)] or [rest]
    configs = [parse_test(description, call, find_model, find_dataset) for call in calls]
    unused = sorted((configs[0].given & OWN) - honoured)
    warn_unused(dict.fromkeys(unused, f"{parser.prog} does not use it"))
    return configs


def read_run(folder: Path, find_model: Callable[[str], Any], direction: str, **own: Any) -> Config[TestOptions]:
    """Return what ``parse_test`` does, for a program that brings its own images: without options of the data.

    Args:
        folder: holds the run, or weights alone, which are shown by ``--model test``.
        find_model: returns the class of a model.
        direction: AtoB or BtoA; "": that of the training.
        own: options of test.py.

    Raises:
        FileNotFoundError: there is no such run; the message names the nearest.
        ValueError: its options.yaml is not one that train.py wrote.
    """
    tested = _read_folder(find_trained(folder.parent, folder.name))
    model = tested.model or "test"
    reader = reader_of(find_model(model).Options)
    trained = {"direction": "AtoB"} | {name: entry.value for name, entry in tested.entries.items()}
    if "batch_size" in trained:
        trained["batch_size"] = int(trained["batch_size"])  # a text in others' tables
    stored = reader.convert({name: entry for name, entry in tested.entries.items() if name in reader.flags})
    return Config(
        run=TestOptions(name=tested.folder.name, checkpoints_dir=tested.folder.parent, **own),
        model=find_model(model).Options(**resolve({"declaration": reader.defaults(), "run": stored})),
        data=SimpleNamespace(direction=direction or trained["direction"]),
        model_name=model,
        dataset_mode=tested.dataset_mode,
        defaults={},
        spec=read_section(tested.folder / OPTIONS_FILE, "spec") if tested.model else {},
        trained=trained,
    )


def _find_tested(wanted: Mapping[str, Any]) -> Tested:
    """Return the run, or the folder of weights, that the options name; raise FileNotFoundError when there is none."""
    checkpoints_dir = Path(wanted["checkpoints_dir"])
    return _read_folder(find_trained(checkpoints_dir, match_suffix(checkpoints_dir, wanted["name"], wanted["suffix"])))


def _read_folder(folder: Path) -> Tested:
    """Return what is known of the weights in ``folder``; raise ValueError when train.py did not write its record."""
    record = folder / OPTIONS_FILE
    if not record.exists():
        return Tested(folder, read_options_table(folder / OPTIONS_TABLE))
    entries = read_config(record)
    for name in CLASSES:
        if name not in entries:
            raise ValueError(f"{record} lacks {name!r}: it was not written by train.py")
    return Tested(folder, entries, *(str(entries[name].value) for name in CLASSES))


def _model_and_mode(wanted: Mapping[str, Any], tested: Tested, find_model: Callable[[str], Any]) -> tuple[str, str]:
    """Return the names of the model that shows the run and of the data set class that reads its images.

    Raises:
        ValueError: the run is of another model.
    """
    trained, model = tested.model, wanted["model"] or tested.model or "test"
    if trained and model not in (trained, "test"):
        name = tested.folder.name
        raise ValueError(f"--model {model}: run {name!r} is of --model {trained}; leave it out, or use --model test")
    own = tested.dataset_mode if trained == model else find_model(model).dataset_mode
    return model, wanted["dataset_mode"] or own or "image_folder"


def _options_of(tested: Tested, find_model: Callable[[str], Any], find_dataset: Callable[[str], Any]) -> dict[str, Any]:
    """Return all options of the training."""
    reader = reader_of(TrainOptions, find_model(tested.model).Options, find_dataset(tested.dataset_mode).Options)
    return resolve({"declaration": reader.defaults(), "run": reader.convert(tested.entries)})


def _check_same(trained: Mapping[str, Any], given: Mapping[str, Any], name: str) -> None:
    """Refuse options that do not match the trained model."""
    for option, before in trained.items():
        if option in given and given[option] != before:
            raise ValueError(f"--{option} {shown(given[option])}: run {name!r} was trained with {shown(before)}")
