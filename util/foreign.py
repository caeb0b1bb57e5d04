"""What pytorch-CycleGAN-and-pix2pix leaves beside its weights."""

import re
from pathlib import Path

from util.config_file import Entry

OPTIONS_TABLE = "train_opt.txt"
SWITCHES = {"True": True, "False": False}


def read_options_table(path: Path) -> dict[str, Entry]:
    """Return the options in a table of lines such as ``netG: unet_256   [default: resnet_9blocks]``, {} without a file.

    Switches become true or false, and ``no_dropout: True`` is read as ``dropout: False``.
    """
    entries: dict[str, Entry] = {}
    if not path.exists():
        return entries
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if match := re.fullmatch(r"\s*(\w+): (.*?)\s*(\[default: .*\])?\s*", line):
            name, text = match[1], match[2]
            value = SWITCHES.get(text, text)
            if name.startswith("no_") and isinstance(value, bool):
                name, value = name.removeprefix("no_"), not value
            entries[name] = Entry(value, f"{path}, line {number}")
    return entries
