"""Build datasets/rps_mini, 64x64 colour images of rock, paper and scissors, from openly licensed hand emoji.

``python datasets/make_rps_mini.py`` fetches the glyphs with ``npm pack``; ``--google`` and ``--twitter`` name
packages that are already unpacked. The same seed and the same Pillow give the same bytes.
"""

import argparse
import colorsys
import math
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageOps

CLASSES = {  # class -> code points of its hand designs
    "rock": ("270a", "1f44a", "1f91b", "1f91c"),  # raised, oncoming, left-facing and right-facing fist
    "paper": ("270b", "1f590", "1f91a"),  # raised hand, fingers splayed, back of the hand
    "scissors": ("270c",),  # victory hand
}
SKIN_TONES = ("", "-1f3fb", "-1f3fc", "-1f3fd", "-1f3fe", "-1f3ff")  # "" is emoji yellow
TEXT_STYLE_BY_DEFAULT = ("1f590", "270c")  # their yellow glyph is named with the variation selector fe0f
VENDORS = ("google", "twitter")  # even-numbered images come from the first, odd-numbered from the second
SPLITS = ("train", "test")
VERSION = "16.0.0"  # of the npm packages emoji-datasource-google and emoji-datasource-twitter

IMAGE_SIZE = 64  # pixels
SUPERSAMPLE = 4  # images are composed this many times larger
MARGIN = 1  # pixels of background that are left on every side
HAND_SIZE = (0.60, 0.95)  # longer side of the rotated hand, as a part of the image's
MAX_ROTATION = 30  # degrees to either side
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
        glyphs = [member for member in archive if f"/img/{vendor}/64/" in member.name]
        archive.extractall(folder / vendor, glyphs, filter="data")
    return folder / vendor


def find_glyphs(package: Path, vendor: str, designs: Sequence[str]) -> list[Path]:
    """List the files of the designs in every skin tone; ``package`` may be the folder above npm's ``package/``.

    Raises:
        FileNotFoundError: the package lacks one of them.
    """
    names = [
        code + ("-fe0f" if tone == "" and code in TEXT_STYLE_BY_DEFAULT else tone)
        for code in designs
        for tone in SKIN_TONES
    ]
    root = package / "package" if (package / "package").is_dir() else package
    glyphs = [root / "img" / vendor / "64" / f"{name}.png" for name in names]
    for glyph in glyphs:
        if not glyph.is_file():
            raise FileNotFoundError(
                f"no file {glyph}; --{vendor} is the unpacked npm package emoji-datasource-{vendor}@{VERSION}"
            )
    return glyphs


def draw_background(random: Random) -> Image.Image:
    """Draw a plain colour or a gentle gradient, in hues from green to violet that no skin has."""
    side = IMAGE_SIZE * SUPERSAMPLE
    hue, saturation, value = random.uniform(0.28, 0.80), random.uniform(0.16, 0.42), random.uniform(0.68, 0.94)
    start = np.array(colorsys.hsv_to_rgb(hue, saturation, value))
    is_plain, angle = random.random() < 0.5, random.uniform(0, 2 * math.pi)
    hue_shift, value_shift = random.uniform(-0.04, 0.04), random.uniform(0.08, 0.16)
    end = start if is_plain else np.array(colorsys.hsv_to_rgb(hue + hue_shift, saturation, value - value_shift))

    y, x = np.mgrid[0:side, 0:side] / (side - 1) - 0.5
    progress = (x * math.cos(angle) + y * math.sin(angle)) / math.sqrt(2) + 0.5  # 0..1 whatever the angle
    colours = start + progress[:, :, None] * (end - start)  # (side, side, 3)
    return Image.fromarray(np.rint(colours * 255).astype(np.uint8)).convert("RGBA")


def crop_to_hand(image: Image.Image) -> Image.Image:
    """Cut off the transparent border."""
    return image.crop(image.getchannel("A").getbbox())


def draw_hand(glyph: Image.Image, random: Random) -> Image.Image:
    """Return the glyph mirrored or not, rotated and resized at random, with no border."""
    hand = ImageOps.expand(crop_to_hand(glyph), border=2, fill=0)  # a border, for an outline that stays smooth
    if random.random() < 0.5:
        hand = ImageOps.mirror(hand)
    hand = hand.resize((hand.width * SUPERSAMPLE, hand.height * SUPERSAMPLE), Image.Resampling.LANCZOS)
    hand = hand.rotate(random.uniform(-MAX_ROTATION, MAX_ROTATION), Image.Resampling.BICUBIC, expand=True)
    hand = crop_to_hand(hand)
    scale = random.uniform(*HAND_SIZE) * IMAGE_SIZE * SUPERSAMPLE / max(hand.size)
    return hand.resize((round(hand.width * scale), round(hand.height * scale)), Image.Resampling.LANCZOS)


def draw_image(glyph: Image.Image, random: Random) -> Image.Image:
    """Compose one image of the set: a hand anywhere on a background, wholly inside."""
    background, hand = draw_background(random), draw_hand(glyph, random)
    margin = MARGIN * SUPERSAMPLE
    left = random.randint(margin, background.width - hand.width - margin)
    top = random.randint(margin, background.height - hand.height - margin)
    background.alpha_composite(hand, (left, top))
    image = background.convert("RGB").reduce(SUPERSAMPLE)
    # kmeans=1 refines the palette until it no longer changes
    return image.quantize(NUM_COLOURS, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)


def write_images(folder: Path, num_images: int, glyphs: dict[str, list[Path]], seed: str) -> None:
    """Write 0000.png, 0001.png, ..., taking turns between vendors and using each vendor's glyphs equally often."""
    folder.mkdir(parents=True, exist_ok=True)
    order = {vendor: Random(f"{seed}/{vendor}").sample(paths, len(paths)) for vendor, paths in glyphs.items()}
    for index in range(num_images):
        turn, vendor = index // len(VENDORS), VENDORS[index % len(VENDORS)]
        with Image.open(order[vendor][turn % len(order[vendor])]) as glyph:
            # a generator of its own for every image: a longer set starts with the images of a shorter one
            image = draw_image(glyph.convert("RGBA"), Random(f"{seed}/{index}"))
        image.save(folder / f"{index:04d}.png", optimize=True)


def find_images(folder: Path) -> list[Path]:
    """List the images of a set that was made before, or none."""
    return [path for split in SPLITS for name in CLASSES for path in sorted((folder / split / name).glob("*.png"))]


def make(packages: dict[str, Path], out: Path, num_images: dict[str, int], seed: int) -> None:
    """Write ``out/{train,test}/{rock,paper,scissors}`` in place of what is there.

    Args:
        packages: the unpacked package of each vendor.
        num_images: number of images per class in each split.

    Raises:
        FileNotFoundError: a package lacks a glyph; nothing is written.
    """
    glyphs = {
        name: {vendor: find_glyphs(packages[vendor], vendor, designs) for vendor in VENDORS}
        for name, designs in CLASSES.items()
    }
    for path in find_images(out):
        path.unlink()
    for split in SPLITS:
        for name, by_vendor in glyphs.items():
            write_images(out / split / name, num_images[split], by_vendor, f"{seed}/{split}/{name}")


def positive_int(text: str) -> int:
    """Read the value of an option that counts something."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    for vendor in VENDORS:
        parser.add_argument(
            f"--{vendor}",
            type=Path,
            metavar="DIR",
            help=f"unpacked npm package emoji-datasource-{vendor}@{VERSION}; without it, npm fetches the package",
        )
    out = Path(__file__).resolve().parent / "rps_mini"
    parser.add_argument("--out", type=Path, metavar="DIR", default=out, help="folder to write (default: %(default)s)")
    parser.add_argument("--train", type=positive_int, default=432, help="training images per class (default: 432)")
    parser.add_argument("--test", type=positive_int, default=36, help="test images per class (default: 36)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all variations (default: 0)")
    parser.add_argument("--overwrite", action="store_true", help="replace the images that DIR already holds")
    opt = parser.parse_args()

    num_old = len(find_images(opt.out))
    if num_old and not opt.overwrite:
        sys.exit(f"{parser.prog}: error: {opt.out} holds {num_old} images already; give --overwrite to replace them")
    try:
        with tempfile.TemporaryDirectory() as folder:
            packages = {vendor: getattr(opt, vendor) or fetch(vendor, Path(folder)) for vendor in VENDORS}
            make(packages, opt.out, {"train": opt.train, "test": opt.test}, opt.seed)
    except (OSError, RuntimeError) as error:
        sys.exit(f"{parser.prog}: error: {error}")
    num_bytes = sum(path.stat().st_size for path in find_images(opt.out))
    print(f"{opt.out}: {opt.train} training and {opt.test} test images per class, {num_bytes} bytes of PNG")


if __name__ == "__main__":
    main()
