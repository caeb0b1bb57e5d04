"""The page that shows what a trained model makes: galleries, figures, translations side by side, and numbers."""

from pathlib import Path
from typing import Any

from dominate import tags

from util.images import enlargement
from util.open_image import open_image
from util.pages.page import Page, relative_url

GALLERY_SIZE = 160  # pixels: larger images are shown at this size in a gallery


class ResultsPage:
    """``results/<name>/<phase>_<epoch>/index.html``, section by section; images must be on disk when they are added."""

    def __init__(self, folder: Path, title: str, subtitle: str = "") -> None:
        self.folder = folder
        self._page = Page(title, subtitle)
        self._section: Any = None
        self._open: tuple[object, Any] = (None, None)  # what the last picture went into, for those that follow it

    def add_section(self, heading: str, text: str = "") -> None:
        """Begin a section: what is added next goes into it."""
        self._section = self._page.add(tags.section(tags.h2(heading)))
        self._open = (None, None)
        if text:
            self._section.add(tags.p(text))

    def add_figure(self, image: Path, caption: str, width: int | None = None) -> None:
        """Add one picture, ``width`` pixels wide on the page (None: as large as it is)."""
        figures = self._continue("figures", lambda: tags.div(cls="figures"))
        figures.add(tags.figure(tags.figcaption(caption), self._picture(image, caption, width=width)))

    def add_row(self, caption: str, images: dict[str, Path], width: int | None = None) -> None:
        """Add pictures that belong together, by kind (real_A, fake_B ...), side by side, each ``width`` pixels wide."""
        kinds = tuple(images)
        table = self._continue(kinds, lambda: _pictures_table(kinds))
        pictures = tags.tr(
            tags.td(self._picture(path, f"{kind}, {caption}", width=width)) for kind, path in images.items()
        )
        table.add(tags.tbody(tags.tr(tags.th(caption, colspan=len(kinds), scope="rowgroup")), pictures))

    def add_gallery(self, rows: dict[str, list[Path]]) -> None:
        """Add many images, one row per class (or whatever the keys name)."""
        table = self._add(tags.table(cls="gallery"))
        for name, paths in rows.items():
            images = tags.div(self._picture(path, name, limit=GALLERY_SIZE) for path in paths)
            table.add(tags.tr(tags.th(name, scope="row"), tags.td(images)))

    def add_table(self, header: list[str], rows: list[list[str]]) -> None:
        """Add a table of numbers; its first column names them."""
        table = tags.table(tags.tr(tags.th(text, scope="col") for text in header), cls="numbers")
        for row in rows:
            table.add(tags.tr(tags.td(text) for text in row))
        self._add(tags.div(table, cls="scroll", tabindex="0"))

    def write(self) -> Path:
        """Write the page and return its path."""
        return self._page.write(self.folder)

    def _add(self, element: Any) -> Any:
        self._open = (None, None)
        return self._page.add(element) if self._section is None else self._section.add(element)

    def _continue(self, key: object, create: Any) -> Any:
        """Return the element that the last picture went into, if it is of the same kind, or else a new one."""
        if self._open[0] != key:
            element = self._add(create())
            self._open = (key, element)
        return self._open[1]

    def _picture(self, path: Path, text: str, *, width: int | None = None, limit: int | None = None) -> Any:
        """Return an image that loads when it comes into view; a larger one than is shown is linked."""
        with open_image(path) as image:
            size = image.size
        if width is None:
            width = size[0] * enlargement(max(size))
            if limit is not None and width > limit:
                width = limit
        height = max(1, round(size[1] * width / size[0]))
        url = relative_url(path, self.folder)
        # Width and height reserve the place, so that the page does not move while its images load.
        element = tags.img(src=url, alt=text, width=width, height=height, loading="lazy")
        if width > size[0]:
            element["class"] = "tiny"
        if limit is not None and width >= size[0]:
            return element
        return tags.a(element, href=url)


def _pictures_table(kinds: tuple[str, ...]) -> Any:
    return tags.table(tags.thead(tags.tr(tags.th(kind, scope="col") for kind in kinds)), cls="pictures")
