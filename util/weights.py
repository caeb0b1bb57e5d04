"""Files of weights: saved whole, loaded without running code, found by the names of the reference."""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from util.background import Do, at_once
from util.files import written_whole
from util.memory import lack_of_memory
from util.saved_file import check_saved

if TYPE_CHECKING:
    from models.base_model import BaseModel

FOR_TRAINING = "DF"  # first letters of networks without which a model can be shown: discriminators, CUT's features


def save_whole(content: Any, path: Path) -> None:
    """Save with torch.save under a temporary name, then rename.

    Raises:
        OSError: it cannot be written, as when no space is left; what stood at ``path`` is still there.
    """
    try:
        with written_whole(path) as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        if lack_of_memory(error):
            raise
        cause = error if isinstance(error, OSError) else error.__context__
        reason = cause.strerror if isinstance(cause, OSError) else str(error).splitlines()[0]
        raise OSError(f"cannot save {path}: {reason}; what was saved there before is still whole") from None


def load_safely(path: Path) -> Any:
    """Return the tensors and plain values of a file, on the CPU; code in it is never run.

    Raises:
        ValueError: the file is not there, damaged, or holds more than tensors and plain values.
    """
    if not path.exists():
        raise ValueError(f"there is no {path}")
    try:
        check_saved(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(f"{path} is damaged, or holds more than tensors: it was not loaded") from None
    except Exception as error:  # what is no such file makes the reader raise errors of every kind
        if lack_of_memory(error):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} is damaged and was not loaded ({reason:.300})") from None


def load_net(path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict of one network; raise ValueError when the file is damaged or holds something else."""
    state = load_safely(path)
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError(f"{path} does not hold a network: a state dict of tensors is expected")
    return state


def export_nets(folder: Path, labels: Sequence[str], nets: Mapping[str, nn.Module], do: Do = at_once) -> None:
    """Write each network as a plain state dict, ``<label>_net_<name>.pth``, as users of the reference know them."""
    do(_write_nets, folder, labels, {name: net.state_dict() for name, net in nets.items()})


def _write_nets(folder: Path, labels: Sequence[str], states: dict[str, dict[str, Any]]) -> None:
    for label in labels:
        for name, state in states.items():
            save_whole(state, folder / f"{label}_net_{name}.pth")


class NetFile(NamedTuple):
    """The file of a network, and whether it is a moving average."""

    path: Path
    averaged: bool


def find_net(folder: Path, label: str, names: Sequence[str], ema: bool) -> NetFile:
    """Return the file of the first of ``names`` that was saved as ``<label>_net_<name>.pth``, or as its average.

    Args:
        folder: of a run.
        label: latest, the number of an epoch ...
        names: of networks, such as G or G_A.
        ema: prefer ``<label>_net_<name>_ema.pth``.

    Raises:
        ValueError: there is none; the message says which labels there are.
    """
    for name in names:
        for averaged in (True, False) if ema else (False,):
            path = folder / f"{label}_net_{name}{'_ema' * averaged}.pth"
            if path.exists():
                return NetFile(path, averaged)
    files = sorted(p.name for p in folder.glob("*_net_*.pth"))
    labels = sorted({name.split("_net_")[0] for name in files})
    missing = " or ".join(f"{label}_net_{name}.pth" for name in names)
    known = f"there are {', '.join(files)}" if label in labels else f"--epoch can be {', '.join(labels)}"
    raise ValueError(f"there is no {missing} in {folder}; {known if files else 'nothing was saved there yet'}")


def import_net(path: Path, name: str, model: "BaseModel") -> None:
    """Load a file into network ``name`` of ``model``.

    Raises:
        ValueError: it is damaged, of another architecture, or of a generator that diverged.
    """
    state = load_net(path)
    if name[0] not in FOR_TRAINING and (bad := [k for k, t in state.items() if not t.isfinite().all()]):
        raise ValueError(f"{path}: {bad[0]:.60} is not finite, as the training diverged; choose another --epoch or run")
    try:
        model.load_net(name, state)
    except (RuntimeError, ValueError) as error:
        if lack_of_memory(error):
            raise
        reason = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"{path} does not fit network {name} ({reason})") from None


def import_run(folder: Path, label: str, model: "BaseModel", ema: bool, to_train: bool = False) -> str:
    """Load a run's networks into ``model``, the averaged ones in their places if ``ema`` and the run has them.

    Those that only training needs are loaded ``to_train``, if they were saved: weights that are passed on often come
    without, or with a discriminator that other options made.

    Returns:
        A description of the weights, such as "moving average of G".

    Raises:
        ValueError: a network was not saved under ``label``, is damaged or of another architecture.
    """
    averaged = []
    for name in model.nets:
        if name[0] in FOR_TRAINING and not (to_train and (folder / f"{label}_net_{name}.pth").exists()):
            continue
        file = find_net(folder, label, [name], ema)
        import_net(file.path, name, model)
        averaged += [name] * file.averaged
    return f"moving average of {', '.join(averaged)}" if averaged else "weights as trained"
