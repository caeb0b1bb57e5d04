"""What test.py makes of a model that translates: a file for each image of each kind, and a row of the page."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn.functional import interpolate
from tqdm import tqdm

from util.images import save_image
from util.results.results import Results, safe_name
from util.types import DataSpec

if TYPE_CHECKING:
    from data.loading.loader import Loader
    from models.base_model import BaseModel
    from options.test_options import TestOptions


def translate_all(results: Results, model: "BaseModel", loader: "Loader", opt: "TestOptions") -> None:
    """Write the model's pictures of every sample as images/<kind>/<path of the sample>.png, at the data's own depth.

    Args:
        results: where they go.
        model: a model whose ``forward`` returns pictures in the order of the batch.
        loader: of the data.
        opt: of test.py.
    """
    names, spec = loader.dataset.names, loader.dataset.spec
    stems = file_stems(names)
    results.page.add_section("Images", f"{len(names)} samples; each kind is in a folder of its own below images/")
    with tqdm(total=len(names), desc="translating", unit="img", leave=False, disable=None) as bar:
        for batch, some in loader.in_order(len(names)):
            pictures = {kind: stretched(images, opt.aspect_ratio) for kind, images in model(batch).items()}
            for i, name in enumerate(some):
                shown = {}
                for kind, images in pictures.items():
                    path = results.path(kind, stems[name])
                    shown[kind], *_ = save_image(path, images[i], spec.bit_depth, *_numbers_of(kind, spec))
                results.page.add_row(name, shown, opt.display_winsize or None)
            bar.update(len(some))


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
