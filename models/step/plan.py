"""Decide how a run's steps are made fast: precision, memory layout, compiled networks, recorded steps."""

import importlib.util
import os
import shutil
import sysconfig
from pathlib import Path
from typing import NamedTuple

import torch
from torch.amp import GradScaler

from models.base_model import BaseModel
from models.networks.segments import recomputes_dropout
from options.train_options import TrainOptions
from util import distributed
from util.console import warn

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SHORT = 100  # steps from which on recording pays off
CPU_INFO = Path("/proc/cpuinfo")  # Linux only; elsewhere bf16 is assumed to be slow


class Speed(NamedTuple):
    """How a run's steps are made fast; by default, not at all."""

    dtype: torch.dtype = torch.float32  # of autocast; weights, losses and gp are always fp32
    channels_last: bool = False  # memory layout NHWC
    compiled: bool = False  # networks with torch.compile
    recorded: bool = False  # whole steps as CUDA graphs
    tries_compiling: bool = False  # networks with torch.compile, if the first steps show that it pays off
    checked: bool = False  # fast steps are compared with plain ones from time to time

    def __str__(self) -> str:
        names = {dtype: name for name, dtype in DTYPES.items()}
        parts = [names[self.dtype], *["channels last"] * self.channels_last, *["compiled networks"] * self.compiled]
        parts += ["compiled networks once that pays"] * self.tries_compiling
        return ", ".join([*parts, *["steps recorded as CUDA graphs"] * self.recorded])


def plan_speed(opt: TrainOptions, model: BaseModel, num_steps: int) -> Speed:
    """Resolve auto in ``--precision``, ``--compile`` and ``--cuda_graphs``; report what is switched off, and why.

    Args:
        opt: of train.py.
        model: on its device; gets a loss scaler if its networks compute in fp16.
        num_steps: length of the run.

    Raises:
        ValueError: the optimizer cannot undo the loss scaling that fp16 needs.
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
    if distributed.world() > 1:
        not_compiled = not_compiled or "several processes would each decide by themselves what to compile"
        not_recorded = not_recorded or "several processes exchange gradients within a step"
    if recomputes_dropout(model):
        not_recorded = not_recorded or "--checkpoint_activations draws dropout again, from a random state it puts back"
    if opt.cuda_graphs == "auto" and num_steps < SHORT:
        not_recorded = not_recorded or f"a run of {num_steps} steps is over before it pays off (on: --cuda_graphs on)"
    is_compiled = _is_on("compile", opt.compile, not_compiled, device, opt.deterministic)
    return Speed(
        dtype,
        dtype != torch.float32,  # does not make fp32 faster on a GPU, and makes it slower on a CPU
        is_compiled and opt.compile == "on",
        _is_on("cuda_graphs", opt.cuda_graphs, not_recorded, device, opt.deterministic),
        is_compiled and opt.compile == "auto",
        distributed.world() == 1 and (opt.check_steps == "on" or (opt.check_steps == "auto" and device.type == "cuda")),
    )


def is_bf16_fast(device: torch.device) -> bool:
    """Return whether the hardware supports bf16 natively, so that it is faster than fp32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    words = CPU_INFO.read_text().split() if CPU_INFO.exists() else []
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(words)


def _is_on(flag: str, choice: str, obstacle: str, device: torch.device, deterministic: bool) -> bool:
    """Resolve a switch that is auto, on or off; report it when it should be on and cannot."""
    if choice == "on":
        if obstacle:
            warn(f"--{flag} on: switched off, {obstacle}")
        return not obstacle
    if choice == "off" or device.type != "cuda":
        return False
    if deterministic:
        obstacle = "--deterministic only allows reproducible operations"
    if obstacle:
        print(f"--{flag} is off: {obstacle}")
    return not obstacle


def _obstacle_to_compiling(device: torch.device, is_static: bool, verbose: bool) -> str:
    """Return why torch.compile cannot be used here; "" when it can."""
    if not is_static:
        return "images of different sizes would need a compilation for each size"
    if verbose:
        return "--verbose inspects the networks layer by layer"
    compiler = os.environ.get("CXX") or next(filter(shutil.which, ("g++", "c++", "clang++", "gcc", "cc", "clang")), "")
    if not compiler or not shutil.which(compiler):
        return "there is no C++ compiler (on Debian: apt install build-essential)"
    if device.type == "cuda":
        if not importlib.util.find_spec("triton"):
            return "the package triton, which torch.compile needs on a GPU, is not installed"
        if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
            return "Python's headers are missing (on Debian: apt install python3-dev)"
    return ""


def _obstacle_to_recording(device: torch.device, is_static: bool, precision: str, verbose: bool) -> str:
    """Return why steps cannot be recorded as CUDA graphs; "" when they can."""
    if device.type != "cuda":
        return f"CUDA graphs need a CUDA device, not {device.type}"
    if not is_static:
        return "images of different sizes make every step different"
    if verbose:
        return "--verbose reads gradients, which recorded steps overwrite"
    return "fp16 changes the loss scale from step to step" if precision == "fp16" else ""
