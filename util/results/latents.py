"""What test.py shows of a latent space: walks, the nearest training images, and what an encoder makes of real ones."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from util.images import make_grid, save_film
from util.results.interpolation import truncated, walk
from util.results.results import Results
from util.spread import spread
from util.types import Batch, Grid

if TYPE_CHECKING:
    from data.loading.loader import Loader
    from models.noise import NoiseModel
    from options.test_options import TestOptions

COMPARED = 32  # pixels: the size at which images are compared
NEAREST_SIZE = 72  # pixels of each on the page
BESIDE = 16  # samples that are shown beside their nearest training images
SWAPPED = 10  # real images whose class is swapped
FRAME = 0.04  # seconds that a film shows each step of a walk


def show_latents(
    results: Results,
    model: "NoiseModel",
    labels: list[int],
    z: Tensor,
    opt: "TestOptions",
    open_phase: Callable[[str], "Loader"],
) -> None:
    """Add to the page what the options of test.py ask for beside the samples.

    Args:
        results: where it goes.
        model: in the mode to test it in.
        labels: classes in the order to cycle through; [] for a model without classes.
        z: the points of noise (N, nz) of the samples.
        opt: of test.py.
        open_phase: "train", "val" or "test" -> a loader of that part of the data.
    """
    rows = list(dict.fromkeys(labels))
    few = rows if opt.labels else [rows[i] for i in spread(len(rows), opt.display_classes or len(rows))]
    if opt.interpolate:
        ends = truncated(model.latents(2, opt.seed), opt.truncation)
        points = walk(ends[0], ends[1], opt.interpolate, opt.interpolation)
        draw_walk(results, model, few, points, opt.video)
    if opt.nearest:
        loader = open_phase("train")
        batches = (batch for batch, _ in loader.in_order(len(loader.dataset)))
        draw_nearest(results, model, labels, z[:BESIDE], batches, opt.nearest)
    if model.has_encoder:
        try:
            loader = open_phase(opt.phase)
        except FileNotFoundError as error:
            print(f"no reconstructions are shown: {error}")
        else:
            draw_reconstructions(results, model, few, [batch for batch, _ in loader.in_order(len(loader.dataset))])


def draw_walk(results: Results, model: "NoiseModel", rows: list[int], points: Tensor, as_film: bool = False) -> None:
    """Draw the walk along ``points`` (N, nz), the same for each class of ``rows``: a row a class, N columns.

    ``as_film`` asks for a film as well: the classes side by side, walked there and back.
    """
    parts = [model.sample(points, torch.full((len(points),), k, device=model.device)) for k in rows]
    images = torch.stack(parts or [model.sample(points, None)]).cpu()  # (classes, N, C, H, W)
    names = tuple(model.spec.classes[k] for k in rows)
    path = results.save("walk", "walk", make_grid(Grid(images.flatten(0, 1), len(points))))
    results.page.add_section("Interpolation", "From one point of z to another, in equal steps; each row the same walk.")
    if as_film:
        frames = [make_grid(Grid(step, len(images))) for step in images.unbind(1)]
        film = path.with_suffix(".webp")
        save_film(film, frames + frames[-2:0:-1], FRAME)
        results.page.add_figure(film, ", ".join(names) or "the walk, there and back")
    results.page.add_figure(path, "the walk", rows=names)


def draw_nearest(
    results: Results, model: "NoiseModel", labels: list[int], z: Tensor, batches: Iterable[Batch], num: int
) -> None:
    """Show beside the images of ``z`` (N, nz) the ``num`` training images nearest to each, a row each."""
    chosen = torch.tensor([labels[i % len(labels)] for i in range(len(z))], device=z.device) if labels else None
    samples = model.sample(z, chosen)
    found = nearest_images(samples, batches, num)  # (N, num, C, H, W)
    text = f"Each drawn image, and the {found.shape[1]} training images nearest to it: the distance is that of pixels,"
    results.page.add_section("Nearest training images", f"{text} at no more than {COMPARED} a side.")
    for i, row in enumerate(torch.cat([samples[:, None], found], 1).cpu()):
        path = results.save("nearest", f"{i:05d}", make_grid(Grid(row, len(row))))
        results.page.add_figure(path, f"sample {i}", NEAREST_SIZE * len(row))


def nearest_images(images: Tensor, batches: Iterable[Batch], num: int) -> Tensor:
    """Return the ``num`` images (N, num, C, H, W) of all ``batches`` that are nearest to each of ``images``, in order.

    Distances are Euclidean, between pixels of images shrunk to COMPARED: they find copies, not likeness of content.
    """
    queries = _small(images)  # (N, pixels)
    best = torch.empty(len(images), 0, device=images.device)  # squared distances
    kept = images[:, None][:, :0]
    for batch in batches:
        others = batch["image"]
        distances = torch.cdist(queries, _small(others))  # (N, batch)
        best, order = torch.cat([best, distances], 1).topk(min(num, best.shape[1] + len(others)), dim=1, largest=False)
        both = torch.cat([kept, others.expand(len(images), *others.shape)], 1)
        kept = both[torch.arange(len(images), device=images.device)[:, None], order]
    return kept


def _small(images: Tensor) -> Tensor:
    height, width = (min(side, COMPARED) for side in images.shape[-2:])
    return adaptive_avg_pool2d(images, (height, width)).flatten(1)


def draw_reconstructions(results: Results, model: "NoiseModel", rows: list[int], batches: list[Batch]) -> None:
    """Show real images, what is decoded of them, and what becomes of them in the classes ``rows``; print the errors."""
    error = kl = 0.0
    num = sum(len(batch["image"]) for batch in batches)
    for batch in batches:
        _, decoded, divergence = model.autoencode(batch["image"], batch["label"])
        error += float((decoded - batch["image"]).square().mean()) * len(decoded) / num
        kl += float(divergence) * len(decoded) / num
    line = f"{num} real images: mean squared error of a pixel in [-1, 1] {error:.4f}, KL {kl:.2f} nats"
    print(line)

    classes = model.spec.classes
    images, labels = (torch.cat([batch[key] for batch in batches]) for key in ("image", "label"))
    first = [int((labels == k).nonzero()[0]) for k in range(len(classes)) if (labels == k).any()][:SWAPPED]
    z, own, _ = model.autoencode(images[first], labels[first])
    swapped = [model.sample(z, torch.full((len(z),), k, device=z.device)) for k in rows]
    kinds = torch.cat([images[first], own, *swapped])  # a row of images each
    path = results.save("swap", "swap", make_grid(Grid(kinds.cpu(), len(z))))
    results.page.add_section("Reconstructions", f"{line}.")
    text = "real images, decoded as what they are, and as each class in turn"
    results.page.add_figure(path, text, rows=("real", "decoded", *(f"as {classes[k]}" for k in rows)))
