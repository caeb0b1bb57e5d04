"""Read option values from YAML: ``--config``, the options.yaml of a run, the card of a data set."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

MAX_LENGTH, MAX_PARTS, MAX_DEPTH = 2**20, 10**5, 20  # letters and values of a file, and how deeply they are nested
SECTIONS = ("run", "model", "data")  # options.yaml groups its values under these; a config need not
RECORDS = ("spec", "found", "about")  # further sections of options.yaml, which are no options


class Entry(NamedTuple):
    """A value and where it stands, such as ``my.yaml, line 3``."""

    value: Any
    where: str


def read_config(path: Path) -> dict[str, Entry]:
    """Return the option values of a YAML file, flat by name.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not YAML, or not a mapping of names to values, or names one option twice.
    """
    node, values = _read(path)
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold lines such as 'batch_size: 64', not {brief(values)}")
    entries: dict[str, Entry] = {}
    for name, value, line in _pairs(node, values):
        where = f"{path}, line {line}"
        if name in entries:
            raise ValueError(f"{where}: {name} is given twice")
        entries[name] = Entry(value, where)
    return entries


def _read(path: Path) -> tuple[Any, Any]:
    """Return the root node of a YAML file and its value, None and {} when it is empty.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not YAML, or built so that a small file would fill the memory or the stack.
    """
    with path.open(encoding="utf-8") as file:
        try:
            text = file.read(MAX_LENGTH + 1)
            if len(text) > MAX_LENGTH:
                raise ValueError(f"it is longer than {MAX_LENGTH} letters")
            _check_events(text)
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            return node, {} if node is None else yaml.safe_load(text)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not YAML: {' '.join(str(error).split()):.300}") from None
        except ValueError as error:  # of _check_events; or of a date such as 2024-99-99
            raise ValueError(f"{path} cannot be read: {error!s:.300}") from None
        except (AttributeError, LookupError, TypeError, OverflowError) as error:  # of yaml, on values such as !!bool x
            raise ValueError(f"{path} cannot be read: a value is not what its !!tag says ({error!s:.100})") from None


def _check_events(text: str) -> None:
    """Raise ValueError for aliases, by which nine lines grow to 10^9 values, and for collections nested too deeply."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"line {line} refers to an anchor: write the value out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if number > MAX_PARTS:
            raise ValueError(f"it holds more than {MAX_PARTS} values")
        if depth > MAX_DEPTH:
            raise ValueError(f"line {line} is nested more than {MAX_DEPTH} deep")


def _pairs(node: Any, values: dict[Any, Any]) -> Iterator[tuple[str, Any, int]]:
    """Yield name, value and line of each option, those of the sections included."""
    for key, content in node.value if node else []:
        name, line = str(key.value), key.start_mark.line + 1
        value = values.get(name)
        if name in RECORDS and isinstance(value, dict):
            continue
        if name in SECTIONS and isinstance(value, dict):
            yield from _pairs(content, value)
        else:
            yield name, value, line


def read_section(path: Path, section: str) -> dict[str, Any]:
    """Return one section of a run's options.yaml or best.yaml, {} when it has none of that name.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not YAML, or that section is not a mapping.
    """
    values = _read(path)[1]
    found = (values.get(section) or {}) if isinstance(values, dict) else values
    if not isinstance(found, dict):
        raise ValueError(f"{path}: {section} must hold lines such as 'batch_size: 64', not {brief(found)}")
    return dict(found)


def brief(value: Any) -> str:
    """Return ``value`` as Python writes it, cut to what fits in a message."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."


def plain(value: Any) -> Any:
    """Return ``value`` as YAML writes it: tuples become lists and paths texts."""
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value.as_posix() if isinstance(value, Path) else value


def dump(sections: dict[str, dict[str, Any]]) -> str:
    """Return ``sections`` as YAML in the order given; ``read_config`` reads it back."""
    plain_sections = {s: {k: plain(v) for k, v in values.items()} for s, values in sections.items()}
    return str(yaml.safe_dump(plain_sections, sort_keys=False, allow_unicode=True))


def is_changed(name: str, value: Any, defaults: dict[str, Any]) -> bool:
    """Return whether option ``name`` has a default and ``value`` differs from it."""
    return name in defaults and plain(defaults[name]) != plain(value)


def shown(value: Any) -> str:
    """Return an option's value as a person would write it."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {shown(part)}" for name, part in value.items())
    if isinstance(value, tuple | list):
        return ",".join(shown(part) for part in value) or "none"
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(plain(value)) or "none"


def mark_changed(
    sections: dict[str, dict[str, Any]], defaults: dict[str, Any]
) -> dict[str, dict[str, tuple[str, bool]]]:
    """Return each option as text, and whether it is not at its default."""
    return {
        section: {name: (shown(value), is_changed(name, value, defaults)) for name, value in values.items()}
        for section, values in sections.items()
    }


OPPOSITES = ("dropout", "flip", "html", "antialias", "antialias_up")  # the reference has a switch --no_NAME for these


def options_table(sections: dict[str, dict[str, Any]], defaults: dict[str, Any]) -> str:
    """Return the options as the reference writes train_opt.txt, for scripts that read it."""
    rows = {name: (value, defaults.get(name, value)) for values in sections.values() for name, value in values.items()}
    for name in OPPOSITES:
        if name in rows:
            value, default = rows.pop(name)
            rows[f"no_{name}"] = not value, not default
    lines = ["----------------- Options ---------------"]
    for name, (value, default) in sorted(rows.items()):
        note = "" if value == default else f"\t[default: {default}]"
        lines.append(f"{name:>25}: {value!s:<30}{note}")
    return "\n".join([*lines, "----------------- End -------------------", ""])


def format_options(sections: dict[str, dict[str, Any]], defaults: dict[str, Any], whole: bool) -> str:
    """Return the options as a table of text: those that are not at their defaults, or with ``whole`` all of them."""
    lines = []
    for section, values in sections.items():
        marked = {name: is_changed(name, value, defaults) for name, value in values.items()}
        if whole or any(marked.values()):
            lines.append(f"--- {section}")
        for name, changed in marked.items():
            note = f"   [default: {shown(defaults[name])}]" if changed else ""
            if whole or changed:
                lines.append(f"{name:>20}: {shown(values[name])}{note}")
    return "\n".join(lines)
