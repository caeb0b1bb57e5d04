"""Choose the device that computes, and how repeatable it is to be."""

import os
import resource
import sys
from pathlib import Path

import torch


def pick_device(name: str, deterministic: bool = False) -> torch.device:
    """Return the device that ``--device`` names; "auto" is a GPU when there is one: each process takes its own.

    Args:
        name: auto, cpu, cuda, cuda:1, mps.
        deterministic: make operations on it repeatable bit for bit.

    Raises:
        ValueError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"--device {name}: not a device; use auto, cpu, cuda, cuda:1 or mps") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"--device {name}: {_what_is_there(torch.cuda.device_count())}")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"--device {name}: torch finds no Metal device here")
    if device.type not in ("cpu", "cuda", "mps"):
        raise ValueError(f"--device {name}: not one of cpu, cuda, mps")
    if device.type == "cuda":
        # With an index, which set_device, generators and comparisons with tensors' devices need.
        own = int(os.environ.get("LOCAL_RANK", torch.cuda.current_device())) % torch.cuda.device_count()
        device = torch.device("cuda", own if device.index is None else device.index)
        torch.cuda.set_device(device)  # streams, graphs and generators are those of the current one
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    elif device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    return device


def _what_is_there(num: int) -> str:
    """Return which of the CUDA devices can be used, and how."""
    if num:
        return f"torch sees cuda:0 to cuda:{num - 1} here" if num > 1 else "torch sees one CUDA device here: use cuda:0"
    why = "this torch is built without CUDA; " if not (torch.version.cuda or torch.version.hip) else ""
    return f"torch finds no CUDA device here; {why}--device auto takes what there is"


def memory_report(device: torch.device) -> str:
    """Return how much memory is in use and how much was at most, by tensors on a GPU, elsewhere by the process."""
    if device.type == "cuda":
        in_use, peak = torch.cuda.memory_allocated(device), torch.cuda.max_memory_allocated(device)
        return f"memory on {device}: {in_use / 2**20:.0f} MiB allocated, {peak / 2**20:.0f} MiB at most"
    statm = Path("/proc/self/statm")  # Linux only; its second number counts resident pages
    pages = int(statm.read_text().split()[1]) if statm.exists() else 0
    # Asked for after what is in use, which a thread may yet raise; in KiB on Linux, in bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    peak = max(peak, pages * resource.getpagesize())
    now = f"{pages * resource.getpagesize() / 2**20:.0f} MiB in use, " if pages else ""
    return f"memory of the process: {now}{peak / 2**20:.0f} MiB at most"
