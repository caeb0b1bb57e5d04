"""Download official weights of CycleGAN and pix2pix: ``python scripts/download_model.py horse2zebra``.

They go to checkpoints/NAME_pretrained/latest_net_G.pth, for ``python test.py --model test --name NAME_pretrained``.
Names and addresses are those of pytorch-CycleGAN-and-pix2pix; none could be tried where this was written.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.download.catalogue import Remote
from data.download.fetch import fetch
from util.console import one_line_errors
from util.registry import did_you_mean

FOLDERS = {"cyclegan": "cyclegan/pretrained_models", "pix2pix": "pix2pix/models-pytorch"}  # on the server
WEIGHTS = {
    "cyclegan": (
        *("apple2orange", "orange2apple", "summer2winter_yosemite", "winter2summer_yosemite", "horse2zebra"),
        *("zebra2horse", "monet2photo", "style_monet", "style_cezanne", "style_ukiyoe", "style_vangogh", "sat2map"),
        *("map2sat", "cityscapes_photo2label", "cityscapes_label2photo", "facades_photo2label"),
        *("facades_label2photo", "iphone2dslr_flower"),
    ),
    "pix2pix": ("edges2shoes", "sat2map", "map2sat", "facades_label2photo", "day2night"),
}


def find_weights(name: str, of: str = "") -> Remote:
    """Return where the weights called ``name`` lie; raise LookupError when there are none, or two by that name."""
    kinds = [kind for kind, names in WEIGHTS.items() if name in names and of in ("", kind)]
    if not kinds:
        known = sorted({n for kind, names in WEIGHTS.items() if of in ("", kind) for n in names})
        raise LookupError(f"no weights are known as {name!r}{did_you_mean(name, known)}")
    if len(kinds) > 1:
        raise LookupError(f"{name} are weights of CycleGAN and of pix2pix: say --of cyclegan or --of pix2pix")
    path = f"efrosgans.eecs.berkeley.edu/{FOLDERS[kinds[0]]}/{name}.pth"
    return Remote(urls=(f"https://{path}", f"http://{path}"), kind="as it is")


def download_model(name: str, of: str, checkpoints_dir: Path) -> Path:
    """Return the file of the weights, downloading it first when it is not there.

    Raises:
        LookupError: no weights are known by this name, or two.
        ConnectionError: no server could be reached.
        OSError: the disk is full or cannot be written.
    """
    remote, target = find_weights(name, of), checkpoints_dir / f"{name}_pretrained" / "latest_net_G.pth"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        work = target.with_name(f"{name}.download")
        fetch(remote, work)
        work.rename(target)
    return target


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0], allow_abbrev=False)
    parser.add_argument("names", nargs="+", metavar="NAME", help=", ".join(dict.fromkeys(sum(WEIGHTS.values(), ()))))
    parser.add_argument("--of", choices=tuple(WEIGHTS), default="", help="whose weights, where both have some")
    parser.add_argument("--checkpoints_dir", type=Path, default=Path("checkpoints"), metavar="DIR")
    opt = parser.parse_args(args)
    for name in opt.names:
        with one_line_errors("download_model.py", False, LookupError, ValueError, OSError):
            print(download_model(name, opt.of, opt.checkpoints_dir))


if __name__ == "__main__":
    main()
