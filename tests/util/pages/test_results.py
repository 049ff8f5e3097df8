"""Folders of results: one page, or an overview above a page for each style."""

import json
import re
import urllib.parse

import pytest
import torch
from PIL import Image

from evaluation.metrics import METRICS
from evaluation.pairs import Scores
from tests.browser import chromium
from util.pages import results_page
from util.pages.results import SHEET, Results, folder_names

COLUMNS = ("real_A", "fake_B", "real_B", "difference")
STYLES = ["Serif", "a/b#?", "<i>明朝</i>"]


def fill(folder, styles=STYLES, count=3, measured=True, columns=COLUMNS):
    results = Results(folder, "Experiment = x", columns, {"real_B": "B"}, 64, styles)
    scores = Scores(lambda: [METRICS.find(n)() for n in ("l1", "ink")], ("the source, copied", "a white page"))
    for style in styles if len(styles) > 1 else [""]:
        for i in range(count):
            images = {c: torch.rand(3 if c == "difference" else 1, 12, 12) * 2 - 1 for c in columns}
            results.add(style, images, {"A": f"U+{i:04X}", "B": f"U+{i:04X}"})
            if measured:
                real, fake, source = (images[c][None] for c in ("real_B", "fake_B", "real_A"))
                scores.update([style], real, fake, source, {})
    results.save(scores.compute())
    return results


def test_every_style_has_a_folder_and_every_link_opens(tmp_path):
    results = fill(tmp_path / "r")
    assert list(results.folders.values()) == ["Serif", "a_b__", "_i_明朝__i_"]
    overview = (tmp_path / "r/index.html").read_text()
    links = {urllib.parse.unquote(link) for link in re.findall(r'(?:href|src)="([^"#]+)"', overview)}
    assert links == {f"{f}/{name}" for f in results.folders.values() for name in ("index.html", "sheet.png")}
    assert all((tmp_path / "r" / link).is_file() for link in links)
    for folder in results.folders.values():
        page = tmp_path / "r" / folder / "index.html"
        shown = list(map(urllib.parse.unquote, re.findall(r'src="(images/[^"]+)"', page.read_text())))
        assert len(shown) == 12 and all((page.parent / link).is_file() for link in shown)
        assert 'href="../index.html"' in page.read_text()
    assert "<i>" not in overview and "&lt;i&gt;明朝" in overview


def test_the_overview_has_the_scores(tmp_path):
    fill(tmp_path)
    kept = json.loads((tmp_path / "metrics.json").read_text())
    assert list(kept["ink"]["styles"]) == STYLES and kept["ink"]["pairs"] == 9
    rows = re.findall(r"<tr.*?</tr>", (tmp_path / "index.html").read_text(), re.DOTALL)
    cells = [re.findall(r">([^<>\n]+)<", row) for row in rows]
    labels = ["Serif", "a/b#?", "&lt;i&gt;明朝&lt;/i&gt;", "mean", "the source, copied", "a white page"]
    assert [row[0] for row in cells] == ["style", *labels] and cells[0][1:] == ["L1 ↓", "ink → 1"]
    values = [*kept["L1"]["styles"].values(), kept["L1"]["value"]]
    assert [row[1] for row in cells[1:5]] == [f"{v:.4f}" for v in values]
    own = (tmp_path / "Serif/index.html").read_text()
    assert f"{kept['L1']['styles']['Serif']:.4f}" in own and "generated" in own and "3 pairs" in own


def test_contact_sheets_hold_the_first_items(tmp_path):
    fill(tmp_path, count=SHEET + 2)
    page = (tmp_path / "index.html").read_text()
    assert Image.open(tmp_path / "Serif/sheet.png").size == (SHEET * 16 - 4, 4 * 16 - 4)
    assert f"{SHEET} of {SHEET + 2} items" in page
    assert re.findall(r"<span>(\w+)</span>", page)[:4] == ["source", "generated", "real", "difference"]


def test_no_scores_no_table(tmp_path):
    fill(tmp_path, measured=False)
    assert "<table" not in (tmp_path / "index.html").read_text() and not (tmp_path / "metrics.json").exists()


def test_one_style_is_one_page(tmp_path):
    fill(tmp_path, styles=["Serif"])
    assert sorted(p.name for p in tmp_path.iterdir()) == [".files", "images", "index.html", "metrics.json"]
    assert "styles" not in json.loads((tmp_path / "metrics.json").read_text())["L1"]


def test_another_test_of_the_checkpoint_leaves_nothing_of_the_one_before(tmp_path):
    fill(tmp_path, count=4)
    (tmp_path / "Serif/notes.txt").write_text("mine")
    fill(tmp_path, styles=["Serif", "new"], count=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".files", "Serif", "index.html", "metrics.json", "new"]
    assert len(list((tmp_path / "Serif/images").rglob("*.png"))) == 4
    fill(tmp_path, styles=[])
    assert sorted(p.name for p in tmp_path.iterdir()) == [".files", "Serif", "images", "index.html", "metrics.json"]
    assert [p.name for p in (tmp_path / "Serif").iterdir()] == ["notes.txt"]


def test_a_test_that_was_killed_is_cleared_too(tmp_path, monkeypatch):
    monkeypatch.setattr(results_page, "EVERY", 2)
    half = Results(tmp_path, "t", ["a"], {}, 64, ["x", "y"])
    for i in range(3):
        half.add("x", {"a": torch.zeros(1, 4, 4)}, {"A": str(i)})
    assert (tmp_path / "x/index.html").is_file()
    Results(tmp_path, "t", ["a"], {}, 64, []).save({})
    assert not (tmp_path / "x").exists()


def test_names_of_folders(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/index.html").write_text("somebody else's page")
    styles = ["A", "a", "..", "con", "images", "x" * 200, "x" * 201, "file", "taken", "a-2", " b. "]
    names = folder_names(styles, tmp_path)
    folded = [n.casefold() for n in names.values()]
    assert list(names) == styles and len(set(folded)) == len(styles) and max(map(len, folded)) < 100
    assert [names[s] for s in ("A", "a", "..", "con", "file", "taken", " b. ")] == [
        *("A", "a-2", "style", "_con", "file-2", "taken-2", "b")
    ]
    assert "images" not in folded and names["a-2"] == "a-2-2"


@pytest.fixture(scope="module")
def browser():
    with chromium() as page:
        yield page


@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 390])
def test_in_a_browser(browser, tmp_path, width):
    fill(tmp_path, styles=["s" * 120, *STYLES], count=SHEET)
    browser.size(width, 900, mobile=width < 600)
    for path in (tmp_path / "index.html", tmp_path / "Serif/index.html"):
        browser.open(path)
        assert browser.broken_images() == [] and browser.errors == [] and browser.strangers(tmp_path) == []
        assert browser.run("document.documentElement.scrollWidth") <= width
    browser.open(tmp_path / "index.html")
    beside = "[...document.querySelectorAll('.sheet')].map(s => ['span', 'img'].map(q => s.querySelector(q)"
    boxes = browser.run(f"{beside}.getBoundingClientRect()).map(b => [b.left, b.top, b.width, b.height]))")
    for (_, top, _, height), (_, image_top, image_width, image_height) in boxes:
        assert image_width >= SHEET * 42 and abs(top + height / 2 - (image_top + image_height / 8)) < 6
