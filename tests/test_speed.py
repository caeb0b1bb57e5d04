"""What is decided about precision, compiling and recording, and what is said about it."""

import sysconfig
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import models.step.plan
from models.networks.architecture import GeneratorArchitecture
from models.networks.segments import recompute_segments
from models.networks.translation import create_generator
from models.step.plan import SHORT, Speed, is_bf16_fast, plan_speed
from options.train_options import TrainOptions
from util.types import DataSpec

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with a GPU that knows bf16, a processor that does not, a compiler and Python's headers."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(models.step.plan, "CPU_INFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu avx2 avx512f\n")
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "triton")
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}" if name == "g++" else None)
    monkeypatch.delenv("CXX", raising=False)
    return tmp_path


def stand_in(device: torch.device, sides: tuple[int, int] = (8, 8), optimizer: str = "adam", *nets: nn.Module) -> Any:
    """Return what is asked of a model."""
    spec, modules = DataSpec(sides, 3, 3), nn.ModuleList(nets).modules
    return SimpleNamespace(
        device=device, spec=spec, opt=SimpleNamespace(optimizer=optimizer), scaler=None, modules=modules
    )


def plan(device: torch.device, num_steps: int = SHORT, sides: tuple[int, int] = (8, 8), **options: Any) -> Speed:
    model = stand_in(device, sides, options.pop("optimizer", "adam"), *options.pop("nets", ()))
    return plan_speed(TrainOptions(**options), model, num_steps)


def test_a_run_on_a_gpu_uses_all_there_is_and_checks_it(machine, capsys):
    assert plan(CUDA) == Speed(BF16, channels_last=True, recorded=True, tries_compiling=True, checked=True)
    assert capsys.readouterr() == ("", "")
    assert str(plan(CUDA)) == "bf16, channels last, compiled networks once that pays, steps recorded as CUDA graphs"
    compiled = plan(CUDA, compile="on", check_steps="off")
    assert compiled == Speed(BF16, channels_last=True, compiled=True, recorded=True)
    assert str(compiled) == "bf16, channels last, compiled networks, steps recorded as CUDA graphs"


@pytest.mark.parametrize("is_recomputed", [True, False])
@pytest.mark.parametrize("dropout", [True, False])
def test_steps_that_draw_dropout_again_are_not_recorded(machine, capsys, is_recomputed, dropout):
    netG = create_generator(GeneratorArchitecture("resnet_1blocks", 3, 3, ngf=2, dropout=dropout))
    if is_recomputed:
        recompute_segments(netG)
    assert plan(CUDA, nets=[netG]).recorded == (not (is_recomputed and dropout))
    reason = "--cuda_graphs is off: --checkpoint_activations draws dropout again"
    assert (reason in capsys.readouterr().out) == (is_recomputed and dropout)


def test_steps_are_checked_on_a_cpu_when_that_is_asked_for(machine):
    assert not plan(CPU).checked
    assert plan(CPU, check_steps="on").checked


def test_a_processor_computes_with_bf16_where_it_is_made_for_it(machine):
    assert plan(CPU) == Speed()
    for flag in ("avx512_bf16", "amx_bf16"):
        (machine / "cpuinfo").write_text(f"processor : 0\nflags\t\t: fpu avx512f {flag} sha_ni\n")
        assert plan(CPU) == Speed(BF16, channels_last=True)
    (machine / "cpuinfo").unlink()
    assert plan(CPU) == Speed()


def test_an_old_gpu_and_other_devices_compute_in_fp32(machine, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert plan(CUDA) == Speed(FP32, recorded=True, tries_compiling=True, checked=True)
    assert not is_bf16_fast(torch.device("mps"))


@pytest.mark.parametrize("name, dtype", [("fp32", FP32), ("bf16", BF16), ("fp16", FP16)])
def test_a_precision_that_is_asked_for_is_used_on_every_device(machine, name, dtype):
    for device in (CPU, CUDA):
        speed = plan(device, precision=name)
        assert (speed.dtype, speed.channels_last) == (dtype, dtype != FP32)


def test_fp16_scales_losses_and_needs_an_optimizer_that_undoes_it(machine):
    model = stand_in(CPU)
    plan_speed(TrainOptions(precision="fp16"), model, 1)
    assert model.scaler.is_enabled()
    with pytest.raises(ValueError, match="--precision fp16 needs --optimizer adam, not rmsprop"):
        plan(CPU, precision="fp16", optimizer="rmsprop")


REASONS: dict[str, tuple[dict[str, Any], str]] = {
    "short": ({"num_steps": 99}, "--cuda_graphs is off: a run of 99 steps is over before it pays"),
    "deterministic": ({"deterministic": True}, "--compile is off: --deterministic"),
    "deterministic graphs": ({"deterministic": True}, "--cuda_graphs is off: --deterministic"),
    "verbose": ({"verbose": True}, "--compile is off: --verbose inspects the networks"),
    "verbose graphs": ({"verbose": True}, "--cuda_graphs is off: --verbose reads gradients"),
    "sizes": ({"sides": (0, 0)}, "--compile is off: images of different sizes"),
    "sizes graphs": ({"sides": (0, 0)}, "--cuda_graphs is off: images of different sizes"),
    "fp16": ({"precision": "fp16"}, "--cuda_graphs is off: fp16 changes the loss scale"),
}


@pytest.mark.parametrize("case", REASONS)
def test_one_line_says_why_something_is_left_off(machine, capsys, case):
    options, reason = REASONS[case]
    speed = plan(CUDA, **options)
    assert not (speed.compiled or speed.tries_compiling if "--compile" in reason else speed.recorded)
    assert len([line for line in capsys.readouterr().out.splitlines() if line.startswith(reason)]) == 1


@pytest.mark.parametrize(
    "missing, reason",
    [
        ("compiler", "there is no C++ compiler"),
        ("headers", "Python's headers are missing"),
        ("triton", "the package triton"),
    ],
)
def test_what_a_compiler_needs_is_looked_for_first(machine, monkeypatch, capsys, missing, reason):
    if missing == "compiler":
        monkeypatch.setattr("shutil.which", lambda name: None)
    elif missing == "headers":
        (machine / "Python.h").unlink()
    else:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert plan(CUDA) == Speed(BF16, channels_last=True, recorded=True, checked=True)
    assert f"--compile is off: {reason}" in capsys.readouterr().out
    assert not plan(CUDA, compile="on").compiled
    assert f"warning: --compile on: switched off, {reason}" in capsys.readouterr().err


def test_what_is_asked_for_is_done_even_if_it_does_not_pay(machine, capsys):
    everything: dict[str, Any] = {"compile": "on", "cuda_graphs": "on", "check_steps": "off"}
    assert plan(CUDA, 1, deterministic=True, **everything) == Speed(BF16, True, True, True)
    assert plan(CPU, 1, compile="on") == Speed(compiled=True)
    assert capsys.readouterr() == ("", "")
    assert plan(CUDA, compile="off", cuda_graphs="off", check_steps="off") == Speed(BF16, True)
    assert capsys.readouterr() == ("", "")


def test_a_processor_has_no_cuda_graphs(machine, capsys):
    assert not plan(CPU).recorded
    assert capsys.readouterr() == ("", "")  # and nobody asked
    assert not plan(CPU, cuda_graphs="on").recorded
    assert "--cuda_graphs on: switched off, CUDA graphs need a CUDA device, not cpu" in capsys.readouterr().err
