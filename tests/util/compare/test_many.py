"""A page of many variants: families, folding, sorting, one input through all methods, and what a keyboard reaches."""

import dataclasses
import json
import re

import pytest
import yaml

import compare
from tests.browser import chromium
from tests.util.compare.test_page import save, shape
from tests.util.pages.test_accessibility import CONTRAST
from util.compare.families import with_families
from util.compare.page import build_page
from util.compare.progress import Row, progress_section
from util.compare.run import read_run
from util.training.found_runs import FoundRun

MODELS = ("cut", "enco", "santa", "monce", "dcl", "cycle_gan", "pix2pix", "zi2zi")


def many(root, models=MODELS, seeds=2):
    runs = []
    for k, model in enumerate(models):
        for seed in range(seeds):
            name = f"{model}-s{seed}"
            folder, result = root / "checkpoints" / name, root / "results" / name / "test_latest"
            for path in (folder, result):
                path.mkdir(parents=True)
            options = {"model": model, "name": name, "seed": seed, "dataset_mode": "font", "num_threads": 0}
            (folder / "train_opt.yaml").write_text(yaml.safe_dump(options))
            facts = {"state": "finished", "device": "cpu", "threads": 1, "cpu_per_step": 0.5, "seconds_per_step": 9.0}
            (folder / "run.json").write_text(json.dumps(facts | {"steps": 100 * (k + 1), "seconds": 60}))
            lines = [json.dumps({"step": s, "G": s * (k + 1) + seed}) for s in (1, 2, 3)]
            (folder / "metrics.jsonl").write_text("\n".join(lines))
            floors = {"the source, copied": {"value": 0.45}}
            entry = {"value": 0.4 + 0.05 * k + 0.001 * seed, "better": "higher", "floors": floors}
            (result / "metrics.json").write_text(json.dumps({"version": 2, "IoU": entry}))
            for item in ("a", "b"):
                for visual, i in (("real_A", 0), ("fake_B", 3 + k + seed), ("real_B", 1)):
                    save(result / "images" / visual / f"{item}.png", shape(i + 2 * (item == "b"), 16))
            runs.append(read_run(root / "checkpoints", name, root / "results", model, seed))
    return with_families(runs, compare.family_of, {}, {"santa": "needs longer"})


@pytest.mark.slow
def test_many_variants_are_grouped_folded_sorted_and_seen_by_input(tmp_path):
    told = progress_section([Row(FoundRun(folder=tmp_path, name="cut-s0", state="running"))])
    page = build_page(many(tmp_path), tmp_path / "page", "Many", settings="Chosen by a sweep of three.", progress=told)
    text = page.read_text()
    assert "no better than the source, copied: IoU" in text and text.count("needs longer") == 2
    assert "Chosen by a sweep of three." in text and "CPU s/step: seconds of the processor" in text
    assert '"unit":"s"' in text  # of the longest run: 3 steps
    assert (page.parent / "comparison.csv").read_text().splitlines()[1].split(",")[5] == "one-sided"
    rows = "[...document.querySelectorAll('#table tbody tr')].filter(r => r.checkVisibility())"
    names = f"{rows}.map(r => r.querySelector('button, th > span').firstChild.textContent)"
    figures = "[...document.querySelectorAll('#one figcaption')].map(f => f.textContent)"
    with chromium() as tab:
        tab.size(390, 900, True, mobile=True)
        tab.open(page)
        tab.wait_for("document.documentElement.dataset.page === 'ready'")
        assert tab.run("document.documentElement.scrollWidth") <= 390 and tab.run(CONTRAST) == []
        tab.size(1280, 900)
        tab.open(page)
        tab.wait_for("document.documentElement.dataset.page === 'ready'")
        grouped = ["one-sided", *MODELS[:4], "two-sided", *MODELS[4:6], "sees pairs", *MODELS[6:]]
        assert tab.run(names) == grouped and tab.run(CONTRAST) == []

        head = "document.querySelectorAll('#table thead button')[1]"
        assert tab.run(f"{head}.click(), {names}")[:5] == ["one-sided", "monce", "santa", "enco", "cut"]
        across = "document.querySelector('input[name=sorted][value=across]').click()"
        assert tab.run(f"{across}, {names}") == list(MODELS[::-1])
        tab.run("document.querySelector('input[name=sorted][value=within]').click()")
        fold = "document.querySelector('tr.family button')"
        assert tab.run(f"{fold}.click(), {names}")[:2] == ["one-sided", "two-sided"]
        assert tab.run(f"{fold}.ariaExpanded") == "false" and tab.run(f"{fold}.click(), {names}.length") == 11

        assert tab.run(figures) == ["input", "truth", *MODELS]
        pick = "document.getElementById('pick')"
        assert tab.run(f"[...{pick}.options].map(o => o.value)") == ["a", "b"]
        before = tab.run("document.querySelector('#one img').src")
        tab.run("document.getElementById('after').click()")
        assert tab.run(f"{pick}.value") == "b" and tab.run("document.querySelector('#one img').src") != before
        tab.run("document.querySelectorAll('#one button')[3].focus()")
        tab.press("Enter")
        assert tab.run("document.querySelector('dialog p').textContent").startswith("b  \u00b7  enco, seed 0")
        tab.press("ArrowUp")
        tab.press("Escape")  # what was enlarged last is in view, and has the focus
        tab.wait_for("document.activeElement.firstChild?.alt === 'a: enco'")
        assert tab.run(f"{pick}.value") == "a"

        tab.run(
            "document.querySelectorAll('#chips button')[1].dispatchEvent(new MouseEvent('click', {shiftKey: true}))"
        )
        assert tab.run(names) == ["two-sided", "cycle_gan", "dcl"] and tab.run(figures) == [
            "input",
            "truth",
            *MODELS[4:6],
        ]
        assert tab.run("document.getElementById('found').textContent") == "2 of 8"
        assert tab.run("document.documentElement.dataset.curves") == "2"
        assert tab.run("[...document.querySelectorAll('#progress th, #progress td')].every(c => c.checkVisibility())")
        assert tab.run("[...document.querySelectorAll('#chips button')].map(b => b.ariaPressed)") == [
            "false",
            "true",
            "false",
        ]
        tab.run("document.querySelector('input[name=layout][value=variants]').click()")
        heads = "[...document.querySelectorAll('#wall tbody th')].map(h => h.textContent)"
        assert tab.run(heads) == ["input", *MODELS[4:6], "truth"] and not tab.run(figures)
        item = "[...document.querySelectorAll('#legend button')].filter(b => b.checkVisibility())[0]"
        assert tab.run(f"{item}.focus(), {item}.className") == "hot" and tab.errors == []


def test_images_of_classes_are_seen_by_class(tmp_path):
    runs = many(tmp_path, seeds=1)
    for one in runs:
        for label in ("cat", "dog"):
            for k in range(6):
                save(tmp_path / "results" / one.name / "test_latest/samples" / label / f"{k:04d}.png", shape(k, 8))
    runs = [read_run(tmp_path / "checkpoints", r.name, tmp_path / "results", r.variant, 0) for r in runs]
    for k in range(10):  # the last one has no classes
        save(tmp_path / "results/free-s0/test_latest/samples" / f"{k:04d}.png", shape(20 + k, 8))
    runs.append(read_run(tmp_path / "checkpoints", "free-s0", tmp_path / "results", "free", 0))
    text = build_page([dataclasses.replace(r, family="") for r in runs], tmp_path / "page", "Noise").read_text()
    assert '"items":["cat/0000","cat/0001","cat/0003","cat/0004","dog/0000"' in text and "8 of 12 images" in text
    wall = json.loads(re.search(r'<script[^>]*id="data"[^>]*>(.*?)</script>', text)[1])["wall"]
    assert wall["labels"][-1] == "free (any class)" and wall["labels"][0] == "cut"
    assert len(set(wall["seeds"]["0"]["variants"][-1]["latest"])) == 8
