"""A page that runs a model: one HTML file that opens from disk, with onnxruntime-web and the weights inside."""

import base64
import gzip
import html
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

ASSETS = Path(__file__).parents[1] / "pages" / "assets"
ORT_SCRIPT, ORT_WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"  # of onnxruntime-web
ORT_FILE = "ort.js"  # what pages share that do not hold it themselves
SCRIPTS = {
    "noise": ("random.js", "gif.js", "webp.js", "model.js", "draw.js"),
    "translation": ("model.js", "sketch.js", "translate.js"),
}
BODIES = {"noise": "draw.html", "translation": "translate.html"}
PENS = ("#1c1c1c", "#d6312b", "#ee8a1d", "#f7c832", "#3f9b46", "#2f6fd0", "#7d4bb5", "#8a5a35", "#ffffff")
MAX_PENS = 12

# Nothing but what lies in the page, or beside it, is ever loaded, and nothing is sent.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' 'self' file: blob:; worker-src blob:; "
    "style-src 'unsafe-inline'; img-src data: blob:; form-action 'none'; base-uri 'none'"
)


def ort_script(folder: Path) -> str:
    """Return a script that puts onnxruntime-web into the variable ORT, from the files in ``folder``.

    Raises:
        ValueError: the files are not there, or not of a release that this can take apart.
    """
    for path in (folder / ORT_SCRIPT, folder / ORT_WASM):
        if not path.is_file():
            raise ValueError(f"--ort {folder}: there is no {path.name}; it is in dist/ of the package onnxruntime-web")
    source = re.sub(r"//# sourceMappingURL=.*", "", (folder / ORT_SCRIPT).read_text(encoding="utf-8"))
    exports = re.search(r"export\s*\{([^}]*)\};?\s*$", source)
    names = {public: own for own, public in re.findall(r"([\w$]+) as (\w+)", exports[1])} if exports else {}
    if exports is None or not {"InferenceSession", "Tensor", "env"} <= names.keys():
        raise ValueError(f"--ort {folder}: {ORT_SCRIPT} is not built as that of onnxruntime-web 1.30 is")
    wanted = ", ".join(f"{name}: {names[name]}" for name in ("InferenceSession", "Tensor", "env"))
    # A classic script, since modules do not run in the worker of a page from disk; it never asks where it lies.
    source = source[: exports.start()].replace("import.meta.url", '"blob:null/ort"')
    script = f"const {{ InferenceSession, Tensor, env }} = (() => {{{source}\nreturn {{ {wanted} }}; }})();"
    return (
        f"var ORT = {{ script: {_inline(script)}, wasm: {json.dumps(_packed((folder / ORT_WASM).read_bytes()))} }};\n"
    )


def model_page(
    model: bytes, card: dict[str, Any], title: str, ort: str, preview: Image.Image, examples: Sequence[Image.Image] = ()
) -> bytes:
    """Return the page.

    Args:
        model: the ONNX file.
        card: what is known of it.
        title: its heading.
        ort: what ``ort_script`` returned; "": the page looks for it in ort.js beside it.
        preview: what is shown where the model cannot run.
        examples: images to translate, to begin with.

    Raises:
        ValueError: a page cannot show such images.
    """
    check_card(card)
    facts = card | {"examples": [_data_url(image) for image in examples], "colors": pens(examples)}
    script = f"<script>{ort}</script>" if ort else f'<script src="{ORT_FILE}"></script>'
    return _assemble(title, facts, _packed(model), script, _data_url(preview, "JPEG"))


def renewed(page: bytes) -> bytes:
    """Return a page that ``model_page`` wrote as it writes it now; model, card and pictures stay as they are.

    Raises:
        ValueError: it is no such page.
    """
    text = page.decode("utf-8")
    title = re.search(r"<title>(.*?)</title>", text)
    facts = re.search(r'<script type="application/json" id="card">(.*?)</script>', text)
    model = re.search(r'<script type="text/plain" id="model">(.*?)</script>', text)
    ort = re.search(r'<script(?:>var ORT.*?| src="ort.js">)</script>', text, re.S)
    preview = re.search(r'<noscript id="fallback">.*?<img src="(.*?)"', text)
    if not (title and facts and model and ort and preview):
        raise ValueError("this is no page of scripts/export.py --format web")
    return _assemble(html.unescape(title[1]), json.loads(facts[1]), model[1], ort[0], preview[1])


def _assemble(title: str, facts: dict[str, Any], model: str, script: str, preview: str) -> bytes:
    """Return the page: ``facts`` are the card and more for its scripts, ``model`` is packed, ``preview`` a data URL."""
    style = "".join((ASSETS / name).read_text(encoding="utf-8") for name in ("page.css", "model.css"))
    scripts = "".join((ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS[facts["kind"]])
    engine = (ASSETS / "engine.js").read_text(encoding="utf-8")
    assert "</script" not in scripts + engine and "</style" not in style
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{html.escape(title)}</title>
<style>{style}</style>
</head>
<body>
<main>
<header><h1>{html.escape(title)}</h1><p class="muted">{html.escape(_subtitle(facts))}</p>
<p id="status" role="status">starting … (if this stays, the browser does not run the scripts of this page)</p></header>
{(ASSETS / BODIES[facts["kind"]]).read_text(encoding="utf-8")}
<noscript id="fallback">{_fallback(preview)}</noscript>
<div id="sorry" hidden></div>
<footer>
<p>The model runs in this page, on your device, by WebAssembly and in one thread. Nothing is sent anywhere.</p>
<details><summary>About this model</summary>{_table(facts)}</details>
</footer>
</main>
<script type="application/json" id="card">{_inline(facts)}</script>
<script type="text/plain" id="model">{model}</script>
<script type="text/plain" id="engine">{engine}</script>
{script}
<script>{scripts}</script>
</body>
</html>
"""
    return text.encode("utf-8", "replace")


def check_card(card: dict[str, Any]) -> None:
    """Raise ValueError when a page cannot show the images of a model."""
    for key in ("channels",) if card["kind"] == "noise" else ("input_nc", "output_nc"):
        if card[key] not in (1, 3):
            raise ValueError(f"--format web shows grey and RGB images, and {card['name']} has {card[key]} channels")


def pens(images: Sequence[Image.Image]) -> list[str]:
    """Return the colours to draw with, #rrggbb: those of ``images`` where they are few, as in edges and label maps."""
    strip = Image.new("RGB", (64 * len(images), 64))
    for i, image in enumerate(images):
        strip.paste(image.convert("RGB").resize((64, 64), Image.Resampling.NEAREST), (64 * i, 0))
    found = sorted(strip.getcolors(1 << 20) or [], reverse=True)[:MAX_PENS]
    if not found or sum(count for count, _ in found) < 0.9 * strip.width * strip.height:
        return list(PENS)
    colors = ["#{:02x}{:02x}{:02x}".format(*color) for _, color in found]  # type: ignore[misc]
    return sorted(colors, key=lambda color: color == "#ffffff")  # the paper is white: not the first pen


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def _inline(value: Any) -> str:
    """Return ``value`` as JSON that no HTML parser takes for the end of its script."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")


def _data_url(image: Image.Image, kind: str = "PNG") -> str:
    file = io.BytesIO()
    image.save(file, kind, optimize=True)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def _subtitle(card: dict[str, Any]) -> str:
    height, width = card["image_size"]
    parts = [card["model"], card["netG"]]
    parts += [f"{len(card['classes'])} classes"] if card["classes"] else []
    parts += [f"{width} × {height} pixels"] if height else []  # noqa: RUF001
    return " · ".join(parts)


def _fallback(preview: str) -> str:
    return (
        "<p>This page runs a neural network. It needs JavaScript and WebAssembly, in Chrome or Edge from 91, Firefox "
        "from 113, Safari from 16.4 on. This is what the model makes:</p>"
        f'<p><img src="{preview}" alt="images that the model made"></p>'
    )


def _table(card: dict[str, Any]) -> str:
    facts = {
        "run": f"{card['name']}, epoch {card['epoch']}, {card['weights']}",
        "input": "; ".join(f"{name}: {text}" for name, text in card["inputs"].items()),
        "output": "; ".join(f"{name}: {text}" for name, text in card["outputs"].items()),
        "stored weights": card["stored"],
        "batch norm": card["batch_norm"],
        "licence": card["licence"],
        "made by": card["made_by"],
        "runs on": "onnxruntime-web, MIT, © Microsoft",
    }
    rows = "".join(f"<tr><th scope=row>{k}</th><td>{html.escape(str(v))}</td></tr>" for k, v in facts.items())
    return f"<table>{rows}</table>"
