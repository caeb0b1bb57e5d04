"""The Weights & Biases display: a run on wandb.ai, or with ``WANDB_MODE=offline`` a folder to send there later."""

import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from util.displays.display import Display
from util.files import write_text
from util.images import make_labelled_grid
from util.metrics.score import Score
from util.types import Grid, Progress, Report

ID_FILE = "wandb_id.txt"
SETTINGS = {
    "console": "off",  # the run has its own log
    "login_timeout": 30,  # seconds: for a user who sits there; without a terminal nobody is asked
    "init_timeout": 10,
    "finish_timeout": 60,
}
REACH_SECONDS = 3


class WandbDisplay(Display):
    """One W&B run for a run folder, however often training is resumed; its steps are those of ``losses.csv``."""

    name = "wandb"
    install = "pip install wandb"

    def __init__(self, folder: Path, title: str, project: str, config: dict[str, Any]) -> None:
        self.folder = folder
        self.title, self.project, self.config = title, project, config
        self.run: Any = None
        self.first_step = 0

    def start(self, at: Progress, history: Sequence[Report]) -> None:
        """Open the W&B run.

        Raises:
            OSError: W&B is to be reached, but cannot be.
        """
        import wandb

        settings: Any = wandb.Settings()
        for name, value in SETTINGS.items():
            if hasattr(settings, name):  # not every release knows all of them
                setattr(settings, name, value)
        configured: Any = wandb.setup().settings
        if configured.mode == "online":
            _check_reachable(configured.base_url)
        self.run = wandb.init(
            project=self.project,
            name=self.title,
            id=self._id(),
            resume="allow",
            dir=str(self.folder),
            config=self.config,
            settings=settings,
        )
        # W&B takes no step twice. What it lacks of a resumed run, as after a crash, it gets from losses.csv; an offline
        # run is a new folder for each process and gets all, so that the last one is complete.
        self.first_step = self.run.step
        for when, losses in history:
            self.losses(when, losses)

    def losses(self, at: Progress, losses: dict[str, float]) -> None:
        values = {f"loss/{name}": value for name, value in losses.items()}
        self._log(at, {"epoch": at.epoch, "images": at.images, **values})

    def epoch(self, at: Progress, means: dict[str, float], lr: float) -> None:
        self._log(at, {"lr": lr, **{f"epoch_mean/{name}": value for name, value in means.items()}})

    def metrics(self, at: Progress, scores: Sequence[Score], best: str) -> None:
        self._log(at, {f"metric/{score.name}": score.value for score in scores})

    def images(self, at: Progress, grids: dict[str, Grid]) -> None:
        import wandb

        if at.step >= self.first_step:
            pictures = {
                name: wandb.Image(make_labelled_grid(grid), caption=", ".join(grid.rows) or None)
                for name, grid in grids.items()
            }
            self._log(at, pictures)

    def close(self) -> None:
        if self.run:
            self.run.finish()

    def _log(self, at: Progress, values: dict[str, Any]) -> None:
        if at.step >= self.first_step:
            self.run.log(values, step=at.step)

    def _id(self) -> str:
        """Return the id of this run folder's W&B run, which is made up once."""
        path = self.folder / ID_FILE
        if not path.exists():
            write_text(path, secrets.token_hex(4) + "\n")
        return path.read_text(encoding="utf-8").strip()


def _check_reachable(url: str) -> None:
    """Raise OSError when no connection can be made: wandb would try for much longer. A proxy is left to wandb."""
    parts = urlsplit(url)
    if getproxies().get(parts.scheme):
        return
    try:
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        socket.create_connection((parts.hostname or "", port), timeout=REACH_SECONDS).close()
    except OSError as error:
        reason = error.strerror or error
        raise OSError(
            f"{url} cannot be reached ({reason}); WANDB_MODE=offline keeps its log on disk, wandb sync sends it later"
        ) from None
