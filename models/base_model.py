"""The interface of every model, and the mechanics of a step that models share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.profiler import record_function

from models.optimizers import Adam, RMSprop, frozen, settle
from options import option
from util import distributed
from util.profiling import PARTS
from util.types import Batch, DataSpec, Grid, Losses, Visuals, Weighted

Terms = dict[str, Tensor | Weighted]  # what an objective returns: the terms of its loss, by name
Objective = Callable[[Batch], Terms]
Presets = Mapping[str, Mapping[str, Mapping[str, Any]]]


COLUMNS = 8  # images per row on the training page
MAX_CLASSES = 20  # rows of classes there, unless --display_classes says otherwise


class BaseModel(nn.Module, ABC):
    """Networks, objectives and optimizers of one method.

    A subclass sets its networks as attributes ``netX``, by which they are found, saved, loaded and moved; fills
    ``optimizers``; and says how to take a step and what to show. Models that draw from noise derive from
    ``NoiseModel`` (``sample``); those that turn one image into another offer ``translate(images)``.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options:
        """Options of every model; a subclass adds its own and redeclares those whose defaults it changes."""

        optimizer: Literal["adam", "rmsprop"] = option("adam", help="optimizer of all networks")
        lr: float = option(2e-4, help="initial learning rate", above=0)
        beta1: float = option(0.5, help="decay rate of Adam's first moment", min=0, max=0.9999)
        beta2: float = option(0.999, help="decay rate of Adam's second moment", min=0, max=0.999999)
        accumulate: int = option(
            1, help="split each batch into this many micro-batches to save memory (gradient accumulation)", min=1
        )

    defaults: ClassVar[dict[str, Any]] = {}  # its own defaults for options of train.py and of the data
    presets: ClassVar[Presets] = {}  # option -> one of its choices -> defaults that go with it
    needs: ClassVar[tuple[str, ...]] = ()  # images that a batch must hold: image, or A and B
    dataset_mode: ClassVar[str] = ""  # the only --dataset_mode that this model can use; "": as recognized
    trains: ClassVar[bool] = True  # False: for test.py only
    watched: ClassVar[str] = ""  # the loss that --lr_policy plateau watches; "": the first one logged
    made_of_B: ClassVar[tuple[str, ...]] = ()  # images of ``forward`` that are computed from B alone
    averaged: ClassVar[tuple[str, ...]] = ("netG",)  # networks that --ema averages
    batch_size = 0  # images per training step; 0: not known
    recipe: ClassVar[str] = ""  # options that do better than the defaults, which are its source's

    @property
    def is_bounded(self) -> bool:
        """Whether the losses "D..." are never negative, and near 0 when D has won."""
        return False

    @property
    def learnt_from(self) -> str:
        """The network among ``--features`` that D sees images through, which should not judge them; "": none."""
        return ""

    @property
    def n_critic(self) -> int:
        """Steps until every network has been updated."""
        return 1

    def __init__(self, opt: Options, spec: DataSpec) -> None:
        """Build networks and optimizers; raise ValueError when options and data do not fit this model."""
        super().__init__()
        self.opt = opt
        self.spec = spec
        self.optimizers: dict[str, Optimizer] = {}
        self.scaler = GradScaler(enabled=False)  # loss scaling for fp16, set by models/step/plan.py

    def check_batch(self, batch: Batch, dataset_mode: str) -> None:
        """Raise ValueError when batches of this data set class lack what the model learns from or translates."""
        if not set(self.needs) <= set(batch):
            given, wanted = ", ".join(batch), ", ".join(self.needs)
            way = f"use {self.dataset_mode}" if self.dataset_mode else "use image_folder"
            raise ValueError(f"--dataset_mode {dataset_mode} gives {given}, but this model needs {wanted}: {way}")

    @abstractmethod
    def optimize_parameters(self, batch: Batch, step: int) -> Losses:
        """Update the networks on one batch; ``step`` counts calls from 1 over the whole run."""

    def variant(self, step: int) -> Hashable:
        """Name what ``optimize_parameters`` does at ``step``: steps of one variant run the same operations."""
        return None

    @abstractmethod
    def forward(self, batch: Batch) -> Visuals:
        """Return images that show what the model does with ``batch``."""

    def grids(self, batch: Batch) -> dict[str, Grid]:
        """Return what ``forward`` shows as it is laid out on a page, on the CPU: by default a row of each kind."""
        rows = {key: value for key, value in batch.items() if value.ndim}  # a step may leave single numbers there
        few = Batch({key: value[:COLUMNS] for key, value in rows.items()})
        return {name: Grid(images.cpu(), COLUMNS) for name, images in self(few).items()}

    def show_classes(self, most: int, absent: Collection[str] = ()) -> None:
        """Have ``forward`` show at most ``most`` classes (0: all), evenly chosen, and none of ``absent``."""

    def reverse(self) -> None:
        """Translate B to A from now on; raise ValueError when the model has learnt one direction only."""
        raise ValueError("--direction is not that of the training, and this model has learnt one way only")

    def use_tiles(self, tile: int, overlap: int) -> None:
        """Translate in tiles of ``tile`` pixels from now on; raise ValueError when the model cannot."""
        raise ValueError(f"--tile {tile}: this model has no generator that works in tiles")

    def fit_batches(self, batch_size: int) -> None:
        """Prepare for training steps of ``batch_size`` images; raise ValueError when they do not suit the model."""
        if batch_size % self.opt.accumulate:
            raise ValueError(f"--accumulate {self.opt.accumulate} does not divide --batch_size {batch_size} evenly")
        self.batch_size = batch_size

    @property
    def micro_batch_size(self) -> int:
        """Return the images that the networks see at a time in training; 0: not known."""
        return self.batch_size // self.opt.accumulate

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def place(self, device: torch.device) -> "BaseModel":
        """Move to ``device`` networks, buffers, and what optimizers hold; return the model."""
        self.to(device)
        for optimizer in self.optimizers.values():
            settle(optimizer)
        return self

    @property
    def nets(self) -> dict[str, nn.Module]:
        """Return the networks by their names without ``net``: G, D, G_A ..."""
        return {name.removeprefix("net"): net for name, net in self.named_children() if name.startswith("net")}

    @property
    def min_side(self) -> int:
        """Return the smallest height and width, in pixels, that every D accepts; G pads what is smaller."""
        return max((getattr(net, "min_size", 1) for name, net in self.nets.items() if name.startswith("D")), default=1)

    def load_net(self, name: str, state: Mapping[str, Tensor]) -> None:
        """Load network ``name`` from its state dict; raise RuntimeError or ValueError when it does not fit."""
        self.nets[name].load_state_dict(state)

    def create_optimizer(self, *nets: nn.Module, lr: float = 0.0) -> Optimizer:
        """Return the optimizer that the options ask for, over all parameters of ``nets``; ``lr`` 0 means ``--lr``."""
        params = [p for net in nets for p in net.parameters()]
        rate = torch.tensor(lr or self.opt.lr)  # a tensor, so that a schedule reaches steps recorded with the old value
        optimizer: Optimizer
        if self.opt.optimizer == "rmsprop":
            optimizer = RMSprop(params, rate)
        else:
            optimizer = Adam(params, lr=rate, betas=(self.opt.beta1, self.opt.beta2), fused=True)
        optimizer.register_load_state_dict_post_hook(settle)
        return optimizer

    def scale_lr(self, factor: float) -> None:
        """Set every learning rate to ``factor`` times its initial value."""
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                initial = group.setdefault("initial_lr", float(group["lr"]))
                group["lr"].fill_(factor * initial)

    def schedule(self, done: float) -> None:
        """Set what depends on how much of the run is ``done``, from 0 to 1, but the learning rates."""

    def prepare(self, batch: Batch, draw: Callable[[Batch], None], with_graph: bool) -> None:
        """Let ``draw`` put into each micro-batch what the objectives of this step share, such as generated images.

        ``with_graph`` asks for the graph that leads from them to G's weights. Only a single micro-batch keeps it: of
        several, all activations would have to be kept at once, and ``attached`` draws them again.
        """
        with torch.set_grad_enabled(with_graph and self.opt.accumulate == 1):
            for part in batch.parts(self.opt.accumulate):
                draw(part)

    def attached(self, batch: Batch, name: str, generate: Callable[[Batch], Tensor]) -> Tensor:
        """Return ``batch[name]``, which ``prepare`` drew, or ``generate(batch)`` where it has no graph."""
        drawn: Tensor = batch[name]
        return drawn if drawn.requires_grad else generate(batch)

    def minimize(self, name: str, objective: Objective, batch: Batch) -> Losses:
        """Take one step of optimizer ``name`` down the weighted sum of ``objective(batch)``'s terms; return them.

        Accumulation over micro-batches, and whatever else optimization involves that a paper leaves out, belongs here
        and nowhere else. Parameters of other optimizers are frozen meanwhile, which saves computing their gradients.
        """
        optimizer = self.optimizers[name]
        others = [p for key, o in self.optimizers.items() if key != name for g in o.param_groups for p in g["params"]]
        optimizer.zero_grad(set_to_none=True)
        total: Losses = {}
        parts = batch.parts(self.opt.accumulate)
        with record_function(f"{PARTS}update {name}"), frozen(others):
            for part in parts:
                terms = {k: t if isinstance(t, Weighted) else Weighted(t, 1.0) for k, t in objective(part).items()}
                loss = torch.stack([t.value * t.weight for t in terms.values()]).sum()
                self.scaler.scale(loss / len(parts)).backward()
                for key, term in terms.items():
                    total[key] = total.get(key, 0) + term.value.detach() / len(parts)
            if distributed.world() > 1:  # all processes take the same step
                gradients = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
                distributed.average([*gradients, *total.values()])
            self.scaler.step(optimizer)
            self.scaler.update()
        return total
