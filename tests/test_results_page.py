from urllib.parse import unquote

import pytest
from PIL import Image

from tests.document import Document
from util.images import save_png
from util.pages.page import relative_url
from util.pages.results_page import ResultsPage

HOSTILE = "</td><script>alert('1')</script> \"&lt; ü #%23?;:"


@pytest.fixture
def picture(tmp_path):
    def create(name, size=(64, 64)):
        path = tmp_path / "results" / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_png(path, Image.new("L", size))
        return path

    return create


@pytest.fixture
def page(tmp_path):
    return ResultsPage(tmp_path / "results", "run", "test")


def test_every_link_leads_to_a_file_whatever_its_name(page, picture):
    names = ["plain.png", "a b.png", "'quoted\".png", "50%23 #1?.png", "<b>ü\u2028.png", "a;b:c&d=e.png"]
    page.add_section("images")
    page.add_gallery({"class": [picture(name) for name in names]})
    page.add_row("row", {"real_A": picture("A/1 #.png"), "fake_B": picture("B/1 #.png")})
    page.add_figure(picture("figure #.png"), "figure")
    path = page.write()
    document = Document(path)
    links = [image["src"] for image in document.of("img")] + [link["href"] for link in document.of("a")]
    assert len(document.of("img")) == len(names) + 3
    assert all((path.parent / unquote(link)).is_file() for link in links)
    assert all("#" not in link and "?" not in link and " " not in link for link in links)
    assert (path.parent / "page.css").is_file()


def test_links_to_names_that_are_no_unicode_keep_their_bytes(tmp_path):
    assert relative_url(tmp_path / "images" / "caf\udce9.png", tmp_path) == "images/caf%E9.png"
    assert relative_url(tmp_path / "a:b.png", tmp_path / "web") == "../a%3Ab.png"


def test_text_is_text(tmp_path, picture):
    page = ResultsPage(tmp_path / "results", HOSTILE, HOSTILE)
    page.add_section(HOSTILE, HOSTILE)
    page.add_figure(picture("a.png"), HOSTILE)
    page.add_row(HOSTILE, {HOSTILE: picture("b.png")})
    page.add_gallery({HOSTILE: [picture("c.png")]})
    page.add_table([HOSTILE], [[HOSTILE]])
    document = Document(page.write())
    assert document.of("script") == []
    # title, heading, subtitle; section, its text; figure; row, its kind; gallery; table's header and cell
    assert document.text.count(HOSTILE) == 11
    assert [image["alt"] for image in document.of("img")] == [HOSTILE, f"{HOSTILE}, {HOSTILE}", HOSTILE]


def test_images_reserve_their_place_and_load_late(page, picture):
    page.add_gallery({"": [picture("small.png", (28, 28)), picture("large.png", (512, 256))]})
    page.add_figure(picture("strip.png", (640, 64)), "strip")
    page.add_figure(picture("wide.png", (400, 200)), "wide", width=200)
    images = Document(page.write()).of("img")
    assert all(image["loading"] == "lazy" for image in images)
    sizes = [(image["width"], image["height"]) for image in images]
    assert sizes == [("84", "84"), ("160", "80"), ("640", "64"), ("200", "100")]
    assert [image.get("class") for image in images] == ["tiny", None, None, None]


def test_rows_of_the_same_kinds_share_a_table(page, picture):
    image = picture("a.png")
    for name in ("1", "2"):
        page.add_row(name, {"real_A": image, "fake_B": image})
    page.add_row("3", {"real": image})
    page.add_section("next")
    page.add_row("4", {"real": image})
    document = Document(page.write())
    assert len(document.of("table")) == 3
    assert len(document.of("thead")) == 3
    assert len(document.of("tbody")) == 4


def test_a_page_written_again_replaces_the_old_one(tmp_path, page):
    page.add_table(["", "FID"], [["all", "31.2"]])
    first = page.write().read_bytes()
    assert page.write().read_bytes() == first
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["index.html", "page.css"]


def test_an_image_that_is_not_there_is_an_error(page, tmp_path):
    with pytest.raises(FileNotFoundError):
        page.add_figure(tmp_path / "missing.png", "missing")
