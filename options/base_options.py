"""Options that training and testing share."""

import glob
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from options.declare import option
from util.metrics.names import OF_FEATURES, Features, Metric


def device_name(text: str) -> str:
    """Read ``--device cuda:1`` and the older ``--gpu_ids 1`` (-1: CPU).

    Raises:
        ValueError: more than one GPU is named; a process uses one.
    """
    if "," in text:
        raise ValueError(f"{text!r}: one process uses one device; choose one")
    if text.lstrip("-").isdigit():
        return "cpu" if int(text) < 0 else f"cuda:{int(text)}"
    return text


def run_name(text: str) -> str:
    """Read a run's name, which is also the name of its folder.

    Raises:
        ValueError: no folder can have this name, or it would lie elsewhere, be hidden or look like an option.
    """
    if len(text.encode()) > 200:
        raise ValueError(f"{text[:20]!r}... is too long for the name of a folder: at most 200 bytes")
    if not text:
        raise ValueError("an empty name cannot name a folder")
    if text.startswith((".", "-")) or text != text.strip() or any(c in '/\\:*?"<>|' or ord(c) < 32 for c in text):
        raise ValueError(f'{text!r} cannot name a folder: no dot or dash first, no outer space, no / \\ : * ? " < > |')
    return text


def full_name(name: str, suffix: str, values: Mapping[str, Any]) -> str:
    """Return the run's name with ``--suffix``, filling in the options named in braces.

    Raises:
        ValueError: there is no such option, or the result cannot name a folder.
    """
    if not suffix:
        return name
    try:
        ending = suffix.format_map(values)
    except (KeyError, IndexError, AttributeError, ValueError) as error:
        raise ValueError(f"--suffix {suffix}: {error} is no option of this run") from None
    return run_name(f"{name}_{ending}")


def match_suffix(checkpoints_dir: Path, name: str, suffix: str) -> str:
    """Return the name of the run started with ``--name`` and ``--suffix``, whatever the braces were filled with.

    Raises:
        ValueError: several runs have such a name.
    """
    if not suffix:
        return name
    pattern = "*".join(glob.escape(part) for part in re.split(r"\{\w+\}", f"{name}_{suffix}"))
    found = sorted(folder.name for folder in checkpoints_dir.glob(pattern))
    if len(found) > 1:
        raise ValueError(f"--suffix {suffix} matches {', '.join(found)}: give the full --name of one")
    return found[0] if found else f"{name}_{suffix}"


@dataclass(frozen=True, kw_only=True)
class BaseOptions:
    name: str = option("", help="name of the run; its files go to checkpoints_dir/name", resume="free", read=run_name)
    checkpoints_dir: Path = option(Path("checkpoints"), help="folder with one subfolder per run", resume="free")
    config: str = option(
        "",
        help="YAML file of option values, such as a run's options.yaml; the command line overrides it",
        resume="free",
    )
    suffix: str = option(
        "", help="appended to the name; options in braces are filled in: {model}_{netG}_size{load_size}", resume="free"
    )
    device: str = option(
        "auto",
        help="torch device: auto (a GPU if available), cpu, cuda, cuda:1, mps",
        aliases=("gpu_ids",),
        resume="warn",
        read=device_name,
    )
    seed: int = option(0, help="random seed", min=0, max=2**31 - 1)
    num_threads: int = option(4, help="number of threads that decode images", min=0, resume="free")
    cache: Literal["auto", "gpu", "ram", "disk", "off"] = option(
        "auto",
        help="where decoded images are cached; auto: the fastest place with enough room",
        resume="free",
    )
    cache_dir: Path = option(
        Path("datasets/.cache"),
        help="folder for --cache disk and for cached features of real images",
        resume="free",
    )
    metrics: tuple[Metric, ...] = option(
        (),
        help="metrics on held-out images: kid, frechet, fid, precision, recall, grain, grid; for labelled data "
        "accuracy, shares; for pairs l1, psnr, ssim, lpips",
        resume="free",
    )
    eval_images: int = option(
        1000, help="number of generated images to measure, and the most held-out images to use", min=4, resume="free"
    )
    features: Features = option(
        "auto",
        help="network that extracts features; auto: inception if its weights are available, else efficientnet_lite0, "
        "or efficientnet_lite2 where D saw images through that (--netD projected)",
        resume="free",
    )
    feature_size: int = option(
        0, help="efficientnet_lite0: size in pixels that images are resized to; 0: 96", min=0, max=1024, resume="free"
    )
    display_classes: int = option(20, help="most classes in a picture, evenly chosen; 0: all", min=0, resume="free")
    verbose: bool = option(False, help="print layers, shapes, parameter counts and mean gradients", resume="free")

    @property
    def measured_by(self) -> tuple[Metric, ...]:
        """The metrics that will be measured."""
        return self.metrics

    def idle(self) -> dict[str, str]:
        """Return the options that have no effect next to the others, each with the reason."""
        if not self.measured_by:
            return dict.fromkeys(("eval_images", "features", "feature_size"), "nothing is measured without --metrics")
        if not set(OF_FEATURES) & set(self.measured_by):
            return dict.fromkeys(("features", "feature_size"), "no metric on features, such as kid, is measured")
        return {}

    @property
    def run_dir(self) -> Path:
        return self.checkpoints_dir / self.name
