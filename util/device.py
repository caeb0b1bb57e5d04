"""Choose the device that computes, and how repeatable it is to be."""

import os

import torch


def pick_device(name: str, deterministic: bool = False) -> torch.device:
    """Return the device that ``--device`` names; "auto" is the first GPU when there is one.

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
        raise ValueError(f"--device {name}: this machine shows torch {torch.cuda.device_count()} CUDA devices")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"--device {name}: torch finds no Metal device here")
    if device.type not in ("cpu", "cuda", "mps"):
        raise ValueError(f"--device {name}: not one of cpu, cuda, mps")
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    elif device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    return device
