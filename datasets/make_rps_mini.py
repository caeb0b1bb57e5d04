"""Build datasets/rps_mini, 64x64 colour images of rock, paper and scissors, from openly licensed hand emoji.

``python datasets/make_rps_mini.py`` fetches the glyphs with ``npm pack``; ``--google`` and ``--twitter`` name
packages that are already unpacked. The same seed and the same Pillow give the same bytes.
"""

import argparse
import colorsys
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from datasets.emoji import IMAGE_SIZE, VENDORS, build, create_parser, find_glyphs, to_palette
from util.open_image import open_image

CLASSES = {  # class -> code points of its hand designs
    "rock": ("270a", "1f44a", "1f91b", "1f91c"),  # raised, oncoming, left-facing and right-facing fist
    "paper": ("270b", "1f590", "1f91a"),  # raised hand, fingers splayed, back of the hand
    "scissors": ("270c",),  # victory hand
}
SKIN_TONES = ("", "-1f3fb", "-1f3fc", "-1f3fd", "-1f3fe", "-1f3ff")  # "" is emoji yellow
TEXT_STYLE_BY_DEFAULT = ("1f590", "270c")  # their yellow glyph is named with the variation selector fe0f
SPLITS = ("train", "test")

SUPERSAMPLE = 4  # images are composed this many times larger
MARGIN = 1  # pixels of background that are left on every side
HAND_SIZE = (0.75, 0.95)  # longer side of the rotated hand, as a part of the image's
MAX_ROTATION = 12  # degrees to either side


def in_all_tones(designs: Sequence[str]) -> list[str]:
    """Return the names of the designs' glyphs in every skin tone."""
    return [
        code + ("-fe0f" if tone == "" and code in TEXT_STYLE_BY_DEFAULT else tone)
        for code in designs
        for tone in SKIN_TONES
    ]


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
    """Return the glyph rotated and resized at random, with no border."""
    hand = ImageOps.expand(crop_to_hand(glyph), border=2, fill=0)  # a border, for an outline that stays smooth
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
    return to_palette(background.convert("RGB").reduce(SUPERSAMPLE))


def write_images(folder: Path, num_images: int, glyphs: dict[str, list[Path]], seed: str) -> None:
    """Write 0000.png, 0001.png, ..., taking turns between vendors and using each vendor's glyphs equally often.

    Even-numbered images come from the first vendor, odd-numbered ones from the second.
    """
    folder.mkdir(parents=True, exist_ok=True)
    order = {vendor: Random(f"{seed}/{vendor}").sample(paths, len(paths)) for vendor, paths in glyphs.items()}
    for index in range(num_images):
        turn, vendor = index // len(VENDORS), VENDORS[index % len(VENDORS)]
        with open_image(order[vendor][turn % len(order[vendor])]) as glyph:
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
        name: {vendor: find_glyphs(packages[vendor], vendor, in_all_tones(designs)) for vendor in VENDORS}
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
    parser = create_parser(__doc__.splitlines()[0], "rps_mini")
    parser.add_argument("--train", type=positive_int, default=432, help="training images per class (default: 432)")
    parser.add_argument("--test", type=positive_int, default=36, help="test images per class (default: 36)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all variations (default: 0)")
    opt = parser.parse_args()
    num_images = {"train": opt.train, "test": opt.test}
    num_bytes = build(parser, opt, find_images, lambda packages: make(packages, opt.out, num_images, opt.seed))
    print(f"{opt.out}: {opt.train} training and {opt.test} test images per class, {num_bytes} bytes of PNG")


if __name__ == "__main__":
    main()
