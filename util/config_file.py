"""Read option values from YAML: ``--config``, the options.yaml of a run, the card of a data set."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

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
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = {} if node is None else yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold lines such as 'batch_size: 64', not {values!r:.60}")
    entries: dict[str, Entry] = {}
    for name, value, line in _pairs(node, values):
        where = f"{path}, line {line}"
        if name in entries:
            raise ValueError(f"{where}: {name} is given twice")
        entries[name] = Entry(value, where)
    return entries


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
    """Return one section of an options.yaml, {} when it has none of that name."""
    return dict((yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get(section) or {})


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
    """Say whether option ``name`` has a default and ``value`` is another."""
    return name in defaults and plain(defaults[name]) != plain(value)


def mark_changed(
    sections: dict[str, dict[str, Any]], defaults: dict[str, Any]
) -> dict[str, dict[str, tuple[str, bool]]]:
    """Return each option as text, and whether it is not at its default."""

    def text(value: Any) -> str:
        return ", ".join(f"{k}: {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)

    return {
        section: {k: (text(plain(v)), is_changed(k, v, defaults)) for k, v in values.items()}
        for section, values in sections.items()
    }


def format_options(sections: dict[str, dict[str, Any]], defaults: dict[str, Any]) -> str:
    """Return all options as a table of text in which those not at their default say what it is."""
    lines = []
    for section, values in sections.items():
        lines.append(f"--- {section}")
        for name, value in values.items():
            note = f"   [default: {plain(defaults[name])}]" if is_changed(name, value, defaults) else ""
            lines.append(f"{name:>20}: {plain(value)}{note}")
    return "\n".join(lines)
