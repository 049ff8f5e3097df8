"""The page of many runs: whole, safe, and alive in a browser."""

import os

import pytest

from options import UserError
from tests.browser import chromium
from tests.util.training.test_found_runs import put_run
from util.pages.runs import write_page
from util.training.found_runs import find_runs
from util.training.runs_table import RunsTable

NASTY = "<script>alert(1)<\x1b[2J"
NAMES = "[...document.querySelectorAll('tbody tr')].filter(r => !r.hidden).map(r => r.cells[0].textContent.slice(0, 2))"


def build(root, where="runs.html"):
    runs, remarks = find_runs(root)
    table = RunsTable(runs, (), ())
    write_page(table, root, root / where, remarks)
    return root / where


def put_several(root):
    for number, (name, model) in enumerate((("r1", "cut"), ("r2-lr=1", "dcl"), ("r3", "cut"), ("r4", "cut"))):
        values = {"FID": {"last": (30, 10, 20, 40)[number], "better": "lower"}, "variety": {"last": 1, "better": "one"}}
        state = "running" if name == "r4" else "finished"
        put_run(
            root,
            name,
            f"model={model} ngf={(2, 3, 4, 40)[number]} " + " ".join(f"of{k}={number}" for k in range(9)),
            values={} if name == "r4" else values,
            state=state,
        )


def test_what_files_say_is_text_and_links_lead_to_pages(tmp_path):
    run = put_run(tmp_path, f"runs/{NASTY.replace('/', '')}", f"dataroot={NASTY}", state="failed", error=NASTY)
    tests = {"x": {"page": "javascript:alert(1)/index.html"}, "t": {"page": "../../r/t/index.html"}, "y": {"page": 3}}
    other = put_run(tmp_path, "runs/a#b", tests=tests)
    for folder in (run / "web", other / "web", tmp_path / "r/t"):
        folder.mkdir(parents=True)
        (folder / "index.html").write_text("")
    os.mkfifo(run / "train_opt.yaml")
    text = build(tmp_path).read_text()
    assert "\x1b" not in text and "<script>alert" not in text and "javascript:" not in text
    assert 'href="runs/a%23b/web/index.html"' in text and 'href="r/t/index.html"' in text
    assert 'href="../runs/a%23b/web/index.html"' in build(tmp_path, "pages/all.html").read_text()


def test_something_else_is_not_overwritten(tmp_path):
    put_run(tmp_path, "run")
    build(tmp_path)
    assert build(tmp_path).is_file()
    for name in ("mine.html", "pipe.html", "folder.html"):
        path = tmp_path / name
        path.write_text("mine") if name == "mine.html" else (os.mkfifo if name == "pipe.html" else os.mkdir)(path)
        with pytest.raises(UserError, match=f"{name}: something else is there"):
            build(tmp_path, name)


@pytest.mark.slow
def test_the_page_sorts_and_filters_itself(tmp_path):
    put_several(tmp_path)
    path = build(tmp_path)
    with chromium() as page:
        for width in (390, 1280):
            page.size(width, 900, dark=width == 390, mobile=width == 390)
            page.open(path)
            assert page.errors == [] and page.strangers(tmp_path) == []
            assert page.run("document.documentElement.scrollWidth") == width
        assert page.run(NAMES) == ["r1", "r2", "r3", "r4"]

        def click(head):
            page.run(
                f"[...document.querySelectorAll('th button')].find(b => b.textContent.startsWith('{head}')).click()"
            )
            return page.run(NAMES)

        assert click("FID") == ["r2", "r3", "r1", "r4"] and click("FID") == ["r1", "r3", "r2", "r4"]
        assert click("ngf") == ["r1", "r2", "r3", "r4"] and click("state")[0] == "r4"
        for words, names in (
            ("cut", ["r1", "r3", "r4"]),
            ("cut ngf=4", ["r3"]),
            ("ngf=", 4),
            ("DIED", ["r4"]),
            ("state=died", ["r4"]),
            ("model=cut of2=2", ["r3"]),
            ("of7=1", ["r2"]),
            ("lr=1", ["r2"]),
            ("of8=3 model=dcl", []),
            ("", 4),
        ):
            page.run(f"filter.value = '{words}'; filter.dispatchEvent(new Event('input'))")
            shown = page.run(NAMES)
            assert names in (sorted(shown), len(shown))
            said = page.run("document.getElementById('found').textContent")
            assert said == (f"{len(shown)} of 4" if words else "")
