"""What a run saves: the state that a resume reads, networks for others to use, and the best of them."""

from pathlib import Path
from typing import TYPE_CHECKING

from util import distributed
from util.metrics.record import METRICS_FILE
from util.training.checkpoint import Checkpoint, Stateful
from util.training.divergence import check_finite
from util.training.processes import Own
from util.weights import export_nets

if TYPE_CHECKING:
    from util.training.run import Run


class Saver:
    """Copies what is to be saved at once, and has it written in the background while training continues."""

    def __init__(self, run: "Run") -> None:
        """Name the parts of the state; nothing is written yet."""
        self.run, model = run, run.model
        averages = {name.removeprefix("net"): net for name, net in run.ema.nets.items()} if run.ema else {}
        self.nets = model.nets | {f"{name}_ema": net for name, net in averages.items()}
        self.modules = {"": model} | {f"moving average of net{name}: ": net for name, net in averages.items()}
        parts: dict[str, Stateful] = {
            "progress": run.progress,
            "meter": run.meter,
            "plateau": run.measuring.plateau,
            "quality": run.measuring.quality,
            "divergence": run.divergence,
            "model": model,
        }
        parts |= {f"optimizer_{name}": optimizer for name, optimizer in model.optimizers.items()}
        parts |= {"moving_average": run.ema} if run.ema else {}
        parts |= {"scaler": model.scaler} if model.scaler.is_enabled() else {}
        parts |= {"processes": Own(self.modules)} if distributed.world() > 1 else {}
        late = ("logs",) if distributed.is_first() else ()
        if late:
            parts |= {"losses_csv": run.reporter.losses_csv, "logs": run.reporter.visualizer}
        optional = ("quality", "scaler", "processes")
        self.checkpoint = Checkpoint(
            run.folder, parts, optional=optional, late=late, do=run.background, logs=self._logs
        )

    def _logs(self) -> list[Path]:
        """Return the append-only files, whose lengths a state records."""
        return [self.run.folder / METRICS_FILE, *self.run.reporter.logs]

    def save(self, *labels: str) -> None:
        """Write the networks as "latest" and ``labels``, then the state, which must never be newer than they are.

        Raises:
            FloatingPointError: a weight, a buffer or a moment is NaN or infinite; what was saved before is kept.
            OSError: an earlier save could not be written.
        """
        error: FloatingPointError | None = None
        try:
            check_finite(self.modules, self.run.model.optimizers)
        except FloatingPointError as found:
            error = found
        if distributed.highest(error is not None):  # also where it is in a buffer of one process alone
            raise error or FloatingPointError("training diverged in another process, so the last save is kept")
        self.export_nets("latest", *labels)
        if "best" in labels:
            self.run.measuring.quality.write_best(self.run.background)
        self.run.reporter.note_time(self.run.progress)  # or the time up to here would be lost when the run is killed
        self.save_state()

    def export_nets(self, *labels: str) -> None:
        """Write each network as ``<label>_net_<name>.pth``."""
        export_nets(self.run.folder, labels, self.nets, self.run.background)

    def save_state(self) -> None:
        """Write ``latest_state.pth`` alone."""
        self.checkpoint.save()

    def load_state(self) -> None:
        """Restore the last save.

        Raises:
            ValueError: it is missing, damaged or does not fit.
        """
        distributed.on_first(self.run.background.wait)
        self.checkpoint.load()
        self.run.meter.to(self.run.model.device)
