"""Small sets for a first try, made on the spot from the embedded emoji_mini; imports Pillow when one is made."""

import shutil
from pathlib import Path

from data.files.dataroot import DATASETS

SOURCE = DATASETS / "emoji_mini"
NUM = {"train": 20, "val": 10, "test": 10}  # images of each phase
OPTIONS: dict[str, object] = {"load_size": 72, "crop_size": 64}
LICENCE = "A Apache-2.0 (Noto Emoji), B CC BY 4.0 (Twemoji); see datasets/emoji_mini/LICENCE.md"


def _names(phase: str) -> list[str]:
    """Return the images of ``phase``; those of val are others than those of train, and of the same folder."""
    names = sorted(path.name for path in (SOURCE / f"{'test' if phase == 'test' else 'train'}A").glob("*.png"))
    return names[-NUM[phase] :] if phase == "val" else names[: NUM[phase]]


def _image(phase: str, side: str, name: str) -> Path:
    return SOURCE / f"{'test' if phase == 'test' else 'train'}{side}" / name


def make_collections(folder: Path) -> None:
    """Fill ``folder`` with trainA, trainB, testA and testB."""
    for phase in ("train", "test"):
        for side in "AB":
            (folder / f"{phase}{side}").mkdir(parents=True)
            for name in _names(phase):
                shutil.copyfile(_image(phase, side, name), folder / f"{phase}{side}" / name)


def make_pairs(folder: Path) -> None:
    """Fill ``folder`` with train, val and test, of A|B side by side."""
    from PIL import Image

    from util.open_image import open_image

    for phase in NUM:
        (folder / phase).mkdir(parents=True)
        for name in _names(phase):
            A, B = (open_image(_image(phase, side, name)).convert("RGB") for side in "AB")
            both = Image.new("RGB", (A.width + B.width, A.height))
            both.paste(A, (0, 0))
            both.paste(B, (A.width, 0))
            both.save(folder / phase / name)


def make_colours(folder: Path) -> None:
    """Fill ``folder`` with train, val and test, of one colour image a file."""
    for phase in NUM:
        (folder / phase).mkdir(parents=True)
        for name in _names(phase):
            shutil.copyfile(_image(phase, "B", name), folder / phase / name)
