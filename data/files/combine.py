"""Join pairs of images side by side, A left and B right, into one file each, as pix2pix's aligned data wants them.

``python datasets/combine_A_and_B.py --fold_A edges/A --fold_B edges/B --fold_AB edges`` reads edges/A/train/1.png and
edges/B/train/1.png and writes edges/train/1.png, and so on for every sub-folder.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from data.files.orientation import upright
from data.files.pairs import Pair, Report, SkippedError, find_pairs
from util.console import one_line_errors
from util.files import written_whole
from util.memory import lack_of_memory
from util.open_image import open_image

DEEP = ("I", "I;16", "F")  # Pillow's modes of more than 8 bits a channel, which are kept as they are
SAVING: dict[str, dict[str, Any]] = {  # format -> how it is written; colours must not run over the seam
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
}


def limit(pairs: Sequence[Pair], fold_AB: Path, num_imgs: int) -> list[Pair]:
    """Return the first ``num_imgs`` pairs of each split."""
    seen: Counter[str] = Counter()
    kept = []
    for pair in pairs:
        split = split_of(pair, fold_AB)
        seen[split] += 1
        if seen[split] <= num_imgs:
            kept.append(pair)
    return kept


def split_of(pair: Pair, fold_AB: Path) -> str:
    """Return the sub-folder, such as train, that a joined image goes to; "" when there is none."""
    parts = pair.AB.relative_to(fold_AB).parts
    return parts[0] if len(parts) > 1 else ""


def join(pair: Pair) -> Image.Image:
    """Return A and B side by side.

    Raises:
        SkippedError: a file cannot be read, or they do not fit.
    """
    left, right = read(pair.A, "A"), read(pair.B, "B")
    if left.size != right.size:
        sizes = "A is {}x{}, B is {}x{}".format(*left.size, *right.size)
        raise SkippedError("of another size", f"sizes differ: {sizes}")
    if left.mode != right.mode:
        if left.mode in DEEP or right.mode in DEEP:
            raise SkippedError("of another depth", f"depths differ: A is {left.mode}, B is {right.mode}")
        left, right = flatten(left), flatten(right)
    joined = Image.new(left.mode, (2 * left.width, left.height))
    joined.paste(left, (0, 0))
    joined.paste(right, (left.width, 0))
    return joined


def read(path: Path, side: str) -> Image.Image:
    """Decode an image upright, in mode L, RGB, RGBA or one of more than 8 bits.

    Raises:
        SkippedError: it cannot be read.
    """
    try:
        with open_image(path) as file:
            image = upright(file)
    except Exception as error:  # damaged files make decoders raise errors of every kind
        if lack_of_memory(error):
            raise
        raise SkippedError("unreadable", f"{side} cannot be read: {str(error) or type(error).__name__}") from error
    if image.mode in ("L", "RGB", "RGBA", *DEEP):
        return image
    if image.mode.startswith("I;16"):  # of another byte order
        return Image.fromarray(np.asarray(image).astype("<u2"))
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def flatten(image: Image.Image) -> Image.Image:
    """Return an image in mode RGB, its transparent parts on white."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def write_pairs(pairs: Sequence[Pair], overwrite: bool, report: Report) -> Iterator[Pair]:
    """Write the joined images, yielding each pair that was written.

    Raises:
        OSError: a file cannot be written.
    """
    for pair in tqdm(pairs, "combining", unit="img", disable=None):
        try:
            if pair.AB.exists() and not overwrite:
                raise SkippedError("there already", f"{pair.AB} is there already; --overwrite replaces it")
            joined = join(pair)
        except SkippedError as why:
            report.skip(pair.A, why)
            continue
        save(joined, pair.AB)
        yield pair


def save(image: Image.Image, path: Path) -> None:
    """Write an image whole, in the format of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = Image.registered_extensions()[path.suffix.lower()]
    with written_whole(path) as file:
        image.save(file, kind, **SAVING.get(kind, {}))


def positive_int(text: str) -> int:
    """Read the value of an option that counts something."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def check_folders(fold_A: Path, fold_B: Path, fold_AB: Path, use_AB: bool) -> None:
    """Check that there is something to read, and that what is written will not be read as A or B later.

    Raises:
        FileNotFoundError: a folder is not there.
        ValueError: the folders do not go together.
    """
    for flag, folder in (("--fold_A", fold_A), ("--fold_B", fold_B)):
        if not folder.is_dir():
            raise FileNotFoundError(f"{flag} {folder} is no folder")
        if fold_AB.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"--fold_AB {fold_AB} lies in {flag} {folder}: its images would be taken for originals")
    if fold_A.resolve() == fold_B.resolve() and not use_AB:
        raise ValueError(f"--fold_A and --fold_B are both {fold_A}; give --use_AB if names end in _A and _B")


def combine(opt: argparse.Namespace) -> None:
    """Do what the options say and print what was done.

    Raises:
        ValueError: nothing was combined, or the folders do not go together.
        OSError: a folder is not there, or a file cannot be written.
    """
    fold_B = opt.fold_B or opt.fold_A.with_name("B")
    fold_AB = opt.fold_AB or opt.fold_A.with_name("AB")
    check_folders(opt.fold_A, fold_B, fold_AB, opt.use_AB)
    report = Report()
    pairs = find_pairs(opt.fold_A, fold_B, fold_AB, opt.use_AB, report)
    wanted = limit(pairs, fold_AB, opt.num_imgs or len(pairs))
    written = Counter(split_of(pair, fold_AB) for pair in write_pairs(wanted, opt.overwrite, report))
    if not written:
        raise ValueError(f"no pair of {opt.fold_A} and {fold_B} was combined; {report.summary()}")
    splits = ", ".join(f"{split or 'in no folder'} {num}" for split, num in written.items())
    left_out = f"; --num_imgs left out {len(pairs) - len(wanted)}" if len(pairs) > len(wanted) else ""
    print(f"{fold_AB}: combined {written.total()} pairs ({splits}){left_out}; {report.summary()}")


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0], allow_abbrev=False)
    parser.add_argument(
        "--fold_A", type=Path, default=Path("A"), metavar="DIR", help="images for the left (default: %(default)s)"
    )
    parser.add_argument("--fold_B", type=Path, metavar="DIR", help="images for the right (default: B beside fold_A)")
    parser.add_argument("--fold_AB", type=Path, metavar="DIR", help="folder to write (default: AB beside fold_A)")
    parser.add_argument("--num_imgs", type=positive_int, metavar="N", help="combine at most N pairs per sub-folder")
    parser.add_argument("--use_AB", action="store_true", help="1_A.png and 1_B.png become 1.png")
    parser.add_argument("--overwrite", action="store_true", help="replace images that are in fold_AB already")
    parser.add_argument(
        "--no_multiprocessing", action="store_true", help="does nothing: one image is combined after another anyway"
    )
    opt = parser.parse_args(args)
    with one_line_errors("combine_A_and_B.py", False, ValueError, OSError):
        combine(opt)
