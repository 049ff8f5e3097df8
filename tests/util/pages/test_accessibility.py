"""Every kind of page for whoever does not see it, or has no mouse: the tree that a browser tells, keys, contrast."""

import itertools
import json
import re

import numpy as np
import pytest
import torch

from tests.browser import chromium
from tests.util.compare.test_page import NASTY, write_run
from tests.util.training.test_found_runs import put_run
from util.compare.families import with_families
from util.compare.page import build_page
from util.compare.run import read_run
from util.images import save_levels
from util.pages.captions import CaptionPage, Heard
from util.pages.curves import Curves
from util.pages.results import Results
from util.pages.results_page import ResultsPage
from util.pages.runs import write_page
from util.pages.samples import SamplesPage
from util.pages.sections import table_section
from util.pages.training import BLOCK, Status, TrainingPage
from util.table import Row, Table
from util.training.found_runs import find_runs
from util.training.runs_table import RunsTable

COLUMNS = ("real_A", "fake_B", "real_B")
FLOOR = Row(label="the source, copied", values={"L1": 0.4, "SSIM": 0.1}, kind="floor")
TABLE = Table(
    rows=[Row(label="generated", values={"L1": 0.2, "SSIM": 0.5}, kind="result"), FLOOR], better={"L1": "lower"}
)

# Every text that can be seen: how its colour stands off from what lies behind it, by WCAG's formula.
CONTRAST = """(() => {
  const parse = text => {
    const v = text.match(/[\\d.]+/g).map(Number);
    return v.length < 4 ? [...v.slice(0, 3), 1] : v.slice(0, 4);
  };
  const over = (top, below) => top.slice(0, 3).map((v, i) => v * top[3] + below[i] * (1 - top[3])).concat(1);
  const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = c => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
  const ratio = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const chain = e => e ? [...chain(e.parentElement), e] : [];
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; node = walk.nextNode();) {
    const e = node.parentElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
    if (!node.data.trim() || ["SCRIPT", "STYLE", "NOSCRIPT", "OPTION"].includes(e.tagName)) continue;
    if (style.visibility === "hidden" || box.width <= 1 || box.height <= 1 || e.closest(":disabled")) continue;
    let back = parse(getComputedStyle(document.body).backgroundColor), opacity = 1;
    for (const a of chain(e).map(a => getComputedStyle(a))) {
      back = over(parse(a.backgroundColor), back);
      opacity *= a.opacity;
    }
    const size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700, ink = parse(style.color);
    const wanted = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    const is = ratio(over([...ink.slice(0, 3), ink[3] * opacity], back), back);
    if (is < wanted) found.push(`${is.toFixed(2)}: ${node.data.trim().slice(0, 40)} (${e.tagName}.${e.className})`);
  }
  const ring = document.createElement("a");
  ring.style.color = "var(--accent)";
  document.body.append(ring);
  for (const name of ["--card", "--back", "--plate"]) {
    ring.style.backgroundColor = `var(${name})`;
    const style = getComputedStyle(ring), is = ratio(parse(style.color), parse(style.backgroundColor));
    if (is < 3) found.push(`${is.toFixed(2)}: the ring of the focus on ${name}`);
  }
  ring.remove();
  return found;
})()"""

# What the Tab key has to reach: of a group of radio buttons the one that is chosen, and nothing in what is folded.
REACHED = """(() => {
  const all = document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']");
  const seen = e => e.checkVisibility({visibilityProperty: true}) && !e.disabled && !e.closest("dialog");
  window.stops = [...all].filter(e => seen(e) && (e.type !== "radio" || e.checked));
  return stops.length;
})()"""
RING = "(s => s.outlineStyle === 'none' ? 0 : parseFloat(s.outlineWidth))"
FOCUS = """(() => {
  const e = document.activeElement, seen = e.type === "radio" ? e.nextElementSibling : e;
  return {at: stops.indexOf(e), ring: RING(getComputedStyle(seen)) >= 2, tag: e.outerHTML.slice(0, 90)};
})()""".replace("RING", RING)


def put(path, seed, size=(24, 24)):
    save_levels(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8), path)
    return path.name


def curves():
    made = Curves()
    for i in range(120):
        made.add(1 + i / 10, {"G": 1 / (i + 1), "NCE": 3 - i / 99})
    return made


def results(folder):
    """Unpaired, with small copies, and a second page."""
    made = Results(folder, "Experiment = zebras", COLUMNS, {"real_B": "B"}, 128, unpaired=True)
    for name in ("one", "two"):
        images = {column: torch.rand(3, 150, 170) * 2 - 1 for column in COLUMNS}
        made.add("", images, {"A": f"{name}.png", "B": f"other {name}.png"})
    made.save({"": TABLE})
    images = {f"{name}: {column}" for name in ("one", "two") for column in COLUMNS[:2]}
    return folder / "index.html", images | {"other one: real_B", "other two: real_B"}


def pages_of_results(folder):
    page = ResultsPage(folder, "many", ["line"], 300, rows_per_page=2, above=("all styles", "../index.html"))
    for name in ("Serif", "Sans", "Mono"):
        put(folder / f"images/{name}.png", 0, (20, 200))
        page.add_row(name, {"line": f"images/{name}.png"})
    page.save()
    return folder / "index.html", {"Serif: line", "Sans: line"}


def overview(folder):
    made = Results(folder, "styles", COLUMNS, {"real_B": "B"}, 64, ["Serif", "Sans"])
    for style in ("Serif", "Sans"):
        made.add(style, {column: torch.rand(1, 12, 12) for column in COLUMNS}, {"A": "a", "B": "a"})
    made.save({"Serif": TABLE, "Sans": TABLE})
    rows = "from top to bottom source, generated, real"
    return folder / "index.html", {f"{style}, 1 item; {rows}" for style in ("Serif", "Sans")}


def training(folder, state="running", epochs=(1, BLOCK, 3 * BLOCK)):
    page = TrainingPage(folder, "zebras", {"lr": (1e-4, True), "ngf": (64, False)}, 256)
    for epoch in epochs:
        for name in COLUMNS[:2]:
            put(folder / "images" / page.file_name(epoch, name), epoch)
        page.add_images(epoch, COLUMNS[:2])
    pictures = [torch.rand(3, 8, 8) for _ in range(2)]
    for step in (400, 800):
        page.strip.add(step, ["a.png", "b.png"], pictures, pictures)
    rates = Curves()
    for i in range(20):
        rates.add(1 + i / 10, {"lr_G": 2e-4 / (i + 1), "lr_D": 1e-4})
    record = {"epoch": 1, "better": {"FID": "lower"}, "remarks": ["few images"], "best": True}
    evaluations = [record | {"step": step, "values": {"FID": 9.0 - step}} for step in (1, 2, 3)]
    page.write(curves(), Status(state=state, epoch=75, epochs=90), {}, evaluations, ["D has won"], rates)
    shown = [epoch for epoch in epochs if epoch > BLOCK]
    names = {f"epoch {epoch}: {name}" for epoch in shown for name in COLUMNS[:2]}
    strip = {f"{picture}: {at}" for picture in ("a.png", "b.png") for at in ("input", "step 400", "step 800")}
    return folder / "index.html", names | strip


def archive(folder):
    training(folder)
    return folder / f"epochs_0001-{BLOCK:04d}.html", {f"epoch {e}: {n}" for e in (1, BLOCK) for n in COLUMNS[:2]}


def samples(folder):
    page = SamplesPage(folder, "pets: images from noise", 24)
    page.add_facts({"images": "4", "seed": 0})
    rows = [(name, {f"noise {k}": f"images/{name}{k}.png" for k in (1, 2)}) for name in ("cat", "dog")]
    for name, files in rows:
        for file in files.values():
            put(folder / file, len(name))
    page.add_grid("Samples", "a row for each class", rows)
    page.add_section(table_section(TABLE))
    page.add_curves(curves(), 1e9)
    page.save()
    return folder / "index.html", {f"{name}: noise {k}" for name in ("cat", "dog") for k in (1, 2)}


def captions(folder):
    page = CaptionPage(folder, "walls: images from captions", 24)
    for file in ("a", "b", "word_1", "word_2"):
        put(folder / f"images/{file}.png", 1)
    page.add_text("Captions that were typed", "one caption")
    heard = Heard([("dark", "images/word_1.png"), ("wall", "images/word_2.png")], [0.5, 0.25], 0.5)
    page.add_caption("dark wall", ["a word is new"], {"generated": {"sample 1": "images/a.png"}}, heard)
    page.add_caption("a wall", [], {"generated": {"sample 1": "images/b.png"}}, None)
    page.save()
    words = {f"dark wall: where the first picture listened to {word}" for word in ("1. dark", "2. wall")}
    return folder / "index.html", words | {f"{caption}: sample 1" for caption in ("dark wall", "a wall")}


def comparison(folder):
    names = [f"v{k}" for k in range(8)]  # of two families
    for k, name in enumerate(names):
        model = "zi2zi" if k > 5 else "cut"
        write_run(folder, name, "fast" if k else "plain", 1, 0.1 + 0.02 * k, images=k < 2, model=model)
    runs = [read_run(folder / "checkpoints", name, folder / "results", name, 1) for name in names]
    runs = with_families(runs, {"cut": "one-sided", "zi2zi": "sees pairs"}.get)
    path = build_page(runs, folder / "page", "Glyphs", "One font pair.", inputs=2)
    return path, {f"{item}: {c}" for item in (NASTY, "glyph_09") for c in ("input", "v0", "v1", "truth")}


def many_runs(folder):
    for name in ("a", "b"):
        put_run(folder, name, f"ngf={len(name) + 7}", values={"FID": {"last": 3.0, "best": 2.0, "better": "lower"}})
    put_run(folder, "c", "ngf=16", state="failed", code=3, error="a loss is not finite")
    put_run(folder, "d", state="running", steps=50)
    (folder / "a/web").mkdir()
    (folder / "a/web/index.html").write_text("")
    runs, remarks = find_runs(folder)
    write_page(RunsTable(runs, (), ()), folder, folder / "runs.html", remarks)
    return folder / "runs.html", set()


KINDS = (results, pages_of_results, overview, training, archive, samples, captions, comparison, many_runs)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """{kind: its page, and what its images are called}."""
    return {kind.__name__: kind(tmp_path_factory.mktemp(kind.__name__)) for kind in KINDS}


@pytest.fixture(scope="module")
def browser():
    with chromium() as page:
        yield page


@pytest.fixture
def at(browser, made):
    """Open the page of a kind."""

    def opened(kind, dark=False, unfolded=True):
        browser.size(1280, 900, dark=dark)
        browser.open(made[kind][0])
        browser.run("sessionStorage.clear()")
        if unfolded:
            browser.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        return browser

    return opened


def named(tree, *roles):
    return [node["name"] for node in tree if node["role"] in roles]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind.__name__ for kind in KINDS])
def test_the_tree_names_what_is_there(at, made, kind):
    browser = at(kind)
    tree = browser.tree()
    assert browser.run("document.documentElement.lang") == "en" and browser.errors == []
    assert len(named(tree, "main")) == 1 and all(named(tree, "navigation", "region"))
    levels = [node["level"] for node in tree if node["role"] == "heading"]
    assert levels.count(1) == 1 and levels[0] == 1 and all(b - a <= 1 for a, b in itertools.pairwise(levels))
    images = set(named(tree, "image", "img"))
    assert images - {name for name in images if " over " in name} == made[kind][1]  # the others are charts
    controls = ("button", "link", "checkbox", "radio", "slider", "combobox", "searchbox", "DisclosureTriangle")
    assert all(named(tree, *controls)), [node for node in tree if node["role"] in controls and not node["name"]]
    heads = browser.run("[...document.querySelectorAll('th')].filter(h => h.checkVisibility()).map(h => h.scope)")
    assert all(scope in ("col", "row") for scope in heads)
    assert len(named(tree, "columnheader", "rowheader")) == len(heads)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind.__name__ for kind in KINDS])
def test_texts_stand_off_from_what_lies_behind_them(at, kind):
    for dark in (False, True):
        browser = at(kind, dark=dark)
        browser.run("document.querySelector('.legend button')?.click()")
        assert browser.run(CONTRAST) == []
        browser.run("document.querySelector('figure a, table.wall button')?.click()")
        assert browser.run(CONTRAST) == [] and browser.run("document.getAnimations().length") == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind.__name__ for kind in KINDS])
def test_tab_reaches_everything_in_its_order_and_shows_where_it_is(at, kind):
    browser = at(kind)
    count, seen = browser.run(REACHED), []
    for _ in range(count + 20):
        browser.press("Tab")
        focus = browser.run(FOCUS)
        if focus["at"] >= 0:
            assert focus["ring"], focus["tag"]
            seen += [focus["at"]] * (focus["at"] not in seen)
        if len(seen) == count:
            break
    assert seen == list(range(count)), browser.run(f"stops[{min(set(range(count)) - set(seen), default=0)}].outerHTML")


def focus_on(browser, selector):
    """Go there by the Tab key alone."""
    browser.run("document.activeElement.blur(); getSelection().removeAllRanges()")
    for _ in range(200):
        browser.press("Tab")
        if browser.run(f"document.activeElement.matches({json.dumps(selector)})"):
            return
    raise AssertionError(f"Tab never reaches {selector}")


def enlarged(browser):
    return plain(browser.run("document.querySelector('dialog p').textContent"))


def plain(caption):
    return re.sub(r"\s+\u00b7\s+", ": ", caption)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "walk"),
    [
        (
            "results",
            ["one: real_A", "one: fake_B", "another picture: other one: real_B", "another picture: other two: real_B"],
        ),
        ("training", ["epoch 75: real_A", "epoch 75: fake_B", "epoch 75: real_A", "epoch 75: real_A"]),
        ("samples", ["cat: noise 1", "cat: noise 2", "cat: noise 1", "dog: noise 1"]),
        ("captions", ["dark wall: generated: sample 1"] * 3 + ["a wall: generated: sample 1"]),
        ("comparison", [*(f"{NASTY}: {n}" for n in ("input", "v0, last", "v1, last")), "glyph_09: v1, last"]),
    ],
)
def test_the_viewer_opens_steps_and_closes_by_keys(at, kind, walk):
    browser = at(kind)
    focus_on(browser, "figure a, table.wall button")
    browser.press("Enter")
    told = [enlarged(browser)]
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        browser.press(key)
        told.append(enlarged(browser))
    assert told == walk
    dialogs = [node for node in browser.tree() if node["role"] == "dialog"]
    assert len(dialogs) == 1 and dialogs[0]["modal"] and plain(dialogs[0]["name"]) == walk[-1]
    ring = browser.run(
        "(s => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth))(getComputedStyle(document.activeElement))"
    )
    assert browser.run("document.activeElement.tagName") == "DIALOG" and ring >= 2
    while not browser.run("document.activeElement.matches('dialog button[aria-label=close]')"):
        browser.press("Tab")
    browser.press("Enter")
    last = walk[-1].removeprefix("another picture: ").replace(": generated", "").replace(", last", "")
    back = f"document.activeElement.querySelector('img')?.alt === {json.dumps(last)}"
    browser.wait_for(back)  # what was shown last has the focus
    browser.press("Enter")
    assert browser.run("document.querySelector('dialog[open]') !== null")
    browser.press("Escape")
    browser.wait_for(f"document.querySelector('dialog[open]') === null && {back}")


@pytest.mark.slow
def test_a_truth_is_shown_while_a_key_is_held(at):
    browser = at("comparison")
    focus_on(browser, "table.wall button")
    browser.press("Enter")
    before = enlarged(browser)
    words = {"key": "t", "code": "KeyT", "windowsVirtualKeyCode": 84}
    browser.call("Input.dispatchKeyEvent", type="rawKeyDown", **words)
    assert enlarged(browser).endswith("truth")
    browser.call("Input.dispatchKeyEvent", type="keyUp", **words)
    assert enlarged(browser) == before


@pytest.mark.slow
def test_tables_sort_and_filters_filter_by_keys(at):
    browser = at("comparison")
    first = "[...document.querySelectorAll('#table tbody tr:not([hidden]) th span')].map(e => e.textContent)"
    usual = browser.run(first)
    focus_on(browser, "#table thead button")
    for key, order in (("Enter", usual), (" ", usual[::-1])):
        browser.press(key)
        assert browser.run(first) == order
    assert "descending" in [node.get("sort") or "" for node in browser.tree()] or browser.run(
        "document.querySelector('th[aria-sort=descending]') !== null"
    )
    focus_on(browser, "#filter")
    for letter in "v3":
        browser.press(letter)
    assert browser.run(first) == ["v3"] and browser.run("document.getElementById('found').textContent") == "1 of 8"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["training", "samples", "comparison"])
def test_a_legend_is_pressed_and_values_unfold_by_keys(at, kind):
    browser = at(kind, unfolded=False)
    pressed = "[...document.querySelectorAll('#legend button:not([hidden])')].map(b => b.ariaPressed).join(' ')"
    focus_on(browser, "#legend button")
    browser.press("Enter")
    states = browser.run(pressed).split()
    assert states[0] == "false" and set(states[1:]) == {"true"}
    browser.press("Enter", shift=True)  # the first alone
    states = browser.run(pressed).split()
    assert states[0] == "true" and set(states[1:]) == {"false"}
    assert browser.run("document.activeElement === document.querySelector('#legend button')")
    focus_on(browser, "#values summary")
    assert "table" not in browser.run("document.querySelector('#values').innerHTML")
    browser.press("Enter")
    browser.wait_for("document.querySelector('#values table') !== null")
    heads = browser.run("[...document.querySelectorAll('#values thead th')].map(h => h.textContent)")
    rows = browser.run("document.querySelectorAll('#values tbody tr').length")
    assert len(heads) == 2 and heads[0] in ("epoch", "step") and 1 < rows <= 50
    cells = browser.run("[...document.querySelectorAll('#values tbody tr')].pop().textContent")
    expected = {"training": "12.90.008333", "samples": "12.90.008333"}
    assert cells == expected.get(kind, cells) and {"columnheader", "rowheader"} <= {n["role"] for n in browser.tree()}


@pytest.mark.slow
def test_a_page_that_reloads_itself_can_be_paused(browser, tmp_path, monkeypatch):
    monkeypatch.setattr("util.pages.training.REFRESH", 1)
    path, _ = training(tmp_path)
    browser.size(1280, 900)
    browser.open(path)
    focus_on(browser, "#pause")
    browser.press("Enter")
    browser.run("window.old = true")
    assert browser.run("document.getElementById('pause').textContent") == "resume updates"
    browser.run("new Promise(done => setTimeout(done, 3300))")
    assert browser.run("window.old") and browser.run("document.activeElement.id") == "pause"
    browser.press(" ")
    browser.wait_for("!window.old && document.documentElement?.dataset.page === 'ready'")
    assert browser.run("document.activeElement.id") == "pause"
    browser.press("Enter")
    browser.open(path)  # what was chosen is kept
    assert browser.run("document.getElementById('pause').textContent") == "resume updates"
    training(tmp_path, state="finished")
    browser.open(path)
    assert browser.run("document.getElementById('pause')") is None


@pytest.mark.slow
def test_nothing_moves_where_that_is_not_wanted(at):
    browser = at("results")
    style = "<style>@keyframes turn { to { rotate: 1turn } } h1 { animation: turn 1s infinite; transition: 1s }</style>"
    browser.run(f"document.head.insertAdjacentHTML('beforeend', {json.dumps(style)})")
    moving = "getComputedStyle(document.querySelector('h1')).animationName"
    assert browser.run(moving) == "turn"
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    assert browser.run(moving) == "none" and browser.run("document.getAnimations().length") == 0
