"""The frame, style and file links that the training page and the result pages share.

Pages open from disk (``file://``): nothing is fetched, all they use lies beside them.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dominate import document, tags

from util.files import written_whole

_ASSETS = Path(__file__).with_name("assets")


class Page:
    """An ``index.html`` in the making. dominate escapes every text and attribute that it is given."""

    def __init__(self, title: str, subtitle: str = "") -> None:
        self._document = document(title=title)
        self._document["lang"] = "en"
        self._document.head.add(
            tags.meta(charset="utf-8"),
            tags.meta(name="viewport", content="width=device-width, initial-scale=1"),
            tags.meta(name="color-scheme", content="light dark"),
            tags.link(rel="stylesheet", href="page.css"),
        )
        self._main = self._document.body.add(tags.main(tags.header(tags.h1(title))))
        if subtitle:
            self._main[0].add(tags.p(subtitle, cls="muted"))

    def add(self, element: Any) -> Any:
        """Add a dominate element at the end of the page and return it."""
        return self._main.add(element)

    def write(self, folder: Path, scripts: tuple[str, ...] = ()) -> Path:
        """Write the page, its style and ``scripts`` (files of assets/) into ``folder``; return the page's path."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("page.css", *scripts):
            with written_whole(folder / name) as file:
                file.write((_ASSETS / name).read_bytes())
        self._document.head.add(*(tags.script(src=name, defer=True) for name in scripts))
        path = folder / "index.html"
        with written_whole(path) as file:
            # A file name may hold bytes that are not UTF-8 (lone surrogates in a str): they are shown as "?".
            file.write(self._document.render().encode("utf-8", "replace"))
        return path


def beside_labels(picture: Any, rows: Sequence[str]) -> Any:
    """Return a picture of equally high rows with what each shows to the left of it."""
    if not rows:
        return tags.div(picture, cls="grid")
    labels = tags.div(cls="row-labels", style=f"grid-template-rows: repeat({len(rows)}, 1fr)")
    labels.add(tags.span(row, title=row) for row in rows)
    return tags.div(labels, picture, cls="grid")


def relative_url(path: Path, folder: Path) -> str:
    """Return the address of ``path`` as seen from a page in ``folder``, for any file name."""
    relative = Path(os.path.relpath(path, folder)).as_posix()
    return quote(os.fsencode(relative))
