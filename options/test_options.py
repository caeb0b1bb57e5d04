"""Options of test.py; those of the model and its data are read from the run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from options.base_options import BaseOptions, run_name
from options.declare import option


def epoch_label(text: str) -> str:
    """Read ``--epoch``; raise ValueError when no checkpoint can have this label."""
    if text not in ("latest", "best") and not text.removeprefix("iter_").isdecimal():
        raise ValueError(f"{text!r} is neither 'latest' nor 'best', nor the number of an epoch, nor iter_N")
    return text


COMMON = {  # options that every script that loads a run honours
    *("name", "checkpoints_dir", "config", "suffix", "model", "dataset_mode", "epoch", "load_iter", "ema"),
    *("dataroot", "results_dir", "device", "num_threads", "cache", "cache_dir", "verbose"),
}
OF_PLACE = {  # options that name the results folder or leave results unchanged
    *("phase", "load_iter", "batch_size", "num_processes"),
}
OF_NOISE = {  # options of models that draw from noise
    *("labels", "interpolate", "interpolation", "video", "truncation", "nearest"),
}
OF_TRANSLATION = {  # options of models that translate
    *("tile_overlap", "aspect_ratio", "display_winsize", "model_suffix", "results_layout", "animate"),
}


@dataclass(frozen=True, kw_only=True)
class TestOptions(BaseOptions):
    name: str = option("", help="run; the newest by default", read=run_name)
    model: str = option("", help="the run's own model, or test: a single generator of any translation model")
    dataset_mode: str = option("", help="data set class; the run's own by default")
    results_dir: Path = option(Path("results"), help="folder for the results")
    epoch: str = option(
        "latest",
        help="checkpoint: latest, best (by --best_metric), or the number of a saved epoch",
        read=epoch_label,
    )
    load_iter: int = option(0, help="checkpoint iter_N that --save_by_iter kept; 0: the one that --epoch names", min=0)
    phase: Literal["train", "val", "test"] = option("test", help="part of the data; also names the results folder")
    dataroot: str = option("", help="data; that of the training by default")
    num_test: int = option(0, help="number of images; 0: 100 from noise, else all", min=0)
    batch_size: int = option(0, help="images per forward pass; 0: 50 from noise, 8 to translate", min=0)
    num_processes: int = option(1, help="processes that share the images, one a GPU", min=1, max=4096)
    labels: tuple[str, ...] = option(
        (),
        help="classes to draw, cycled in this order: names, or indices from 0 unless all names are numbers; "
        "a name that begins with - needs --labels=-NAME, one with a comma its index",
    )
    interpolate: int = option(
        0, help="also draw an interpolation of this many steps between two latent vectors, one row per class", min=0
    )
    interpolation: Literal["lerp", "slerp"] = option(
        "lerp", help="interpolation: linear, or spherical, which keeps the length of latent vectors"
    )
    video: bool = option(
        False, help="also write the walk of --interpolate as an animated WebP, there and back, in an endless loop"
    )
    truncation: float = option(
        0.0,
        help="draw z from a normal distribution truncated at plus and minus this, such as .7; 0: off",
        min=0,
    )
    nearest: int = option(0, help="also show this many nearest training images beside each of the first samples", min=0)
    ema: bool = option(True, help="use the moving average of G if the run has one")
    eval: bool = option(
        True,
        help="evaluation mode: no dropout; batch norm uses running statistics, or each image's own if the run was "
        "trained on single images",
    )
    running_stats: bool = option(
        False, help="batch norm always uses running statistics: the --eval of pytorch-CycleGAN-and-pix2pix"
    )
    model_suffix: str = option("", help="--model test: generator, _A or _B; found automatically by default")
    tile: int = option(0, help="translate in tiles of this many pixels, for images too large for memory; 0: off", min=0)
    tile_overlap: int = option(64, help="pixels by which tiles overlap and are blended", min=0)
    aspect_ratio: float = option(1.0, help="factor by which saved images are widened", above=0)
    results_layout: Literal["folders", "flat"] = option(
        "folders", help="folders: images/fake_B/NAME.png, a folder for each kind; flat: images/NAME_fake_B.png"
    )
    animate: float = option(
        0.0,
        help="also write each kind as an animated WebP, in order, with this many seconds an image; 0: off",
        min=0,
    )
    display_winsize: int = option(0, help="width of images on the page; 0: their own, at least 64", min=0)

    def __post_init__(self) -> None:
        if self.num_processes > 1 and not self.eval:
            raise ValueError("--no_eval draws dropout image after image, which --num_processes shares: choose one")
        if self.running_stats and not self.eval:
            raise ValueError("--running_stats are of evaluation mode, which --no_eval leaves: choose one")
        if self.truncation and self.metrics:
            raise ValueError("--metrics measures all that a model draws, --truncation leaves some out: choose one")
        if self.video and self.interpolate < 2:
            raise ValueError(f"--video animates --interpolate, which has {self.interpolate} steps: try 60")

    @property
    def label(self) -> str:
        """The prefix of the checkpoint's files."""
        return f"iter_{self.load_iter}" if self.load_iter else self.epoch
