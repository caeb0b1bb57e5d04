"""Find a class by the file that defines it: the convention behind ``--model`` and ``--dataset_mode``."""

import difflib
import importlib
import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
UPSTREAM = re.compile(  # what files for pytorch-CycleGAN-and-pix2pix have, and ours do not
    r"def modify_commandline_options|def set_input|Base(?:Model|Dataset)\.__init__\(self|self\.isTrain"
)


def list_names(package: str, suffix: str) -> list[str]:
    """Return every X for which ``package/X<suffix>.py`` exists, apart from ``base``; imports no module."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    assert folders, f"{package} is no package"
    stems = {file.stem for folder in folders for file in Path(folder).glob(f"*{suffix}.py")}
    return sorted(s.removesuffix(suffix) for s in stems if s != f"base{suffix}")


def find_class(package: str, name: str, suffix: str, base: type[T]) -> type[T]:
    """Return the one subclass of ``base`` that ``package/<name><suffix>.py`` defines.

    Raises:
        LookupError: the file is written for pytorch-CycleGAN-and-pix2pix.
        TypeError: the file defines no subclass of ``base``, or more than one.
    """
    spec = importlib.util.find_spec(f"{package}.{name}{suffix}")
    if spec and spec.origin and (sign := UPSTREAM.search(Path(spec.origin).read_text(encoding="utf-8"))):
        raise LookupError(
            f"{package}/{name}{suffix}.py is written for pytorch-CycleGAN-and-pix2pix ({sign[0]}): docs/migration.md, "
            f'"Models and data sets of your own", shows how to move it over'
        )
    module = importlib.import_module(f"{package}.{name}{suffix}")  # its own import errors surface
    found = [
        c
        for c in vars(module).values()
        if isinstance(c, type) and issubclass(c, base) and c.__module__ == module.__name__
    ]
    if len(found) != 1:
        listed = [c.__name__ for c in found]
        raise TypeError(f"{module.__name__} must define one subclass of {base.__name__}, found {listed}")
    return found[0]


def check_name(flag: str, package: str, name: str, suffix: str) -> None:
    """Check that ``package/<name><suffix>.py`` exists, without importing anything.

    Raises:
        LookupError: there is no such file; the message names the nearest.
    """
    names = list_names(package, suffix)
    if name not in names:
        raise LookupError(f"{flag} {name}: no file {package}/{name}{suffix}.py{did_you_mean(name, names)}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'near'? (known: ...)``, without the first part when nothing is near."""
    names = list(known)
    lowered = {n.lower(): n for n in names}
    near = difflib.get_close_matches(name.lower(), lowered, n=1)
    hint = f"; did you mean {lowered[near[0]]!r}?" if near else ""
    return f"{hint} (known: {', '.join(names)})" if names else hint
