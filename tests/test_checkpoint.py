"""Checkpoints: written whole or not at all, read without running what is in them, by one process at a time."""

import errno
import os
import pickle
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.bench import SMALL, in_child
from tests.test_resume import interrupted
from util.displays.display import Visualizer
from util.displays.logs import LossCsv, TextLogs
from util.training.checkpoint import FORMAT, Checkpoint
from util.training.meter import LossMeter
from util.training.moving_average import MovingAverage
from util.training.schedule import Plateau
from util.types import Progress
from util.weights import export_nets, import_net, import_run, load_safely, save_whole


class TinyModel(nn.Module):
    """What a checkpoint sees of a model."""

    def __init__(self, width=3):
        super().__init__()
        self.netG = nn.Linear(2, width)

    @property
    def nets(self):
        return {"G": self.netG}

    def load_net(self, name, state):
        self.nets[name].load_state_dict(state)


def tiny(width: int = 3) -> Any:
    """Return what these tests take for a BaseModel."""
    return TinyModel(width)


def create_parts(folder, width=3):
    """Return one object of each kind that a run saves, none of them as it is at the start."""
    torch.manual_seed(width)
    model = TinyModel(width)
    optimizer = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.1))
    model.netG(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    average = MovingAverage(model, ["netG"], 0.9)
    average.update()
    meter, plateau, losses = LossMeter(), Plateau(), LossCsv(folder)
    meter.add({"G": torch.tensor(0.5)})
    meter.count(["G"])
    plateau.update(1.0)
    at = Progress(epoch=2, step=7, images=14, epoch_step=2)
    losses.write(at, {"G": 0.5})
    logs = TextLogs(folder)
    logs.write_losses(at, {"G": 0.5}, 1.0, 0.5)
    return {
        "progress": at,
        "meter": meter,
        "plateau": plateau,
        "model": model,
        "optimizer_G": optimizer,
        "moving_average": average,
        "losses_csv": losses,
        "logs": Visualizer([logs], folder),
    }


PARTS = ["progress", "meter", "plateau", "model", "optimizer_G", "moving_average", "losses_csv", "logs"]


@pytest.fixture
def checkpoint(tmp_path):
    checkpoint = Checkpoint(tmp_path, create_parts(tmp_path))
    checkpoint.save()
    return checkpoint


def test_everything_comes_back(checkpoint, tmp_path):
    assert list(checkpoint.parts) == PARTS
    states = load_safely(checkpoint.path)
    other = create_parts(tmp_path)
    for p in other["model"].parameters():
        nn.init.zeros_(p)
    other["progress"] = Progress()
    other["losses_csv"].write(Progress(9, 9, 9, 9), {"D": 1.0})
    Checkpoint(tmp_path, other).load()
    for name, part in other.items():
        again = part.state_dict()
        assert repr(again) == repr(states[name]), name
    assert torch.equal(other["model"].netG.weight, checkpoint.parts["model"].netG.weight)
    assert (tmp_path / "losses.csv").read_text() == "epoch,step,images,G\n2,7,14,0.5\n"


@pytest.mark.parametrize("part", [0, 1, 20, 50, 90, 99])
def test_a_file_cut_short_is_named(checkpoint, part):
    whole = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(whole[: len(whole) * part // 100])
    with pytest.raises(ValueError, match=r"latest_state.pth is damaged") as error:
        checkpoint.load()
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_checkpoint_are_never_more_than_a_value_error(checkpoint, tmp_path):
    numbers, good = random.Random(0), checkpoint.path.read_bytes()
    torch.save({"a": torch.ones(3)}, tmp_path / "old", _use_new_zipfile_serialization=False)
    old = (tmp_path / "old").read_bytes()
    texts = [old[:n] for n in range(0, len(old), 3)]
    texts += [bytes([0x80, 2, *numbers.randbytes(numbers.randrange(60))]) for _ in range(100)]
    texts += [numbers.randbytes(numbers.randrange(1, 200)) for _ in range(100)]
    texts += [b"\x89PNG\r\n\x1a\n", b"PK\x03\x04" + numbers.randbytes(90), good[:100] + b"\0" * 100 + good[200:]]
    for text in texts:
        checkpoint.path.write_bytes(text)
        with pytest.raises(ValueError, match=r"latest_state.pth"):
            checkpoint.load()


class Hostile:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_not_run(checkpoint, tmp_path, zipped):
    target = tmp_path / "hacked"
    content = {"format": FORMAT} | dict.fromkeys(PARTS, Hostile(target))
    torch.save(content, checkpoint.path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"latest_state\.pth .*it was not loaded"):
        checkpoint.load()
    export_nets(tmp_path, ["latest"], checkpoint.parts["model"].nets)
    shutil.copy(checkpoint.path, tmp_path / "latest_net_G.pth")
    with pytest.raises(ValueError, match=r"latest_net_G\.pth .*it was not loaded"):
        import_run(tmp_path, "latest", checkpoint.parts["model"], ema=False)
    checkpoint.path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(ValueError, match=r"latest_state.pth"):
        checkpoint.load()
    assert not target.exists()
    torch.load(tmp_path / "latest_net_G.pth", weights_only=False)  # it would have been
    assert target.exists()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"format": FORMAT + 1}, f"is of format {FORMAT + 1}, this version reads {FORMAT}"),
        ({"weight": torch.ones(2)}, f"is of format None, this version reads {FORMAT}"),
        (torch.ones(2), f"is of format Tensor, this version reads {FORMAT}"),
        ([], f"is of format list, this version reads {FORMAT}"),
        ({"format": FORMAT}, "lacks logs, losses_csv, meter, model"),
    ],
)
def test_another_format_is_named(checkpoint, content, complaint):
    torch.save(content, checkpoint.path)
    with pytest.raises(ValueError, match=complaint):
        checkpoint.load()


@pytest.mark.parametrize("junk", [None, 5, "x", {"state": 5}], ids=repr)
@pytest.mark.parametrize("part", [p for p in PARTS if p not in ("progress", "logs")])
def test_a_part_that_holds_something_else_is_named(checkpoint, part, junk):
    torch.save(load_safely(checkpoint.path) | {part: junk}, checkpoint.path)
    with pytest.raises(ValueError, match=rf"does not fit this model \({part}: .") as error:
        checkpoint.load()
    assert "\n" not in str(error.value)


def test_another_architecture_is_refused_before_a_log_is_touched(checkpoint, tmp_path):
    other = create_parts(tmp_path, width=4)
    logs = (tmp_path / "losses.csv").read_bytes(), (tmp_path / "loss_log.txt").read_bytes()
    with pytest.raises(ValueError, match=r"does not fit this model \(model: size mismatch") as error:
        Checkpoint(tmp_path, other).load()
    assert "\n" not in str(error.value)
    assert logs == ((tmp_path / "losses.csv").read_bytes(), (tmp_path / "loss_log.txt").read_bytes())


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"there is no .*latest_state.pth"):
        Checkpoint(tmp_path, {}).load()
    (tmp_path / "latest_state.pth").mkdir()
    with pytest.raises(ValueError, match=r"latest_state.pth"):
        Checkpoint(tmp_path, {}).load()


# --- networks for others


def test_networks_are_plain_state_dicts(tmp_path):
    model = tiny()
    export_nets(tmp_path, ["5"], model.nets)
    content = torch.load(tmp_path / "5_net_G.pth", weights_only=True)
    assert list(content) == ["weight", "bias"]
    other = tiny()
    import_net(tmp_path / "5_net_G.pth", "G", other)
    assert torch.equal(other.netG.weight, model.netG.weight)


def test_the_moving_average_is_taken_where_there_is_one(tmp_path):
    model, average = tiny(), tiny()
    export_nets(tmp_path, ["latest"], model.nets | {"G_ema": average.netG})
    other = tiny()
    assert import_run(tmp_path, "latest", other, ema=True) == "moving average of G"
    assert torch.equal(other.netG.weight, average.netG.weight)
    assert import_run(tmp_path, "latest", other, ema=False) == "weights as trained"
    assert torch.equal(other.netG.weight, model.netG.weight)
    (tmp_path / "latest_net_G_ema.pth").unlink()
    assert import_run(tmp_path, "latest", other, ema=True) == "weights as trained"


def test_networks_that_are_missing_or_different_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"there is no 5_net_G.pth in .*; nothing was saved there yet"):
        import_run(tmp_path, "5", tiny(), ema=False)
    export_nets(tmp_path, ["latest", "10"], tiny().nets)
    with pytest.raises(ValueError, match=r"there is no 5_net_G.pth in .*; --epoch can be 10, latest"):
        import_run(tmp_path, "5", tiny(), ema=False)
    with pytest.raises(ValueError, match=r"10_net_G.pth does not fit network G \(size mismatch") as error:
        import_run(tmp_path, "10", tiny(width=4), ema=False)
    assert "\n" not in str(error.value)
    contents: list[object] = [None, 5, [], {"weight": 5}, torch.ones(2)]
    for junk in contents:
        torch.save(junk, tmp_path / "10_net_G.pth")
        with pytest.raises(ValueError, match=r"10_net_G.pth does not hold a network"):
            import_run(tmp_path, "10", tiny(), ema=False)


# --- no space left


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own with room for 64 KiB; skips where only root may have one and we are not."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_previous_checkpoint_whole(small_disk):
    path = small_disk / "latest_state.pth"
    save_whole({"a": torch.ones(1000)}, path)
    before = path.read_bytes()
    for content in ({"a": torch.zeros(100_000)}, {str(i): torch.zeros(100) for i in range(1000)}):
        with pytest.raises(
            OSError, match=r"cannot save .*latest_state.pth: No space left on device; what was"
        ) as error:
            save_whole(content, path)
        assert "\n" not in str(error.value)
        assert path.read_bytes() == before
        assert [p.name for p in small_disk.iterdir()] == ["latest_state.pth"]


def test_any_disk_that_fills_up_leaves_the_previous_checkpoint_whole(tmp_path, monkeypatch):
    path = tmp_path / "latest_state.pth"
    save_whole({"a": torch.ones(10)}, path)
    before = path.read_bytes()

    def full(_file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"cannot save .*: No space left on device"):
        save_whole({"a": torch.zeros(10)}, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["latest_state.pth"]


def test_a_run_on_a_full_disk_ends_in_one_line_and_goes_on_when_there_is_room(bench, monkeypatch):
    bench.small("--name whole --n_epochs 2")
    write = torch.save

    def full(content, file):
        if isinstance(content.get("progress"), dict) and content["progress"]["step"] == 7:
            file.write(b"begun")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(content, file)

    options = f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name a --n_epochs 2 --save_latest_freq 2"
    monkeypatch.setattr(torch, "save", full)
    outcome = bench.train(options)
    monkeypatch.undo()
    assert outcome.status == 1
    assert outcome.err == (
        "train.py: error: cannot save checkpoints/a/latest_state.pth: No space left on device; "
        "what was saved there before is still whole\n"
    )
    assert load_safely(bench.run_dir("a") / "latest_state.pth")["progress"]["step"] == 6
    assert bench.train("--name a --continue_train").status == 0
    networks = [torch.load(bench.run_dir(name) / "latest_net_G.pth") for name in ("a", "whole")]
    assert all(torch.equal(networks[0][k], networks[1][k]) for k in networks[1])


# --- damaged runs, as a user sees them


@pytest.fixture
def trained(bench):
    """A bench with the run ``a``."""
    bench.small("--name a --n_epochs 1")
    return bench


def files(folder):
    """Return what all files hold, apart from the page's frame and the lock, which a process loses by opening it."""
    paths = [p for p in folder.rglob("*") if p.is_file() and p.name not in ("index.html", ".lock")]
    return {p: p.read_bytes() for p in paths}


@pytest.mark.parametrize("damage", ["cut", "empty", "hostile", "gone", "another"])
def test_a_damaged_state_is_one_line_and_nothing_is_lost(trained, damage):
    path = trained.run_dir("a") / "latest_state.pth"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "hostile":
        torch.save(Hostile(trained.folder / "hacked"), path)
    elif damage == "gone":
        path.unlink()
    else:
        trained.small("--name b --n_epochs 1 --hidden_G 9")
        shutil.copy(trained.run_dir("b") / "latest_state.pth", path)
    before = files(trained.run_dir("a"))
    outcome = trained.train("--name a --continue_train --n_epochs 2")
    assert outcome.status == 1
    assert outcome.err.count("\n") == 1
    assert "checkpoints/a/latest_state.pth" in outcome.err
    assert not (trained.folder / "hacked").exists()
    assert files(trained.run_dir("a")) == before


@pytest.mark.parametrize("damage", ["cut", "hostile", "another"])
def test_a_damaged_network_is_one_line_of_test_py_too(trained, damage):
    path = trained.run_dir("a") / "latest_net_G.pth"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "hostile":
        torch.save({"main.0.weight": Hostile(trained.folder / "hacked")}, path)
    else:
        torch.save({}, path)
    outcome = trained.test("--name a")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert "checkpoints/a/latest_net_G.pth" in outcome.err
    assert not (trained.folder / "hacked").exists()


# --- one process at a time


def test_a_second_process_is_kept_out_and_harms_nothing(trained):
    folder = trained.run_dir("a")

    def intrude(options):
        outcome = trained.train(f"--name a --batch_size 2 {options}")
        assert outcome.err == "train.py: error: checkpoints/a is in use by another process\n"
        return outcome

    def intrude_twice():
        before = files(folder)
        assert in_child(lambda: intrude("--continue_train --n_epochs 4")) == 1
        assert in_child(lambda: intrude(f"--overwrite --model cgan --dataroot hands --n_epochs 1 {SMALL}")) == 1
        assert files(folder) == before

    trained.small("--name b --n_epochs 3")
    with interrupted(7, intrude_twice):
        assert trained.train("--name a --continue_train --n_epochs 3").status == 0
    assert (folder / "losses.csv").read_bytes() == (trained.run_dir("b") / "losses.csv").read_bytes()


# --- names


@pytest.mark.parametrize("name", ["two words", "it's", "Hände 手 ✋", "50% #1 & more; $HOME `x`", "=1+2"])
def test_a_run_of_any_name_trains_goes_on_and_is_tested(bench, name):
    bench.small("--n_epochs 1", "--name", name)
    outcome = bench.train("--continue_train --n_epochs 2", "--name", name)
    assert outcome.status == 0, outcome.err
    outcome = bench.test("--num_test 2", "--name", name)
    assert outcome.status == 0, outcome.err
    page = bench.folder / "results" / name / "test_latest" / "index.html"
    assert str(page) in outcome.out
    assert page.exists()
    assert Path(bench.run_dir(name) / "web" / "index.html").exists()
