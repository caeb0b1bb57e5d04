"""Build datasets/emoji_mini, pairs of 64x64 images that show the same emoji as Noto (A) and as Twemoji (B) draw it.

``python datasets/make_emoji_mini.py`` fetches the glyphs with ``npm pack``; ``--google`` and ``--twitter`` name
packages that are already unpacked. The same Pillow gives the same bytes; nothing is random.
"""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from datasets.emoji import VENDORS, build, create_parser, find_file, find_glyphs, to_palette
from util.open_image import open_image

KINDS = {  # Unicode's category -> how the subcategories that are taken begin
    "Smileys & Emotion": ("face-", "cat-face", "monkey-face"),
    "Animals & Nature": ("animal-", "plant-"),
    "Food & Drink": ("food-", "drink", "dishware"),
    "Objects": ("clothing", "household", "light & video", "musical-instrument", "tool"),
}
SIDES = {"A": "google", "B": "twitter"}
SPLITS = ("train", "test")
TEST_EVERY = 8  # every so many-th emoji, in Unicode's order, is for testing; its neighbours resemble it


class Emoji(NamedTuple):
    """One emoji of the set."""

    name: str  # file stem of both its images
    codes: str  # the name of its glyph: code points such as 1f431
    split: str


def choose(package: Path) -> list[Emoji]:
    """List the emoji of the set in Unicode's order; ``package`` is Google's, whose table covers both vendors.

    Raises:
        FileNotFoundError: the package has no table.
    """
    table = json.loads(find_file(package, "google", "emoji.json").read_text(encoding="utf-8"))
    chosen = [
        entry
        for entry in sorted(table, key=lambda entry: entry["sort_order"])
        if entry["subcategory"].startswith(KINDS.get(entry["category"], ()))
        and all(entry[f"has_img_{vendor}"] for vendor in VENDORS)
    ]
    return [
        Emoji(entry["short_name"], Path(entry["image"]).stem, "test" if index % TEST_EVERY == 0 else "train")
        for index, entry in enumerate(chosen, 1)
    ]


def draw_image(glyph: Image.Image) -> Image.Image:
    """Lay an RGBA glyph on white and reduce it to a palette in which the background is white to the last bit."""
    white = Image.new("RGBA", glyph.size, "white")
    image = to_palette(Image.alpha_composite(white, glyph).convert("RGB"))
    palette = np.array(image.getpalette()).reshape(-1, 3)
    background = np.asarray(image)[np.asarray(glyph.getchannel("A")) == 0]  # palette indices
    palette[np.unique(background)] = 255  # clustering may have mixed in what is nearly white
    image.putpalette(palette.ravel().tolist())
    return image


def find_images(folder: Path) -> list[Path]:
    """List the images of a set that was made before, or none."""
    return [path for split in SPLITS for side in SIDES for path in sorted((folder / f"{split}{side}").glob("*.png"))]


def make(packages: dict[str, Path], out: Path) -> None:
    """Write ``out/{trainA,trainB,testA,testB}``, with equal names in A and B, in place of what is there.

    Args:
        packages: the unpacked package of each vendor.
        out: the folder to write.

    Raises:
        FileNotFoundError: a package lacks its table or a glyph; nothing is written.
    """
    emoji = choose(packages["google"])
    glyphs = {side: find_glyphs(packages[v], v, [one.codes for one in emoji]) for side, v in SIDES.items()}
    for path in find_images(out):
        path.unlink()
    for side, paths in glyphs.items():
        for one, path in zip(emoji, paths, strict=True):
            folder = out / f"{one.split}{side}"
            folder.mkdir(parents=True, exist_ok=True)
            with open_image(path) as glyph:
                draw_image(glyph.convert("RGBA")).save(folder / f"{one.name}.png", optimize=True)


def main() -> None:
    parser = create_parser(__doc__.splitlines()[0], "emoji_mini")
    opt = parser.parse_args()
    num_bytes = build(parser, opt, find_images, lambda packages: make(packages, opt.out))
    num_train, num_test = (len(list((opt.out / f"{split}A").glob("*.png"))) for split in SPLITS)
    print(f"{opt.out}: {num_train} training and {num_test} test pairs, {num_bytes} bytes of PNG")


if __name__ == "__main__":
    main()
