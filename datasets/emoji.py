"""Glyphs of two openly licensed emoji sets, and what the scripts that build data sets from them have in common."""

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

VENDORS = ("google", "twitter")  # Noto Emoji and Twemoji
VERSION = "16.0.0"  # of the npm packages emoji-datasource-google and emoji-datasource-twitter

IMAGE_SIZE = 64  # pixels
NUM_COLOURS = 64  # of each image's palette


def fetch(vendor: str, folder: Path) -> Path:
    """Download a vendor's package with the npm client and return the folder that it was unpacked to.

    Raises:
        FileNotFoundError: there is no npm.
        RuntimeError: npm could not fetch the package.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError(f"npm is not installed: unpack emoji-datasource-{vendor} yourself and give --{vendor}")
    package = f"emoji-datasource-{vendor}"
    command = [npm, "pack", f"{package}@{VERSION}", "--loglevel=error"]
    packed = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if packed.returncode != 0:
        reason = (packed.stderr.strip() or "no reason given").splitlines()[0]
        raise RuntimeError(f"npm cannot fetch {package}@{VERSION} ({reason}); unpack it yourself and give --{vendor}")
    with tarfile.open(folder / f"{package}-{VERSION}.tgz") as archive:
        wanted = [m for m in archive if f"/img/{vendor}/64/" in m.name or m.name == "package/emoji.json"]
        archive.extractall(folder / vendor, wanted, filter="data")
    return folder / vendor


def find_file(package: Path, vendor: str, name: str) -> Path:
    """Return the path of a package's file; ``package`` may be the folder above npm's ``package/``.

    Raises:
        FileNotFoundError: the package lacks it.
    """
    file = (package / "package" if (package / "package").is_dir() else package) / name
    if not file.is_file():
        raise FileNotFoundError(
            f"no file {file}; --{vendor} is the unpacked npm package emoji-datasource-{vendor}@{VERSION}"
        )
    return file


def find_glyphs(package: Path, vendor: str, names: Sequence[str]) -> list[Path]:
    """List the 64-pixel PNG files of these names, which are code points such as ``1f590-fe0f``.

    Raises:
        FileNotFoundError: the package lacks one of them.
    """
    return [find_file(package, vendor, f"img/{vendor}/{IMAGE_SIZE}/{name}.png") for name in names]


def to_palette(image: Image.Image) -> Image.Image:
    """Reduce an RGB image to a palette of ``NUM_COLOURS``."""
    # kmeans=1 refines the palette until it no longer changes
    return image.quantize(NUM_COLOURS, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)


def create_parser(description: str, out: str) -> argparse.ArgumentParser:
    """Return a parser with the options of every such script; ``out`` is the folder in datasets/ that it writes."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    for vendor in VENDORS:
        parser.add_argument(
            f"--{vendor}",
            type=Path,
            metavar="DIR",
            help=f"unpacked npm package emoji-datasource-{vendor}@{VERSION}; without it, npm fetches the package",
        )
    folder = Path(__file__).resolve().parent / out
    parser.add_argument(
        "--out", type=Path, metavar="DIR", default=folder, help="folder to write (default: %(default)s)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the images that DIR already holds")
    return parser


def build(
    parser: argparse.ArgumentParser,
    opt: argparse.Namespace,
    find_images: Callable[[Path], list[Path]],
    make: Callable[[dict[str, Path]], None],
) -> int:
    """Call ``make`` with the unpacked package of each vendor and return the bytes of the images that it wrote.

    Ends the process with status 1 and one line when images would be replaced unasked, or the glyphs are not there.

    Args:
        parser: as ``create_parser`` returned it.
        opt: what it parsed.
        find_images: lists the images of a set that was made before.
        make: writes the set to ``opt.out``.
    """
    num_old = len(find_images(opt.out))
    if num_old and not opt.overwrite:
        sys.exit(f"{parser.prog}: error: {opt.out} holds {num_old} images already; give --overwrite to replace them")
    try:
        with tempfile.TemporaryDirectory() as folder:
            make({vendor: getattr(opt, vendor) or fetch(vendor, Path(folder)) for vendor in VENDORS})
    except (OSError, RuntimeError) as error:
        sys.exit(f"{parser.prog}: error: {error}")
    return sum(path.stat().st_size for path in find_images(opt.out))
