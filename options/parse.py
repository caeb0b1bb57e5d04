"""Read the command line, YAML and cards into typed, frozen options."""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from options.base_options import BaseOptions, full_name, match_suffix, run_name
from options.declare import flags
from options.parser import Parser, shown
from options.train_options import TrainOptions
from options.upstream import RETIRED_TRAIN
from util.config_file import SECTIONS, Entry, brief, read_config
from util.console import warn
from util.registry import list_names
from util.runs import OPTIONS_FILE, find_run, find_trained, free_name, list_runs

# A record that repeated these would repeat the deed.
OF_ONE_COMMAND = ("config", "continue_train", "overwrite", "suffix")
FIRST = ("model", "dataset_mode", "dataroot", "name", "checkpoints_dir")  # they decide which other options there are
OF_A_AND_B = ("aligned", "unaligned", "single")  # a model that draws from noise takes all images alike
HELP = {"-h", "--help"}
Run = TypeVar("Run", bound=BaseOptions)


@dataclasses.dataclass(frozen=True)
class Config(Generic[Run]):
    """Everything that was asked for: ``run`` by the script, ``model`` and ``data`` by their classes."""

    run: Run
    model: Any
    data: Any
    model_name: str
    dataset_mode: str
    defaults: dict[str, Any]  # what each option would have been, had nobody said otherwise
    spec: dict[str, Any] = dataclasses.field(default_factory=dict)  # test.py: what the run noted of its data
    given: frozenset[str] = frozenset()  # test.py: the options that the user gave
    trained: dict[str, Any] = dataclasses.field(default_factory=dict)  # test.py: all that is known of the training

    def sections(self) -> dict[str, dict[str, Any]]:
        """Return all options by section and name, as ``options.yaml`` has them: without those of one command."""
        sections = {name: dataclasses.asdict(getattr(self, name)) for name in SECTIONS}
        return {s: {k: v for k, v in values.items() if k not in OF_ONE_COMMAND} for s, values in sections.items()}


def parse_train(
    description: str,
    argv: Sequence[str] | None,
    find_model: Callable[[str], Any],
    find_dataset: Callable[[str], Any],
    recognize: Callable[[str, str], tuple[str, Path]],
) -> Config[TrainOptions]:
    """Parse the command line of train.py in two passes: first which model and data, then everyone's options.

    Precedence: command line, ``--config`` (with ``--continue_train``: the run's own options), the card of the
    data set, the model's defaults and presets, the declarations. Exits with status 2 and one line when something is
    wrong.

    Args:
        description: what ``--help`` begins with.
        argv: the words after the script's name; None takes the process's own.
        find_model, find_dataset: return the class of a name, or raise LookupError.
        recognize: returns dataset_mode and card file of a dataroot, given the dataset_mode that is wanted or "", or
            raises FileNotFoundError.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = Parser(description, RETIRED_TRAIN)
    asked = first_pass(parser, argv)
    try:
        config = read_config(Path(asked["config"])) if "config" in asked else {}
        for name in OF_ONE_COMMAND:
            if name in config:
                raise ValueError(f"{config[name].where}: {name} belongs on the command line")
        first, folder, run_entries = texts(config) | asked, None, dict[str, Entry]()
        if "continue_train" in asked:
            folder = _run_to_continue(first)
            run_entries = read_config(folder / OPTIONS_FILE)
            run = texts(run_entries)  # its model and data set class stay: another one is refused below
            first = run | first | {k: run[k] for k in ("model", "dataset_mode") if k in run}
        if not (model := first.get("model")):
            help_without_model(parser, argv)
        model_class = find_model(model)
        if not model_class.trains:
            raise ValueError(f"--model {model} shows what another model has learnt: python test.py --model {model}")
        dataroot, dataset_mode = first.get("dataroot", ""), first.get("dataset_mode") or model_class.dataset_mode
        card, recognized = dict[str, Entry](), ""
        if dataroot:
            recognized, card_file = recognize(dataroot, dataset_mode)
            dataset_mode = dataset_mode or suited(recognized, model_class.needs)
            if card_file.exists():
                card = {k: e for k, e in read_config(card_file).items() if k not in ("about", "licence")}
        dataset_class = find_dataset(dataset_mode or "image_folder")

        classes = {"run": TrainOptions, "model": model_class.Options, "data": dataset_class.Options}
        titles = {"run": "training", "model": f"--model {model}", "data": f"--dataset_mode {dataset_mode}"}
        for section, cls in classes.items():
            parser.add(titles[section], cls, model_class.defaults)
        if dataset_mode != recognized:  # the card was written for another reader of the same files
            card = {k: e for k, e in card.items() if k in parser.flags}
        print_help(parser, argv)
        written, typed = parser.convert(config), parser.parse(argv)
        given = written | typed
        stored = parser.convert(run_entries)
        if folder and given.pop("epoch_count", 0):
            warn_unheeded({"epoch_count": "--continue_train knows the epoch that it goes on with"})
        defaults = {n: f.default for n, f in parser.flags.items()} | model_class.defaults
        defaults |= (
            _presets(model_class.presets, stored | given) | parser.convert(card) | {"dataset_mode": dataset_mode}
        )
        values = defaults | stored | given
        if values["dataroot"] is MISSING:
            raise ValueError("--dataroot is required: a folder of images, or the name of one in datasets/")
        if folder:
            _check_resume(parser, stored, given, folder.name)
            values |= {"name": folder.name, "checkpoints_dir": folder.parent}
        elif not values["name"]:
            values["name"] = _name_run(values["checkpoints_dir"], dataroot, model)
        if not folder:
            values["name"] = full_name(values["name"], values["suffix"], values | {"model": model})
        if values["init_from"] and not folder:
            find_trained(values["checkpoints_dir"], values["init_from"])
        known = {k: v for k, v in defaults.items() if v is not MISSING and k not in ("name", "model")}
        built = build(classes, values)
        # A config may be the record of a run, with all options there are.
        said = typed.keys() | {n for n, value in written.items() if value != defaults.get(n)}
        warn_unheeded({n: why for n, why in built["run"].idle().items() if n in said})
        return Config(**built, model_name=model, dataset_mode=values["dataset_mode"], defaults=known)
    except (LookupError, OSError, ValueError) as error:
        parser.error(message_of(error))


def _presets(presets: Mapping[str, Mapping[str, Mapping[str, Any]]], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults that go with the choices in ``given``."""
    chosen = [defaults.get(given.get(option, ""), {}) for option, defaults in presets.items()]
    return {name: value for defaults in chosen for name, value in defaults.items()}


def first_pass(parser: Parser, argv: Sequence[str]) -> dict[str, str]:
    """Return what the command line says of the options that decide which others there are, as it stands there."""
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
    """Return what a file says of the options that decide which others there are.

    Raises:
        ValueError: a value is a list, a switch or nothing; the message says where.
    """
    found = {name: entries[name] for name in FIRST if name in entries}
    for name, (value, where) in found.items():
        if value is None or isinstance(value, bool | list | dict):
            raise ValueError(f"{where}: {name}: {brief(value)} is not a text")
    return {name: str(value) for name, (value, _) in found.items()}


def _run_to_continue(wanted: Mapping[str, str]) -> Path:
    """Return the folder that ``--continue_train`` means: ``--name``, or the newest that fits the rest."""
    checkpoints_dir = Path(wanted.get("checkpoints_dir", "checkpoints"))
    if "name" in wanted:
        folder = find_trained(checkpoints_dir, match_suffix(checkpoints_dir, wanted["name"], wanted.get("suffix", "")))
        if not (folder / OPTIONS_FILE).exists():
            raise FileNotFoundError(
                f"--continue_train: {folder} holds weights alone, which say nothing of the optimizer and the epoch: "
                f"--init_from {folder.name} --name NEW begins a run from them, and --epoch_count N with epoch N"
            )
        return folder
    find_run(checkpoints_dir, "")  # raises when there is none at all
    asked_for = {k: wanted[k] for k in ("model", "dataroot") if k in wanted}
    for folder in list_runs(checkpoints_dir):
        entries = read_config(folder / OPTIONS_FILE)
        if all(k in entries and str(entries[k].value) == v for k, v in asked_for.items()):
            return folder
    shown = " ".join(f"--{k} {v}" for k, v in asked_for.items())
    raise FileNotFoundError(f"--continue_train: no run in {checkpoints_dir}/ was started with {shown}")


def _name_run(checkpoints_dir: Path, dataroot: str, model: str) -> str:
    """Return a name that no run has yet, after the folder that ``dataroot`` leads to; "." and ".." have one too.

    Raises:
        ValueError: that folder's name cannot name another.
    """
    stem = Path(os.path.abspath(dataroot)).name  # noqa: PTH100  Path.resolve() would follow links
    try:
        return run_name(free_name(checkpoints_dir, f"{stem}_{model}"))
    except ValueError as error:
        raise ValueError(f"give the run a --name: {error}") from None


def _check_resume(parser: Parser, stored: dict[str, Any], given: dict[str, Any], name: str) -> None:
    """Refuse what would make a resumed run another run; warn of what may change its numbers."""
    for key, value in given.items():
        before, rule = stored.get(key, value), parser.flags[key].rule
        if before == value or rule.resume == "free":
            continue
        message = f"--{key} {shown(value)}: run {name!r} was started with {shown(before)}"
        if rule.resume == "fixed":
            raise ValueError(f"{message}; to start a new run from its weights, use --init_from {name} --name NEW")
        warn(f"{message}; the numbers may differ from an undisturbed run's")


def warn_unheeded(reasons: Mapping[str, str]) -> None:
    """Warn of each option that a user gave for nothing, with the reason."""
    for name, why in reasons.items():
        warn(f"--{name} is left out of account: {why}")


def build(classes: Mapping[str, type], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object of each class, filled from ``values``; their own checks may raise ValueError."""
    return {section: cls(**{f.name: values[f.name] for f in flags(cls)}) for section, cls in classes.items()}


def suited(recognized: str, needs: Sequence[str]) -> str:
    """Return the data set class for a model with these ``needs`` where data was ``recognized`` as of another kind."""
    return "image_folder" if "image" in needs and recognized in OF_A_AND_B else recognized


def help_without_model(parser: Parser, argv: Sequence[str], or_else: str = "") -> NoReturn:
    """Show the options that all models share, or ask for --model, ``or_else`` for what may stand in its place."""
    models = ", ".join(list_names("models", "_model"))
    parser.add("training", TrainOptions, {})
    parser.epilog = f"models: {models}. --model X --help lists the options of model X too."
    print_help(parser, argv)
    parser.error(f"--model is required: one of {models}{or_else}")


def print_help(parser: Parser, argv: Sequence[str]) -> None:
    if HELP & set(argv):
        parser.print_help()
        parser.exit(0)


def message_of(error: Exception) -> str:
    """Return the text of ``error`` for a user; an OSError's without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
