"""What ``--dataroot`` means and which data set class reads it; imports neither torch nor Pillow before it looks."""

import contextlib
from pathlib import Path

from data.files.archives import is_archive, unpacked
from data.files.image_paths import READ, has_images, some_images
from data.files.phases import phase_folder, unwrapped
from data.files.shard_files import find_shards, listed
from util.registry import did_you_mean

DATASETS = Path(__file__).parents[2] / "datasets"
UNPAIRED = {"facades": "facades_unpaired", "maps": "maps_unpaired"}  # names that mean two archives
CARD = "card.yaml"  # in a data set's folder: the option values that suit it


def find_dataroot(dataroot: str) -> Path:
    """Return what ``--dataroot`` means: a path if it exists, else a name in datasets/, else one to download.

    An archive is unpacked; a folder that does nothing but wrap another gives way to that; of shards that are named one
    by one it is their folder, the first one's.

    Raises:
        OSError: there is no such path or name, or it cannot be downloaded.
        LookupError: its terms forbid a download; the message says how to get it.
        ValueError: what came is not what was expected, or an archive is damaged.
    """
    if tars := listed(dataroot):
        return tars[0].parent
    name = _name(dataroot)
    for path in (Path(dataroot), DATASETS / name):
        if path.exists():
            return unwrapped(unpacked(path, DATASETS / ".cache") if is_archive(path) else path)
    from data.download.catalogue import ENTRIES  # with ssl and more, which few runs need
    from data.download.download import download

    if name in ENTRIES:
        return download(name, DATASETS)
    names = sorted(d.name for d in DATASETS.iterdir() if d.is_dir() and not d.name.startswith((".", "_")))
    near = did_you_mean(Path(dataroot).name, names).replace("(known:", "(in datasets/ there are:")
    if "://" in dataroot:
        near = "; download it, and give the folder or the archive"
    elif dataroot.startswith("~"):
        near = "; a shell replaces ~ at the beginning of a word without quotes only, as in --dataroot ~/photos"
    raise FileNotFoundError(f"--dataroot {dataroot}: neither a path nor a name in datasets/{near}")


def index_folder() -> Path:
    """Return the folder of the indices of shards."""
    return DATASETS / ".cache"


def _name(dataroot: str) -> str:
    """Return the name of a data set that is written as the path where it would be, such as ./datasets/maps."""
    path = Path(dataroot)
    return path.name if path.parent == Path(DATASETS.name) else dataroot


def meant(dataroot: str, dataset_mode: str) -> str:
    """Return the data set that ``dataroot`` names: unaligned images are another archive than pairs of the same name.

    A folder that is there and holds trainA and trainB is taken as it is.
    """
    twin = UNPAIRED.get(_name(dataroot), "")
    if dataset_mode != "unaligned" or not twin:
        return dataroot
    here = [path for path in (Path(dataroot), DATASETS / _name(dataroot)) if path.exists()]
    return dataroot if any(phase_folder(path, "train", "A") for path in here) else twin


def recognize(dataroot: str, dataset_mode: str = "") -> tuple[str, Path]:
    """Return the dataset_mode that reads what lies in ``dataroot``, and where its card would be.

    ``dataset_mode`` is the one that is asked for, or that the model needs; "": any.

    Raises:
        FileNotFoundError: there is no such folder, or nothing in it that a data set class reads.
    """
    from data.files.idx_files import find_idx_files

    root = find_dataroot(meant(dataroot, dataset_mode))
    if root.is_file():
        mode = "single"
    elif find_idx_files(root):
        mode = "idx"
    elif shards := find_shards(dataroot, root, "train"):
        from data.files.shards import has_pairs as are_pairs

        mode = "aligned" if are_pairs(shards.tars, index_folder()) else "image_folder"
    elif phase_folder(root, "train", "A") and phase_folder(root, "train", "B"):
        mode = "unaligned"
    elif has_pairs(phase_folder(root, "train") or root / "train"):
        mode = "aligned"
    elif has_images(root, READ):
        mode = "image_folder"
    else:
        packed = sorted(path.name for path in root.iterdir() if is_archive(path))
        hint = f"; give an archive itself ({root / packed[0]}), or unpack {', '.join(packed)}" if packed else ""
        raise FileNotFoundError(f"--dataroot {dataroot}: no images in {root} and no idx files such as MNIST's{hint}")
    return mode, root / CARD


def has_pairs(folder: Path) -> bool:
    """Return whether all readable images of a folder are A|B, twice as wide as high, and none lies in a sub-folder.

    Of many images, a hundred from all over are looked at.
    """
    names = []
    for name in some_images(folder):
        if "/" in name:
            return False
        names.append(name)
    from data.files.decode import BadImageError
    from data.files.pixels import read_header

    shapes = set()
    for name in sorted(names)[:: max(1, len(names) // 100)]:
        with contextlib.suppress(BadImageError):
            header = read_header(folder / name)
            shapes.add(header.width == 2 * header.height)
    return shapes == {True}
