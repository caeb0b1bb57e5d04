"""Measure a model: its generated or translated images against held-out real ones."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor, nn
from tqdm import tqdm

from util.metrics.classifier import classify, classify_all, kept_classifier, shares
from util.metrics.disk_cache import kept
from util.metrics.features import Extractor, find_extractor
from util.metrics.frechet import frechet_distance
from util.metrics.kid import kid
from util.metrics.lpips import LPIPS_SIZE, create_lpips
from util.metrics.names import OF_CLASSES, OF_FEATURES, OF_PAIRS, OF_SPECTRA, Features
from util.metrics.pairs import PairMetric, l1, psnr, ssim
from util.metrics.precision_recall import precision_recall
from util.metrics.score import Score
from util.metrics.spectrum import fine_power, fineness

if TYPE_CHECKING:
    from data.base_dataset import BaseDataset
    from data.loading.loader import Loader
    from models.base_model import BaseModel
    from models.noise import NoiseModel
    from options.base_options import BaseOptions

BATCH = 32  # images that a model draws at a time
FEWEST = 4  # held-out images
SIDES = {"": ("fake_B", "real_B"), "_A": ("fake_A", "real_A")}  # what translations are compared with what
SIDES_RGB = {"": ("fake_B_rgb", "real_B_rgb")}  # the same for colorization
SHOWS = {"fake_B": "A", "real_A": "A", "fake_A": "B", "real_B": "B"}  # of which collection each has an image


class Judge(NamedTuple):
    """A classifier of the data's classes, and how many held-out real images it puts in theirs."""

    net: nn.Module
    accuracy: float


class Evaluator:
    """Measures a model repeatedly, always on the same held-out images, noise and labels."""

    def __init__(
        self,
        opt: "BaseOptions",
        open_held_out: Callable[[], "Loader"],
        open_train: Callable[[], "Loader"],
        extractor: Extractor | None = None,
        batch_size: int = 0,
        learnt_from: str = "",
    ) -> None:
        """Prepare everything that does not depend on the model, or read it from ``cache_dir``.

        Args:
            opt: options of train.py or test.py.
            open_held_out: returns a loader of the images to compare with.
            open_train: returns a loader of the training images, for the classifier.
            extractor: of features; None: as the options say.
            batch_size: images that a model draws at a time; 0: BATCH.
            learnt_from: the network whose features the model was trained on, which should not judge it; "": none.

        Raises:
            LookupError: a metric needs what is not installed.
            ValueError: a metric cannot be had of such data.
        """
        start = time.perf_counter()
        self.opt, self.held_out = opt, open_held_out()
        dataset, self.device = self.held_out.dataset, self.held_out.device
        self.batch_size = batch_size or BATCH
        self.metrics: tuple[str, ...] = tuple(dict.fromkeys(opt.metrics))
        self.draws = "image" in dataset.keys
        self.classes: tuple[str, ...] = dataset.spec.classes if dataset.labels is not None else ()
        self._check(dataset)
        self.extractor = extractor
        if any(m in OF_FEATURES for m in self.metrics) and not extractor:
            wanted: Features = "inception" if "fid" in self.metrics else opt.features
            self.extractor = find_extractor(wanted, opt.feature_size, self.device, learnt_from)
        self.pair_metrics: dict[str, PairMetric] = {"l1": l1, "psnr": psnr, "ssim": ssim}
        if "lpips" in self.metrics:
            self.pair_metrics["lpips"] = create_lpips(self.device)
        self.judge = self._judge(open_train()) if any(m in OF_CLASSES for m in self.metrics) else None
        self._real: dict[tuple[str, str], Tensor] = {}
        self.seconds = time.perf_counter() - start  # that it took to prepare

    def _check(self, dataset: "BaseDataset") -> None:
        """Raise ValueError for a metric that this data gives nothing for."""
        for metric in self.metrics:
            if metric in OF_PAIRS and (self.draws or not dataset.paired or "B" not in dataset.keys):
                raise ValueError(f"--metrics {metric}: this data has no pairs to compare; kid and precision take sets")
            if metric in OF_CLASSES and not (self.draws and len(self.classes) > 1):
                raise ValueError(f"--metrics {metric}: this data has no classes to tell apart")
        if not self.draws and "B" not in dataset.keys:
            raise ValueError(
                "--metrics: this data has no real B to compare with; use --dataset_mode aligned or unaligned"
            )
        sides, nc = dataset.spec.image_size, dataset.spec.output_nc
        if "lpips" in self.metrics and (nc not in (1, 3) or 0 < min(sides) < LPIPS_SIZE):
            raise ValueError(
                f"--metrics lpips is of grey or RGB images of {LPIPS_SIZE} pixels or more, not {sides[1]} x {sides[0]} "
                f"with {nc} channels: leave it out"
            )
        if any(m in OF_FEATURES for m in self.metrics) and len(dataset) < FEWEST:
            raise ValueError(f"--metrics: {len(dataset)} held-out images are too few to compare with: {FEWEST} or more")
        if "fid" in self.metrics and self.opt.features not in ("auto", "inception"):
            named = f"--features {self.opt.features}"
            raise ValueError(f"--metrics fid is by Inception's features: use frechet with {named}")

    def check(self, model: "BaseModel") -> None:
        """Raise ValueError when a metric does not suit ``model``."""
        if "accuracy" in self.metrics and not model.spec.classes:
            raise ValueError("--metrics accuracy: this model takes no labels; use shares")

    @torch.no_grad()
    def measure(self, model: "BaseModel") -> list[Score]:
        """Return the scores of ``model``, which must be in evaluation mode.

        Raises:
            FloatingPointError: its images are not finite.
            ValueError: a metric does not suit it.
        """
        self.check(model)
        features: dict[str, list[Tensor]] = {}
        spectra: dict[str, list[Tensor]] = {}
        answers: list[Tensor] = []
        labels: list[Tensor] = []
        pairs: dict[str, list[Tensor]] = {}
        drawn = self._drawn(cast("NoiseModel", model)) if self.draws else self._translated(model)
        for side, fake, real in drawn:
            if not fake.isfinite().all():
                raise FloatingPointError("training diverged: G makes images that are not finite; try a lower --lr")
            if self.extractor:
                features.setdefault(side, []).append(self.extractor(fake))
            if any(m in OF_SPECTRA for m in self.metrics):
                spectra.setdefault(side, []).append(fine_power(fake))
            if self.judge:
                answers.append(classify(self.judge.net, fake))
                labels += [real] if model.spec.classes else []
            for metric in self.metrics:
                if metric in OF_PAIRS and side == "":
                    pairs.setdefault(metric, []).append(self.pair_metrics[metric](fake, real))
        scores = [f for side, parts in features.items() for f in self._of_sets(model, side, torch.cat(parts))]
        scores += [f for side, parts in spectra.items() for f in self._of_spectra(model, side, torch.cat(parts))]
        if self.judge:
            scores += self._of_classes(torch.cat(answers), torch.cat(labels) if labels else None)
        scores += [of_pairs(metric, torch.cat(values), self.opt.seed) for metric, values in pairs.items()]
        return sorted(scores, key=lambda score: self.metrics.index(score.metric))

    def see(self, images: Tensor) -> list[tuple[str, float]]:
        """Return the class that the classifier sees in each image (N, C, H, W), and how probable it is to it."""
        assert self.judge
        probabilities, places = classify(self.judge.net, images).max(1)
        names = [self.classes[k] for k in places.tolist()]
        return list(zip(names, probabilities.tolist(), strict=True))

    def _drawn(self, model: "NoiseModel") -> Iterator[tuple[str, Tensor, Tensor]]:
        """Yield images from noise with the labels they were drawn for; labels as the held-out images have them."""
        num = self.opt.eval_images
        z, labels = model.latents(num, self.opt.seed), torch.zeros(num, dtype=torch.int64)
        if self.classes:
            known = cast(Tensor, self.held_out.dataset.labels)
            labels = known[torch.arange(num) * len(known) // num]  # of each class in proportion, whatever num is
        labels = labels.to(model.device)
        with tqdm(total=num, desc="evaluating", unit="img", leave=False, disable=None) as bar:
            for points, wanted in zip(*(t.split(self.batch_size) for t in (z, labels)), strict=True):
                yield "", model.sample(points, wanted if model.spec.classes else None), wanted
                bar.update(len(points))

    def _translated(self, model: "BaseModel") -> Iterator[tuple[str, Tensor, Tensor]]:
        """Yield translations with real images of the same domain, which show the same where the data has pairs."""
        dataset = self.held_out.dataset
        left = {kind: len(dataset.image_names(key)) for kind, key in SHOWS.items()}
        with tqdm(total=len(dataset), desc="evaluating", unit="img", leave=False, disable=None) as bar:
            for batch, names in self.held_out.in_order(len(dataset)):
                visuals = model(batch)
                for side, (fake, real) in (SIDES_RGB if "fake_B_rgb" in visuals else SIDES).items():
                    if fake in visuals and real in visuals:
                        # Of two collections the smaller one comes round again: its images are taken once.
                        taken = {k: min(len(names), left.get(k, len(names))) for k in (fake, real)}
                        yield side, visuals[fake][: taken[fake]], visuals[real][: taken[real]]
                for kind in left:
                    left[kind] = max(0, left[kind] - len(names))
                bar.update(len(names))

    def _of_sets(self, model: "BaseModel", side: str, fake: Tensor) -> Iterator[Score]:
        """Yield what the features (N, D) of a set of images say."""
        assert self.extractor
        name = self.extractor.name
        real = self._of_real(name, self.extractor.size, self.extractor, model, side)

        def score(metric: str, value: float, std: float | None = None) -> Score:
            called = "fid" if metric in ("fid", "frechet") and name == "inception" else f"{metric}_{name}"
            size, seed = self.extractor.size if self.extractor else 0, self.opt.seed
            return Score(metric, called + side, value, std, len(fake), len(real), name, size, seed)

        if "kid" in self.metrics:
            yield score("kid", *kid(fake, real, self.opt.seed))
        for metric in ("frechet", "fid"):
            if metric in self.metrics:
                yield score(metric, frechet_distance(fake, real))
        if {"precision", "recall"} & set(self.metrics):
            for metric, value in precision_recall(fake, real)._asdict().items():
                if metric in self.metrics:
                    yield score(metric, value)

    def _of_classes(self, answers: Tensor, labels: Tensor | None) -> list[Score]:
        """Return what the classifier's answers (N, num_classes) say of images that were drawn for ``labels``."""
        assert self.judge
        num, said = len(answers), shares(answers)
        judge = f"classifier ({100 * self.judge.accuracy:.1f} % right on real images)"

        def score(metric: str, name: str, value: float) -> Score:
            return Score(metric, name, value, None, num, len(self.held_out.dataset), judge, 0, self.opt.seed)

        scores = []
        if "accuracy" in self.metrics and labels is not None:
            scores.append(score("accuracy", "accuracy", float((answers.argmax(1) == labels).float().mean())))
        if "shares" in self.metrics:
            scores.append(score("shares", "class_entropy", abs(said.entropy)))
            for name, share in zip(self.classes, said.share.tolist(), strict=True):
                scores.append(score("shares", f"share_{name}", share))
        return scores

    def _of_spectra(self, model: "BaseModel", side: str, fake: Tensor) -> Iterator[Score]:
        """Yield what the spectra of a set of images say, as ``fine_power`` gives them."""
        real = self._of_real("fine_power", 0, fine_power, model, side)
        for metric, value in fineness(fake, real)._asdict().items():
            if metric in self.metrics:
                yield Score(metric, metric + side, value, None, len(fake), len(real), "pixels", 0, self.opt.seed)

    def _of_real(
        self, name: str, size: int, function: Callable[[Tensor], Tensor], model: "BaseModel", side: str
    ) -> Tensor:
        """Return ``function`` of the held-out images, (M, D), kept from the first time on."""
        if (name, side) not in self._real:

            def compute() -> dict[str, Tensor]:
                return {"features": torch.cat([function(images) for images in self._real_images(model, side)]).cpu()}

            # What a translation is compared with follows from the model's class, as colours of Lab, not its weights.
            key = [name, str(size), "" if self.draws else f"{type(model).__name__}{side}"]
            key = [*key, *self.held_out.dataset.fingerprint()]
            found = kept(Path(self.opt.cache_dir), "features", key, compute)["features"]
            self._real[name, side] = found.to(self.device)
        return self._real[name, side]

    def _real_images(self, model: "BaseModel", side: str) -> Iterator[Tensor]:
        if not self.draws:
            yield from (real for of, _, real in self._translated(model) if of == side)
            return
        total = len(self.held_out.dataset)
        with tqdm(total=total, desc="real images", unit="img", leave=False, disable=None) as bar:
            for batch, names in self.held_out.in_order(total):
                yield batch["image"]
                bar.update(len(names))

    def _judge(self, train: "Loader") -> Judge:
        """Return a classifier of the data's classes, and how good it is."""
        net = kept_classifier(train, Path(self.opt.cache_dir))
        accuracy, num = classify_all(net, self.held_out).accuracy, len(self.held_out.dataset)
        print(f"metrics: the classifier puts {100 * accuracy:.1f} % of {num} held-out images right")
        return Judge(net, accuracy)


def of_pairs(metric: str, values: Tensor, seed: int) -> Score:
    """Return the mean of what a metric said of N pairs, (N,)."""
    features = "alexnet" if metric == "lpips" else "pixels"
    values = values.cpu().double()
    std = float(values.std(correction=0)) if values.isfinite().all() else None  # PSNR of equal images is infinite
    return Score(metric, metric, float(values.mean()), std, len(values), len(values), features, 0, seed)
