"""Build a model from what was saved of it, by a run of ours or by pytorch-CycleGAN-and-pix2pix."""

import re
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch

from models import create_model, find_model
from models.base_model import BaseModel
from models.gan_model import GANModel
from models.generator import TrainedGenerator
from models.networks.architecture import GeneratorArchitecture
from models.networks.noise import NoiseGeneratorArchitecture
from models.networks.norm import use_image_statistics
from models.networks.recognize import compare, describe, recognize_generator
from models.networks.recognize_noise import recognize_noise_generator
from options.parse import Config
from options.parse_tested import read_run
from options.test_options import TestOptions, epoch_label
from util.config_file import shown
from util.device import pick_device
from util.types import DataSpec
from util.weights import find_net, import_net, import_run, load_net


class Trained(NamedTuple):
    """A model with its weights, and which weights they are, for people."""

    model: BaseModel
    weights: str


def load_trained(config: Config[TestOptions], device: torch.device) -> Trained:
    """Return the model that test.py is asked to show.

    A run of ours is built as it says. Where there are weights alone, and for ``--model test``, which is one generator
    of any model that translates, they tell how it is to be built.

    Raises:
        ValueError: weights are missing, damaged or of another architecture than the options say.
    """
    opt = config.run
    if config.spec and config.model_name != "test":
        spec = DataSpec.from_dict(config.spec)
        model: Any = create_model(
            config.model_name, config.model, spec, device, batch_size=config.trained.get("batch_size", 1)
        )
    else:
        path = find_net(opt.run_dir, opt.label, _generators(config), opt.ema).path
        model = _create_for(path, config, device)
    if opt.running_stats:
        use_image_statistics(model, False)
    if config.model_name == "test":
        import_net(path, "G", model)
        return Trained(model, f"{path.name}: {model.opt.netG}")
    weights = import_run(opt.run_dir, opt.label, model, opt.ema)
    if _is_backwards(config):
        model.reverse()
    return Trained(model, weights)


def load_generator(
    run: str | Path, epoch: str | int = "latest", *, ema: bool = True, direction: str = "", device: str = "auto"
) -> TrainedGenerator:
    """Return the generator of a run, ready to be called.

        G = load_generator("checkpoints/rps_cgan")
        images = G(num=8, labels="rock", seed=1)      # pictures; of a run that translates: G(picture)

    Args:
        run: the run's folder; a folder that holds weights alone, such as latest_net_G.pth; or that file itself.
        epoch: latest, best, the number of a saved epoch, or iter_N; a file says it by its name.
        ema: take the moving average of G when the run has one.
        direction: of CycleGAN: AtoB or BtoA; "": that of the training.
        device: auto (a GPU when there is one), cpu, cuda, cuda:1, mps.

    Raises:
        FileNotFoundError: there is no such run; the message names the nearest.
        ValueError: the weights are missing, damaged, or none of a generator.
    """
    folder, label, suffix = Path(run), str(epoch), ""
    if folder.suffix == ".pth":
        label, suffix, ema = _read_file_name(folder)
        folder = folder.parent
    if direction not in ("", "AtoB", "BtoA"):
        raise ValueError(f"direction {direction!r} is neither AtoB nor BtoA")
    config = read_run(folder.resolve(), find_model, direction, epoch=epoch_label(label), ema=ema, model_suffix=suffix)
    if suffix == "_B" and config.spec:  # of weights alone, _B is the file to load and no direction
        backwards = "BtoA" if config.trained["direction"] == "AtoB" else "AtoB"
        config = replace(config, data=SimpleNamespace(direction=backwards))
    model, weights = load_trained(config, pick_device(device))
    return TrainedGenerator(model, config.run.run_dir, label, weights, config.trained)


def _read_file_name(path: Path) -> tuple[str, str, bool]:
    """Return label and suffix (_A, _B or "") of a generator's file, and whether it is a moving average."""
    found = re.fullmatch(r"(.+)_net_([A-Z])(_[AB])?(_ema)?\.pth", path.name)
    if found is None:
        raise ValueError(f"{path}: a generator's file is called LABEL_net_G.pth, LABEL being latest or an epoch")
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}")
    if found[2] != "G":
        what = {"D": "a discriminator", "C": "a classifier", "E": "an encoder"}.get(found[2], f"network {found[2]}")
        raise ValueError(f"{path} is {what}, which makes no images: give {found[1]}_net_G.pth, or the run's folder")
    return found[1], found[3] or "", bool(found[4])


def _create_for(path: Path, config: Config[TestOptions], device: torch.device) -> Any:
    """Return a model of translation, as yet with initial weights, that is built as the generator in ``path`` needs it.

    Raises:
        ValueError: the file is damaged, holds no generator, or another one than the options say.
    """
    if config.trained.get("model") == "colorization":
        raise ValueError("--model test: what colorization turns L into is ab, which is no picture; leave --model out")
    state = load_net(path)
    if drawn := recognize_noise_generator(state):
        return _create_drawing(path, drawn, config, device)
    try:
        found = recognize_generator(state)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    wanted = _wanted(config, found)
    if differences := compare(found, wanted):
        raise ValueError(f"{path} was made with {describe(differences)}")
    options = {n: value for n, value in asdict(wanted).items() if hasattr(config.model, n) and value is not None}
    if hasattr(config.model, "pool_size"):
        options["pool_size"] = 0  # it is for training, and would have to know the size of the images
    spec = DataSpec((0, 0), found.input_nc, found.output_nc)
    limits, limits_A = (tuple(config.spec.get(name, ())) for name in ("value_range", "value_range_A"))
    batch_size = config.trained.get("batch_size", 1)
    spec = spec._replace(value_range=limits, value_range_A=limits_A)  # what was found in training holds in tests
    return create_model(config.model_name, replace(config.model, **options), spec, device, batch_size=batch_size)


def _create_drawing(
    path: Path, found: NoiseGeneratorArchitecture, config: Config[TestOptions], device: torch.device
) -> BaseModel:
    """Return a GAN, as yet with initial weights, whose G is ``found`` in ``path``; its classes are called 0, 1, 2 ...

    Raises:
        ValueError: the options ask for a model that translates, or for another generator.
    """
    name, opt = config.model_name, config.model
    if not isinstance(opt, GANModel.Options):
        if config.given:  # a program names no model
            raise ValueError(f"{path} draws from noise (--netG {found.netG}): use --model gan")
        name, opt = "gan", GANModel.Options()
    known = {name: value for name, value in asdict(found).items() if hasattr(opt, name) and name != "norm_eps"}
    known |= {"conditional": found.num_classes > 0}
    for key in sorted(config.given & known.keys()):
        if getattr(opt, key) != known[key]:
            raise ValueError(f"{path} was made with --{key} {shown(known[key])}, not {shown(getattr(opt, key))}")
    spec = DataSpec(found.image_size, found.nc, found.nc, tuple(map(str, range(found.num_classes))))
    opt = replace(opt, **known, netD="mlp", hidden_D=(1,), projection=False)  # the smallest D, which nothing uses
    return create_model(name, opt, spec, device)


def _generators(config: Config[TestOptions]) -> tuple[str, ...]:
    """Return the names under which a generator may have been saved, in the order to look for them."""
    if config.run.model_suffix:
        return (f"G{config.run.model_suffix}",)
    return ("G_B",) if _is_backwards(config) else ("G", "G_A", "G_B")


def _is_backwards(config: Config[TestOptions]) -> bool:
    """Say whether images are to be translated against the direction of the training.

    Of weights alone that know one way, ``--direction`` says which images go in: nothing tells how they were trained.
    """
    asked = getattr(config.data, "direction", "AtoB")
    if "direction" in config.trained:
        return bool(asked != config.trained["direction"])
    opt = config.run
    knows_one_way = any((opt.run_dir / f"{opt.label}_net_G{ema}.pth").exists() for ema in ("", "_ema"))
    return asked == "BtoA" and not knows_one_way


def _wanted(config: Config[TestOptions], found: GeneratorArchitecture) -> GeneratorArchitecture:
    """Return ``found`` with all that the user asked for otherwise."""
    names = config.given & asdict(found).keys()
    return replace(found, **{n: getattr(config.model if hasattr(config.model, n) else config.data, n) for n in names})
