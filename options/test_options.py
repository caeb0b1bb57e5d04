"""Options of test.py. What the model and its data are is read from the run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from options.base_options import BaseOptions, run_name
from options.declare import option


def epoch_label(text: str) -> str:
    """Read ``--epoch``; raise ValueError when it is no label that a checkpoint can have."""
    if text not in ("latest", "best") and not text.removeprefix("iter_").isdecimal():
        raise ValueError(f"{text!r} is neither 'latest' nor 'best', nor the number of an epoch, nor iter_N")
    return text


OF_ALL = {  # which run and checkpoint, and on what: what all scripts that load runs heed of the options below
    *("name", "checkpoints_dir", "config", "suffix", "model", "dataset_mode", "epoch", "load_iter", "ema"),
    *("dataroot", "results_dir", "device", "num_threads", "cache", "cache_dir", "verbose"),
}
OF_PLACE = {"phase", "load_iter", "batch_size"}  # what names the folder of results, or does not change them
OF_NOISE = {"labels", "interpolate", "interpolation", "truncation", "nearest"}  # what only drawing from noise heeds
OF_TRANSLATION = {"tile_overlap", "aspect_ratio", "display_winsize", "model_suffix"}  # and only translating


@dataclass(frozen=True, kw_only=True)
class TestOptions(BaseOptions):
    name: str = option("", help="which run; the newest when not given", read=run_name)
    model: str = option("", help="the run's own model, or test: one generator of any model that translates")
    dataset_mode: str = option("", help="which data set class reads the images; the run's own when not given")
    results_dir: Path = option(Path("results"), help="folder that results are written to")
    epoch: str = option(
        "latest",
        help="which checkpoint: latest, best by --best_metric, or the number of a saved epoch",
        read=epoch_label,
    )
    load_iter: int = option(0, help="take the checkpoint that --save_by_iter kept as iter_N; 0: as --epoch says", min=0)
    phase: Literal["train", "val", "test"] = option(
        "test", help="which part of the data; also names the results folder"
    )
    dataroot: str = option("", help="other data than the run was trained on")
    num_test: int = option(0, help="images in all; 0: 100 from noise, or all that the data has", min=0)
    batch_size: int = option(0, help="images per pass through the network; 0: 50 from noise, 8 to translate", min=0)
    labels: tuple[str, ...] = option(
        (), help="classes to draw, by name or, where names are no numbers, index from 0; cycled in this order: 7,8,1,3"
    )
    interpolate: int = option(
        0, help="also draw a walk of so many steps between two points of z, a row per class", min=0
    )
    interpolation: Literal["lerp", "slerp"] = option(
        "lerp", help="the walk's way: a straight line, or along a circle, where z keeps the length of a normal one"
    )
    truncation: float = option(
        0.0,
        help="draw z from a normal distribution cut off at plus and minus this, such as .7; 0: from all of it",
        min=0,
    )
    nearest: int = option(0, help="also show so many of the nearest training images beside the first samples", min=0)
    ema: bool = option(True, help="use the moving average of G when the run has one")
    eval: bool = option(
        True,
        help="evaluation mode: no dropout, and in batch norm running statistics, or each image's own if the run "
        "trained on one at a time",
    )
    running_stats: bool = option(
        False, help="batch norm by running statistics in every run: the --eval of pytorch-CycleGAN-and-pix2pix"
    )
    model_suffix: str = option("", help="--model test: which generator, _A or _B; found by itself when not given")
    tile: int = option(0, help="translate tiles of so many pixels, for images too large for memory; 0: whole", min=0)
    tile_overlap: int = option(64, help="pixels by which tiles overlap, over which they are blended", min=0)
    aspect_ratio: float = option(1.0, help="stretch saved images to so many times their width", above=0)
    display_winsize: int = option(0, help="width of the images on the page; 0: as they are, at least 64", min=0)

    def __post_init__(self) -> None:
        if self.running_stats and not self.eval:
            raise ValueError("--running_stats are of evaluation mode, which --no_eval leaves: choose one")
        if self.truncation and self.metrics:
            raise ValueError("--metrics is about all that a model draws, --truncation leaves some out: choose one")

    @property
    def label(self) -> str:
        """What the wanted checkpoint's files begin with."""
        return f"iter_{self.load_iter}" if self.load_iter else self.epoch
