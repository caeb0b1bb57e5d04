import json
import re
import shutil
import subprocess
import time
from urllib.parse import unquote

import pytest
from PIL import Image

from tests.document import Document
from util.export.web_page import ASSETS
from util.images import save_png
from util.metrics.score import Score
from util.pages.page import Page, relative_url
from util.pages.results_page import ResultsPage, Seen
from util.pages.scores import Cell, score_table

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
    page.add_figure(picture("a.png"), HOSTILE, rows=[HOSTILE])
    page.add_row(HOSTILE, {HOSTILE: picture("b.png")})
    page.add_gallery({HOSTILE: [picture("c.png")]})
    seen = picture("d.png")
    page.add_gallery({"": [seen]}, {seen: Seen(HOSTILE, 0.5, False)})
    page.add_scores([score("kid", 1, features=HOSTILE)])
    document = Document(page.write())
    assert [script["src"] for script in document.of("script")] == ["sort.js"]
    # title, heading, subtitle; section, its text; figure, its row; row; gallery; what was seen; settings
    assert document.text.count(HOSTILE) == 11
    assert [image["alt"] for image in document.of("img")] == [HOSTILE, f"{HOSTILE}, {HOSTILE}", HOSTILE, ""]


def test_images_reserve_their_place_and_load_late(page, picture):
    page.add_gallery({"": [picture("small.png", (28, 28)), picture("large.png", (512, 256))]})
    page.add_figure(picture("strip.png", (640, 64)), "strip")
    page.add_figure(picture("wide.png", (400, 200)), "wide", width=200)
    images = Document(page.write()).of("img")
    assert all(image["loading"] == "lazy" for image in images)
    sizes = [(image["width"], image["height"]) for image in images]
    assert sizes == [("112", "112"), ("512", "256"), ("640", "64"), ("200", "100")]
    assert [image.get("class") for image in images] == ["tiny", None, "wide", None]


def of_class(document, name):
    return [attributes for _, attributes in document.elements if name in (attributes.get("class") or "").split()]


def test_rows_of_the_same_kinds_stand_together(page, picture):
    image = picture("a.png")
    for name in ("1", "2"):
        page.add_row(name, {"real_A": image, "fake_B": image})
    page.add_row("3", {"real": image})
    page.add_section("next")
    page.add_row("4", {"real": image})
    document = Document(page.write())
    assert len(of_class(document, "pictures")) == 3
    assert len(of_class(document, "row")) == 4
    assert document.text.count("From left to right: real_A, fake_B.") == 1
    assert of_class(document, "order") == of_class(document, "sortable") == []  # nothing was measured


def test_rows_with_figures_can_be_sorted_and_say_them(page, picture):
    image = picture("a.png")
    for name, psnr in (("1", 20.123456), ("2", float("inf"))):
        page.add_row(name, {"fake_B": image}, figures={"l1": 0.25, "psnr": psnr})
    document = Document(page.write())
    orders = [option["value"] for option in document.of("option")]
    assert orders == ["", "l1", "-l1", "-psnr", "psnr"]  # the best first, then the worst
    rows = of_class(document, "row")
    assert [(row["data-l1"], row["data-psnr"]) for row in rows] == [("0.25", "20.123456"), ("0.25", "inf")]
    assert "L1 0.25" in document.text and "PSNR 20.1" in document.text
    assert (page.folder / "sort.js").is_file()


@pytest.mark.parametrize(("num", "columns"), [(1, (1, 1)), (10, (10, 5)), (14, (7, 5)), (17, (9, 5)), (20, (10, 5))])
def test_galleries_wrap_evenly(page, picture, num, columns):
    page.add_gallery({"a": [picture("a.png")] * num, "b": [picture("b.png")]})
    (gallery,) = of_class(Document(page.write()), "gallery")
    assert gallery["style"] == "--many: {}; --few: {}".format(*columns)


def test_what_a_classifier_saw_is_below_each_image_and_sorts_it(page, picture):
    right, wrong = picture("a.png"), picture("b.png")
    page.add_gallery({"rock": [right, wrong]}, {right: Seen("rock", 0.98, True), wrong: Seen("paper", 0.75, False)})
    document = Document(page.write())
    assert [link.get("data-certainty") for link in document.of("a")] == ["0.98", "-0.75"]
    assert [note["class"] for note in document.of("small")] == ["muted", "odd"]
    assert "rock 0.98" in document.text and "paper 0.75" in document.text


def test_two_thousand_rows_are_written_at_once_and_load_late(page, picture):
    image = picture("a.png", (64, 64))
    start = time.process_time()
    for i in range(2000):
        page.add_row(f"{i}.png", {"real_A": image, "fake_B": image, "real_B": image}, figures={"l1": i / 2000})
    path = page.write()
    assert time.process_time() - start < 20
    assert path.stat().st_size < 3e6
    assert path.read_text().count('loading="lazy"') == 6000


@pytest.mark.skipif(shutil.which("node") is None, reason="node not installed")
def test_orders_are_those_of_numbers(tmp_path):
    items = [{"dataset": {"psnr": text}} for text in ("9", "inf", "10", "nan", "-3")]
    orders = ["", "psnr", "-psnr"]
    code = f"const {{ inOrder }} = require({json.dumps(str(ASSETS / 'sort.js'))}); const items = {json.dumps(items)};"
    code += (
        f"console.log(JSON.stringify({json.dumps(orders)}.map((o) => inOrder(items, o).map((i) => i.dataset.psnr))))"
    )
    done = subprocess.run(["node", "-e", code], capture_output=True, text=True)
    assert json.loads(done.stdout) == [
        ["9", "inf", "10", "nan", "-3"],
        ["-3", "9", "10", "inf", "nan"],
        ["inf", "10", "9", "-3", "nan"],
    ]


# --- scores


def score(metric, value, num_fake=100, features="stub"):
    return Score(metric, f"{metric}_stub", value, None, num_fake, 50, features, 8, 0)


def test_scores_share_a_row_and_settings_stand_once_below(tmp_path):
    rows = {
        "kid": {"one": Cell(score("kid", 2.5), "at 8 images"), "two": Cell(score("kid", 1.5))},
        "recall": {"one": Cell(score("recall", 0.5)), "two": Cell(score("recall", 0.25, num_fake=9))},
        "fid": {"two": Cell(score("fid", 7))},
    }
    page = Page("scores")
    page.add(score_table(["one", "two"], {"best": rows}))
    text = page.write(tmp_path).read_text()
    assert text.count("100 images against 50 real ones, stub at 8 px, seed 0") == 1
    assert re.findall("<b>(.*?)</b>", text) == ["1.5"]  # scores of other settings, and single ones, are not compared
    assert re.search(r"0\.25</span>\s*<sup>2</sup>", text)
    assert re.search(r'<td class="muted">–</td>', text)  # noqa: RUF001
    assert "at 8 images" in text


def test_a_page_written_again_replaces_the_old_one(tmp_path, page):
    page.add_scores([score("fid", 31.2)])
    first = page.write().read_bytes()
    assert page.write().read_bytes() == first
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["index.html", "page.css"]


def test_an_image_that_is_not_there_is_an_error(page, tmp_path):
    with pytest.raises(FileNotFoundError):
        page.add_figure(tmp_path / "missing.png", "missing")
