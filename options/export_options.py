"""Options of scripts/export.py."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from options.base_options import run_name
from options.declare import option
from options.test_options import epoch_label

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2", "safetensors": ".safetensors", "web": ".html"}


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    name: str = option("", help="which run; the newest when not given", read=run_name)
    checkpoints_dir: Path = option(Path("checkpoints"), help="folder that holds one folder per run")
    epoch: str = option(
        "latest", help="which checkpoint: latest, best, the number of a saved epoch, or iter_N", read=epoch_label
    )
    ema: bool = option(True, help="take the moving average of G when the run has one")
    direction: Literal["", "AtoB", "BtoA"] = option("", help="which generator of a CycleGAN; that of the training")
    format: Literal["onnx", "torch", "safetensors", "web"] = option(
        "onnx", help="ONNX, a PyTorch program (.pt2), weights alone, or a page that runs the model in a browser"
    )
    weights: Literal["auto", "fp32", "fp16", "int8"] = option(
        "auto", help="bits of the stored weights, for onnx and web; auto: fp16 for web, else fp32"
    )
    output: Path = option(Path(), help="file to write; results_dir/NAME/NAME_EPOCH with the format's ending otherwise")
    results_dir: Path = option(Path("results"), help="folder that results are written to")
    title: str = option("", help="web: heading of the page; the run's name when not given")
    dataroot: str = option("", help="web: images that a page that translates begins with; the run's data otherwise")
    ort: str = option("", help="web: folder with the files of onnxruntime-web; fetched once and kept when not given")
    one_file: bool = option(
        True, help="web: put onnxruntime-web into the page; off: into ort.js beside it, which several pages share"
    )
    licence: str = option("", help="a line on what may be done with the weights; that of the data when not given")
    verbose: bool = option(False, help="show where in the code an error arose")

    @property
    def bits(self) -> Literal["fp32", "fp16", "int8"]:
        """How weights are stored."""
        if self.weights == "auto":
            return "fp16" if self.format == "web" else "fp32"
        return self.weights

    @property
    def path(self) -> Path:
        """The file to write."""
        if self.output != Path():
            return self.output
        return self.results_dir / self.name / f"{self.name}_{self.epoch}{SUFFIXES[self.format]}"
