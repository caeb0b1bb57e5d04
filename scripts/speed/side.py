"""One side of a comparison, ours or the reference: a model, a batch of random numbers, and steps to time."""

import contextlib
import io
import time
from collections.abc import Callable
from typing import Any, Literal

import torch

from data import create_dataset, create_loader
from models import create_model
from models.base_model import BaseModel
from models.step.plan import plan_speed
from models.step.stepper import Stepper
from scripts.speed.job import Job
from scripts.speed.stamps import peak_gib
from util.device import pick_device
from util.seeding import STEP, seed_all
from util.types import Batch, DataSpec

SideName = Literal["reference", "ours"]
Step = Callable[[Batch, int], object]  # batch, number from 1 on -> losses
NAMES: tuple[SideName, ...] = ("reference", "ours")
A_LONG_RUN = 1_000_000  # steps: compiling is worth its time
MAX_WARM_UP = 1000  # steps


class Side:
    """Takes steps on the same random batch again and again."""

    def __init__(self, name: SideName, job: Job) -> None:
        """Build the model with its first weights; raise ValueError when options and size do not fit."""
        opt = job.config.run
        self.name, self.job, self.taken = name, job, 0
        # pick_device also has convolutions chosen by trial, which a plain script does not.
        self.device = pick_device(opt.device, opt.deterministic) if name == "ours" else plain_device(opt.device)
        self.dataset = create_dataset(job.config.dataset_mode, job.config.data) if job.has_data else None
        spec = self.dataset.spec if self.dataset else made_up_spec(job)
        if not all(spec.image_size):
            raise ValueError("the images are of several sizes: choose a --preprocess that crops")
        spec = spec._replace(batch_size=opt.batch_size)
        warnings = contextlib.nullcontext() if name == "ours" else contextlib.redirect_stderr(io.StringIO())  # once
        with warnings:
            model = create_model(job.config.model_name, job.config.model, spec, self.device, opt.seed)
        self.batch = make_batch(spec, self.device, opt.seed)
        self.stepper = (
            Stepper(model, plan_speed(opt, model, A_LONG_RUN), num_steps=A_LONG_RUN) if name == "ours" else None
        )
        self.step = seeded(self.stepper, opt.seed) if self.stepper else reference_step(job.config.model_name, model)

    def steps(self, num: int) -> float:
        """Take ``num`` steps; return the seconds that they took, until the device had done them."""
        self.synchronize()
        start = time.perf_counter()
        for _ in range(num):
            self.taken += 1
            self.step(Batch(self.batch), self.taken)
        self.synchronize()
        return time.perf_counter() - start

    def warm_up(self, num: int) -> float:
        """Take ``num`` steps, and further ones until all that will be compiled and recorded is; return the seconds."""
        seconds, most = self.steps(num), self.taken + MAX_WARM_UP
        while self.stepper and not self.stepper.is_settled and self.taken < most:
            seconds += self.steps(num)
        return seconds

    def data(self) -> float:
        """Return the seconds that a batch takes the loader alone, in the second epoch; 0 without data to load."""
        batches: Callable[[int], Any]
        if not self.dataset:
            return 0.0
        if self.name == "ours":
            batches = create_loader(self.dataset, self.job.config.run, len(self.batch["image"]), self.device).epoch
        else:
            from scripts.speed.reference_data import create_data_loader  # with torchvision, which steps do without

            loader = create_data_loader(self.job, self.device)
            if loader is None:
                return 0.0
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


def seeded(stepper: Stepper, seed: int) -> Step:
    """Return our step with the seeding that the loop has."""

    def step(batch: Batch, number: int) -> object:
        seed_all(seed, STEP, number)
        return stepper(batch, number)

    return step


def reference_step(name: str, model: BaseModel) -> Step:
    from scripts.speed.reference import create_reference  # ours does not wait for it

    return create_reference(name, model)


def plain_device(name: str) -> torch.device:
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def made_up_spec(job: Job) -> DataSpec:
    """Return the spec of random data that fits the options."""
    data, mode = job.config.data, job.config.dataset_mode
    size = getattr(data, "image_size", 0) or data.crop_size
    nc = 1 if mode == "idx" or getattr(data, "channels", "") == "1" else 3
    num_classes = job.bench.num_classes or (10 if mode == "idx" else 3)
    channels = getattr(data, "input_nc", 0) or nc, getattr(data, "output_nc", 0) or nc
    return DataSpec((size, size), *channels, tuple(map(str, range(num_classes))))


def make_batch(spec: DataSpec, device: torch.device, seed: int) -> Batch:
    """Return random images, and labels where there are classes, under every key that a model may look for."""
    numbers, batch = torch.Generator().manual_seed(seed), Batch()
    for key, nc in (("image", spec.output_nc), ("A", spec.input_nc), ("B", spec.output_nc)):
        images = torch.rand(spec.batch_size, nc, *spec.image_size, generator=numbers) * 2 - 1
        batch[key] = images.to(device)
    if spec.classes:
        batch["label"] = torch.randint(spec.num_classes, (spec.batch_size,), generator=numbers).to(device)
    return batch


def device_name(name: str) -> str:
    """Return what a person calls the device: cpu, or the GPU's name."""
    device = plain_device(name)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
