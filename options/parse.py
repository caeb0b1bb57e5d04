"""Parse the command line, YAML files and data cards into typed, frozen options."""

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from options.base_options import BaseOptions, full_name, match_suffix, run_name
from options.declare import unused_options
from options.layers import (
    OF_ONE_COMMAND,
    Layer,
    Layers,
    first_options,
    first_pass,
    presets,
    read_asked_config,
    read_card,
    resolve,
)
from options.parser import HELP, Parser
from options.train_options import TrainOptions
from options.upstream import RETIRED_TRAIN, spelled_out
from util.config_file import SECTIONS, Entry, read_config, shown
from util.console import warn
from util.registry import list_names
from util.runs import OPTIONS_FILE, STATE_FILE, find_run, find_trained, free_name, list_runs

Run = TypeVar("Run", bound=BaseOptions)


@dataclasses.dataclass(frozen=True)
class Config(Generic[Run]):
    """All options: ``run`` as declared by the script, ``model`` and ``data`` by their classes."""

    run: Run
    model: Any
    data: Any
    model_name: str
    dataset_mode: str
    defaults: dict[str, Any]  # the value of each option without the user's
    spec: dict[str, Any] = dataclasses.field(default_factory=dict)  # test.py: the data spec that the run recorded
    given: frozenset[str] = frozenset()  # options set by the user
    trained: dict[str, Any] = dataclasses.field(default_factory=dict)  # test.py: the options of the training
    own: Any = None  # the options of another script that trains, such as the benchmark

    def sections(self) -> dict[str, dict[str, Any]]:
        """Return the options by section and name as saved in ``options.yaml``, without those of a single command."""
        sections = {name: dataclasses.asdict(getattr(self, name)) for name in SECTIONS}
        return {s: {k: v for k, v in values.items() if k not in OF_ONE_COMMAND} for s, values in sections.items()}


def parse_train(
    description: str,
    argv: Sequence[str] | None,
    find_model: Callable[[str], Any],
    find_dataset: Callable[[str], Any],
    recognize: Callable[[str, str], tuple[str, Path]],
    own: type | None = None,
    or_else: str = "",
) -> Config[TrainOptions]:
    """Parse the command line of train.py in two passes: first the model and the data, then all options.

    ``layers.LAYERS`` is the order of precedence; the run is that of ``--continue_train``. Exits with status 2 and one
    line on a user's mistake.

    Args:
        description: the first lines of ``--help``.
        argv: the words after the script's name; None takes the process's own.
        find_model, find_dataset: return the class of a name, or raise LookupError.
        recognize: returns dataset_mode and card file of a dataroot, given the dataset_mode that is wanted or "", or
            raises FileNotFoundError.
        own: further options, of a script that trains.
        or_else: alternatives to name when --model is missing.
    """
    argv = spelled_out(sys.argv[1:] if argv is None else argv)
    parser = Parser(description, RETIRED_TRAIN)
    if own:
        parser.add("own", own, Path(parser.prog).stem)
    asked = first_pass(parser, argv)
    try:
        if "--resume_or_start" in argv:
            argv = [*argv, *_resume_or_start(asked)]
            asked = first_pass(parser, argv)
        config, folder, run = read_asked_config(asked), None, dict[str, Entry]()
        if "continue_train" in asked:
            folder = _run_to_continue(first_options(asked, config))
            run = read_config(folder / OPTIONS_FILE)
        first = first_options(asked, config, run)
        if not (model := first.get("model")):
            help_without_model(parser, argv, or_else)
        model_class = find_model(model)
        if not model_class.trains:
            raise ValueError(f"--model {model} only shows a trained model: python test.py --model {model}")
        mode, card, is_for_mode = read_card(first, model_class, recognize)

        parser.add("run", TrainOptions, "training", model_class.defaults)
        parser.add("model", model_class.Options, f"--model {model}", model_class.defaults)
        parser.add("data", find_dataset(mode).Options, f"--dataset_mode {mode}", model_class.defaults)
        layers: dict[Layer, dict[str, Any]] = {
            "declaration": parser.defaults(),
            "model": dict(model_class.defaults),
            "card": parser.convert(card, skip_unknown=not is_for_mode) | {"dataset_mode": mode},
        }
        print_help(parser, argv)
        layers |= {"config": parser.convert(config), "command line": parser.parse(argv), "run": parser.convert(run)}
        if folder and layers["command line"].pop("epoch_count", 0):
            warn_unused({"epoch_count": "--continue_train knows the epoch"})
        layers["model"] |= presets(model_class, layers)
        values = resolve(layers)
        if values["dataroot"] is MISSING:
            raise ValueError("--dataroot is required: a folder of images, or the name of one in datasets/")
        if folder:
            _check_resume(parser, layers, folder.name)
            values |= {"name": folder.name, "checkpoints_dir": folder.parent}
        else:
            values["name"] = _name_run(values, model)
        return _config_of(parser, layers, values, model)
    except (LookupError, OSError, ValueError) as error:
        parser.error(message_of(error))


def _config_of(parser: Parser, layers: Layers, values: Mapping[str, Any], model: str) -> Config[TrainOptions]:
    """Build the options of a training; warn of each set by the user that has no effect."""
    defaults = resolve(layers, last="card")
    # A config may be the record of a run, with every option in it.
    changed = {name for name, value in layers["config"].items() if value != defaults.get(name)}
    given = frozenset(layers["command line"].keys() | changed)
    built = parser.build(values)
    warn_unused({name: why for name, why in built["run"].idle().items() if name in given})
    for part in built.values():
        for name, why in unused_options(type(part), values).items():
            if name in given:
                warn(f"--{name} {shown(values[name])} has no effect {why}")
    known = {k: v for k, v in defaults.items() if v is not MISSING and k not in ("name", "model")}
    return Config(**built, model_name=model, dataset_mode=values["dataset_mode"], defaults=known, given=given)


def _resume_or_start(asked: Mapping[str, str]) -> list[str]:
    """Return the flag that ``--resume_or_start`` stands for; none where there is no such run yet."""
    if "name" not in asked:
        raise ValueError("--resume_or_start needs the --name of the run")
    checkpoints_dir = Path(asked.get("checkpoints_dir", "checkpoints"))
    folder = checkpoints_dir / match_suffix(checkpoints_dir, asked["name"], asked.get("suffix", ""))
    if (folder / STATE_FILE).exists():
        return ["--continue_train"]
    return ["--overwrite"] if (folder / OPTIONS_FILE).exists() else []  # it was killed before its first save


def _run_to_continue(wanted: Mapping[str, str]) -> Path:
    """Return the folder of the run to resume: ``--name``, or the newest run that matches the other options."""
    checkpoints_dir = Path(wanted.get("checkpoints_dir", "checkpoints"))
    if "name" in wanted:
        folder = find_trained(checkpoints_dir, match_suffix(checkpoints_dir, wanted["name"], wanted.get("suffix", "")))
        if not (folder / OPTIONS_FILE).exists():
            raise FileNotFoundError(
                f"--continue_train: {folder} holds only weights, without optimizer and epoch: "
                f"--init_from {folder.name} --name NEW starts a run from them, and --epoch_count N at epoch N"
            )
        return folder
    find_run(checkpoints_dir, "")  # raises when there is none at all
    asked_for = {k: wanted[k] for k in ("model", "dataroot") if k in wanted}
    for folder in list_runs(checkpoints_dir):
        entries = read_config(folder / OPTIONS_FILE)
        if all(k in entries and str(entries[k].value) == v for k, v in asked_for.items()):
            return folder
    words = " ".join(f"--{k} {v}" for k, v in asked_for.items())
    raise FileNotFoundError(f"--continue_train: no run in {checkpoints_dir}/ was started with {words}")


def _name_run(values: Mapping[str, Any], model: str) -> str:
    """Return the name of a new run: ``--name``, or a free one after the data folder, followed by ``--suffix``.

    Raises:
        ValueError: the data folder's name cannot name a run, or the suffix names no option.
        FileNotFoundError: ``--init_from`` names no run.
    """
    checkpoints_dir, name = values["checkpoints_dir"], values["name"]
    if not name:
        stem = Path(os.path.abspath(values["dataroot"])).name  # noqa: PTH100  Path.resolve() would follow links
        try:
            name = run_name(free_name(checkpoints_dir, f"{stem}_{model}"))
        except ValueError as error:
            raise ValueError(f"give the run a --name: {error}") from None
    if values["init_from"]:
        find_trained(checkpoints_dir, values["init_from"])
    return full_name(name, values["suffix"], {**values, "model": model})


def _check_resume(parser: Parser, layers: Layers, name: str) -> None:
    """Refuse options that a resumed run cannot change; warn of those that may change its numbers."""
    for key, value in resolve(layers, first="config").items():
        before, rule = layers["run"].get(key, value), parser.flags[key].rule
        if before == value or rule.resume == "free":
            continue
        message = f"--{key} {shown(value)}: run {name!r} was started with {shown(before)}"
        if rule.resume == "fixed":
            raise ValueError(f"{message}; to start a new run from its weights, use --init_from {name} --name NEW")
        warn(f"{message}; the numbers may differ from those of an uninterrupted run")


def warn_unused(reasons: Mapping[str, str]) -> None:
    """Warn of each option that has no effect, with the reason."""
    for name, why in reasons.items():
        warn(f"--{name} has no effect: {why}")


def help_without_model(parser: Parser, argv: Sequence[str], or_else: str = "") -> NoReturn:
    """Show the options that all models share, or ask for --model; ``or_else`` names alternatives."""
    models = ", ".join(list_names("models", "_model"))
    parser.add("training", TrainOptions)
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
