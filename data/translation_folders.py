"""Where image-to-image data sets keep A and B; imports neither torch nor Pillow."""

from collections.abc import Iterator
from pathlib import Path

from data.image_paths import EXTENSIONS, Survey, survey

PHASES = {"train": ("train",), "val": ("val", "test"), "test": ("test", "val")}  # val and test stand in for each other
READ = (*EXTENSIONS, ".npy")


def pair_folders(root: Path, phase: str) -> tuple[Path, Path] | None:
    """Return the folders of A and of B for one phase: the first of these layouts that is there, or None.

        root/trainA, root/trainB      root/train/A, root/train/B      root/A/train, root/B/train      root/A, root/B

    The last has no phases: all of its images serve each.

    Raises:
        FileNotFoundError: A is there without B, or B without A.
    """
    alone = None
    for A, B in _layouts(root, phase):
        if A.is_dir() and B.is_dir():
            return A, B
        if A.is_dir() or B.is_dir():
            alone = alone or ((A, B) if A.is_dir() else (B, A))
    if alone:
        there, missing = (folder.relative_to(root) for folder in alone)
        raise FileNotFoundError(
            f"--dataroot {root}: there is {there}/ but no {missing}/ (one folder alone is read by test.py --model test)"
        )
    return None


def _layouts(root: Path, phase: str) -> Iterator[tuple[Path, Path]]:
    yield root / f"{phase}A", root / f"{phase}B"
    yield root / phase / "A", root / phase / "B"
    yield root / "A" / phase, root / "B" / phase
    if not any((root / side / p).is_dir() for side in "AB" for p in PHASES):
        yield root / "A", root / "B"


def one_folder(root: Path, phase: str, side: str) -> Path:
    """Return the folder of a collection: root/trainA or root/trainB, as ``side`` says, root/train, or root itself.

    A root that is a single file is returned as it is.
    """
    for stand_in in PHASES[phase]:
        for folder in (root / f"{stand_in}{side}", root / stand_in):
            if folder.is_dir():
                say_stand_in(root, phase, stand_in)
                return folder
    return root


def say_stand_in(root: Path, phase: str, stand_in: str) -> None:
    """Print which phase's images are read, when they are not those that were asked for."""
    if stand_in != phase:
        print(f"{root} has nothing for --phase {phase}: reading {stand_in}")


def survey_or_raise(folder: Path) -> Survey:
    """Return what lies below ``folder``, as ``survey`` does.

    Raises:
        FileNotFoundError: there are no images; the message says what there is instead.
    """
    found = survey(folder, READ)
    if found.names:
        return found
    others = [name for names in found.left_out.values() for name in names]
    instead = f": its {len(others)} files, such as {others[0]}, are of other kinds" if others else ""
    raise FileNotFoundError(f"{folder} holds no images{instead} (read are {' '.join(READ)})")
