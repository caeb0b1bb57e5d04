"""Options of scripts/export.py."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from options.base_options import run_name
from options.declare import option
from options.test_options import epoch_label

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2", "safetensors": ".safetensors"}


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    name: str = option("", help="which run; the newest when not given", read=run_name)
    checkpoints_dir: Path = option(Path("checkpoints"), help="folder that holds one folder per run")
    epoch: str = option(
        "latest", help="which checkpoint: latest, best, the number of a saved epoch, or iter_N", read=epoch_label
    )
    ema: bool = option(True, help="take the moving average of G when the run has one")
    direction: Literal["", "AtoB", "BtoA"] = option("", help="which generator of a CycleGAN; that of the training")
    format: Literal["onnx", "torch", "safetensors"] = option(
        "onnx", help="ONNX, a PyTorch program (.pt2), or weights alone"
    )
    weights: Literal["fp32", "fp16", "int8"] = option("fp32", help="onnx: how weights are stored; computed is in fp32")
    output: Path = option(Path(), help="file to write; results_dir/NAME/NAME_EPOCH with the format's ending otherwise")
    results_dir: Path = option(Path("results"), help="folder that results are written to")
    licence: str = option("", help="a line on what may be done with the weights; that of the data when not given")
    verbose: bool = option(False, help="show where in the code an error arose")

    @property
    def path(self) -> Path:
        """The file to write."""
        if self.output != Path():
            return self.output
        return self.results_dir / self.name / f"{self.name}_{self.epoch}{SUFFIXES[self.format]}"
