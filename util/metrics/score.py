"""A measured number with the settings that it depends on."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Score(NamedTuple):
    """One number of one evaluation."""

    metric: str  # which of --metrics it belongs to
    name: str  # what it is called: fid, kid_efficientnet_lite0, share_rock ...
    value: float
    std: float | None  # of what it is the mean of: subsets, or images; None where there is none
    num_fake: int  # images that the model made
    num_real: int  # images that they were compared with
    features: str  # what looked at them: a network, classifier or pixels
    size: int  # pixels a side to which images were brought for it; 0: as they are
    seed: int  # what noise and subsets follow from

    @property
    def settings(self) -> str:
        """Return what stands beside the value, for people."""
        size = f" at {self.size} px" if self.size else ""
        return f"{self.num_fake} images against {self.num_real} real ones, {self.features}{size}, seed {self.seed}"

    @property
    def text(self) -> str:
        return f"{self.value:.4g}" + ("" if self.std is None else f" ± {self.std:.2g}")

    def cells(self) -> list[str]:
        """Return the score as COLUMNS, nine digits where it has them."""
        std = "" if self.std is None else f"{self.std:.9g}"
        return [
            self.metric,
            self.name,
            f"{self.value:.9g}",
            std,
            *map(str, (self.num_fake, self.num_real, self.features, self.size, self.seed)),
        ]


COLUMNS = list(Score._fields)


def from_cells(row: dict[str, str]) -> Score:
    """Return the score that a row of a CSV file holds."""
    return Score(
        metric=row["metric"],
        name=row["name"],
        value=float(row["value"]),
        std=float(row["std"]) if row["std"] else None,
        num_fake=int(row["num_fake"]),
        num_real=int(row["num_real"]),
        features=row["features"],
        size=int(row["size"]),
        seed=int(row["seed"]),
    )


def read_scores(path: Path) -> list[Score]:
    """Return the scores that a CSV file holds, [] when there is none."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [from_cells(row) for row in csv.DictReader(file)]


def table(scores: Sequence[Score]) -> list[list[str]]:
    """Return a row for each score: its name, its value, and its settings."""
    return [[f.name, f.text, f.settings] for f in scores]
