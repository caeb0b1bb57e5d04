"""Begin a run of several processes: meet them, agree on the options, and keep what is different in each."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from util import distributed
from util.config_file import read_section
from util.console import warn
from util.runs import OPTIONS_FILE

if TYPE_CHECKING:
    from options.parse import Config
    from options.train_options import TrainOptions

    C = TypeVar("C", bound=Config[TrainOptions])


def join(config: "C", device: torch.device) -> "C":
    """Meet the other processes, if there are any; return the options of the first one, with how many there are.

    A run that is resumed keeps the images of a step, however many processes share them now.

    Raises:
        ValueError: there are too few GPUs, or the images cannot be shared evenly.
        ConnectionError: a process does not come.
    """
    num = distributed.num_asked()
    opt = config.run
    backend = opt.dist_backend
    if backend == "auto":
        backend = "nccl" if device.type == "cuda" else "gloo"
    if num > 1 and backend == "nccl":
        here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
        if device.type != "cuda" or here > gpus:
            raise ValueError(
                f"{here} processes on this machine, and {gpus} GPUs: nccl needs one for each; start fewer, or use "
                "--dist_backend gloo"
            )
    distributed.start(backend, opt.dist_timeout)
    config = distributed.from_first(lambda: config)
    opt = replace(config.run, num_processes=num)
    if opt.continue_train:
        opt = replace(opt, batch_size=_share(opt))
    if num > 1:
        print(f"{num} processes with {opt.batch_size} images each, {num * opt.batch_size} per training step")
    return replace(config, run=opt)


def _share(opt: "TrainOptions") -> int:
    """Return the images of a step of this process; warn when there are more or fewer processes than before."""
    before, now = read_section(opt.run_dir / OPTIONS_FILE, "run"), opt.num_processes
    earlier = int(before.get("num_processes", 1))
    size = int(before["batch_size"]) * earlier
    if size % now:
        raise ValueError(
            f"--continue_train: a training step has {size} images, which {now} processes cannot share evenly; "
            f"{earlier} did before"
        )
    if now != earlier:
        warn(f"resumes with {now} processes instead of {earlier}: the numbers will differ from an undisturbed run's")
    return size // now


class Own:
    """What each process has for itself: buffers such as histories of images, and batch norm's statistics."""

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        self.buffers = {f"{at} {name}": b for at, module in modules.items() for name, b in module.named_buffers()}

    def state_dict(self) -> dict[str, Any]:
        """Return, in the first process, the buffers of all that are not the same in all; a collective call."""
        sums = distributed.gather({name: _checksum(buffer) for name, buffer in self.buffers.items()})
        differing = distributed.share([name for name in self.buffers if len({s[name] for s in sums}) > 1])
        return {"buffers": distributed.gather({name: self.buffers[name].cpu() for name in differing})}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take this process's own; where there was none, all stays as the first process had it."""
        saved = state["buffers"]
        for name, value in saved[distributed.rank()].items() if distributed.rank() < len(saved) else ():
            if name not in self.buffers or value.shape != self.buffers[name].shape:
                raise ValueError(f"{name:.100} is no buffer of this model")
            self.buffers[name].copy_(value)


def _checksum(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()).hexdigest()
