"""Classes by the files that define them, and files that were written for another program."""

import pytest

from util.registry import find_class

MODEL = """
import torch
from .base_model import BaseModel
from . import networks

class {name}(BaseModel):
    def __init__(self, opt):
        BaseModel.__init__(self, opt)
        self.loss_names = ["G"]
    def set_input(self, input):
        self.real_A = input["A"]
"""
DATASET = """
from data.base_dataset import BaseDataset, get_transform
from data.image_folder import make_dataset

class NewDataset(BaseDataset):
    @staticmethod
    def modify_commandline_options(parser, is_train):
        return parser
"""


class Base:
    pass


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of a name that no other test imports, and the folder of its files."""
    folder = tmp_path / f"package_{tmp_path.name.replace('-', '_')}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return folder


@pytest.mark.parametrize(
    ("source", "telling"), [(MODEL, "BaseModel.__init__(self"), (DATASET, "def modify_commandline_options")]
)
def test_a_file_written_for_the_reference_is_told_from_ours(package, source, telling):
    (package / "new_model.py").write_text(source)
    with pytest.raises(LookupError) as error:
        find_class(package.name, "new", "_model", Base)
    message = str(error.value)
    assert f"{package.name}/new_model.py is written for pytorch-CycleGAN-and-pix2pix ({telling})" in message
    assert "docs/migration.md" in message and "\n" not in message


def test_a_class_is_found_by_its_file(package):
    (package / "new_model.py").write_text("from tests.test_registry import Base\nclass New(Base):\n    pass\n")
    assert find_class(package.name, "new", "_model", Base).__name__ == "New"
    (package / "old_model.py").write_text("x = 1\n")
    with pytest.raises(TypeError, match="must define one subclass of Base, found"):
        find_class(package.name, "old", "_model", Base)
