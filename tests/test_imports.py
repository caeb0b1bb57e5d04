"""Imports point one way: util <- options <- data, models <- train.py, test.py, scripts/."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGES = {p.name for p in REPOSITORY.iterdir() if p.is_dir() and list(p.glob("*.py"))} - {"tests"}
SCRIPTS = {p.stem for p in REPOSITORY.glob("*.py")}
ALLOWED = {
    "util": {"util"},
    "options": {"util", "options"},
    "data": {"util", "options", "data"},
    "models": {"util", "options", "models"},
}


def imported(file: Path) -> set[str]:
    """Return the modules of this repository that a file imports at run time, inside functions too.

    Types may point up: blocks under ``if TYPE_CHECKING:`` are passed over.
    """
    names: set[str] = set()
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}, line {node.lineno}: relative import"
            assert node.module
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {n for n in names if n.split(".")[0] in PACKAGES | SCRIPTS}


FILES = [file for package in sorted(ALLOWED) for file in sorted((REPOSITORY / package).rglob("*.py"))]


def test_there_is_something_to_look_at():
    assert {*ALLOWED, "datasets", "scripts"} <= PACKAGES
    assert {"train", "test"} <= SCRIPTS
    assert "models.trained.load_trained" in imported(REPOSITORY / "test.py")  # inside a function
    assert "torch" not in str(imported(REPOSITORY / "util/training/checkpoint.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(REPOSITORY)))
def test_imports_point_one_way(file):
    package = file.relative_to(REPOSITORY).parts[0]
    assert {name.split(".")[0] for name in imported(file)} <= ALLOWED[package]


@pytest.mark.parametrize("file", sorted((REPOSITORY / "models/networks").glob("*.py")), ids=lambda f: f.name)
def test_networks_know_neither_options_nor_losses(file):
    assert all(name.startswith(("models.networks", "util.")) for name in imported(file))


@pytest.mark.parametrize(
    "module",
    [f"options.{f.stem}" for f in sorted((REPOSITORY / "options").glob("*.py")) if f.stem != "__init__"]
    + [
        "data",
        "models",
        "train",
        "test",
        "util.runs",
        "util.config_file",
        "util.registry",
        "data.files.dataroot",
        "data.files.image_paths",
        "data.files.idx_files",
    ],
)
def test_the_command_line_is_read_without_torch(module):
    code = f"import sys, {module}; print([m for m in ('torch', 'torchvision', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
