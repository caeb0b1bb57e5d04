"""Networks that turn images into features: what the metrics of sets compare."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from util.console import warn
from util.efficientnet import INSTALL, Lite, create_efficientnet, is_installed, is_there
from util.metrics.names import Features
from util.modes import evaluating
from util.weights import load_safely

BATCH = 64  # images per pass
INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{INCEPTION}"
INCEPTION_HASH = "6726825d"  # how its SHA-256 begins: FID is what these weights say, and no others
INCEPTION_SIZE = 299  # pixels
LITE_SIZE = 96  # pixels: a fifth of the time that its own 224 take, and it still ranks damage as it should
TITLES: dict[str, str] = {"efficientnet_lite0": "EfficientNet-Lite0", "efficientnet_lite2": "EfficientNet-Lite2"}


class Extractor:
    """A network by name, and the size to which images are brought for it."""

    def __init__(self, name: str, size: int, network: Callable[[Tensor], Tensor], device: torch.device) -> None:
        """Args: network: maps float (N, 3, size, size) in [-1, 1], of 256 levels, to features (N, D)."""
        self.name, self.size, self.network, self.device = name, size, network, device

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return the features of images (N, C, H, W) in [-1, 1] of any size, float (N, D)."""
        parts = [self.network(prepare(part.to(self.device), self.size)) for part in images.split(BATCH)]
        found = torch.cat(parts).float()
        return found.cpu() if found.device.type == "mps" else found  # which has no double precision for the metrics


def prepare(images: Tensor, size: int) -> Tensor:
    """Return images (N, C, H, W) in [-1, 1] as RGB of ``size`` pixels a side and 256 levels, as files would be.

    Grey becomes RGB; of two channels their mean, of more than three the first three.
    """
    channels = images.shape[1]
    rgb = images.mean(1, keepdim=True) if channels == 2 else images[:, :3]
    rgb = rgb.expand(-1, 3, -1, -1).float()
    if rgb.shape[-2:] != (size, size):
        rgb = levels(rgb)
        rgb = interpolate(rgb, (size, size), mode="bicubic", antialias=True)
    return levels(rgb)


def levels(images: Tensor) -> Tensor:
    """Return images in [-1, 1] rounded to 256 levels."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


def find_extractor(wanted: Features, size: int, device: torch.device, learnt_from: str = "") -> Extractor:
    """Return the network to use; say which when it is not Inception for want of its weights.

    Args:
        wanted: a network, or auto: Inception when its weights are on this machine, else EfficientNet-Lite0. Inception
            asked for by name is downloaded when it is not there.
        size: pixels a side for EfficientNet-Lite; 0: LITE_SIZE.
        device: where to run it.
        learnt_from: the network whose features were trained on, which auto then passes over; "": none.

    Raises:
        LookupError: no network can be had; the message says what to install.
        ValueError: its file is damaged, or ``size`` does not suit it.
    """
    there = inception_file().exists() and is_installed("torch_fidelity")
    if wanted == "inception" or (wanted == "auto" and there):
        if size not in (0, INCEPTION_SIZE):
            raise ValueError(f"--feature_size {size}: Inception looks at {INCEPTION_SIZE} pixels; leave it out")
        return _inception(device)
    name: Lite = "efficientnet_lite2" if learnt_from == "efficientnet_lite0" else "efficientnet_lite0"
    if wanted != "auto":
        name = wanted
    if not is_there(name):
        passed = learnt_from if wanted == "auto" else ""
        other = f", other than {TITLES[passed]}, on which this model was trained" if passed else ""
        raise LookupError(f"metrics of features need a network that makes them{other}: {INSTALL}")
    if name == learnt_from:
        warn(f"--features {name}: this model was trained on these features, so they flatter it: use another network")
    elif wanted == "auto":
        lacking = "torch-fidelity is not installed" if inception_file().exists() else f"there is no {inception_file()}"
        why = f"{lacking}, and the model was trained on {TITLES[learnt_from]}'s features" if learnt_from else lacking
        print(
            f"metrics: {why}, so features are {TITLES[name]}'s and scores bear its name: "
            "they are no FID, and compare among themselves only (--features inception downloads it)"
        )
    return _efficientnet(name, size or LITE_SIZE, device)


def inception_file() -> Path:
    """Return where torch-fidelity, torchmetrics and torch.hub keep Inception's weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION


def _inception(device: torch.device) -> Extractor:
    """Return the Inception network of FID, as torch-fidelity has it."""
    if not is_installed("torch_fidelity"):
        raise LookupError(
            "Inception (--features inception, --metrics fid) needs torch-fidelity: pip install torch-fidelity"
        )
    file = inception_file()
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        print(f"downloading {INCEPTION_URL}")
        try:
            torch.hub.download_url_to_file(INCEPTION_URL, str(file), INCEPTION_HASH, progress=False)
        except (OSError, RuntimeError) as error:  # no network; not the file it should be
            reason = " ".join(str(error).split())
            raise LookupError(
                f"--features inception, --metrics fid: {INCEPTION_URL} cannot be downloaded ({reason}): "
                f"put it into {file.parent}/, or use --features efficientnet_lite0"
            ) from None
    if not hashlib.sha256(file.read_bytes()).hexdigest().startswith(INCEPTION_HASH):
        raise ValueError(f"{file} is damaged or not Inception's weights: delete it, and download {INCEPTION_URL}")
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    # torch-fidelity would load the file with code in it: what it gets is what a safe load found there.
    safe = io.BytesIO()
    torch.save(load_safely(file), safe)
    safe.seek(0)
    net: Any = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=safe)
    net.to(device)

    def features(images: Tensor) -> Tensor:
        (found,) = net(((images + 1) * 127.5).round().to(torch.uint8))
        return found

    return Extractor("inception", INCEPTION_SIZE, features, device)


def _efficientnet(name: Lite, size: int, device: torch.device) -> Extractor:
    """Return EfficientNet-Lite with its 1280 features.

    They are scaled to a length of sqrt(1280), so that the kernel of KID sees the cosine of two images: as they are,
    empty images have short ones, and 120 grey squares are as near to rps_mini (KID 2.2) as slightly noisy hands are;
    scaled, they are farther off than any damage (8.6 against 2.2).
    """
    net: Any = create_efficientnet(name).to(device)

    def features(images: Tensor) -> Tensor:
        with evaluating(net):
            found = net.extract_features(images).mean((2, 3))
        return normalize(found) * found.shape[1] ** 0.5

    return Extractor(name, size, features, device)
