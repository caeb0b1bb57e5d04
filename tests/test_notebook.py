"""The notebook runs from top to bottom, and its commands are commands of this project."""

import json
import re
import sys
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from data import find_dataset
from data.files.dataroot import recognize
from models import find_model
from options.parse import parse_train

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "ganvas.ipynb"
QUICK = "--n_epochs 1 --max_dataset_size 32 --ngf 4 --ndf 4 --device cpu --num_threads 0"
missing = [name for name in ("nbclient", "nbformat", "ipykernel") if util.find_spec(name) is None]


def cells() -> list[dict[str, Any]]:
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def test_cells_are_python_and_bring_no_outputs():
    for cell in cells():
        if cell["cell_type"] == "code":
            compile("".join(cell["source"]), cell["id"], "exec")
            assert cell["outputs"] == [] and cell["execution_count"] is None
    assert len({cell["id"] for cell in cells()}) == len(cells())


def test_the_training_command_is_understood():
    text = "\n".join("".join(cell["source"]) for cell in cells())
    found = re.search(r"options = \(\n(.*?)\n\)", text, re.DOTALL)
    assert found
    options = " ".join(re.findall(r'"(.*?)"', found[1])).split()
    config = parse_train("", [*options, *QUICK.split()], find_model, find_dataset, recognize)
    assert (config.model_name, config.run.name, config.run.n_epochs) == ("cgan", "notebook", 1)


def test_outside_the_repository_it_says_what_to_do_and_beside_it_finds_it(tmp_path, monkeypatch):
    (code,) = ("".join(cell["source"]) for cell in cells() if "REPOSITORY =" in "".join(cell["source"]))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="set REPOSITORY above, or put the folder ganvas beside it"):
        exec(code, {})
    (tmp_path / "ganvas" / "models").mkdir(parents=True)
    (tmp_path / "ganvas" / "train.py").touch()
    monkeypatch.setattr(sys, "path", [*sys.path])
    found: dict[str, Any] = {}
    exec(code, found)
    assert found["root"] == Path.cwd() == tmp_path / "ganvas"


@pytest.mark.slow
@pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed")
def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch):
    import nbclient
    import nbformat

    for path in ROOT.iterdir():
        if not path.name.startswith(".") and path.name not in ("checkpoints", "results", "docs"):
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / "docs").mkdir()
    monkeypatch.setenv("GANVAS_QUICK", QUICK)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path / "docs")}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.get("text", "") for output in outputs)
    assert "training page: " in text and "notebook_latest.pt2" in text
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 7  # data, grid, walk, four hands
    assert any("iframe" in output.get("data", {}).get("text/html", "") for output in outputs)
    assert (tmp_path / "results/notebook/notebook_latest.pt2").is_file()
