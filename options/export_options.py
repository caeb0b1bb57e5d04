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
    name: str = option("", help="run; the newest by default", read=run_name)
    checkpoints_dir: Path = option(Path("checkpoints"), help="folder with one subfolder per run")
    epoch: str = option(
        "latest", help="checkpoint: latest, best, the number of a saved epoch, or iter_N", read=epoch_label
    )
    ema: bool = option(True, help="use the moving average of G if the run has one")
    direction: Literal["", "AtoB", "BtoA"] = option("", help="generator of a CycleGAN; that of the training by default")
    format: Literal["onnx", "torch", "safetensors", "web"] = option(
        "onnx", help="ONNX, a PyTorch program (.pt2), weights alone, or a page that runs the model in a browser"
    )
    weights: Literal["auto", "fp32", "fp16", "int8"] = option(
        "auto", help="precision of the stored weights, for onnx and web; auto: fp16 for web, else fp32"
    )
    output: Path = option(Path(), help="file to write; results_dir/NAME/NAME_EPOCH with the format's ending otherwise")
    results_dir: Path = option(Path("results"), help="folder for the results")
    title: str = option("", help="web: heading of the page; the run's name by default")
    dataroot: str = option("", help="web: images that a translation page starts with; the run's data by default")
    ort: str = option("", help="web: folder with the files of onnxruntime-web; downloaded once and kept by default")
    one_file: bool = option(
        True, help="web: put onnxruntime-web into the page; off: into ort.js beside it, which several pages share"
    )
    licence: str = option("", help="one line on the terms of use of the weights; that of the data by default")
    verbose: bool = option(False, help="show the traceback of an error")

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
