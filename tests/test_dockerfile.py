"""The Dockerfile: what it copies is there, and what must stay outside does."""

import json
import re
from fnmatch import fnmatch
from pathlib import Path

from data import find_dataset
from data.files.dataroot import recognize
from models import find_model
from options.parse import parse_train

ROOT = Path(__file__).parents[1]
LINES = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text()).splitlines()


def ignored(path: str) -> bool:
    """Return what .dockerignore, whose last matching line counts, says of a path."""
    verdict = False
    for line in (ROOT / ".dockerignore").read_text().split():
        if fnmatch(path, line.removeprefix("!").replace("**/", "*")):
            verdict = not line.startswith("!")
    return verdict


def test_instructions_are_known_and_the_base_is_an_argument():
    words = [line.split()[0] for line in LINES if line and not line.startswith("#")]
    assert words[:2] == ["ARG", "FROM"] and words[-1] == "CMD"
    assert set(words) <= {"ARG", "FROM", "ENV", "RUN", "WORKDIR", "COPY", "CMD"}
    assert "FROM ${BASE}" in LINES


def test_its_commands_are_commands_of_this_project():
    text = (ROOT / "Dockerfile").read_text()
    scripts = re.findall(r"[\w/]+\.(?:py|sh)\b", text)
    assert {"scripts/setup.sh", "train.py", "test.py"} <= set(scripts)
    assert all((ROOT / script).is_file() for script in scripts)
    assert json.loads(LINES[-1].removeprefix("CMD ")) == ["python", "test.py", "--help"]
    example = re.search(r"python train\.py (.+)", text)
    assert example and parse_train("", example[1].split(), find_model, find_dataset, recognize).model_name == "cgan"
    asked = set(re.findall(r"--build-arg (\w+)=", text))
    assert asked == {line.split()[1].partition("=")[0] for line in LINES if line.startswith("ARG ")}


def test_what_is_copied_first_is_all_that_the_set_up_reads():
    copied = {name for line in LINES if line.startswith("COPY") for name in line.split()[1:-1]} - {"."}
    assert copied and all((ROOT / name).is_file() for name in copied)
    read = set(re.findall(r"\$root/([\w-]+\.txt)", (ROOT / "scripts/setup.sh").read_text()))
    assert read <= copied


def test_runs_and_downloads_stay_outside_and_the_embedded_data_goes_in():
    assert all(map(ignored, (".git", ".venv", "checkpoints", "results", "datasets/mnist", "models/__pycache__")))
    inside = ("train.py", "datasets/rps_mini", "datasets/emoji_mini", "datasets/download.py", "scripts/setup.sh")
    assert not any(map(ignored, inside))
