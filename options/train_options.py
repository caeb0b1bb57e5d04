"""Options of train.py. Every ``*_freq`` counts training images unless its help says epochs."""

import os
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlsplit

from options.base_options import BaseOptions
from options.declare import option
from util.metrics.names import Metric


def server_url(text: str) -> str:
    """Read the address of a server, ``http://`` by default; the port is a separate option.

    Raises:
        ValueError: it is not an address, or has a port, a path or a user.
    """
    url = urlsplit(text if "://" in text else f"http://{text}")
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError(f"{text!r} is not an address such as http://localhost")
    if url.netloc.lower() != url.hostname and url.netloc.lower() != f"[{url.hostname}]":
        raise ValueError(f"{text!r}: only http:// or https:// and a host; the port goes to --display_port")
    if url.path.strip("/") or url.query:
        raise ValueError(f"{text!r}: only http:// or https:// and a host")
    return f"{url.scheme}://{url.netloc}"


@dataclass(frozen=True, kw_only=True)
class TrainOptions(BaseOptions):
    model: str = option("", help="model: X is models/X_model.py")
    dataset_mode: str = option("", help="data set class: Y is data/Y_dataset.py; recognized by default")
    batch_size: int = option(1, help="images per training step and process", min=1)
    num_processes: int = option(
        1, help="processes that train together, one a GPU; torchrun says so by itself", min=1, max=4096, resume="free"
    )
    sync_batchnorm: Literal["auto", "on", "off"] = option(
        "auto", help="batch norm over the images of all processes; auto does where there are several"
    )
    dist_backend: Literal["auto", "nccl", "gloo"] = option(
        "auto", help="what several processes talk by: auto is nccl on GPUs, gloo elsewhere", resume="free"
    )
    dist_timeout: int = option(
        600, help="seconds until processes give up one that is silent", min=1, max=86400, resume="free"
    )
    n_epochs: int = option(100, help="epochs at the initial learning rate", min=1, aliases=("niter",), resume="free")
    n_epochs_decay: int = option(
        100,
        help="number of further epochs, over which a linear rate decays to 0",
        min=0,
        aliases=("niter_decay",),
        resume="free",
    )
    epoch_count: int = option(
        1,
        help="with --init_from: the first epoch, such as 6 for weights of 5; the schedule goes on there",
        min=1,
    )
    lr_policy: Literal["constant", "linear", "step", "cosine", "plateau"] = option(
        "linear", help="learning rate schedule"
    )
    lr_decay_iters: int = option(
        50, help="lr_policy step: epochs between drops of the learning rate", min=1, only_with=("lr_policy step",)
    )
    plateau_loss: str = option(
        "",
        help="lr_policy plateau: the loss (by its epoch mean) or metric to watch; empty: the model's choice, else the "
        "first loss logged",
        only_with=("lr_policy plateau",),
    )
    ema: float = option(
        0.0,
        help="decay per step of the moving average of G used for samples, such as .999; 0: off",
        min=0,
        max=0.99999,
    )
    eval_freq: int = option(
        0,
        help="training images between evaluations of --metrics, such as 50000; 0: off, as they take time",
        min=0,
        resume="free",
    )
    metrics: tuple[Metric, ...] = ("kid",)
    eval_phase: Literal["val", "test"] = option("test", help="held-out images to evaluate on", resume="free")
    best_metric: str = option(
        "", help="metric that selects the best checkpoint, best_net_*; empty: the first of --metrics", resume="free"
    )
    early_stop: int = option(
        0,
        help="stop after this many evaluations without a better --best_metric; 0: never",
        min=0,
        resume="free",
    )
    on_nan: Literal["stop", "restart"] = option(
        "stop",
        help="when a loss or weight is not finite: stop, or restart from the last save at half the learning rate",
        resume="free",
    )
    continue_train: bool = option(False, help="resume this run from its latest state", resume="free")
    resume_or_start: bool = option(
        False,
        help="resume the run of this --name if it has a state, otherwise start it",
        resume="free",
    )
    accept_data: bool = option(
        False, help="with --continue_train: resume even if images were added or removed", resume="free"
    )
    overwrite: bool = option(False, help="delete an existing run of this name first", resume="free")
    init_from: str = option(
        "", help="start from the weights of this run, or of a folder in checkpoints_dir that holds only weights"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "auto",
        help="training precision; auto: bf16 where the hardware supports it, else fp32",
        resume="warn",
    )
    compile: Literal["auto", "on", "off"] = option(
        "auto",
        help="use torch.compile; auto: on a GPU, once the first steps show that it will pay off",
        resume="free",
    )
    cuda_graphs: Literal["auto", "on", "off"] = option(
        "auto", help="record whole steps as CUDA graphs and replay them; auto: on a GPU", resume="free"
    )
    check_steps: Literal["auto", "on", "off"] = option(
        "auto",
        help="occasionally compare recorded, compiled and low-precision steps with plain ones; auto: on a GPU",
        resume="free",
    )
    profile: int = option(0, help="number of steps to profile; 0: off", min=0, max=1000, resume="free")
    deterministic: bool = option(False, help="make CUDA runs reproducible bit for bit (slower)")
    display: tuple[Literal["html", "visdom", "tensorboard", "wandb", "none"], ...] = option(
        ("html",), help="where to show losses and pictures, such as html,visdom", resume="free"
    )
    html: bool = option(True, help="write the training page; --no_html removes html from --display", resume="free")
    display_id: int = option(
        0,
        help="visdom window of the losses; 1 or more turns visdom on; --display visdom uses window 1",
        min=-1,
        resume="free",
    )
    display_server: str = option(
        "http://localhost",
        help="visdom server; a local one is started if none answers",
        resume="free",
        read=server_url,
    )
    display_port: int = option(8097, help="port of the visdom server", min=1, max=65535, resume="free")
    display_env: str = option("main", help="visdom environment", resume="free")
    use_wandb: bool = option(False, help="send losses and pictures to Weights & Biases too", resume="free")
    wandb_project_name: str = option("ganvas", help="W&B project", resume="free")
    print_freq: int = option(100, help="training images between rows of losses", min=1, resume="free")
    display_freq: int = option(
        400,
        help="training images between pictures, besides those at the end of each epoch; 0: off",
        min=0,
        resume="free",
    )
    save_latest_freq: int = option(5000, help="training images between saves of the latest state", min=1, resume="free")
    save_by_iter: bool = option(
        False, help="also keep the networks of each of these saves, as iter_N after N images", resume="free"
    )
    save_epoch_freq: int = option(5, help="epochs between numbered checkpoints; 0: off", min=0, resume="free")

    def __post_init__(self) -> None:
        if self.continue_train and self.overwrite:
            raise ValueError("--continue_train resumes a run and --overwrite deletes it: choose one")
        if self.eval_freq and not self.metrics:
            raise ValueError("--eval_freq needs --metrics: name some, such as kid,precision,recall")
        if self.first_epoch > self.total_epochs:
            raise ValueError(
                f"--epoch_count {self.epoch_count} is past the {self.total_epochs} epochs of --n_epochs and "
                "--n_epochs_decay: raise these"
            )
        if self.best_metric and self.best_metric not in self.metrics:
            raise ValueError(f"--best_metric {self.best_metric} is not among --metrics {','.join(self.metrics)}")
        if self.lr_policy == "plateau" and self.plateau_loss in get_args(Metric):
            if not self.eval_freq:
                raise ValueError(f"--plateau_loss {self.plateau_loss} is never measured: set --eval_freq")
            if self.plateau_loss not in self.metrics:
                raise ValueError(f"--plateau_loss {self.plateau_loss} is not among --metrics {','.join(self.metrics)}")
        if self.best_metric and not self.eval_freq:
            raise ValueError(f"--best_metric {self.best_metric} is never measured: set --eval_freq")
        if self.early_stop and not self.eval_freq:
            raise ValueError(f"--early_stop {self.early_stop} counts evaluations: set --eval_freq")

    @property
    def displays(self) -> tuple[str, ...]:
        """The displays in use, chosen by --display or by a flag of their own."""
        also = ["visdom"] * (self.display_id > 0) + ["wandb"] * self.use_wandb
        off = ["none"] + ["html"] * (not self.html)
        return tuple(dict.fromkeys(name for name in [*self.display, *also] if name not in off))

    @property
    def measured_by(self) -> tuple[Metric, ...]:
        return self.metrics if self.eval_freq else ()

    def idle(self) -> dict[str, str]:
        idle = super().idle()
        if not self.eval_freq:
            idle = dict.fromkeys(("metrics", "eval_phase", *idle), "nothing is measured without --eval_freq")
        if self.epoch_count > 1 and not self.init_from:
            idle["epoch_count"] = "only --init_from uses it"
        if self.num_processes == 1 and "WORLD_SIZE" not in os.environ:
            idle |= dict.fromkeys(("sync_batchnorm", "dist_backend", "dist_timeout"), "only several processes use it")
        if not self.continue_train:
            idle["accept_data"] = "only --continue_train uses it"
        return idle

    @property
    def watched_metric(self) -> str:
        """The metric that selects the best checkpoint."""
        return self.best_metric or self.metrics[0]

    @property
    def total_epochs(self) -> int:
        """The number of the last epoch."""
        return self.n_epochs + self.n_epochs_decay

    @property
    def first_epoch(self) -> int:
        return self.epoch_count if self.init_from else 1

    @property
    def num_epochs(self) -> int:
        return self.total_epochs - self.first_epoch + 1
