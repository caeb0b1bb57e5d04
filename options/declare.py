"""Turn dataclass fields into command-line options.

One field is one option: the annotation is its type, the default its default, ``help`` its help.

    int, float, str, Path     --name VALUE
    bool                      --name / --no_name
    Literal["a", "b"]         --name a   (anything else is an error that names the nearest choice)
    tuple[int, ...]           --name 4,4,8   (also of a Literal, or of numbers or words: float | Literal["auto"])
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from util.config_file import brief
from util.registry import did_you_mean


def option(
    default: Any = MISSING,
    *,
    help: str,
    min: float | None = None,
    max: float | None = None,
    above: float | None = None,
    aliases: tuple[str, ...] = (),
    resume: Literal["fixed", "warn", "free"] = "fixed",
    read: Callable[[str], str] | None = None,
    only_with: tuple[str, ...] = (),
) -> Any:
    """Declare a dataclass field that is also a command-line option; no default means required.

    A subclass changes a default with a plain ``lr: float = 1e-4``: the rest of the declaration is inherited.

    Args:
        default: value unless a stronger layer sets another (options/layers.py).
        help: what it does, in one line.
        min: smallest value allowed.
        max: largest value allowed.
        above: the value must be larger than this.
        aliases: other names, without the dashes.
        resume: whether ``--continue_train`` refuses a changed value, warns of it or accepts it.
        read: converts the user's text to the value to store; raises ValueError.
        only_with: other options of which one must be set for this one to mean something; "netD n_layers" when it must
            have that value.
    """
    rule = Rule(help, min, max, above, aliases, resume, read, only_with)
    return field(default=default, metadata={"rule": rule})


@dataclass(frozen=True)
class Rule:
    """The arguments of ``option`` beyond the default."""

    help: str
    min: float | None
    max: float | None
    above: float | None
    aliases: tuple[str, ...]
    resume: Literal["fixed", "warn", "free"]
    read: Callable[[str], str] | None
    only_with: tuple[str, ...]


@dataclass(frozen=True)
class Flag:
    """One command-line option: its name, type, default and rule."""

    name: str
    hint: Any
    default: Any
    rule: Rule

    @property
    def is_bool(self) -> bool:
        return self.hint is bool

    @property
    def choices(self) -> tuple[str, ...]:
        hint = get_args(self.hint)[0] if get_origin(self.hint) is tuple else self.hint
        return get_args(hint) if get_origin(hint) is Literal else ()

    @property
    def metavar(self) -> str:
        """What the help says stands behind the flag: N for whole numbers, X for others, N,N for lists of them."""
        if self.choices:
            return "{" + ",".join(self.choices) + "}"
        is_list = get_origin(self.hint) is tuple
        kind = get_args(self.hint)[0] if is_list else self.hint
        word = {int: "N", float: "X"}.get(kind, self.name.split("_")[-1].upper())
        return f"{word},{word}" if is_list and len(word) == 1 else word

    def parse(self, text: str) -> Any:
        """Convert text from the command line to a value.

        Raises:
            ValueError: ``text`` is of the wrong type, out of range or not among the choices.
        """
        if get_origin(self.hint) is tuple:
            kind = get_args(self.hint)[0]
            return tuple(self._scalar(part.strip(), kind) for part in text.split(",") if part.strip())
        return self._scalar(text, self.hint)

    def convert(self, value: Any) -> Any:
        """Convert a value from a YAML file to this flag's type.

        Raises:
            ValueError: it is of the wrong type, out of range or not among the choices.
        """
        if self.is_bool:
            if not isinstance(value, bool):
                raise ValueError(f"{brief(value)} is not true or false")
            return value
        if isinstance(value, list) and get_origin(self.hint) is tuple:
            return self.parse(",".join(str(v) for v in value))
        if isinstance(value, bool | list | dict) or value is None:
            raise ValueError(f"{brief(value)} is not {self._kind(self.hint)}")
        return self.parse(str(value))

    def _scalar(self, text: str, kind: Any) -> Any:
        if self.choices:
            if text not in self.choices:
                raise ValueError(f"{brief(text)} is not a choice{did_you_mean(text, self.choices)}")
            return text
        if get_origin(kind) in (Union, UnionType):
            kind, words = get_args(kind)
            if text in get_args(words):
                return text
        if self.rule.read:
            text = self.rule.read(text)
        try:
            value = kind(text)
        except ValueError:
            raise ValueError(f"{brief(text)} is not {self._kind(kind)}") from None
        if isinstance(value, int | float):
            self._check_range(value)
        return value

    def _check_range(self, value: float) -> None:
        if isinstance(value, int) and abs(value) >= 2**63:
            raise ValueError(f"{brief(value)} is too large for a whole number")
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        if self.rule.min is not None and value < self.rule.min:
            raise ValueError(f"{value} is too small: at least {self.rule.min}")
        if self.rule.above is not None and value <= self.rule.above:
            raise ValueError(f"{value} is too small: more than {self.rule.above}")
        if self.rule.max is not None and value > self.rule.max:
            raise ValueError(f"{value} is too large: at most {self.rule.max}")

    @staticmethod
    def _kind(hint: Any) -> str:
        if get_origin(hint) is tuple:
            return "a comma-separated list"
        return {int: "a whole number", float: "a number", Path: "a path"}.get(hint, "a text")


def flags(cls: type) -> list[Flag]:
    """Return the flags that dataclass ``cls`` declares, in the order of its fields."""
    hints = get_type_hints(cls)
    return [Flag(f.name, hints[f.name], f.default, _rule(cls, f)) for f in fields(cls)]


def unused_options(cls: type, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the options of ``cls`` that mean nothing next to these values, each with what it needs."""
    return {
        f.name: f"without {_in_words(terms)}"
        for f in fields(cls)
        if (terms := _rule(cls, f).only_with) and not any(_is_met(term, values) for term in terms)
    }


def _is_met(term: str, values: Mapping[str, Any]) -> bool:
    name, _, wanted = term.partition(" ")
    if name not in values:  # a model without that option has built in what it stands for
        return True
    return str(values[name]) == wanted if wanted else bool(values[name])


def _in_words(terms: Sequence[str]) -> str:
    """Return ("a x", "a y", "b") as: --a x, y or --b."""
    groups: dict[str, list[str]] = {}
    for name, _, wanted in (term.partition(" ") for term in terms):
        groups.setdefault(f"--{name}", []).append(wanted)
    return " or ".join(f"{name} {', '.join(wanted)}".strip() for name, wanted in groups.items())


def _rule(cls: type, f: Field[Any]) -> Rule:
    """Return the nearest declaration of ``f`` that came from ``option``."""
    declared = (g for c in cls.__mro__ if is_dataclass(c) for g in fields(c) if g.name == f.name)
    rule = next((g.metadata["rule"] for g in declared if "rule" in g.metadata), None)
    assert rule is not None, f"{cls.__qualname__}.{f.name} needs option(..., help=...)"
    return rule
