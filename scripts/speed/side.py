"""One side of a comparison, ours or the reference: a model, a batch of random numbers, and steps to time."""

import contextlib
import io
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from multiprocessing.managers import BaseManager, RemoteError
from pathlib import Path
from typing import Any, Literal

import torch

from data import create_dataset, create_loader
from models import create_model
from models.step.plan import plan_speed
from models.step.stepper import Stepper
from scripts.speed.job import Job
from scripts.speed.timed_train import peak_gib
from util.device import pick_device
from util.seeding import STEP, seed_all
from util.types import Batch, DataSpec

SideName = Literal["reference", "ours"]
NAMES: tuple[SideName, ...] = ("reference", "ours")
A_LONG_RUN = 1_000_000  # steps: compiling is worth its time
MAX_WARM_UP = 1000  # steps


class Side:
    """Takes steps on the same random batch again and again."""

    def __init__(self, name: SideName, job: Job) -> None:
        self.name, self.job, self.taken = name, job, 0

    def start(self) -> float:
        """Build the model and take its first step; return the seconds of that step.

        Raises:
            ValueError: options and size do not fit.
        """
        config, opt = self.job.config, self.job.config.run
        # pick_device also has convolutions chosen by trial, which a plain script does not.
        self.device = pick_device(opt.device, opt.deterministic) if self.name == "ours" else plain_device(opt.device)
        self.dataset = create_dataset(config.dataset_mode, config.data) if self.job.has_data else None
        spec = self.dataset.spec if self.dataset else made_up_spec(self.job)
        if not all(spec.image_size):
            raise ValueError("the images are of several sizes: choose a --preprocess that crops")
        with contextlib.nullcontext() if self.name == "ours" else contextlib.redirect_stderr(io.StringIO()):  # once
            model = create_model(config.model_name, config.model, spec, self.device, opt.seed, opt.batch_size)
        self.batch = make_batch(spec, opt.batch_size, self.device, opt.seed)
        self.stepper: Stepper | None = None
        self.step: Callable[[Batch, int], object]
        if self.name == "ours":
            self.step = self.stepper = Stepper(model, plan_speed(opt, model, A_LONG_RUN), num_steps=A_LONG_RUN)
        else:
            from scripts.speed.reference import create_reference  # ours does not wait for it

            self.step = create_reference(config.model_name, model)
        return self.steps(1)

    def steps(self, num: int) -> float:
        """Take ``num`` steps; return the seconds that they took, until the device had done them."""
        self.synchronize()
        start = time.perf_counter()
        for _ in range(num):
            self.taken += 1
            if self.stepper:
                seed_all(self.job.config.run.seed, STEP, self.taken)  # as the loop does
            self.step(Batch(self.batch), self.taken)
        self.synchronize()
        return time.perf_counter() - start

    def warm_up(self, num: int) -> None:
        """Take ``num`` steps, and further ones until all that will be compiled and recorded is."""
        most = self.taken + MAX_WARM_UP
        self.steps(num)
        while self.stepper and not self.stepper.is_settled and self.taken < most:
            self.steps(num)

    def data(self) -> float:
        """Return the seconds that a batch takes the loader alone, in the second epoch; 0 without data to load."""
        from scripts.speed.reference_run import READ, create_data_loader  # with torchvision, which steps do without

        if not self.dataset or (self.name == "reference" and self.job.config.dataset_mode not in READ):
            return 0.0
        batches: Callable[[int], Any]
        if self.name == "ours":
            batches = create_loader(self.dataset, self.job.config.run, len(self.batch["image"]), self.device).epoch
        else:
            with tempfile.TemporaryDirectory(prefix="ganvas_benchmark_") as folder:
                loader = create_data_loader(self.job, self.device, Path(folder))  # reads idx files at once
            batches = lambda _: ((images.to(self.device), labels.to(self.device)) for images, labels in loader)  # noqa: E731
        for epoch in (1, 2):
            start, num = time.perf_counter(), sum(1 for _ in batches(epoch))
            self.synchronize()
        return (time.perf_counter() - start) / num

    def gib(self) -> float:
        return peak_gib(str(self.device))

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


class Sides(BaseManager):
    """Keeps a side in a process of its own; it dies with the manager."""


Sides.register("Side", Side)


class Worker:
    """A side in a process of its own, so that its memory is too: ``with Worker(name, job) as worker``."""

    def __init__(self, name: SideName, job: Job) -> None:
        """Start the process, whose first step is taken; raise ValueError when it cannot, and why."""
        self.name, self.job, start = name, job, time.perf_counter()
        self.manager = Sides(ctx=multiprocessing.get_context("spawn"))
        self.manager.start()
        try:
            self.side = self.manager.Side(name, job)  # type: ignore[attr-defined]
            self.first = self("start")
        except BaseException:
            self.__exit__()
            raise
        self.start_up = time.perf_counter() - start  # seconds

    def __call__(self, what: str, *details: int) -> Any:
        """Return what this method of the side returns; raise ValueError with the side's name when it fails."""
        try:
            return getattr(self.side, what)(*details)
        except (EOFError, ConnectionError, torch.OutOfMemoryError):
            reason = "out of memory, or its process was ended: use a smaller --batch_size"
        except (ValueError, OSError, LookupError, RuntimeError, RemoteError) as error:
            reason = str(error)
        raise ValueError(f"{self.job.name}, {self.name}: {reason}")

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.manager.shutdown()


def plain_device(name: str) -> torch.device:
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def device_name(name: str) -> str:
    """Return what a person calls the device: cpu, or the GPU's name."""
    device = plain_device(name)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def made_up_spec(job: Job) -> DataSpec:
    """Return the spec of random data that fits the options."""
    data, mode = job.config.data, job.config.dataset_mode
    size = getattr(data, "image_size", 0) or data.crop_size
    nc = 1 if mode == "idx" or getattr(data, "channels", "") == "1" else 3
    num_classes = job.bench.num_classes or (10 if mode == "idx" else 3)
    channels = getattr(data, "input_nc", 0) or nc, getattr(data, "output_nc", 0) or nc
    return DataSpec((size, size), *channels, tuple(map(str, range(num_classes))))


def make_batch(spec: DataSpec, num: int, device: torch.device, seed: int) -> Batch:
    """Return random images, and labels where there are classes, under every key that a model may look for."""
    numbers, batch = torch.Generator().manual_seed(seed), Batch()
    for key, nc in (("image", spec.output_nc), ("A", spec.input_nc), ("B", spec.output_nc)):
        batch[key] = (torch.rand(num, nc, *spec.image_size, generator=numbers) * 2 - 1).to(device)
    if spec.classes:
        batch["label"] = torch.randint(spec.num_classes, (num,), generator=numbers).to(device)
    return batch
