"""Write a trained generator as a file that needs nothing of this project.

    python scripts/export.py --name my_photos                                     ONNX, checked in onnxruntime
    python scripts/export.py --name my_photos --weights int8                      a quarter of the size
    python scripts/export.py --name horse2zebra_cycle_gan --direction BtoA --epoch best --format torch

What is written was compared with PyTorch: nothing is left behind where images differ too much. Packages that a format
needs: pip install -r requirements-export.txt. docs/export.md says how to use the files.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))


from data.files.dataroot import CARD, DATASETS
from options.export_options import ExportOptions
from options.parse import message_of, print_help
from options.parser import Parser
from util.config_file import read_config
from util.console import one_line_errors
from util.runs import find_trained


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
    write = {"onnx": to_onnx, "torch": program, "safetensors": tensors}[opt.format]
    content, difference = write(graph, opt.weights)
    opt.path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(opt.path) as file:
        file.write(content)
    print(f"{opt.name}, epoch {opt.epoch}, {G.weights}, {opt.weights}")
    for kind in ("inputs", "outputs"):
        print(f"{kind}: " + "; ".join(f"{name} {text}" for name, text in graph.card[kind].items()))
    print(f"differs from PyTorch by {difference}")
    print(f"file: {opt.path.resolve()}, {len(content) / 1e6:.2f} MB")


def licence_of(dataroot: str) -> str:
    """Return the licence that the card of the training data states; "" when the data is not here or has none."""
    for folder in (Path(dataroot), DATASETS / dataroot):
        if dataroot and (folder / CARD).is_file():
            card = read_config(folder / CARD)
            return f"data: {card['licence'].value}" if "licence" in card else ""
    return ""


if __name__ == "__main__":
    main()
