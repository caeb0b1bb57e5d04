"""The page that runs a model: what is in it, and its scripts by themselves."""

import base64
import contextlib
import gzip
import html.parser
import io
import json
import re
import shutil
import subprocess
import tarfile
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from models.exported import exported
from models.trained import load_generator
from scripts import export, onnxruntime_web, renew_pages
from tests.tiny_models import save_run
from util.export.onnx import PACKAGES
from util.export.web_page import (
    ASSETS,
    ORT_SCRIPT,
    ORT_WASM,
    SCRIPTS,
    check_card,
    model_page,
    ort_script,
    pens,
    renewed,
)
from util.results.interpolation import truncated, walk
from util.seeding import generator

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node not installed")
needs_onnx = pytest.mark.skipif(any(util.find_spec(name) is None for name in PACKAGES), reason="no onnx packages here")
GREY = Image.new("L", (4, 4), 100)


@pytest.fixture
def ort(tmp_path):
    folder = tmp_path / "ort"
    folder.mkdir()
    source = "/*! MIT */var a=1,b=2,c={},u=import.meta.url;export{b as Tensor,a as InferenceSession,c as env};\n"
    (folder / ORT_SCRIPT).write_text(source + "//# sourceMappingURL=ort.map\n")
    (folder / ORT_WASM).write_bytes(b"\0asm" + bytes(100))
    return folder


class Reader(html.parser.HTMLParser):
    """Collects what a page would load, and the texts of its scripts by id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.scripts: dict[str, str] = {}
        self.tags: list[str] = []
        self._script: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.loads += [values[key] for key in ("src", "href") if key in values]
        self._script = values.get("id", str(len(self.scripts))) if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._script = None


def make_card(tmp_path: Path, case: str = "cgan mlp", **changes: Any) -> dict[str, Any]:
    if not (tmp_path / "run").exists():
        save_run(case, tmp_path / "run")
    return exported(load_generator(tmp_path / "run")).card | {"stored": "fp16"} | changes


def test_a_page_holds_all_it_needs_and_loads_nothing(tmp_path, ort):
    card = make_card(tmp_path)
    page = Reader(model_page(b"the model", card, "Hands", ort_script(ort), GREY).decode())
    assert page.loads and all(url.startswith("data:image/jpeg;base64,") for url in page.loads)
    assert gzip.decompress(base64.b64decode(page.scripts["model"])) == b"the model"
    assert json.loads(page.scripts["card"])["classes"] == ["0", "1", "2", "3"]
    (runtime,) = (text for text in page.scripts.values() if text.startswith("var ORT"))
    script = re.search(r'script: (".*"), wasm: "(.*)"', runtime)
    assert script and gzip.decompress(base64.b64decode(script[2])) == (ort / ORT_WASM).read_bytes()
    source = json.loads(script[1])
    assert source.startswith("const { InferenceSession, Tensor, env } = (() => {/*! MIT */")
    assert "return { InferenceSession: a, Tensor: b, env: c }" in source
    assert not {"export", "import.meta", "sourceMappingURL"} & set(
        re.findall(r"export|import\.meta|sourceMappingURL", source)
    )


def test_pages_can_share_one_runtime(tmp_path):
    page = Reader(model_page(b"m", make_card(tmp_path), "Hands", "", GREY).decode())
    assert [url for url in page.loads if not url.startswith("data:")] == ["ort.js"]


def test_names_of_people_are_text_and_not_markup(tmp_path, ort):
    bad = "</script><img src=x onerror=alert(1)><!-- \u2028"
    card = make_card(tmp_path, name=bad, classes=[bad, "b"], licence=bad, model=bad)
    page = Reader(model_page(b"m", card, bad, ort_script(ort), GREY).decode())
    assert json.loads(page.scripts["card"])["classes"] == [bad, "b"]
    assert page.tags.count("img") == 1  # the picture for browsers that cannot run it


@pytest.mark.parametrize("case", ["cgan mlp", "pix2pix"])
def test_ids_that_scripts_ask_for_are_in_the_page(tmp_path, ort, case):
    text = model_page(b"m", make_card(tmp_path, case), "x", ort_script(ort), GREY).decode()
    kind = "translation" if case == "pix2pix" else "noise"
    asked = set(re.findall(r'byId\("([\w-]+)"\)', "".join((ASSETS / name).read_text() for name in SCRIPTS[kind])))
    assert asked <= set(re.findall(r'id="([\w-]+)"', text))
    for control in re.findall(r"<(?:input|select|canvas)[^>]*>", text):
        named = "aria-label" in control or "hidden" in control
        assert named or re.search(rf"<label[^>]*>[^<]*{re.escape(control)}", text), control


def test_other_releases_of_the_runtime_are_refused(ort):
    with pytest.raises(ValueError, match=r"there is no ort.wasm.bundle.min.mjs; it is in dist/ of the package"):
        ort_script(ort.parent)
    (ort / ORT_SCRIPT).write_text("var a;export{a as Tensor};")
    with pytest.raises(ValueError, match=r"is not built as that of onnxruntime-web 1.30 is"):
        ort_script(ort)


def test_images_that_no_browser_shows_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--format web shows grey and RGB images, and run has 2 channels"):
        check_card(make_card(tmp_path, channels=2))
    with pytest.raises(ValueError, match="and run has 4 channels"):
        check_card({"kind": "translation", "name": "run", "input_nc": 4, "output_nc": 3})


def test_pens_have_the_colours_of_a_label_map_but_not_of_a_photo():
    labels = Image.new("RGB", (64, 64), "white")
    labels.paste((0, 0, 170), (0, 0, 32, 64))
    labels.paste((170, 0, 0), (0, 0, 8, 8))
    assert pens([labels]) == ["#0000aa", "#aa0000", "#ffffff"]
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    assert pens([photo]) == pens([]) and pens([])[-1] == "#ffffff"


# --- onnxruntime-web


def test_the_runtime_is_unpacked_once(tmp_path, ort, monkeypatch):
    calls = []

    def fetch(remote, path):
        calls.append(remote)
        with tarfile.open(path, "w:gz") as package:
            for name in (ORT_SCRIPT, ORT_WASM):
                package.add(ort / name, f"package/dist/{name}")

    monkeypatch.setattr(onnxruntime_web, "fetch", fetch)
    for _ in range(2):
        folder = onnxruntime_web.find_ort(tmp_path / "cache" / "ort")
    assert sorted(p.name for p in folder.iterdir()) == [ORT_WASM, ORT_SCRIPT]
    assert (folder / ORT_WASM).read_bytes() == (ort / ORT_WASM).read_bytes()
    assert calls == [onnxruntime_web.PACKAGE]


def test_without_a_network_one_line_says_what_to_do(tmp_path, monkeypatch):
    def fetch(remote, path):
        raise ConnectionError(f"{remote.urls[0]} (Name or service not known)")

    monkeypatch.setattr(onnxruntime_web, "fetch", fetch)
    with pytest.raises(ValueError, match=r"cannot be fetched: https://registry.npmjs.org/.*not known.*--ort$") as error:
        onnxruntime_web.find_ort(tmp_path / "ort")
    assert "\n" not in str(error.value)


# --- the script


def test_examples_are_test_images_of_the_run(tmp_path, capsys):
    for part in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / "pairs" / part).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (32, 32), (i * 50, 9, 200)).save(tmp_path / "pairs" / part / f"{i}.png")
    options = {"load_size": 32, "crop_size": 32}
    save_run("pix2pix", tmp_path / "checkpoints" / "mine", str(tmp_path / "pairs"))
    file = tmp_path / "checkpoints" / "mine" / "options.yaml"
    file.write_text(file.read_text() + "".join(f"  {k}: {v}\n" for k, v in options.items()))
    opt = export.parse(["--checkpoints_dir", str(tmp_path / "checkpoints"), "--format", "web"])
    examples = export.find_examples(opt)
    assert [image.getpixel((3, 3)) for image in examples] == [(0, 9, 200), (50, 9, 200)]
    G = load_generator(tmp_path / "checkpoints" / "mine")
    assert export.preview(G, examples).width < export.preview(G, [*examples, *examples]).width
    shutil.rmtree(tmp_path / "pairs")
    assert export.find_examples(opt) == []
    assert "warning: the page begins without examples" in capsys.readouterr().err
    file.unlink()
    assert export.find_examples(opt) == []
    assert export.preview(G, []).mode == "RGB"


@needs_onnx
@pytest.mark.parametrize("words", [(), ("--no_one_file", "--weights", "int8")], ids=["one file", "shared"])
def test_the_script_writes_a_page(tmp_path, ort, capsys, words):
    save_run("cgan mlp", tmp_path / "checkpoints" / "my_hands")
    with contextlib.chdir(tmp_path):
        export.main(["--format", "web", "--ort", str(ort), *words])
    assert "differs from PyTorch by" in capsys.readouterr().out
    folder = tmp_path / "results" / "my_hands"
    text = (folder / "my_hands_latest.html").read_text()
    assert "<h1>my hands</h1>" in text
    assert (folder / "ort.js").exists() == bool(words)
    assert ("fp16" if not words else "int8") == json.loads(Reader(text).scripts["card"])["stored"]


# --- the scripts of the page, where there is a node to run them


def node(files: tuple[str, ...], expression: str) -> Any:
    source = "".join((ASSETS / name).read_text() for name in files)
    done = subprocess.run(
        ["node", "-e", f"{source}\nconsole.log(JSON.stringify({expression}))"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_node
def test_a_seed_gives_the_noise_that_torch_gives():
    keys = [(0, 0, 8), (1, 3, 15), (7, 2, 16), (2**31 - 1, 999, 17), (5, 1, 100), (3, 0, 128)]
    found = node(("random.js",), f"{json.dumps(keys)}.map((key) => Array.from(latent(...key)))")
    for (seed, i, length), values in zip(keys, found, strict=True):
        wanted = torch.randn(length, generator=generator(seed, i))
        torch.testing.assert_close(torch.tensor(values), wanted, atol=1e-6, rtol=0)


@needs_node
def test_truncation_and_walks_are_those_of_test_py():
    a, b = torch.randn(2, 12, generator=torch.Generator().manual_seed(0))
    vectors = f"Float32Array.from({a.tolist()}), Float32Array.from({b.tolist()})"
    on_the_way, cut, none, beside = node(
        ("random.js",),
        "((a, b) => [between(a, b, 0.25), truncated(a, 0.7), truncated(a, 0), between(a, a, 0.3)]"
        f".map((v) => Array.from(v)))({vectors})",
    )
    torch.testing.assert_close(torch.tensor(on_the_way), walk(a, b, 5, "slerp")[1], atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.tensor(cut), truncated(a, 0.7), atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.tensor([none, beside]), torch.stack([a, a]), atol=1e-6, rtol=0)


@needs_node
def test_gifs_open_elsewhere(tmp_path):
    width, height = 40, 30
    ramp = np.zeros((2, height, width, 4), np.uint8)
    ramp[0, ..., 0] = np.arange(width) * 6  # 40 colours: all are kept, but for neighbours in the upper five bits
    ramp[1, ..., 2] = np.arange(height)[:, None] * 8
    frames = json.dumps([{"width": width, "height": height, "data": frame.ravel().tolist()} for frame in ramp])
    content = bytes(node(("gif.js",), f"Array.from(encodeGif({frames}, 60))"))
    (tmp_path / "walk.gif").write_bytes(content)
    with Image.open(tmp_path / "walk.gif") as gif:
        assert (gif.format, gif.size, gif.info["duration"], gif.info["loop"]) == ("GIF", (40, 30), 60, 0)
        for i in range(2):
            gif.seek(i)
            assert np.abs(np.asarray(gif.convert("RGB"), int) - ramp[i, ..., :3]).max() <= 4


@needs_node
@pytest.mark.parametrize("how", [{"lossless": True}, {"quality": 90}, {"mode": "RGBA"}], ids=["VP8L", "VP8", "ALPH"])
def test_still_webps_become_a_film_that_opens_elsewhere(tmp_path, how):
    stills, images = [], []
    for level in (20, 120, 250):
        image = Image.new(how.get("mode", "RGB"), (41, 30), (level, 60, 9, 128)[: 4 if "mode" in how else 3])
        file = io.BytesIO()
        image.save(file, "WEBP", **{k: v for k, v in how.items() if k != "mode"})
        stills.append(list(file.getvalue()))
        images.append(np.asarray(image, int))
    files = f"{json.dumps(stills)}.map((bytes) => Uint8Array.from(bytes))"
    content = bytes(node(("webp.js",), f"Array.from(muxWebp({files}, 41, 30, 60))"))
    assert int.from_bytes(content[4:8], "little") == len(content) - 8
    (tmp_path / "walk.webp").write_bytes(content)
    with Image.open(tmp_path / "walk.webp") as film:
        assert (film.format, film.size, film.info["loop"]) == ("WEBP", (41, 30), 0)
        assert len(list(ImageSequence.Iterator(film))) == 3
        for i, pixels in enumerate(images):
            film.seek(i)
            film.load()
            assert film.info["duration"] == 60
            assert np.abs(np.asarray(film.convert("RGBA"), int)[..., : pixels.shape[2]] - pixels).max() <= 6


@needs_node
def test_padding_is_that_of_the_networks():
    from models.networks.sides import reflect

    places = [(5, 16), (1, 8), (41, 64), (8, 8)]
    card = "globalThis.document = { getElementById: () => ({ textContent: '{}' }) };"
    source = (ASSETS / "translate.js").read_text().replace("begin(translatePage);", "")
    code = (
        f"{card}{source}\nconsole.log(JSON.stringify({places}.map(([n, m]) => mirrored(n, m, (m - n) >> 1))))".replace(
            "(", "("
        )
    )
    code = code.replace(f"{places}", json.dumps(places))
    done = subprocess.run(["node", "-e", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for (length, wanted), found in zip(places, json.loads(done.stdout), strict=True):
        assert found == reflect(torch.arange(length)[None], -1, wanted)[0].tolist()


def test_a_page_can_be_renewed_and_keeps_its_model(tmp_path, ort, capsys):
    card = make_card(tmp_path, name="</script> ü")
    pages = [model_page(b"the model", card, "A & <b>", runtime, GREY) for runtime in ("", ort_script(ort))]
    path = tmp_path / "mine.html"
    for page in pages:
        path.write_bytes(page.replace(b"<footer>", b"<footer><p>of long ago</p>"))
        renew_pages.main([str(path)])
        assert path.read_bytes() == page
    path.write_bytes(b"<title>x</title>")
    with pytest.raises(SystemExit):
        renew_pages.main([str(path)])
    assert capsys.readouterr().err.endswith("mine.html: this is no page of scripts/export.py --format web\n")


def test_the_demo_pages_are_those_of_today():
    for page in (Path(__file__).parents[1] / "docs" / "demo").glob("*.html"):
        assert renewed(page.read_bytes()) == page.read_bytes(), f"python scripts/renew_pages.py {page}"


def test_the_demo_pages_share_one_runtime_and_stay_small():
    folder = Path(__file__).parents[1] / "docs" / "demo"
    pages = sorted(folder.glob("*.html"))
    assert [page.stem for page in pages] == ["digits", "emoji", "hands"]
    beside = {"ort.js", "LICENCE.md"}  # the runtime, and a page that says whose it is
    assert {file.name for file in folder.iterdir()} == {page.name for page in pages} | beside
    for page in pages:
        assert page.stat().st_size < 3e6
        read = Reader(page.read_text(encoding="utf-8"))
        assert {url for url in read.loads if not url.startswith("data:")} == {"ort.js"}
        assert json.loads(read.scripts["card"])["licence"].startswith("data: ")
