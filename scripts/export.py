"""Write a trained generator as a file that needs nothing of this project.

    python scripts/export.py --name my_photos                                     ONNX, checked in onnxruntime
    python scripts/export.py --name my_photos --format web --weights int8         a page that draws in the browser
    python scripts/export.py --name horse2zebra_cycle_gan --direction BtoA --epoch best --format torch

What is written was compared with PyTorch: nothing is left behind where images differ too much. Packages that a format
needs: pip install -r requirements-export.txt. docs/export.md says how to use the files.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from data import find_dataset
from data.files.dataroot import CARD, DATASETS
from models import find_model
from options.export_options import ExportOptions
from options.parse import message_of, print_help
from options.parser import Parser
from util.config_file import read_config
from util.console import one_line_errors, warn
from util.runs import OPTIONS_FILE, find_trained

if TYPE_CHECKING:
    from PIL.Image import Image

    from models.generator import TrainedGenerator
    from util.export.graph import Difference, Graph

NUM_EXAMPLES = 6


def main(argv: Sequence[str] | None = None) -> None:
    opt = parse(sys.argv[1:] if argv is None else list(argv))
    with one_line_errors("export.py", opt.verbose, ValueError, OSError, LookupError):
        export(opt)


def parse(argv: list[str]) -> ExportOptions:
    """Read the command line; a mistake ends in one line and status 2."""
    parser = Parser(__doc__ or "")
    parser.add("export", ExportOptions)
    print_help(parser, argv)
    values = {name: flag.default for name, flag in parser.flags.items()} | parser.parse(argv)
    try:
        values["name"] = find_trained(values["checkpoints_dir"], values["name"]).name
    except (LookupError, OSError, ValueError) as error:
        parser.error(message_of(error))
    return ExportOptions(**values)


def export(opt: ExportOptions) -> None:
    """Load the generator, write the file, and say what it is and how far it is from PyTorch."""
    from models.exported import exported
    from models.trained import load_generator
    from util.export.onnx import to_onnx
    from util.export.pytorch import program, tensors
    from util.files import written_whole

    G = load_generator(opt.checkpoints_dir / opt.name, opt.epoch, ema=opt.ema, direction=opt.direction, device="cpu")
    graph = exported(G, opt.licence or licence_of(str(G.trained.get("dataroot", ""))))
    if opt.format == "web":
        content, difference = web_page(opt, G, graph)
    else:
        write = {"onnx": to_onnx, "torch": program, "safetensors": tensors}[opt.format]
        content, difference = write(graph, opt.bits)
    opt.path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(opt.path) as file:
        file.write(content)
    print(f"{opt.name}, epoch {opt.epoch}, {G.weights}, {opt.bits}")
    for kind in ("inputs", "outputs"):
        print(f"{kind}: " + "; ".join(f"{name} {text}" for name, text in graph.card[kind].items()))
    print(f"differs from PyTorch by {difference}")
    print(f"file: {opt.path.resolve()}, {len(content) / 1e6:.2f} MB")


def web_page(opt: ExportOptions, G: "TrainedGenerator", graph: "Graph") -> tuple[bytes, "Difference"]:
    """Return a page that runs the model, and how far that is from PyTorch; without --one_file write ort.js too."""
    from scripts.onnxruntime_web import find_ort
    from util.export.onnx import to_onnx
    from util.export.web_page import ORT_FILE, check_card, model_page, ort_script
    from util.files import write_text

    check_card(graph.card)
    model, difference = to_onnx(graph, opt.bits, "--format web")
    ort = ort_script(Path(opt.ort) if opt.ort else find_ort())
    examples = [] if G.draws else find_examples(opt)
    card = graph.card | {"stored": opt.bits}
    title = opt.title or opt.name.replace("_", " ")
    content = model_page(model, card, title, ort if opt.one_file else "", preview(G, examples), examples)
    if not opt.one_file:
        opt.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(opt.path.parent / ORT_FILE, ort)
    return content, difference


def find_examples(opt: ExportOptions) -> list["Image"]:
    """Return test images of the run's data, or of ``--dataroot``; [] with a warning if they are gone."""
    from data import create_dataset
    from options.parse_tested import parse_test
    from util.images import to_image, to_uint8

    words = ["--name", opt.name, "--checkpoints_dir", str(opt.checkpoints_dir), "--num_threads", "1", "--cache", "off"]
    words += ["--dataroot", opt.dataroot] if opt.dataroot else []
    words += ["--direction", opt.direction] if opt.direction else []
    if not opt.dataroot and not (opt.checkpoints_dir / opt.name / OPTIONS_FILE).exists():
        warn("the page begins without examples: --dataroot says where images are")
        return []
    config = parse_test("", words, find_model, find_dataset)
    try:
        dataset = create_dataset(config.dataset_mode, config.data)
        key = "image" if config.dataset_mode == "colorization" else "A"
        num = min(NUM_EXAMPLES, len(dataset))
        images = [dataset[i * len(dataset) // num][key] for i in range(num)]
    except (ValueError, OSError, LookupError) as error:
        warn(f"the page begins without examples: {error}")
        return []
    return [to_image(pixels) for image in images for pixels in to_uint8(image[None])]


def preview(G: "TrainedGenerator", examples: list["Image"]) -> "Image":
    """Return a picture of what the model makes, for those whose browser cannot run it."""
    import torch

    from util.images import from_image, make_grid
    from util.types import Grid

    if G.draws:
        rows = max(1, min(4, len(G.classes)))
        images = [G.sample(8, labels=i if G.classes else ()) for i in range(rows)]
        return make_grid(Grid(torch.cat(images), 8))
    nc = 3 if G.trained.get("model") == "colorization" else G.model.spec.input_nc
    images = [from_image(image, nc)[None] for image in examples[:4] if image.size == examples[0].size]
    before = torch.cat(images or [torch.zeros(1, nc, 64, 64)])
    after = G.translate(before)
    wide = max(before.shape[1], after.shape[1])
    both = [x.expand(-1, wide, -1, -1) for x in (before, after)]
    return make_grid(Grid(torch.cat(both), len(before)))


def licence_of(dataroot: str) -> str:
    """Return the licence that the card of the training data states; "" when the data is not here or has none."""
    for folder in (Path(dataroot), DATASETS / dataroot):
        if dataroot and (folder / CARD).is_file():
            card = read_config(folder / CARD)
            return f"data: {card['licence'].value}" if "licence" in card else ""
    return ""


if __name__ == "__main__":
    main()
