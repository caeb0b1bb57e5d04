"""What makes the steps of a run fast: which precision and layout, compiled networks, recorded steps."""

import importlib.util
import os
import shutil
import sysconfig
from pathlib import Path
from typing import NamedTuple

import torch
from torch.amp import GradScaler

from models.base_model import BaseModel
from options.train_options import TrainOptions
from util.console import warn

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SHORT = 100  # steps of a run that recording pays after
CPU_INFO = Path("/proc/cpuinfo")  # Linux only, where processors that know bf16 mostly are


class Speed(NamedTuple):
    """How a run's steps are made fast; without an argument, not at all."""

    dtype: torch.dtype = torch.float32  # that networks compute in; weights, losses and penalties are fp32
    channels_last: bool = False  # images lie in memory pixel by pixel, not plane by plane
    compiled: bool = False  # networks by torch.compile
    recorded: bool = False  # whole steps as CUDA graphs
    tries_compiling: bool = False  # networks by torch.compile once the first steps have shown that it pays
    checked: bool = False  # fast steps are compared with plain ones now and then

    def __str__(self) -> str:
        names = {dtype: name for name, dtype in DTYPES.items()}
        parts = [names[self.dtype], *["channels last"] * self.channels_last, *["compiled networks"] * self.compiled]
        parts += ["compiled networks once that pays"] * self.tries_compiling
        return ", ".join([*parts, *["steps recorded as CUDA graphs"] * self.recorded])


def plan_speed(opt: TrainOptions, model: BaseModel, num_steps: int) -> Speed:
    """Decide what ``--precision``, ``--compile`` and ``--cuda_graphs`` leave open; say why what was asked for is off.

    Args:
        opt: of train.py.
        model: on its device; its losses are scaled from now on if its networks compute in fp16.
        num_steps: of the whole run.

    Raises:
        ValueError: the optimizer cannot undo the scaling that fp16 needs.
    """
    device, name = model.device, opt.precision
    if name == "auto":
        name = "bf16" if is_bf16_fast(device) else "fp32"
    if name == "fp16":
        if model.opt.optimizer != "adam":
            raise ValueError(f"--precision fp16 needs --optimizer adam, not {model.opt.optimizer}: use bf16 or fp32")
        model.scaler = GradScaler(device.type)
    dtype = DTYPES[name]
    is_static = all(model.spec.image_size)
    not_compiled = _obstacle_to_compiling(device, is_static, opt.verbose)
    not_recorded = _obstacle_to_recording(device, is_static, name, opt.verbose)
    if opt.cuda_graphs == "auto" and num_steps < SHORT:
        not_recorded = not_recorded or f"a run of {num_steps} steps is over before it pays (on: --cuda_graphs on)"
    is_compiled = _is_on("compile", opt.compile, not_compiled, device, opt.deterministic)
    return Speed(
        dtype,
        dtype != torch.float32,  # fp32 is no faster so on a GPU, and slower on a CPU
        is_compiled and opt.compile == "on",
        _is_on("cuda_graphs", opt.cuda_graphs, not_recorded, device, opt.deterministic),
        is_compiled and opt.compile == "auto",
        opt.check_steps == "on" or (opt.check_steps == "auto" and device.type == "cuda"),
    )


def is_bf16_fast(device: torch.device) -> bool:
    """Say whether the hardware computes with bf16 faster than with fp32, and does not emulate it."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    words = CPU_INFO.read_text().split() if CPU_INFO.exists() else []
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(words)


def _is_on(flag: str, choice: str, obstacle: str, device: torch.device, deterministic: bool) -> bool:
    """Decide a switch that is auto, on or off; say so when it was to be on and is not."""
    if choice == "on":
        if obstacle:
            warn(f"--{flag} on: switched off, {obstacle}")
        return not obstacle
    if choice == "off" or device.type != "cuda":
        return False
    if deterministic:
        obstacle = "--deterministic keeps to what is repeatable"
    if obstacle:
        print(f"--{flag} is off: {obstacle}")
    return not obstacle


def _obstacle_to_compiling(device: torch.device, is_static: bool, verbose: bool) -> str:
    """Return why torch.compile cannot be used here; "" when it can."""
    if not is_static:
        return "images of several sizes would be compiled for each size"
    if verbose:
        return "--verbose looks into the networks layer by layer"
    compiler = os.environ.get("CXX") or next(filter(shutil.which, ("g++", "c++", "clang++", "gcc", "cc", "clang")), "")
    if not compiler or not shutil.which(compiler):
        return "there is no C++ compiler (on Debian: apt install build-essential)"
    if device.type == "cuda":
        if not importlib.util.find_spec("triton"):
            return "the package triton, which compiles for GPUs, is not installed"
        if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
            return "Python's headers are missing (on Debian: apt install python3-dev)"
    return ""


def _obstacle_to_recording(device: torch.device, is_static: bool, precision: str, verbose: bool) -> str:
    """Return why steps cannot be recorded as CUDA graphs; "" when they can."""
    if device.type != "cuda":
        return f"CUDA graphs are for CUDA, not for {device.type}"
    if not is_static:
        return "images of several sizes make every step another one"
    if verbose:
        return "--verbose looks at gradients, which recorded steps overwrite"
    return "fp16 changes the scale of its losses from step to step" if precision == "fp16" else ""
