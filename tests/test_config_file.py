"""YAML that is built to do harm ends in one short line."""

import time
from typing import Any

import pytest

from options.declare import flags
from options.train_options import TrainOptions
from options.upstream import read_options_table
from util import config_file
from util.config_file import brief, options_table, read_config, read_section
from util.console import LONGEST, one_line

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = {
    "aliases": (LAUGHS, "line 2 refers to an anchor"),
    "one alias": ("a: &x 1\nb: *x\n", "line 2 refers to an anchor"),
    "a merge": ("a: &x {b: 1}\nrun: {<<: *x}\n", "anchor"),
    "brackets": ("a: " + "[" * 500 + "]" * 500, "nested more than 20 deep"),
    "braces": ("a: " + "{a: " * 5000, "nested more than 20 deep"),
    "dashes": ("- " * 900, "nested more than 20 deep"),
    "many values": ("a: [" + "1," * 2000 + "]", "more than 1000 values"),
    "long": ("a: " + "x" * 2**20, "longer than"),
    "control characters": ("a: \x1b[2J\n", "not YAML"),
    "no such day": ("a: 2024-99-99\n", "cannot be read: month"),
    "a number of 5000 digits": ("a: " + "9" * 5000, "cannot be read"),
    "no time": ("a: !!timestamp x\n", "not what its !!tag says"),
    "no truth": ("a: !!bool x\n", "not what its !!tag says"),
    "no number": ("a: !!int ''\n", "not what its !!tag says"),
    "bytes": (b"a: \xff\n", "not YAML"),
    "a list": ("[" + "'long text'," * 500 + "]", "must hold lines such as"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_would_fill_memory_or_stack_is_one_short_line(case, tmp_path, monkeypatch):
    monkeypatch.setattr(config_file, "MAX_PARTS", 1000)
    content, complaint = HOSTILE[case]
    path = tmp_path / "my.yaml"
    path.write_bytes(content if isinstance(content, bytes) else str(content).encode())
    start = time.perf_counter()
    with pytest.raises(ValueError, match=complaint) as error:
        read_config(path)
    assert "my.yaml" in str(error.value)
    assert len(str(error.value)) < 400 + len(str(path))
    assert "\n" not in str(error.value)
    assert time.perf_counter() - start < 20
    with pytest.raises(ValueError, match=r"my\.yaml"):
        read_section(path, "spec")


def test_a_section_that_is_none_is_named(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("spec: 3\n")
    with pytest.raises(ValueError, match=r"my.yaml: spec must hold lines such as .*, not 3"):
        read_section(path, "spec")
    assert read_section(path, "about") == {}
    path.write_text("")
    assert read_section(path, "about") == {}


@pytest.mark.parametrize(
    "value", [10**100, -(10**400), 1 << 99999, ["x" * 999] * 9, "x" * 9999, {"a": "\x1b" * 99}], ids=brief
)
@pytest.mark.parametrize("name", ["batch_size", "lr_decay_iters", "seed", "name", "on_nan", "overwrite", "ema"])
def test_values_of_any_kind_and_size_are_refused_or_taken(name, value):
    flag = next(f for f in flags(TrainOptions) if f.name == name)
    try:
        taken = flag.convert(value)
    except ValueError as error:
        assert len(str(error)) < 200
    else:
        assert isinstance(taken, str | float)
        assert not isinstance(value, list)


def test_a_value_is_shown_briefly():
    assert brief("as it is") == "'as it is'"
    assert len(brief("x" * 999)) == 60
    assert len(brief(1 << 99999)) < 60


def test_a_message_is_one_line_of_printable_letters():
    assert one_line("a  b\nc\x1b[2J\x00é\udcff") == "a b c?[2J?é?"
    long = one_line("begin " + "x" * 5000 + " end")
    assert long.startswith("begin x")
    assert long.endswith("x end")
    assert len(long) <= LONGEST


def test_options_are_also_written_as_the_reference_writes_them(tmp_path):
    sections: dict[str, dict[str, Any]] = {
        "run": {"name": "x", "lr": 1e-3},
        "model": {"dropout": False, "ngf": 32},
        "data": {"direction": "BtoA"},
    }
    table = options_table(sections, {"lr": 2e-4, "dropout": False, "ngf": 64, "direction": "AtoB"})
    assert "                       lr: 0.001                         \t[default: 0.0002]\n" in table
    (tmp_path / "train_opt.txt").write_text(table)
    read = {name: entry.value for name, entry in read_options_table(tmp_path / "train_opt.txt").items()}
    assert read == {"name": "x", "lr": "0.001", "dropout": False, "ngf": "32", "direction": "BtoA"}
