"""Pairs of images A and B that show the same: A|B side by side in one file, or in two folders under equal names."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data import find_dataroot
from data.files.dataroot import has_pairs
from data.files.decode import BadImageError
from data.files.image_paths import READ, Files, match_names, survey
from data.files.pair_folders import pair_folders, say_stand_in, survey_or_raise
from data.files.phases import PHASES, phase_folder
from data.files.shards import Members
from data.translation import TranslationDataset


class AlignedDataset(TranslationDataset):
    """Pairs, cropped and mirrored alike.

    These layouts are read, the first that is there; val and test stand in for each other:

        root/trainA/*.png, root/trainB/*.png    and the others of ``translation_folders.pair_folders``
        root/train/*.png                        A is the left half of each, B the right; wider than high
        root/train/*.tar, root/train-000.tar    shards of pairs: 1.A.png and 1.B.png, or A|B in 1.png

    A partner has the same path below its folder; the extension may differ.
    """

    opt: TranslationDataset.Options
    keys = ("A", "B")

    def __init__(self, opt: TranslationDataset.Options) -> None:
        super().__init__(opt)
        root = find_dataroot(opt.dataroot)
        left, right, names = self._in_shards(root) or self._in_folders(root)
        sides = ("A", "B") if opt.direction == "AtoB" else ("B", "A")
        self.paths = dict(zip(sides, (left, right), strict=True))
        self.halves = left is right  # one file holds both
        self.names = names
        self.limit()
        if self.halves:
            self._check_wide(root)
        self.describe({"A": opt.input_nc, "B": opt.output_nc})

    def _in_folders(self, root: Path) -> tuple[Files, Files, list[str]]:
        """Return the images of A and of B, and what the pairs are called; the same twice where a file holds both."""
        folders, stand_in = self._find(root)
        say_stand_in(root, self.opt.phase, stand_in)
        taken = [self.take(folder, survey_or_raise(folder)) for folder in dict.fromkeys(folders)]
        if folders[0] == folders[1]:
            both = Files(folders[0], taken[0])
            return both, both, taken[0]
        partner = self._match(*folders, *taken)
        return Files(folders[0], list(partner)), Files(folders[1], list(partner.values())), list(partner)

    def _in_shards(self, root: Path) -> tuple[Members, Members, list[str]] | None:
        """Return the same of shards, whose samples hold two images or A|B in one; None when the data is no shards."""
        if not (found := self.shards_of(root)):
            return None
        images = self.read_shards(found).images
        if not len(images["A"]):
            return images[""], images[""], images[""].names
        self.leave_out("no pair, as others are", images[""].names)
        return images["A"], images["B"], [pair_name(name) for name in images["A"].names]

    def _check_wide(self, root: Path) -> None:
        """Raise ValueError when an image is no wider than high: whatever it is, it is hardly two side by side."""
        for path, header in self.sample("A").items():
            if header.width <= header.height:
                raise ValueError(
                    f"--dataroot {root}: {path} is {header.width}x{header.height} pixels: no A|B side by side; "
                    "put pairs of tall images into two folders, trainA/ and trainB/"
                )

    def part(self, key: str, index: int, pixels: np.ndarray) -> np.ndarray:
        _, width = self.file_size(key, index)
        if not self.halves:
            return pixels
        return pixels[:, :width] if (key == "A") == (self.opt.direction == "AtoB") else pixels[:, width:]

    def file_size(self, key: str, index: int) -> tuple[int, int]:
        """Return height and width of an image, which its partner must have too, from the headers.

        Raises:
            BadImageError: a file is damaged, the sizes differ, or a width cannot be halved.
        """
        height, width = super().file_size(key, index)
        if self.halves:
            if width % 2:
                raise BadImageError(f"a width of {width} pixels cannot be halved into A and B")
            return height, width // 2
        A, B = self.paths["A"][index], self.paths["B"][index]
        sizes = [(h.width, h.height) for h in (self.header(A), self.header(B))]
        if sizes[0] != sizes[1]:
            (w, h), (other_w, other_h) = sizes
            raise BadImageError(f"{A} is {w}x{h}, {B} is {other_w}x{other_h}: pairs must be of one size")
        return height, width

    def _find(self, root: Path) -> tuple[tuple[Path, Path], str]:
        """Return the folders of A and B, or one folder twice, and the phase whose they are."""
        for phase in PHASES[self.opt.phase]:
            folder = phase_folder(root, phase)
            # Scripts of pytorch-CycleGAN-and-pix2pix unpack the pairs of facades beside the unpaired set of that name.
            in_halves = folder is not None and has_pairs(folder)
            try:
                folders = pair_folders(root, phase)
            except FileNotFoundError:
                if not in_halves:
                    raise
                folders = None
            if folders and not (in_halves and _are_strangers(*folders)):
                return folders, phase
            if folder:
                return (folder, folder), phase
        wanted = self.opt.phase
        raise FileNotFoundError(
            f"--dataroot {root} has no pairs for --phase {wanted}: neither {wanted}/ with A|B in each file, nor "
            f"{wanted}A/ and {wanted}B/, {wanted}/A/ and {wanted}/B/, A/{wanted}/ and B/{wanted}/, or A/ and B/"
        )

    def _match(self, folder_A: Path, folder_B: Path, names_A: list[str], names_B: list[str]) -> dict[str, str]:
        """Return {name of A: name of B}; say which files have no partner.

        Raises:
            FileNotFoundError: none has.
        """
        partner = match_names(names_A, names_B)
        if not partner:
            raise FileNotFoundError(
                f"no name in {folder_A}, such as {names_A[0]}, is also in {folder_B}: "
                "without pairs, --model cycle_gan learns"
            )
        taken = set(partner.values())
        alone = [str(folder_A / a) for a in names_A if a not in partner]
        alone += [str(folder_B / b) for b in names_B if b not in taken]
        self.leave_out("without a partner of the same name", alone)
        report_skipped(alone)
        return partner


def pair_name(name: str) -> str:
    """Return what a pair is called whose A is called so: 1.png for 1.A.png."""
    stem, _, ending = name.rpartition(".")
    return f"{stem[:-2]}.{ending}"


def _are_strangers(folder_A: Path, folder_B: Path) -> bool:
    """Say whether no image of A has a partner in B."""
    return not match_names(survey(folder_A, READ).names, survey(folder_B, READ).names)


def report_skipped(alone: Sequence[str]) -> None:
    """Print how many files have no partner, and the first of them."""
    if alone:
        more = f" and {len(alone) - 20} more" if len(alone) > 20 else ""
        print(f"skipped: {len(alone)} files without a partner of the same name: {', '.join(alone[:20])}{more}")
