"""Make a data set of the files of cityscapes-dataset.com, as CycleGAN and pix2pix have it.

    python datasets/prepare_cityscapes_dataset.py --gtFine_dir gtFine --leftImg8bit_dir leftImg8bit

train/ and test/ hold pairs, the photo (A) beside the label map (B); trainA/, trainB/, testA/ and testB/ hold the same
images apart. test is what Cityscapes calls val.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from PIL import Image
from tqdm import tqdm

from util.console import one_line_errors
from util.open_image import open_image

SIZE = (256, 256)  # pixels, as the known results have it
PHASES = {"train": "train", "val": "test"}  # theirs -> ours
PHOTO, LABELS = "_leftImg8bit.png", "_gtFine_color.png"  # what names end in


def prepare(photos: Path, labels: Path, folder: Path) -> dict[str, int]:
    """Write all pairs into ``folder``; return how many each phase has.

    Raises:
        FileNotFoundError: there are no photos, or one has no label map.
    """
    counts = {}
    for theirs, ours in PHASES.items():
        found = sorted((photos / theirs).glob(f"*/*{PHOTO}"))
        if not found:
            raise FileNotFoundError(f"no {theirs}/CITY/*{PHOTO} in {photos}: unpack leftImg8bit_trainvaltest.zip")
        for name in (ours, f"{ours}A", f"{ours}B"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for i, path in enumerate(tqdm(found, ours, unit="img", leave=False, disable=None)):
            partner = labels / theirs / path.parent.name / path.name.replace(PHOTO, LABELS)
            if not partner.exists():
                raise FileNotFoundError(f"{path} has no label map {partner}: unpack gtFine_trainvaltest.zip")
            A, B = _resized(path), _resized(partner)
            both = Image.new("RGB", (2 * SIZE[0], SIZE[1]))
            both.paste(A, (0, 0))
            both.paste(B, (SIZE[0], 0))
            for image, name in ((both, f"{ours}/{i}"), (A, f"{ours}A/{i}_A"), (B, f"{ours}B/{i}_B")):
                image.save(folder / f"{name}.jpg", quality=100)
        counts[ours] = len(found)
    return counts


def _resized(path: Path) -> Image.Image:
    with open_image(path) as image:
        return image.convert("RGB").resize(SIZE)


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0], allow_abbrev=False)
    parser.add_argument("--gtFine_dir", type=Path, required=True, metavar="DIR", help="label maps, as unpacked")
    parser.add_argument("--leftImg8bit_dir", type=Path, required=True, metavar="DIR", help="photos, as unpacked")
    parser.add_argument("--output_dir", type=Path, default=Path("datasets/cityscapes"), metavar="DIR")
    opt = parser.parse_args(args)
    with one_line_errors("prepare_cityscapes_dataset.py", False, OSError):
        counts = prepare(opt.leftImg8bit_dir, opt.gtFine_dir, opt.output_dir)
        print(f"{opt.output_dir}: {', '.join(f'{num} pairs in {phase}/' for phase, num in counts.items())}")


if __name__ == "__main__":
    main()
