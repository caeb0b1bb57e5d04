"""Flags on an argparse parser whose errors are one line that names what was probably meant."""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, NoReturn, get_origin

from options.declare import Flag, flags
from options.upstream import ELSEWHERE
from util.config_file import Entry, brief, shown
from util.console import one_line, warn
from util.registry import did_you_mean

HELP = {"-h", "--help"}
NO_DEFAULTS: dict[str, Any] = {}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line that names what was probably meant."""

    def __init__(self, description: str, retired: Mapping[str, str] | None = None) -> None:
        """Args: retired: flags accepted with a warning, with or without a value: name -> what to use instead."""
        super().__init__(
            description=description,
            usage="%(prog)s [options]",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=False,
        )
        self.flags: dict[str, Flag] = {}
        self.sections: dict[str, type] = {}  # the dataclasses that declare them
        self.retired = dict(retired or {})
        for name in self.retired:
            self.add_argument(f"--{name}", nargs="?", const="", default=None, help=argparse.SUPPRESS)
        self._negative_number_matcher = re.compile(r"-[\d.][\d.,eE+-]*$")  # a value also when a list: -1000,3000

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ")
        if message.endswith(": expected one argument"):
            flag = message.split(":")[0].split("/")[0]
            known = self.flags.get(flag.lstrip("-"))
            is_text = not known or known.hint is str or get_origin(known.hint) is tuple
            message = f"{flag} needs a value" + f"; one that begins with - is written {flag}=-VALUE" * is_text
        self.exit(2, f"{self.prog}: error: {one_line(message)}\n")

    def add(
        self, section: str, cls: type, title: str = "", defaults: Mapping[str, Any] = NO_DEFAULTS, known: bool = False
    ) -> None:
        """Add the options of a dataclass.

        Args:
            section: names it for ``build``.
            cls: declares them.
            title: heads them in the help.
            defaults: replaces declared ones.
            known: skips options that were added before.
        """
        self.sections[section] = cls
        group = self.add_argument_group(title or section)
        for flag in flags(cls):
            if known and flag.name in self.flags:
                continue
            assert flag.name not in self.flags, f"--{flag.name} is declared twice"
            self.flags[flag.name] = flag
            default = defaults.get(flag.name, flag.default)
            value = "required" if default is MISSING else f"default: {shown(default)}"
            text = f"{flag.rule.help} [{value}]".replace("%", "%%")
            names = [f"--{name}" for name in (flag.name, *flag.rule.aliases)]
            if flag.is_bool:
                group.add_argument(*names, dest=flag.name, action="store_true", default=None, help=text)
                group.add_argument(
                    f"--no_{flag.name}", dest=flag.name, action="store_false", default=None, help=argparse.SUPPRESS
                )
            else:
                group.add_argument(
                    *names, dest=flag.name, type=_reader(flag), default=None, metavar=flag.metavar, help=text
                )

    def parse(self, argv: Sequence[str]) -> dict[str, Any]:
        """Return the values on the command line by option; exits with status 2 when an option is unknown."""
        found, unknown = self.parse_known_args(argv)
        if unknown:
            words = [w.split("=")[0] for w in unknown]
            word = next((w for w in words if w.startswith("-")), words[0])
            if not word.startswith("-"):
                self.error(f"{word} follows no option that takes it: a value with spaces needs quotes")
            known = [name for action in self._actions for name in action.option_strings]
            self.error(f"there is no option {word} here{_instead(word, known) or '; --help lists all'}")
        for name, way in self.retired.items():
            if getattr(found, name) is not None:
                warn(f"--{name} has no effect here: {way}")
        return {name: value for name, value in vars(found).items() if value is not None and name in self.flags}

    def build(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return an object of each dataclass, by section; its own checks may raise ValueError."""
        return {s: cls(**{f.name: values[f.name] for f in fields(cls)}) for s, cls in self.sections.items()}

    def defaults(self) -> dict[str, Any]:
        """Return the declared default of each option; MISSING where one is required."""
        return {name: flag.default for name, flag in self.flags.items()}

    def convert(self, entries: Mapping[str, Entry], skip_unknown: bool = False) -> dict[str, Any]:
        """Return the values of a YAML file.

        Raises:
            ValueError: an option is unknown, unless ``skip_unknown``, or its value wrong; the message says where.
        """
        values = {}
        for name, (value, where) in entries.items():
            flag = self.flags.get(name) or next((f for f in self.flags.values() if name in f.rule.aliases), None)
            if flag is None and skip_unknown:
                continue
            if flag is None:
                known = [f"--{flag}" for flag in self.flags]
                instead = _instead(name, known).replace("--", "")
                raise ValueError(f"{where}: there is no option {name if len(name) < 60 else brief(name)}{instead}")
            try:
                values[flag.name] = flag.convert(value)
            except ValueError as error:
                raise ValueError(f"{where}: {name}: {error}") from None
        return values


def reader_of(*classes: type) -> Parser:
    """Return a parser of the options of these dataclasses, for values rather than for help."""
    parser = Parser("")
    for cls in classes:
        parser.add(cls.__name__, cls)
    return parser


def _instead(word: str, known: Sequence[str]) -> str:
    """Return ``; did you mean '--this'?`` for an unknown option, "" when nothing is similar."""
    for way in ELSEWHERE.get(word.lstrip("-").replace("-", "_").lower(), ()):
        if way.split()[0] in known:
            return f"; did you mean '{way}'?"
    return did_you_mean(word if word.startswith("-") else f"--{word}", known).split(" (known")[0]


def _reader(flag: Flag) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return flag.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read
