"""The page that shows what a trained model makes: galleries, figures, translations side by side, and numbers."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dominate import tags

from util.images import CELL_SIZE, enlargement
from util.metrics.names import LARGER_IS_BETTER
from util.metrics.score import Score
from util.open_image import open_image
from util.pages.page import Page, beside_labels, relative_url
from util.pages.scores import Cell, score_table

COLUMNS, FEW_COLUMNS = 10, 5  # samples in a row of a gallery at most, on a wide page and on a phone
GROWTH = 1.4  # how much wider a picture in a row may become where there is room
WIDE = 640  # pixels: a figure that a phone shows in part, to be moved


class Seen(NamedTuple):
    """What a classifier saw in an image."""

    name: str  # of the class
    probability: float
    is_wanted: bool  # the class that was asked for, or any where none was


class ResultsPage:
    """``results/<name>/<phase>_<epoch>/index.html``, section by section; images must be on disk when they are added."""

    def __init__(self, folder: Path, title: str, subtitle: str = "") -> None:
        self.folder = folder
        self._page = Page(title, subtitle)
        self._section: Any = None
        self._open: tuple[object, Any] = (None, None)  # what the last picture went into, for those that follow it
        self._scripts: tuple[str, ...] = ()

    def add_section(self, heading: str, text: str = "", table: Path | None = None) -> None:
        """Begin a section: what is added next goes into it; ``table`` is a file with all that it shows."""
        self._section = self._page.add(tags.section(tags.h2(heading)))
        self._open = (None, None)
        if text:
            link = tags.a(table.name, href=relative_url(table, self.folder)) if table else ""
            self._section.add(tags.p(text, " " if link else "", link))

    def add_figure(self, image: Path, caption: str, width: int | None = None, rows: Sequence[str] = ()) -> None:
        """Add one picture, ``width`` pixels wide on the page (None: as large as it is), and what its rows show."""
        figures = self._continue("figures", lambda: tags.div(cls="figures"))
        picture = beside_labels(self._picture(image, caption, width), rows)
        figures.add(tags.figure(tags.figcaption(caption), picture))

    def add_row(
        self, name: str, images: dict[str, Path], width: int | None = None, figures: Mapping[str, float] | None = None
    ) -> None:
        """Add pictures that belong together, by kind (real_A, fake_B ...), side by side, each ``width`` pixels wide.

        The rows can be sorted by their ``figures``.
        """
        figures = figures or {}
        kinds = tuple(images)
        pictures = [self._picture(path, f"{kind}, {name}", width) for kind, path in images.items()]
        shown = int(pictures[0][0]["width"])
        widths = (shown, round(GROWTH * shown) if width is None else width)
        rows = self._continue((kinds, tuple(figures)), lambda: self._add_rows(kinds, figures, widths))
        row = rows.add(tags.div(tags.p(tags.span(name)), cls="row"))
        for metric, value in figures.items():
            row[0].add(tags.span(f"{metric.upper()} {value:.3g}", cls="muted"))
            row[f"data-{metric}"] = f"{value:.9g}"
        row.add(tags.div(pictures, cls="cells"))

    def add_gallery(self, rows: dict[str, list[Path]], seen: Mapping[Path, Seen] | None = None) -> None:
        """Add many images, one row per class (or whatever the keys name), with what a classifier ``seen`` in them."""
        longest = max(map(len, rows.values()))
        columns = {"many": _evenly(longest, COLUMNS), "few": _evenly(longest, FEW_COLUMNS)}
        gallery = tags.div(cls="gallery", style="; ".join(f"--{name}: {num}" for name, num in columns.items()))
        if seen:
            self._add_order({"certainty": "surest first", "-certainty": "least sure first"})
        for name, paths in rows.items():
            images = tags.div(cls="cells sortable" if seen else "cells")
            for path in paths:
                cell = images.add(self._picture(path, name))
                if seen:
                    cell["data-certainty"] = f"{seen[path].probability * (1 if seen[path].is_wanted else -1):.9g}"
                    text = f"{seen[path].name} {seen[path].probability:.2f}"
                    cell.add(tags.small(text, cls="muted" if seen[path].is_wanted else "odd"))
            gallery.add(tags.div(tags.h3(name), images))
        self._add(gallery)

    def add_scores(self, scores: Sequence[Score]) -> None:
        """Add a table of scores, and what they depend on below it."""
        self._add(score_table(["value"], {"": {score.name: {"value": Cell(score)} for score in scores}}))

    def write(self) -> Path:
        """Write the page and return its path."""
        return self._page.write(self.folder, self._scripts)

    def _add(self, element: Any) -> Any:
        self._open = (None, None)
        return self._page.add(element) if self._section is None else self._section.add(element)

    def _continue(self, key: object, create: Any) -> Any:
        """Return the element that the last picture went into, if it is of the same kind, or else a new one."""
        if self._open[0] != key:
            element = self._add(create())
            self._open = (key, element)
        return self._open[1]

    def _add_rows(self, kinds: Sequence[str], figures: Mapping[str, float], widths: tuple[int, int]) -> Any:
        """Return an element for rows of pictures of these kinds; before it stand the ways to sort them.

        ``widths`` are that of a picture, and the most that it may grow to where the page has room.
        """
        if len(kinds) > 1:
            self._add(tags.p(f"From left to right: {', '.join(kinds)}."))
        if figures:
            orders: dict[str, str] = {}
            for name in figures:
                best, worst = ("-", "") if name in LARGER_IS_BETTER else ("", "-")
                orders |= {
                    f"{best}{name}": f"best {name.upper()} first",
                    f"{worst}{name}": f"worst {name.upper()} first",
                }
            self._add_order(orders)
        style = f"--kinds: {len(kinds)}; --width: {widths[0]}px; --most: {widths[1]}px"
        return tags.div(cls="pictures sortable" if figures else "pictures", style=style)

    def _add_order(self, orders: dict[str, str]) -> None:
        """Add a choice of orders, "figure" for ascending, "-figure" for descending -> what it is called."""
        select = tags.select(tags.option("as they came", value=""), cls="order")
        for value, text in orders.items():
            select.add(tags.option(text, value=value))
        self._add(tags.div(tags.label("Sort:", select), cls="controls", hidden=True))
        self._scripts = ("sort.js",)

    def _picture(self, path: Path, text: str, width: int | None = None) -> Any:
        """Return an image that loads when it comes into view, and leads to its file."""
        with open_image(path) as image:
            size = image.size
        if width is None:
            width = size[0] * enlargement(max(size), CELL_SIZE)
        height = max(1, round(size[1] * width / size[0]))
        url = relative_url(path, self.folder)
        # Width and height reserve the place, so that the page does not move while its images load.
        element = tags.img(src=url, alt=text, width=width, height=height, loading="lazy")
        classes = ["tiny"] * (width > size[0]) + ["wide"] * (width >= WIDE)
        if classes:
            element["class"] = " ".join(classes)
        return tags.a(element, href=url)


def _evenly(num: int, most: int) -> int:
    """Return in how many columns, at most ``most``, ``num`` images make the fullest rows."""
    return math.ceil(num / math.ceil(num / most))
