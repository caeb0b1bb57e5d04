"""Generators as files: what is exported, how it is checked, and what a script says."""

import contextlib
import json
import sys
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from models.exported import exported
from models.trained import load_generator
from scripts import export
from tests.tiny_models import save_run
from util.export import graph as graphs
from util.export.graph import Graph, check, require
from util.export.onnx import PACKAGES, quantized, runner, to_onnx
from util.export.pytorch import program

FAMILIES = [
    *("cgan mlp", "cgan conv", "dcgan conv28", "dcgan conditional", "cvae_gan 28", "gan", "cgan conv projection"),
    *("gan palette", "r3gan palette"),
    *("pix2pix", "cycle_gan", "cycle_gan batch norm", "template"),
]
without_onnx = [name for name in PACKAGES if util.find_spec(name) is None]
needs_onnx = pytest.mark.skipif(bool(without_onnx), reason=f"{', '.join(without_onnx)} not installed")
needs_safetensors = pytest.mark.skipif(util.find_spec("safetensors") is None, reason="safetensors not installed")


def make(case: str, folder: Path, direction: str = "") -> Graph:
    """Return what is exported of a case whose weights, and statistics of norms, are all but their initial ones."""
    save_run(case, folder)
    G = load_generator(folder, device="cpu", direction=direction)
    numbers = torch.Generator().manual_seed(0)
    for name, value in G.model.state_dict().items():
        if value.is_floating_point() and value.ndim > 1 and value.numel():
            value.normal_(0, 1.4 / value[0].numel() ** 0.5, generator=numbers)
        elif name.endswith("running_mean"):
            value.normal_(0, 0.3, generator=numbers)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 2, generator=numbers)
    return exported(G)


@pytest.mark.parametrize("case", [*FAMILIES, "colorization"])
def test_what_is_exported_is_what_is_shown(tmp_path, case):
    save_run(case, tmp_path / "run")
    G: Any = load_generator(tmp_path / "run", device="cpu")
    G.model.train()  # a network in training mode would keep its dropout
    graph = exported(G)
    G.model.eval()
    assert not any(module.training for module in graph.net.modules())
    assert {tuple(value.shape[:1]) for inputs in graph.tries for value in inputs.values()} > {(1,)}  # two batches
    for inputs in graph.tries:
        with torch.no_grad():
            if G.draws:
                wanted = G.model.sample(inputs["z"], inputs.get("label"))
            else:
                wanted = G.translate(inputs["image"])
                assert len({inputs["image"].shape for inputs in graph.tries}) > 1
        assert_close(graph.net(**inputs), wanted)


@pytest.mark.parametrize("case", ["cgan mlp", "cvae_gan 28", "pix2pix", "cycle_gan batch norm", "template"])
def test_a_program_loads_without_the_project_and_makes_the_same_images(tmp_path, case):
    graph = make(case, tmp_path / "run")
    content, difference = program(graph, "fp32")
    assert difference.most == 0
    (tmp_path / "G.pt2").write_bytes(content)
    files = {"card.json": ""}
    loaded = torch.export.load(tmp_path / "G.pt2", extra_files=files).module()
    assert json.loads(files["card.json"])["name"] == "run"
    if graph.card["kind"] == "translation" and graph.card["size_multiple"] > 1:
        multiple = graph.card["size_multiple"]
        least = -(-graph.card["min_size"] // multiple) * multiple
        shape = 3, graph.card["input_nc"], least, least + multiple
        assert loaded(image=torch.zeros(shape)).shape[2:] == shape[2:]
        with pytest.raises(AssertionError, match="Guard failed"):
            loaded(image=torch.zeros(1, shape[1], 4 * multiple + 1, 4 * multiple))


def test_each_direction_of_a_cycle_is_a_network_of_its_own(tmp_path):
    to_B = make("cycle_gan batch norm", tmp_path / "one")
    to_A = make("cycle_gan batch norm", tmp_path / "two", direction="BtoA")
    assert (to_B.card["input_nc"], to_B.card["output_nc"]) == (1, 2)
    assert (to_A.card["input_nc"], to_A.card["output_nc"]) == (2, 1)


def test_a_card_says_what_a_user_needs_and_nothing_of_the_machine(tmp_path):
    save_run("cgan mlp", tmp_path / "run", "/home/me/hands")
    options = tmp_path / "run" / "options.yaml"
    options.write_text(
        options.read_text().replace("run:\n", "run:\n  cache_dir: /home/me/cache\n  init_from: /home/me/other\n")
    )
    card = exported(load_generator(tmp_path / "run"), "CC0").card
    assert "/home/me" not in json.dumps(card)
    assert card["options"]["dataroot"] == "hands"
    assert card["licence"] == "CC0"
    assert card["inputs"] == {"z": "float32 (N, 8), standard normal", "label": "int64 (N,), index of the class"}
    assert card["outputs"] == {"image": "float32 (N, 1, 8, 8) in [-1, 1]"}
    assert card["classes"] == ["0", "1", "2", "3"]
    assert card["batch_norm"] == "running statistics"


def test_batch_norm_that_saw_single_images_is_said_to_use_their_own_statistics(tmp_path):
    save_run("pix2pix", tmp_path / "run", batch_size=1)
    assert make("pix2pix", tmp_path / "other").card["batch_norm"] == "running statistics"
    card = exported(load_generator(tmp_path / "run")).card
    assert card["batch_norm"] == "statistics of each image, as it was trained on one at a time"
    assert make("pix2pix wgangp", tmp_path / "third").card["batch_norm"] == "none"


# --- the check


class Doubling(nn.Module):
    def forward(self, image):
        return 2 * image


def make_doubling() -> Graph:
    tries = [{"image": torch.rand(1, 1, 4, 4)}, {"image": torch.rand(2, 1, 4, 6)}]
    return Graph(Doubling(), tries[0], {}, tries, "translated", {})


def test_a_difference_is_told_in_grey_levels():
    difference = check(make_doubling(), "int8", lambda inputs: 2 * inputs["image"] + 1 / 127.5)
    assert difference.most == pytest.approx(1, rel=1e-4) and difference.mean == pytest.approx(1, rel=1e-4)
    assert str(difference) == "at most 1 grey levels of 255, 1 on average"


@pytest.mark.parametrize(
    ("weights", "run", "complaint"),
    [
        (
            "fp32",
            lambda inputs: 2 * inputs["image"] + 0.01,
            "with fp32 weights images differ from PyTorch's by at most",
        ),
        ("int8", lambda inputs: 2 * inputs["image"] + 0.1, "try another --epoch or --weights fp16"),
        ("fp16", lambda inputs: inputs["image"] * torch.nan, "with fp16 weights images differ"),
        (
            "fp32",
            lambda inputs: inputs["image"][:1] * 2,
            r"for image \(2, 1, 4, 6\) the exported network gives \(1, 1, 4",
        ),
    ],
)
def test_what_is_not_the_same_network_is_refused(weights, run, complaint):
    with pytest.raises(ValueError, match=complaint):
        check(make_doubling(), weights, run)


def test_quantized_weights_are_within_half_a_step_of_each_channel():
    values = (
        np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
        * np.array([1, 100, 0], np.float32)[:, None, None]
    )
    numbers, scales = quantized(values, 0)
    assert numbers.dtype == np.int8 and scales.shape == (3,)
    back = numbers * scales[:, None, None]
    assert (np.abs(back - values) <= scales[:, None, None] / 2 + 1e-6).all()
    assert abs(numbers[0]).max() == abs(numbers[1]).max() == 127
    assert (back[2] == 0).all()


# --- ONNX


@needs_onnx
@pytest.mark.parametrize("case", FAMILIES)
def test_onnx_makes_the_same_images(tmp_path, case):
    _, difference = to_onnx(make(case, tmp_path / "run"), "fp32")
    assert difference.most < 0.01
    assert not list(tmp_path.glob("*.data"))


@needs_onnx
@pytest.mark.parametrize(("weights", "part", "most"), [("fp16", 0.62, 1), ("int8", 0.4, 24)])
@pytest.mark.parametrize("case", ["cgan conv", "cycle_gan", "gan res"])
def test_fewer_bits_make_a_smaller_file_and_nearly_the_same_images(tmp_path, case, weights, part, most):
    save_run(case, tmp_path / "run")
    graph = exported(load_generator(tmp_path / "run", device="cpu"))
    whole, _ = to_onnx(graph, "fp32")
    content, difference = to_onnx(graph, weights)
    weight_bytes = sum(4 * p.numel() for p in graph.net.parameters())
    assert len(whole) - len(content) > (1 - part) * weight_bytes
    assert 0 < difference.most < most


@needs_onnx
def test_onnx_holds_the_card_and_runs_on_other_batches_and_sides(tmp_path):
    import onnx

    graph = make("cycle_gan", tmp_path / "run")
    content, _ = to_onnx(graph, "fp32")
    model = onnx.load_from_string(content)
    texts = {entry.key: entry.value for entry in model.metadata_props}
    assert texts["kind"] == "translation" and json.loads(texts["inputs"]) == graph.card["inputs"]
    assert model.doc_string.startswith("run: not stated")
    (image,) = model.graph.input
    assert [d.dim_param or d.dim_value for d in image.type.tensor_type.shape.dim] == ["batch", 3, "4*rows", "4*columns"]
    inputs = {"image": torch.rand(3, 3, 8, 20)}
    assert_close(runner(content)(inputs), graph.net(**inputs), atol=1e-4, rtol=0)


@needs_safetensors
def test_safetensors_hold_the_weights_of_the_generator(tmp_path):
    from safetensors import safe_open

    from util.export.pytorch import tensors

    model = save_run("cgan mlp", tmp_path / "run")
    content, _ = tensors(exported(load_generator(tmp_path / "run")), "fp32")
    (tmp_path / "G.safetensors").write_bytes(content)
    with safe_open(tmp_path / "G.safetensors", "pt") as file:
        assert json.loads(file.metadata()["card"])["model"] == "cgan"
        assert_close({name: file.get_tensor(name) for name in file.keys()}, dict(model.netG.state_dict()))  # noqa: SIM118


# --- the script


def call(folder: Path, capsys: Any, *words: str) -> tuple[int, str, str]:
    with contextlib.chdir(folder):
        try:
            export.main(words)
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
    return status, *capsys.readouterr()


def test_the_script_writes_one_file_and_says_what_it_is(tmp_path, capsys):
    save_run("cgan mlp", tmp_path / "checkpoints" / "hands")
    status, out, err = call(tmp_path, capsys, "--format", "torch", "--licence", "CC0")
    assert (status, err) == (0, "")
    assert (
        "hands, epoch latest, weights as trained, fp32\ninputs: z float32 (N, 8), standard normal; label int64" in out
    )
    assert "differs from PyTorch by at most 0 grey levels" in out
    (file,) = (p for p in (tmp_path / "results").rglob("*") if p.is_file())
    assert file == tmp_path / "results/hands/hands_latest.pt2"
    assert f"file: {file}, 0.0" in out
    status, out, err = call(tmp_path, capsys, "--format", "torch", "--name", "hands", "--output", "mine/G.pt2")
    assert status == 0 and (tmp_path / "mine" / "G.pt2").is_file()


def test_nothing_is_left_behind_when_it_differs(tmp_path, capsys, monkeypatch):
    save_run("cgan mlp", tmp_path / "checkpoints" / "hands")
    monkeypatch.setitem(graphs.LIMITS, "fp32", (-1, -1))
    status, out, err = call(tmp_path, capsys, "--format", "torch")
    assert status == 1 and out == "" and len(err.splitlines()) == 1 and "nothing was written" in err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        ("--name hnads", 2, "error: no run 'hnads' in checkpoints/; did you mean 'hands'?"),
        ("--format pickle", 2, "--format: 'pickle' is not a choice"),
        ("--epoch 7 --format torch", 1, "there is no 7_net_G.pth in"),
        ("--format torch --weights int8", 1, "--weights int8: --format torch keeps them as they are"),
        ("--format torch --direction BtoA", 1, "this model has learnt one way only"),
        ("--form torch", 2, "there is no option --form here; did you mean '--format'?"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, capsys, words, status, complaint):
    save_run("cgan mlp", tmp_path / "checkpoints" / "hands")
    found, out, err = call(tmp_path, capsys, *words.split())
    assert (found, out, len(err.splitlines())) == (status, "", 1)
    assert complaint in err


@pytest.mark.parametrize("kind", ["onnx", "web", "safetensors"])
def test_missing_packages_are_named_with_the_command_that_helps(tmp_path, capsys, monkeypatch, kind):
    save_run("cgan mlp", tmp_path / "checkpoints" / "hands")
    present = util.find_spec
    monkeypatch.setattr(
        util, "find_spec", lambda name, *rest: None if name in (*PACKAGES, "safetensors") else present(name)
    )
    status, _, err = call(tmp_path, capsys, "--format", kind)
    needed = "safetensors" if kind == "safetensors" else "onnx, onnxscript, onnxruntime"
    assert status == 1
    assert err == f"export.py: error: --format {kind} needs {needed}: pip install -r requirements-export.txt\n"


def test_the_packages_asked_for_are_those_of_the_requirements():
    lines = (Path(__file__).parents[1] / "requirements-export.txt").read_text().splitlines()
    names = {line.split(">=")[0] for line in lines if not line.startswith("#")}
    assert names == {*PACKAGES, "safetensors"}
    require([name for name in names if util.find_spec(name)], "nothing")
    for name in names & {d.metadata["Name"] for d in metadata.distributions()}:
        floor = next(line.split(">=")[1].split()[0] for line in lines if line.startswith(f"{name}>="))
        assert tuple(map(int, metadata.version(name).split(".")[:2])) >= tuple(map(int, floor.split("."))), name


def test_the_licence_is_that_of_the_data(tmp_path):
    (tmp_path / "card.yaml").write_text("licence: CC BY 4.0\nabout: hands\n")
    assert export.licence_of(str(tmp_path)) == "data: CC BY 4.0"
    assert export.licence_of("rps_mini").startswith("data: even-numbered images Apache-2.0")
    assert export.licence_of("") == export.licence_of(str(tmp_path / "none")) == ""


def test_help_does_not_wait_for_torch():
    import subprocess

    code = (
        "import sys; from scripts import export\n"
        "try: export.main(['--help'])\n"
        "except SystemExit: print([m for m in ('torch', 'onnx', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert "--format" in done.stdout
