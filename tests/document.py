"""A page as a browser would see it, for the tests of all pages."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote


class Document(HTMLParser):
    """What a browser would see of a page: elements, links, and text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def links(page):
    return [unquote(link) for link in re.findall(r'(?:src|href)="([^"#]+)"', page.read_text(encoding="utf-8"))]
