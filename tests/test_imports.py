"""Imports point one way: util <- options <- data, models <- train.py, test.py, scripts/."""

import ast
import subprocess
import sys
from pathlib import Path

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


def test_imports_point_one_way():
    wrong = {}
    for file in FILES:
        package = file.relative_to(REPOSITORY).parts[0]
        if bad := {name for name in imported(file) if name.split(".")[0] not in ALLOWED[package]}:
            wrong[str(file.relative_to(REPOSITORY))] = bad
    assert not wrong


def test_networks_know_neither_options_nor_losses():
    files = sorted((REPOSITORY / "models/networks").glob("*.py"))
    assert len(files) > 10
    names = {f.name: [n for n in imported(f) if not n.startswith(("models.networks", "util."))] for f in files}
    assert not any(names.values()), names


def test_the_command_line_is_read_without_torch():
    """In one process, module by module: the first that imports something heavy is named."""
    modules = [f"options.{f.stem}" for f in sorted((REPOSITORY / "options").glob("*.py")) if f.stem != "__init__"]
    modules += ["data", "models", "train", "test", "util.runs", "util.config_file", "util.registry"]
    modules += ["data.files.image_paths", "data.files.idx_files"]
    code = (
        f"import importlib, sys\nfor name in {modules}:\n    importlib.import_module(name)\n"
        "    heavy = [m for m in ('torch', 'torchvision', 'PIL') if m in sys.modules]\n"
        "    assert not heavy, (name, heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
