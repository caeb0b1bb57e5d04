"""scripts/check_gpu.py on a machine without a GPU, and what it says when something is wrong."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from models.networks import projected
from models.step.plan import Speed
from scripts import check_gpu
from tests import tiny_models

CPU = torch.device("cpu")


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        check_gpu.main(words)
    return int(stop.value.code or 0)


def test_without_a_gpu_it_says_so_and_runs_what_it_can(tmp_path: Any, capsys: Any) -> None:
    out = tmp_path / "reports" / "gpu.md"
    assert call("random", "saves", "waits", "--out", str(out)) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Check of no GPU (stages that need one are skipped), torch ")
    assert said[1] == "skipped random: there is no GPU"
    assert said[2].startswith("ok      saves (")
    assert said[2].endswith(": 8 saves")
    assert out.read_text().splitlines()[2:] == [f"    {line}" for line in said[1:4]]


def test_a_stage_that_fails_is_told_and_the_others_run(tmp_path: Any, capsys: Any, monkeypatch: Any) -> None:
    def fail(device: torch.device) -> str:
        raise RuntimeError("kernel image is not available\non the device")

    monkeypatch.setitem(check_gpu.STAGES, "starts", (fail, False))
    monkeypatch.setitem(check_gpu.STAGES, "saves", (lambda device: "", False))
    assert call("starts", "saves", "--out", str(tmp_path / "gpu.md")) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[1].startswith("FAILED  starts (")
    assert said[1].endswith("RuntimeError: kernel image is not available on the device")
    assert said[2].startswith("ok      saves")


def test_lines_of_a_stage_that_ends_early_are_in_the_report(tmp_path: Any, capsys: Any, monkeypatch: Any) -> None:
    def rows(device: torch.device) -> Iterator[str]:
        yield "cgan 128"
        raise MemoryError("no memory left")

    monkeypatch.setitem(check_gpu.STAGES, "sizes", (rows, False))
    out = tmp_path / "gpu.md"
    assert call("sizes", "--out", str(out)) == 1
    assert out.read_text().splitlines()[2] == "    cgan 128"
    assert capsys.readouterr().out.splitlines()[1:3] == ["cgan 128", "FAILED  sizes (0 s): MemoryError: no memory left"]


def test_an_unknown_stage_is_named(capsys: Any) -> None:
    assert call("recordd") == 2
    assert "invalid choice: 'recordd' (choose from " in capsys.readouterr().err


def test_a_model_whose_package_is_missing_is_skipped(monkeypatch: Any) -> None:
    def missing() -> None:
        raise LookupError("--netD projected needs EfficientNet-Lite0")

    monkeypatch.setattr(projected, "backbone", missing)
    monkeypatch.setattr(tiny_models, "LEARNERS", ["cgan mlp", "gan projected"])
    found = check_gpu.recorded(CPU)
    assert found == "1 runs; skipped gan projected: --netD projected needs EfficientNet-Lite0"


@pytest.mark.parametrize("stage", ["recorded", "compiled"])
def test_a_model_that_fails_does_not_hide_the_others(stage: str, monkeypatch: Any) -> None:
    tried = []

    def tiny_run(case: str, *how: Any) -> Any:
        tried.append(case)
        if case == "dcgan":
            raise RuntimeError("no kernel image")
        return None, []

    monkeypatch.setattr(check_gpu, "tiny_run", tiny_run)
    monkeypatch.setattr(check_gpu, "worst_replay", lambda stepper, case: 0.0)
    monkeypatch.setattr(tiny_models, "LEARNERS", ["dcgan", "cgan mlp"])
    monkeypatch.setattr(check_gpu, "COMPILED", ["dcgan", "cgan mlp"])
    with pytest.raises(AssertionError, match=r"^dcgan in .*: RuntimeError: no kernel image$"):
        getattr(check_gpu, stage)(CPU)
    assert tried == ["dcgan", "cgan mlp"]


def test_what_a_tiny_run_had_to_give_up_is_told() -> None:
    asked = Speed(torch.bfloat16, compiled=True, recorded=True, checked=True)
    assert check_gpu.lost_of(asked, asked) == []
    assert check_gpu.lost_of(asked, Speed(recorded=True)) == ["compiled", "low precision"]


def test_saves_that_differ_from_the_weights_are_noticed(monkeypatch: Any) -> None:
    """A copy that is taken only when it is written holds the weights of later steps."""
    from util import background

    def late(self: Any, value: Any) -> Any:
        return value

    monkeypatch.setattr(background._Job, "_copy", late)
    monkeypatch.setattr(background.Background, "wait", lambda self: wait(self))
    jobs: list[Any] = []
    monkeypatch.setattr(background.Background, "__call__", lambda self, *job: jobs.append(job))

    def wait(self: Any) -> None:
        for function, *arguments in jobs:
            function(*arguments)

    with pytest.raises(AssertionError, match="8 of 8 saves differ from the weights"):
        check_gpu.saves(CPU)
