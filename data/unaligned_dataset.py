"""Two collections of images, A and B, that do not belong together image by image."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from data import find_dataroot
from data.base_dataset import digest
from data.files.image_paths import Files
from data.files.pair_folders import pair_folders, say_stand_in, survey_or_raise
from data.files.phases import PHASES
from data.files.shards import Members
from data.translation import TranslationDataset
from util.seeding import draws
from util.spread import spread


class UnalignedDataset(TranslationDataset):
    """As many samples as the larger collection has images, cropped and mirrored each on its own.

    Sample i shows image ``i mod |A|`` of A with an image of B that is drawn anew in each epoch; with
    ``--serial_batches``, and wherever nothing is random, with image ``i mod |B|``. The folders are those of
    ``pair_folders.pair_folders``, such as trainA and trainB, with files or shards in them, or shards of pairs
    serve as both. Val and test stand in for each other.
    """

    opt: TranslationDataset.Options
    keys = ("A", "B")
    paired = False

    def __init__(self, opt: TranslationDataset.Options) -> None:
        super().__init__(opt)
        root = find_dataroot(opt.dataroot)
        found = self._in_shards(root) or self._in_folders(root)
        self.paths = dict(zip("AB", found if opt.direction == "AtoB" else found[::-1], strict=True))
        self._names = {key: paths.names for key, paths in self.paths.items()}
        self._name_samples()
        self.limit()
        self.describe({"A": opt.input_nc, "B": opt.output_nc})

    def _in_folders(self, root: Path) -> tuple[Files, Files]:
        """Return the images A and B of two folders."""
        for phase in PHASES[self.opt.phase]:
            if folders := pair_folders(root, phase):
                break
        else:
            wanted = self.opt.phase
            raise FileNotFoundError(f"--dataroot {root} has no {wanted}A/ and {wanted}B/ for --phase {wanted}")
        say_stand_in(root, self.opt.phase, phase)
        A, B = (Files(folder, self.take(folder, survey_or_raise(folder))) for folder in folders)
        return A, B

    def _in_shards(self, root: Path) -> tuple[Members, Members] | None:
        """Return the images A and B of shards: of trainA/ and trainB/, or of pairs; None when there are none."""
        if (A := self.shards_of(root, "A")) and (B := self.shards_of(root, "B")):
            return self.read_shards(A).images[""], self.read_shards(B).images[""]
        if not (pairs := self.shards_of(root)):
            return None
        images = self.read_shards(pairs).images
        if not len(images["A"]):
            raise FileNotFoundError(f"--dataroot {root} has shards, but no pairs 1.A.png, 1.B.png in them, nor trainA/")
        return images["A"], images["B"]

    def image_names(self, key: str) -> list[str]:
        return self._names[key]

    def pick(self, key: str, indices: np.ndarray, draw: tuple[int, ...] | None) -> np.ndarray:
        num = len(self._names[key])
        if key == "A" or draw is None or self.opt.serial_batches:
            return indices % num
        return (draws(indices, *draw) * num).astype(np.int64)

    def keep(self, indices: Sequence[int]) -> None:
        """Keep the images that these samples show when nothing is random."""
        for key, names in self._names.items():
            self.keep_images(key, list(dict.fromkeys(i % len(names) for i in indices)))

    def keep_images(self, key: str, indices: Sequence[int]) -> None:
        self._names[key] = [self._names[key][i] for i in indices]
        self.paths[key] = self.paths[key].only(indices)
        self._name_samples()

    def limit(self) -> None:
        """Apply ``--max_dataset_size`` to each collection."""
        if size := self.opt.max_dataset_size:
            for key, names in self._names.items():
                self.keep_images(key, spread(len(names), size).tolist())

    def fingerprint(self) -> list[str]:
        return [*super().fingerprint(), *(digest(names) for names in self._names.values())]

    def _name_samples(self) -> None:
        """Call each sample what its A is called; an A that is shown again gets a number that sets it apart."""
        names, num = self._names["A"], max(map(len, self._names.values()))
        taken = set(names)
        self.names = list(names)
        for i in range(len(names), num if names else 0):
            path = PurePosixPath(names[i % len(names)])
            count = i // len(names) + 1
            while (name := str(path.with_stem(f"{path.stem}_{count}"))) in taken:
                count += 1
            taken.add(name)
            self.names.append(name)
