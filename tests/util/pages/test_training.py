"""The page of a run: whole whenever it is read, safe whatever things are called, and seen in a browser."""

import html.parser
import json
import os
import re
import threading

import pytest
import torch

from tests.browser import chromium
from util.images import save_image
from util.pages.curves import Curves
from util.pages.training import BLOCK, Status, TrainingPage

EVIL = "<img src=x onerror=document.title='hacked'></script><script>document.title='hacked'</script>"


def put_images(folder, epoch, *names):
    for name in names:
        save_image(torch.rand(3, 8, 12) * 2 - 1, folder / "images" / TrainingPage.file_name(epoch, name))


def curves(points=50, names=("G_GAN", "NCE")):
    result = Curves()
    for i in range(points):
        result.add(1 + i / 10, {name: (k + 1) / (i + 1) for k, name in enumerate(names)})
    return result


def make(folder, name="run", epochs=(1, 2), visuals=("real_A", "fake_B"), **options):
    page = TrainingPage(folder, name, {k: (v, True) for k, v in options.items()}, 256)
    for epoch in epochs:
        put_images(folder, epoch, *visuals)
        page.add_images(epoch, visuals)
    return page


def data_of(folder):
    text = (folder / "index.html").read_text()
    return json.loads(re.search(r'<script[^>]*id="data"[^>]*>(.*?)</script>', text, re.S)[1])


def images_of(path):
    return re.findall(r'<img[^>]*src="images/([^"]+)"', path.read_text())


class Strict(html.parser.HTMLParser):
    """Collects tags; fails on an element that is left open."""

    VOID = {"meta", "img", "input"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_curves_keep_everything_while_there_is_room():
    kept = Curves(limit=10)
    for i in range(9):
        kept.add(i, {"G": float(i)})
    assert kept.points() == (list(range(9)), {"G": [float(i) for i in range(9)]})


def test_curves_are_means_of_equal_stretches():
    kept = Curves(limit=8)
    for i in range(37):
        kept.add(i, {"G": float(i)})
    x, y = kept.points()
    assert len(x) <= 8 and kept.stride == 8
    stretches = [range(a, min(a + 8, 37)) for a in range(0, 37, 8)]
    assert x == y["G"] == [sum(s) / len(s) for s in stretches]


def test_curves_with_gaps():
    kept = Curves(limit=4)
    for i, losses in enumerate([{"G": 1.0}, {"G": float("nan"), "D": 5.0}, {"D": None}, {"D": float("inf")}]):
        kept.add(i, losses)
    assert kept.points()[1] == {"G": [1.0, None], "D": [5.0, None]}


@pytest.mark.slow
def test_page_stays_small(tmp_path):
    page = make(tmp_path, epochs=())
    page.write(curves(40_000, [f"loss_{i}" for i in range(6)]), Status())
    assert len(data_of(tmp_path)["x"]) <= 1500 and (tmp_path / "index.html").stat().st_size < 200_000


def test_newest_epoch_first_and_only_images_that_exist(tmp_path):
    page = make(tmp_path, epochs=(1, 2, 3))
    (tmp_path / "images/epoch002_fake_B.png").unlink()
    page.write(curves(), Status())
    shown = [name.removesuffix(".png") for name in images_of(tmp_path / "index.html")]
    assert shown == ["epoch003_real_A", "epoch003_fake_B", "epoch002_real_A", "epoch001_real_A", "epoch001_fake_B"]


def test_images_of_another_picture_stand_apart(tmp_path):
    visuals = ("real_A", "fake_B", "real_B", "idt_B")
    put_images(tmp_path, 1, *visuals)
    page = TrainingPage(tmp_path, "run", {}, 256, apart=["real_B", "idt_B"])
    page.add_images(1, visuals)
    page.write(curves(), Status())
    text = (tmp_path / "index.html").read_text()
    mine, theirs = text.split('<div class="group"', 1)[1].split('<div class="group apart"')
    assert "another picture" in theirs and "not what fake_B should look like" in text
    assert re.findall(r"<figcaption>(\w+)", mine) == ["real_A", "fake_B"]
    assert re.findall(r"<figcaption>(\w+)", theirs) == ["real_B", "idt_B"]


def test_image_that_went_away_later_goes(tmp_path):
    page = make(tmp_path, epochs=(1,))
    page.write(curves(), Status())
    (tmp_path / "images/epoch001_real_A.png").unlink()
    page.write(curves(), Status())
    assert images_of(tmp_path / "index.html") == ["epoch001_fake_B.png"]


def test_continued_run_shows_older_epochs(tmp_path):
    make(tmp_path, epochs=(1, 2), visuals=("z_first", "a_second"))
    for n, path in enumerate(("epoch001_z_first", "epoch001_a_second", "epoch002_z_first", "epoch002_a_second")):
        os.utime(tmp_path / f"images/{path}.png", (1e9 + n, 1e9 + n))
    page = make(tmp_path, epochs=(3,), visuals=("z_first", "a_second"))
    page.write(curves(), Status())
    shown = images_of(tmp_path / "index.html")
    assert [s[5:-4] for s in shown] == [f"00{e}_{v}" for e in (3, 2, 1) for v in ("z_first", "a_second")]


@pytest.mark.slow
def test_work_per_write_does_not_grow_with_the_epochs(tmp_path, monkeypatch):
    page, sizes, rendered = make(tmp_path, epochs=()), [], []
    real = page._archive
    monkeypatch.setattr(page, "_archive", lambda block, epochs: (rendered.append(block), real(block, epochs)))
    for epoch in range(1, 6 * BLOCK + 1):
        put_images(tmp_path, epoch, "a")
        page.add_images(epoch, ["a"])
        page.write(curves(2), Status())
        sizes.append(len(images_of(tmp_path / "index.html")))
    assert max(sizes) == 2 * BLOCK and rendered == [0, 1, 2, 3]  # each older block is written once
    archived = sorted(tmp_path.glob("epochs_*.html"))
    shown = [i for path in archived for i in images_of(path)] + images_of(tmp_path / "index.html")
    assert sorted(shown) == [f"epoch{e:03d}_a.png" for e in range(1, 6 * BLOCK + 1)]
    assert all(path.name in (tmp_path / "index.html").read_text() for path in archived)


def test_page_is_whole_and_names_no_other_place(tmp_path):
    make(tmp_path, lr=1e-4).write(curves(), Status())
    text = (tmp_path / "index.html").read_text()
    tags = Strict(text).tags
    policy = {"http-equiv": "Content-Security-Policy", "content": "default-src 'self' 'unsafe-inline' data:"}
    assert ("meta", policy) in tags and not re.search(r"https?:", text)
    assert "//" not in "".join(a.get("href", "") + a.get("src", "") for _, a in tags)
    assert all(a["loading"] == "lazy" and a["height"] == "171" for t, a in tags if t == "img")


def test_page_can_be_read_while_it_is_written(tmp_path):
    page, stop = make(tmp_path), threading.Event()
    page.write(curves(), Status())

    def write():
        while not stop.is_set():
            page.write(curves(300), Status())

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(100):
            assert (tmp_path / "index.html").read_text().endswith("</html>")
    finally:
        stop.set()
        writer.join()
    assert not list(tmp_path.glob("*.tmp"))


def test_write_that_fails_half_way_leaves_the_old_page(tmp_path, monkeypatch):
    page = make(tmp_path)
    page.write(curves(), Status())
    before, real = (tmp_path / "index.html").read_text(), os.write

    def fails(file, content):
        real(file, bytes(content[:9]))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", fails)
    with pytest.raises(OSError, match="No space"):
        page.write(curves(300), Status())
    monkeypatch.undo()
    assert (tmp_path / "index.html").read_text() == before and not list(tmp_path.glob("*.tmp"))


def test_only_a_live_page_reloads_itself(tmp_path):
    page = make(tmp_path)
    page.write(curves(), Status())
    assert 'content="30"' in (tmp_path / "index.html").read_text() and data_of(tmp_path)["state"] == "running"
    page.write(curves(), Status(state="finished"))
    assert "refresh" not in re.sub(r"<script.*?</script>", "", (tmp_path / "index.html").read_text(), flags=re.S)


def test_names_are_text(tmp_path):
    page = make(tmp_path, EVIL, visuals=(EVIL,), easy_label=EVIL)
    page.write(curves(names=(EVIL,)), Status(left=EVIL))
    tags = Strict((tmp_path / "index.html").read_text()).tags
    assert [t for t, _ in tags].count("script") == 3 and not any("onerror" in a for _, a in tags)
    assert data_of(tmp_path)["y"].keys() == {EVIL}


@pytest.fixture(scope="module")
def browser():
    with chromium() as page:
        yield page


def test_in_a_browser(browser, tmp_path):
    page = make(tmp_path, "zebras", epochs=(1, 2, 10), lr=1e-4)
    page.write(curves(names=("G_GAN", "D_real", "NCE")), Status(epoch=10, epochs=20, done=0.5, left="3 h"))
    browser.size(1280, 900)
    browser.open(tmp_path / "index.html")
    assert browser.run("document.documentElement.dataset.page") == "ready"
    assert browser.run("document.documentElement.dataset.curves") == "3"
    assert browser.run("document.querySelectorAll('figure img').length") == 6 and browser.broken_images() == []
    assert browser.strangers(tmp_path) == [] and browser.errors == []
    assert browser.run("""(() => { const c = document.querySelector('canvas');
        return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v) })()""")


def test_controls_in_a_browser(browser, tmp_path):
    make(tmp_path).write(curves(names=("G", "D")), Status())
    browser.open(tmp_path / "index.html")
    for control in ("log", "apart"):
        browser.run(f"document.getElementById('{control}').click()")
    assert browser.run("document.querySelectorAll('canvas').length") == 2
    browser.run("document.querySelector('#legend button').click()")
    assert browser.run("document.documentElement.dataset.curves") == "1"
    browser.run("""(() => { const c = document.querySelector('canvas'), b = c.getBoundingClientRect();
        c.dispatchEvent(new PointerEvent('pointermove', {clientX: b.right - 9, clientY: b.top + 9})) })()""")
    assert "epoch 5.9" in browser.run("document.getElementById('tip').textContent")
    browser.open(tmp_path / "index.html")  # what was chosen survives
    assert browser.run("document.getElementById('log').checked")
    assert browser.run("document.documentElement.dataset.curves") == "1"
    assert browser.errors == []


def test_live_page_reloads_where_it_was(browser, tmp_path, monkeypatch):
    monkeypatch.setattr("util.pages.training.REFRESH", 2)
    page = make(tmp_path, epochs=range(1, 9))
    page.write(curves(), Status(epoch=1))
    browser.size(800, 600)
    browser.open(tmp_path / "index.html")
    browser.run("scrollTo(0, 700); window.old = true")
    page.write(curves(), Status(epoch=2))
    browser.wait_for("!window.old && document.documentElement?.dataset.page === 'ready'")
    assert "epoch 2 of" in browser.run("document.querySelector('.facts').textContent")
    assert abs(browser.run("scrollY") - 700) < 2


def test_evil_names_in_a_browser(browser, tmp_path):
    page = make(tmp_path, EVIL, visuals=(EVIL, "a#b?c%20d"))
    page.write(curves(names=(EVIL, "ok")), Status(state="stopped"))
    browser.open(tmp_path / "index.html")
    browser.run("document.querySelector('figure a').click()")
    assert browser.run("document.title") == f"Experiment name = {EVIL}"
    assert browser.run("document.querySelectorAll('script').length") == 3
    assert browser.run("document.querySelector('#legend button span').textContent") == EVIL
    assert browser.broken_images() == [] and browser.errors == [] and browser.strangers(tmp_path) == []


@pytest.mark.parametrize("points", [0, 1])
def test_empty_run_in_a_browser(browser, tmp_path, points):
    make(tmp_path, epochs=()).write(curves(points), Status(state="stopped"))
    browser.open(tmp_path / "index.html")
    assert browser.run("document.documentElement.dataset.page") == "ready" and browser.errors == []


@pytest.mark.parametrize("dark", [False, True])
def test_phone_needs_no_sideways_scrolling(browser, tmp_path, dark):
    make(tmp_path, "a" * 128, visuals=[f"visual_{i}" for i in range(8)]).write(curves(), Status())
    browser.size(390, 800, dark=dark, mobile=True)
    browser.open(tmp_path / "index.html")
    assert browser.run("document.documentElement.scrollWidth") <= 390


def evaluated(step, best=False, **values):
    better = {name: {"FID": "lower", "SSIM": "higher", "density": "one"}.get(name, "lower") for name in values}
    record = {"step": step, "epoch": 1, "values": values, "better": better, "remarks": [], "best": best}
    return record | {"remarks": ["few images"] if step == 3 else []}


def test_evaluations_as_numbers_and_for_charts(tmp_path):
    records = [
        evaluated(1, True, FID=9.0),
        evaluated(2, True, FID=4.123456, SSIM=None),
        evaluated(3, FID=5.0, SSIM=0.5),
    ]
    make(tmp_path).write(curves(), Status(), evaluations=records)
    text = (tmp_path / "index.html").read_text()
    Strict(text)
    assert re.findall(r"<td>([^<]*)</td>", text)[:4] == ["5", "4.123", "0.5", "not defined"]
    assert "FID ↓" in text and "SSIM ↑" in text and "few images" in text
    found = data_of(tmp_path)["evaluations"]
    assert found == {"x": [1, 2, 3], "y": {"FID": [9.0, 4.1235, 5.0], "SSIM": [None, None, 0.5]}, "best": 1}


def test_many_evaluations_keep_the_best_and_the_last(tmp_path):
    records = [evaluated(i, i == 1234, FID=1.0) for i in range(2000)]
    make(tmp_path).write(curves(), Status(), evaluations=records)
    found = data_of(tmp_path)["evaluations"]
    assert len(found["x"]) <= 402 and found["x"][found["best"]] == 1234 and found["x"][-1] == 1999


def test_warnings_stand_on_top_and_nothing_of_evaluations_without_any(tmp_path):
    make(tmp_path).write(curves(), Status(), warnings=["D has won. Try --sn_D", EVIL])
    text = (tmp_path / "index.html").read_text()
    Strict(text)
    assert text.index("D has won. Try --sn_D") < text.index("Losses") and EVIL not in text
    assert "Evaluation" not in text and data_of(tmp_path)["evaluations"] == {}


@pytest.mark.slow
def test_evaluations_in_a_browser(browser, tmp_path):
    values = [{"FID": 9.0 - i, "SSIM": 0.1 * i, "odd": None} for i in range(6)]
    records = [evaluated(100 * i, i == 3, **v) for i, v in enumerate(values)]
    make(tmp_path).write(curves(30, ("G", "D")), Status(), evaluations=records)
    browser.size(390, 800)
    browser.open(tmp_path / "index.html")
    assert browser.run("document.documentElement.dataset.page") == "ready" and browser.errors == []
    assert browser.run("document.querySelectorAll('#evaluations canvas').length") == 3
    assert browser.run("document.documentElement.dataset.evaluated") == "2"  # one has no value to draw
    assert browser.run("document.documentElement.dataset.curves") == "2"
    assert browser.run("document.documentElement.scrollWidth") <= 390
    browser.run(
        "const c = document.querySelector('#evaluations canvas'), b = c.getBoundingClientRect();"
        "c.dispatchEvent(new PointerEvent('pointermove', {clientX: b.right - 9, clientY: b.top + 9}))"
    )
    assert browser.run("document.getElementById('evaluation_tip').textContent") == "step 500FID4"
