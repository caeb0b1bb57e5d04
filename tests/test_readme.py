"""The README: its links lead somewhere, its commands are understood, and the Chinese one keeps step."""

import itertools
import re
import shlex
from pathlib import Path

import pytest

from data import find_dataset
from models import find_model
from options import test_options
from options.declare import flags
from options.train_options import TrainOptions
from util.registry import list_names

ROOT = Path(__file__).parents[1]
ENGLISH, CHINESE = (ROOT / name for name in ("README.md", "README.zh-CN.md"))
DOCUMENTS = [ENGLISH, CHINESE, ROOT / "CONTRIBUTING.md", ROOT / "datasets/README.md", *sorted(ROOT.glob("docs/*.md"))]


def commands(document):
    """Return the command lines of a document, without comments, continued lines joined."""
    lines, text = [], document.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"^(?: {4})((?:python|bash|torchrun|source|pip) .*)$", text, re.M):
        lines.append(" ".join(shlex.split(line, comments=True)))
    return lines


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(document):
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        name, _, heading = target.partition("#")
        path = document.parent / name if name else document
        assert path.exists(), f"{document.name}: {target}"
        if heading:
            titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
            assert heading in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}, target


@pytest.mark.parametrize("document", [ENGLISH, CHINESE], ids=lambda path: path.name)
def test_commands_name_flags_models_and_runs_that_there_are(document):
    named = set()
    for command in commands(document):
        words = command.split()
        script = next((word for word in words if word.endswith((".py", ".sh"))), "")
        assert not script or (ROOT / script).exists(), command
        if script not in ("train.py", "test.py"):
            continue
        values = dict(itertools.pairwise(words))
        model = values.get("--model", "cgan")
        known = {f.name for f in flags(TrainOptions if script == "train.py" else test_options.TestOptions)}
        for mode in list_names("data", "_dataset"):
            known |= {f.name for f in flags(find_dataset(mode).Options)}
        if script == "train.py":
            known |= {f.name for f in flags(find_model(model).Options)}
            dataroot = Path(values.get("--dataroot", "")).name
            named.add(values.get("--name", f"{dataroot}_{model}"))
        given = {word.removeprefix("--") for word in words if word.startswith("--") and word != "--nproc_per_node=2"}
        assert given <= known, f"{command}: {given - known}"
        if script == "test.py" and "--name" in values:
            assert values["--name"] in named, f"{command}: no command above trains it"


def test_every_model_has_a_row():
    rows = set(re.findall(r"^\| `(\w+)` \|", ENGLISH.read_text(encoding="utf-8"), re.M))
    assert rows == set(list_names("models", "_model"))


def test_the_chinese_readme_has_the_sections_and_commands_of_the_english_one():
    def sections(document):
        return len(re.findall(r"^## ", document.read_text(encoding="utf-8"), re.M))

    assert sections(CHINESE) == sections(ENGLISH)
    assert commands(CHINESE) == commands(ENGLISH)
    text = CHINESE.read_text(encoding="utf-8")
    for name in list_names("models", "_model"):
        assert f"`{name}`" in text
