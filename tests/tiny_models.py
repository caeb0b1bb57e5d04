"""Every model in a size that trains in no time, for the tests of models."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import torch
from torch.testing import assert_close

from models import create_model, find_model
from models.base_model import BaseModel
from models.translation import TranslationModel
from util.config_file import dump
from util.registry import list_names
from util.runs import OPTIONS_FILE
from util.seeding import seed_all
from util.types import Batch, DataSpec
from util.weights import export_nets

CPU = torch.device("cpu")
NUM = 4  # images a batch
RGB_32 = DataSpec((32, 32), 3, 3, ("paper", "rock", "scissors"))
UNLABELLED_32 = RGB_32._replace(classes=())
GREY_8 = DataSpec((8, 8), 1, 1, ("0", "1", "2", "3"))
GREY_28 = DataSpec((28, 28), 1, 1, ("0", "1", "2", "3"))
RGB_128 = DataSpec((128, 128), 3, 3)

# Options that make a model tiny, and the data to try it on: several rows for a model that can be built in several ways.
# A model without a row gets one from ``default_row``.
MLP = {"netG": "mlp", "netD": "mlp", "hidden_G": (16, 12), "hidden_D": (16, 12, 8), "nz": 8}
UNET = {"netG": "unet_32", "ngf": 4, "netD": "n_layers", "n_layers_D": 1, "ndf": 4}
RESNET = {"netG": "resnet_1blocks", "ngf": 4, "netD": "n_layers", "n_layers_D": 1, "ndf": 4}
CUT = RESNET | {"nce_layers": (0, 4), "num_patches": 12, "netF_nc": 8}
PROJECTED = {
    "netD": "projected",
    "ndf": 2,
    "gan_mode": "hinge",
    "spectral_norm": True,
    "diffaugment": ("translation",),
}
TINY: dict[str, tuple[dict[str, Any], DataSpec]] = {
    "cgan conv": ({"ngf": 4, "ndf": 4, "nz": 8, "label_dim": 5}, RGB_32),
    "cgan conv random labels": ({"ngf": 4, "ndf": 4, "nz": 8, "fake_labels": "random", "gan_mode": "lsgan"}, RGB_32),
    "cgan mlp": (MLP, GREY_8),
    "cgan mlp one-hot": (MLP | {"label_input": "onehot", "dropout": 0.0, "fake_labels": "random"}, GREY_8),
    "cgan mlp mismatch": (
        MLP | {"lambda_mismatch": 1.0, "diffaugment": ("color", "translation", "cutout")},
        GREY_8,
    ),
    "pix2pix": (UNET, UNLABELLED_32),
    "pix2pix pixels": (UNET | {"netD": "pixel", "upsample": "resize"}, UNLABELLED_32),
    "pix2pix wgangp": (UNET | {"gan_mode": "wgangp", "norm": "instance", "n_critic": 3, "pool_size": 6}, UNLABELLED_32),
    "pix2pix helped": (
        UNET | {"spectral_norm": True, "instance_noise": 0.1, "label_smoothing": 0.1, "diffaugment": ("translation",)},
        UNLABELLED_32,
    ),
    "cycle_gan": (RESNET | {"pool_size": 6}, DataSpec((16, 16), 3, 3)),
    "cycle_gan batch norm": (
        RESNET | {"norm": "batch", "lambda_identity": 0.0, "pool_size": 0, "dropout": True},
        DataSpec((16, 20), 1, 2),
    ),
    "cycle_gan wgangp": (
        RESNET | {"gan_mode": "wgangp", "n_critic": 2, "pool_size": 4},
        DataSpec((18, 14), 2, 2),
    ),
    "cycle_gan rpgan": (
        RESNET | {"gan_mode": "rpgan", "r1_gamma": 1.0, "r2_gamma": 1.0, "penalty_freq": 2, "pool_size": 4},
        DataSpec((18, 14), 2, 2),
    ),
    "cut": (CUT, DataSpec((16, 20), 3, 3)),
    "cut fast": (
        CUT | {"nce_idt": False, "flip_equivariance": True, "lambda_NCE": 10.0},
        DataSpec((18, 14), 2, 2),
    ),
    "cut helped": (
        CUT
        | {"antialias": False, "antialias_up": False, "nce_includes_all_negatives_from_minibatch": True, "n_critic": 2}
        | {"gan_mode": "rpgan", "r1_gamma": 1.0, "r2_gamma": 1.0, "penalty_freq": 2},
        DataSpec((16, 16), 3, 3),
    ),
    "colorization": (UNET, DataSpec((32, 32), 1, 2)),
    "test": (RESNET, DataSpec((16, 16), 3, 1)),
    "cgan conv projection": (
        {
            "ngf": 4,
            "ndf": 4,
            "nz": 8,
            "projection": True,
            "spectral_norm": True,
            "norm_D": "none",
            "gan_mode": "hinge",
            "upsample": "resize",
        },
        RGB_32,
    ),
    "cgan conv rpgan": (
        {
            "ngf": 4,
            "ndf": 4,
            "nz": 8,
            "norm_D": "none",
            "gan_mode": "rpgan",
            "r1_gamma": 0.5,
            "r2_gamma": 0.5,
            "penalty_freq": 3,
            "n_critic": 2,
            "lambda_mismatch": 0.5,
            "diffaugment": ("translation",),
        },
        RGB_32,
    ),
    "cvae_gan rpgan": ({"ngf": 8, "ndf": 8, "nz": 6, "gan_mode": "rpgan", "r1_gamma": 1.0, "norm_D": "none"}, GREY_28),
    "cvae_gan 28": ({"ngf": 16, "ndf": 8, "nz": 6}, GREY_28),
    "cvae_gan 32": ({"ngf": 8, "ndf": 8, "nz": 6, "n_critic": 3, "instance_noise": 0.1}, RGB_32),
    "dcgan": ({"ngf": 4, "ndf": 4, "nz": 8}, RGB_32),
    "dcgan conditional": ({"ngf": 4, "ndf": 4, "nz": 8, "conditional": True, "label_smoothing": 0.1}, RGB_32),
    "dcgan conv28": ({"netG": "conv28", "netD": "conv28", "ngf": 8, "ndf": 8, "nz": 8}, GREY_28),
    "dcgan conv32": ({"netG": "conv32", "netD": "conv32", "ngf": 8, "ndf": 8, "nz": 8}, RGB_32),
    "dcgan conv_k8": ({"netG": "conv_k8", "netD": "conv_k8", "ngf": 1, "ndf": 1, "nz": 8}, RGB_128),
    "gan": (MLP, GREY_8),
    "gan projected": (PROJECTED | {"netG": "res", "ngf": 4, "nz": 8}, UNLABELLED_32),
    "gan projected conditional": (
        PROJECTED | {"netG": "res", "ngf": 4, "nz": 8, "norm_D": "none", "conditional": True, "dropout": 0.1},
        RGB_32,
    ),
    "gan conditional": (MLP | {"conditional": True, "projection": True, "fake_labels": "random"}, GREY_8),
    "gan ada": (MLP | {"augment": "ada", "ada_images": 20}, GREY_8),
    "wgan": (MLP | {"n_critic": 3}, GREY_8),
    "wgan conv28": ({"netG": "conv28", "netD": "conv28", "ngf": 8, "ndf": 8, "nz": 8, "n_critic": 3}, GREY_28),
    "wgan_gp": (MLP | {"n_critic": 3}, GREY_8),
    "wgan_gp dcgan conditional": (
        {"netG": "dcgan", "netD": "dcgan", "ngf": 4, "ndf": 4, "nz": 8, "n_critic": 3, "conditional": True},
        RGB_32,
    ),
    "gan res": ({"netG": "res", "netD": "res", "ngf": 4, "ndf": 4, "nz": 8, "norm_D": "none", "res_blocks": 1}, RGB_32),
    "gan palette": (
        {"netG": "res", "netD": "mlp", "ngf": 4, "hidden_D": (16,), "nz": 8, "palette": 3, "noise_inputs": True},
        GREY_28,
    ),
    "r3gan": ({"ngf": 4, "ndf": 4, "nz": 8}, RGB_32),
    "r3gan conditional": ({"ngf": 4, "ndf": 4, "nz": 8, "conditional": True, "penalty_freq": 2}, RGB_32),
    "r3gan palette": (
        {"ngf": 4, "ndf": 4, "nz": 8, "conditional": True, "palette": 4, "noise_inputs": True, "res_blocks": 1},
        RGB_32,
    ),
    "r3gan ada": (
        {"ngf": 4, "ndf": 4, "nz": 8, "augment": "ada", "ada_images": 20, "penalty_freq": 2},
        RGB_32,
    ),
    "sngan": ({"ngf": 2, "ndf": 2, "nz": 8, "n_critic": 2}, RGB_32),
    "sngan conditional": ({"ngf": 2, "ndf": 2, "nz": 8, "n_critic": 2, "conditional": True}, RGB_32),
    "template": ({"ngf": 4}, DataSpec((8, 8), 1, 3)),
}
NAMES = list_names("models", "_model")


def default_row(kind: type[BaseModel]) -> tuple[dict[str, Any], DataSpec]:
    """Return small networks, and data for them, by what a model derives from and which network it has by default."""
    defaults = {f.name: f.default for f in dataclasses.fields(kind.Options)}
    netG = str(defaults.get("netG", ""))
    if issubclass(kind, TranslationModel):
        return (UNET if netG.startswith("unet") else RESNET), UNLABELLED_32
    small = MLP if netG == "mlp" else {"ngf": 4, "ndf": 4, "nz": 8}
    return {name: value for name, value in small.items() if name in defaults}, GREY_8 if netG == "mlp" else RGB_32


TINY |= {name: default_row(find_model(name)) for name in NAMES if name not in {case.split()[0] for case in TINY}}
CASES = [case for name in NAMES for case in TINY if case.split()[0] == name]
LEARNERS = [case for case in CASES if find_model(case.split()[0]).trains]


def create(case: str, seed: int = 0, batch_size: int = 0, **options: Any) -> Any:
    """Build the model of a case, a BaseModel; ``options`` go before those of the table."""
    name = case.split()[0]
    tiny, spec = TINY[case]
    batch_size = batch_size or NUM * ("augment" in tiny)  # whose pace goes by it
    return create_model(name, find_model(name).Options(**(tiny | options)), spec, CPU, seed, batch_size)


def build(name: str, spec: DataSpec, batch_size: int = 0, /, **options: Any) -> Any:
    """Build a model, a BaseModel, for data of ``spec`` with these options and its own defaults for the rest."""
    return create_model(name, find_model(name).Options(**options), spec, CPU, batch_size=batch_size)


def make_batch(case: str, seed: int = 1, num: int = NUM) -> Batch:
    """Return random images and labels that fit a case, under every key that a data set may have."""
    spec = TINY[case][1]
    numbers = torch.Generator().manual_seed(seed)
    batch = Batch()
    for key, nc in (("image", spec.output_nc), ("A", spec.input_nc), ("B", spec.output_nc)):
        batch[key] = torch.rand(num, nc, *spec.image_size, generator=numbers) * 2 - 1
    if spec.num_classes:
        batch["label"] = torch.randint(spec.num_classes, (num,), generator=numbers)
    return batch


def train(model: BaseModel, case: str, steps: range) -> list[dict[str, torch.Tensor]]:
    """Take steps as the loop does: each on its own batch and from its own seed."""
    losses = []
    for step in steps:
        batch = make_batch(case, seed=step)
        seed_all(0, step)
        losses.append(model.optimize_parameters(batch, step))
    return losses


def snapshot(model: BaseModel) -> dict[str, Any]:
    """Return copies of all that training changes: parameters, buffers and the optimizers' states."""
    states = {"model": model.state_dict()} | {name: o.state_dict() for name, o in model.optimizers.items()}
    file = io.BytesIO()
    torch.save(states, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def assert_same(first: Any, second: Any) -> None:
    """Assert that two snapshots are equal bit for bit."""
    assert_close(first, second, rtol=0, atol=0, equal_nan=True)


def assert_images(images: torch.Tensor, spec: DataSpec) -> None:
    assert images.dtype == torch.float32
    assert images.shape[1] in (
        spec.input_nc,
        spec.output_nc,
        *((3,) if (spec.input_nc, spec.output_nc) == (1, 2) else ()),
    )
    assert images.shape[2:] == spec.image_size
    assert images.abs().max() <= 1


def save_run(case: str, folder: Path, dataroot: str = "", batch_size: int = NUM) -> Any:
    """Write a run folder as train.py would, of a case with initial weights; return its model in evaluation mode."""
    model = create(case, batch_size=batch_size)
    folder.mkdir(parents=True)
    export_nets(folder, ["latest"], model.nets)
    mode = model.dataset_mode or ("image_folder" if "image" in model.needs else "aligned")
    run = {"model": case.split()[0], "dataset_mode": mode, "batch_size": batch_size}
    sections = {"run": run, "model": dataclasses.asdict(model.opt), "spec": model.spec._asdict()}
    sections |= {"data": {"dataroot": dataroot}} if dataroot else {}
    (folder / OPTIONS_FILE).write_text(dump(sections))
    return model.eval()
