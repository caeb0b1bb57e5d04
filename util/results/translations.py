"""What test.py makes of a model that translates: a file for each image of each kind, and a row of the page."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from PIL.Image import Image
from torch import Tensor
from torch.nn.functional import interpolate
from tqdm import tqdm

from util import distributed
from util.files import written_whole
from util.images import save_film, save_image
from util.member import ImageFile
from util.metrics.pairs import PairMetric, l1, psnr, ssim
from util.open_image import open_image
from util.results.results import Results, safe_name
from util.types import DataSpec

if TYPE_CHECKING:
    from data.loading.loader import Loader
    from models.base_model import BaseModel
    from options.test_options import TestOptions

FIGURES: dict[str, PairMetric] = {"l1": l1, "psnr": psnr, "ssim": ssim}  # of each image whose B is known
COLUMNS = ("input", "kind", "output", "width", "height", *FIGURES)  # of samples.csv
MAX_ROWS = 2000  # of the page; the folders hold all


class Source(NamedTuple):
    """The images that pictures are made of and named after."""

    names: Sequence[str]
    files: Sequence[ImageFile]
    stems: dict[str, str]


class Row(NamedTuple):
    """What was made of one image."""

    key: str
    name: str
    pictures: dict[str, Path]  # by kind
    figures: dict[str, float]
    cells: list[list[str | int]]  # of samples.csv, a row a picture


def translate_all(results: Results, model: "BaseModel", loader: "Loader", opt: "TestOptions") -> None:
    """Write the model's pictures of every image as images/<kind>/<path of the image>.png, at the data's own depth.

    ``--results_layout flat`` makes that images/<path of the image>_<kind>.png, a path's folders being part of the name.

    Where A and B do not belong together image by image, each image is shown once, under its own name. samples.csv
    says which file each picture was made of.

    Args:
        results: where they go.
        model: a model whose ``forward`` returns pictures in the order of the batch.
        loader: of the data.
        opt: of test.py.
    """
    dataset = loader.dataset
    of_B: tuple[str, ...] = () if dataset.paired else model.made_of_B
    keys = dataset.keys if of_B else dataset.keys[:1]
    sources = {key: _source(dataset.image_names(key), dataset.image_files(key)) for key in keys}
    is_flat = opt.results_layout == "flat"
    own: list[list[Row]] = []  # of each batch
    with tqdm(total=len(dataset), desc="translating", unit="img", leave=False, disable=distributed.hides_bars()) as bar:
        for indices, batch in loader.in_turns():
            visuals = model(batch)
            fake, figures = _figures(visuals) if dataset.paired and "B" in dataset.keys else ("", [])
            pictures = {kind: stretched(images, opt.aspect_ratio) for kind, images in visuals.items()}
            own.append([])
            for key, source in sources.items():
                kinds = [kind for kind in pictures if (kind in of_B) == (key == "B")]
                for i, index in enumerate(index for index in indices if index < len(source.names)):
                    row = Row(key, source.names[index], {}, figures[i] if figures else {}, [])
                    for kind in kinds:
                        image, stem = pictures[kind][i], source.stems[row.name]
                        path = results.path("", f"{flat(stem)}_{kind}") if is_flat else results.path(kind, stem)
                        written = save_image(path, image, dataset.spec.bit_depth, *_numbers_of(kind, dataset.spec))
                        row.pictures[kind], output = written[0], written[-1].relative_to(results.folder).as_posix()
                        values = [f"{row.figures[k]:.6g}" if row.figures and kind == fake else "" for k in FIGURES]
                        of = str(source.files[index])
                        row.cells.append([of, kind, output, image.shape[2], image.shape[1], *values])
                    own[-1].append(row)
            bar.update(len(indices) * distributed.world())
    rows = [row for part in distributed.in_order(own) for row in part]
    if not distributed.is_first():
        return
    where = "all are in images/" if is_flat else "each kind is in a folder of its own below images/"
    where += f"; the first {MAX_ROWS} are shown" if len(rows) > MAX_ROWS else ""
    results.page.add_section("Images", f"{len(rows)} samples; {where}.", results.folder / "samples.csv")
    with written_whole(results.folder / "samples.csv", "w") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(cells for row in rows for cells in row.cells)
    for kind in dict.fromkeys(kind for row in rows for kind in row.pictures) if opt.animate else ():
        film = results.folder / "animations" / f"{kind}.webp"
        film.parent.mkdir(exist_ok=True)
        save_film(film, _frames([row.pictures[kind] for row in rows if kind in row.pictures]), opt.animate)
        results.page.add_figure(film, kind)
    for row in [row for key in sources for row in rows if row.key == key][:MAX_ROWS]:
        results.page.add_row(row.name, row.pictures, opt.display_winsize or None, row.figures)


def _figures(visuals: dict[str, Tensor]) -> tuple[str, list[dict[str, float]]]:
    """Return which kind of picture is compared with the B that there is, and the figures of each; "", [] if none is."""
    for fake, real in (("fake_B_rgb", "real_B_rgb"), ("fake_B", "real_B")):
        if fake in visuals and real in visuals:
            values = {name: metric(visuals[fake], visuals[real]).tolist() for name, metric in FIGURES.items()}
            return fake, [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return "", []


def flat(stem: str) -> str:
    """Return a path as the name of one file: % is not in it, as ``file_stems`` encodes what is odd."""
    return stem.replace("/", "%2F")


def _frames(paths: Sequence[Path]) -> list[Image]:
    """Return pictures of the first one's size."""
    frames = []
    for path in paths:
        with open_image(path) as image:
            frames.append(image.convert("RGB"))
    return [frame for frame in frames if frame.size == frames[0].size]


def _source(names: Sequence[str], files: Sequence[ImageFile]) -> Source:
    return Source(names, files, file_stems(names))


def _numbers_of(kind: str, spec: DataSpec) -> tuple[tuple[float, ...], str]:
    """Return the range and the type of the numbers in pictures of a kind, which ends in the side that it is like."""
    is_A = kind.endswith("A") or kind == "real"
    return (spec.value_range_A, spec.value_type_A) if is_A else (spec.value_range, spec.value_type)


def file_stems(names: Sequence[str]) -> dict[str, str]:
    """Return under which name, without extension, the results of each sample go: no two share one.

    That is the sample's own path; the extension stays where two files of one folder differ in nothing else.
    """
    short = {name: str(PurePosixPath(name).with_suffix("")) for name in names}
    chosen = short
    for _ in range(2):  # a whole name may be what another is without its extension
        taken = Counter(chosen.values())
        chosen = {name: stem if taken[stem] == 1 else name for name, stem in chosen.items()}
    return {name: "/".join(safe_name(part) for part in PurePosixPath(stem).parts) for name, stem in chosen.items()}


def stretched(images: Tensor, ratio: float) -> Tensor:
    """Return images (N, C, H, W) ``ratio`` times as wide; below 1, higher instead, so that no pixel is lost."""
    if ratio == 1:
        return images
    height, width = images.shape[-2:]
    size = (height, round(width * ratio)) if ratio > 1 else (round(height / ratio), width)
    return interpolate(images, size, mode="bicubic", antialias=True).clamp(-1, 1)
