"""The page of a test run: every link opens, whatever files are called and however many there are."""

import html
import os
import re
import urllib.parse

import pytest
import torch

from options import UserError
from tests.browser import chromium
from util.images import save_image
from util.pages import results_page
from util.pages.results_page import ResultsPage
from util.pages.sections import table_section
from util.table import Row, Table

TITLE = "Experiment = horse2zebra, Phase = test, Epoch = latest"
NAMES = [
    "plain",
    "with space",
    "a#b?c",
    "100%25",
    'it\'s "quoted"',
    "漢字",
    "<script>alert(1)<_script>",
    "a&amp;b",
    "x:y",
    "back\\slash",
    "café",
    "new\nline",
    b"caf\xe9".decode(errors="surrogateescape"),
]


def picture(folder, column, name):
    path = f"images/{column}/{name}.png"
    save_image(torch.rand(3, 6, 8) * 2 - 1, folder / path)
    return path


def links_of(path):
    return re.findall(r'<img[^>]*src="([^"]+)"', path.read_text())


def make(folder, names, columns=("real_A", "fake_B"), **words):
    page = ResultsPage(folder, TITLE, list(columns), 256, **words)
    for name in names:
        page.add_row(name, {column: picture(folder, column, name) for column in columns})
    page.save()
    return page


def many(folder, count, **words):
    """Rows without files."""
    page = ResultsPage(folder, TITLE, ["a"], 64, **words)
    for i in range(count):
        page.add_row(f"item {i}", {"a": f"{i}.png"})
    page.save()
    return page


def test_title_as_published(tmp_path):
    make(tmp_path, ["x"])
    text = (tmp_path / "index.html").read_text()
    assert f"<h1>{TITLE}</h1>" in text and f"<title>{TITLE}</title>" in text


def test_links_open_whatever_files_are_called(tmp_path):
    make(tmp_path, NAMES)
    links = [urllib.parse.unquote_to_bytes(html.unescape(link)) for link in links_of(tmp_path / "index.html")]
    assert links == [f"images/{c}/".encode() + os.fsencode(n) + b".png" for n in NAMES for c in ("real_A", "fake_B")]
    assert "<script>alert" not in (tmp_path / "index.html").read_text()


def test_columns_stay_in_place_where_one_is_missing(tmp_path):
    page = ResultsPage(tmp_path, TITLE, ["real_A", "fake_B", "real_B"], 256)
    page.add_row("x", {"real_B": picture(tmp_path, "real_B", "x"), "real_A": picture(tmp_path, "real_A", "x")})
    page.save()
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", (tmp_path / "index.html").read_text())
    assert captions == ["real_A", "fake_B: none", "real_B"]


def test_values_above_the_rows(tmp_path):
    page = make(tmp_path, ["x"])
    row = Row(label="<i>", values={"FID": 45.51234, "<b>": 30.0}, kind="result")
    page.add_section(table_section(Table(rows=[row])))
    page.save()
    text = (tmp_path / "index.html").read_text()
    assert text.index("45.51") < text.index("row1") and "&lt;i&gt;" in text and "<i>" not in text and "<b>" not in text


def test_rows_are_paged(tmp_path):
    many(tmp_path, 25, rows_per_page=10)
    pages = ["index.html", "index_2.html", "index_3.html"]
    assert sorted(p.name for p in tmp_path.iterdir()) == pages
    assert [len(links_of(tmp_path / p)) for p in pages] == [10, 10, 5]
    hrefs = [set(re.findall(r'href="(index[^"]*)"', (tmp_path / p).read_text())) for p in pages]
    assert hrefs == [{"index_2.html", "index_3.html"}, {"index.html", "index_3.html"}, {"index_2.html", "index.html"}]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 21])
def test_every_row_once(tmp_path, count):
    many(tmp_path, count, rows_per_page=10)
    pages = sorted(tmp_path.glob("index*.html"))
    rows = [r for p in pages for r in re.findall(r"item \d+</a>", p.read_text())]
    assert len(rows) == len(set(rows)) == count and len(pages) == max(1, -(-count // 10))
    for page in pages:
        assert all((tmp_path / h).is_file() for h in re.findall(r'href="(index[^"]*)"', page.read_text()))


def test_saved_on_the_way(tmp_path):
    page = ResultsPage(tmp_path, TITLE, ["a"], 64)
    for i in range(250):
        page.add_row(str(i), {"a": f"{i}.png"})
    assert len(links_of(tmp_path / "index.html")) == 201


@pytest.mark.slow
def test_cost_grows_with_the_rows_only(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(results_page, "write_atomically", lambda path, text, root: written.append(len(text)))
    many(tmp_path, 1000, rows_per_page=250)
    one = sum(written)
    written.clear()
    page = many(tmp_path, 4000, rows_per_page=250)
    assert sum(written) < 4.4 * one
    assert len(page._rows) + len(page._first) <= 500


def test_pages_of_a_longer_test_before_are_removed(tmp_path):
    many(tmp_path, 25, rows_per_page=10)
    many(tmp_path, 5, rows_per_page=10)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index.html"]


def test_unwritable_folder_is_told_in_one_line(tmp_path):
    (tmp_path / "results").write_text("")
    page = ResultsPage(tmp_path / "results", TITLE, ["a"], 64)
    with pytest.raises(UserError, match="cannot write") as caught:
        page.save()
    assert caught.value.code == 5


@pytest.fixture(scope="module")
def browser():
    with chromium() as page:
        yield page


def test_in_a_browser(browser, tmp_path):
    make(tmp_path / "a folder#1", NAMES)
    (tmp_path / "a folder#1").rename(tmp_path / "moved")
    browser.size(1280, 900)
    browser.open(tmp_path / "moved/index.html")
    assert browser.run("document.documentElement.dataset.viewer") == "ready"
    assert browser.run("document.querySelectorAll('figure img').length") == 2 * len(NAMES)
    assert browser.broken_images() == [] and browser.errors == [] and browser.strangers(tmp_path / "moved") == []
    assert browser.run("document.querySelectorAll('script').length") == 1


def test_arrows_step_through_columns_and_rows(browser, tmp_path):
    make(tmp_path, ["one", "two"], ("real_A", "fake_B", "real_B"))
    browser.open(tmp_path / "index.html")
    browser.run("document.querySelectorAll('figure a')[0].click()")
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowDown", "ArrowDown", "ArrowUp"):
        browser.press(key)
        seen.append(browser.run("document.querySelector('dialog p').textContent"))
    dot = "  \u00b7  "
    assert seen == [
        dot.join(at)
        for at in (
            ("one", "fake_B"),
            ("one", "real_B"),
            ("one", "real_A"),
            ("one", "real_B"),
            ("two", "real_B"),
            ("two", "real_B"),
            ("one", "real_B"),
        )
    ]
    browser.press("Escape")
    browser.wait_for("!document.querySelector('dialog[open]')")
    assert browser.broken_images() == [] and browser.errors == []


@pytest.mark.slow
def test_phone_needs_no_sideways_scrolling(browser, tmp_path):
    make(tmp_path, ["n" * 200], [f"column_{i}" for i in range(8)])
    browser.size(390, 800, mobile=True)
    browser.open(tmp_path / "index.html")
    assert browser.run("document.documentElement.scrollWidth") <= 390
