"""The page of a comparison: whole, safe, and alive in a browser."""

import json

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.browser import chromium
from util.compare.options import command
from util.compare.page import build_page
from util.compare.run import read_run

NASTY = '<img src=x onerror="alert(1)">&amp;'
ITEMS = [*(f"glyph_{i:02d}" for i in range(19)), NASTY.replace("/", "_")]


def shape(i, size=64):
    """A ring and a bar whose places depend on i: bytes (H, W), ink 0."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    radius = np.hypot(x - 0.06 * (i % 5 - 2), y - 0.05 * (i % 4 - 1.5))
    ring = np.abs(radius - 0.22 - 0.02 * (i % 3)) < 0.05
    return np.where(ring | (np.abs(x + y - 0.1 * (i % 7 - 3)) < 0.03), 0, 255).astype(np.uint8)


def styled(i, noise, seed):
    """The shape in another style, heavier, more or less well made."""
    ink = shape(i) < 128
    heavy = ink | np.roll(ink, 2, 0) | np.roll(ink, 2, 1)
    levels = np.where(heavy, 0.0, 255.0)
    return np.clip(levels + np.random.default_rng(seed * 100 + i).normal(0, noise, levels.shape), 0, 255).astype(
        np.uint8
    )


def save(path, levels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels).save(path)


def entry(value, floor, better, **more):
    return {"value": value, "floor": floor, "images": 400, "reference": 400, "better": better, **more}


def write_run(root, name, variant, seed, level, *, state="finished", images=True, best=True, nan=False, model="cut"):
    """The files of a run as training and test.py leave them."""
    folder = root / "checkpoints" / name
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed + 10 * len(name))
    steps = 2000 if state == "finished" else 700
    options = {"model": model, "name": name, "seed": seed, "lr": 2e-4, "dataroot": "datasets/glyphs", "n_epochs": 10}
    options |= {"dataset_mode": "font", "lambda_NCE": 10.0 if variant == "fast" else 1.0, "nce_layers": [0, 4, 8]}
    options |= {"lambda_L1": 100.0} if model == "zi2zi" else {}
    (folder / "train_opt.yaml").write_text(yaml.safe_dump(options))
    lines = ["--- Options ---", "                    model: zi2zi          \t[default: cut]"]
    lines += ["                 n_epochs: 10                            \t[default: 200]"]
    lines += [f"               lambda_NCE: {options['lambda_NCE']:<30}\t[default: 1.0]"] if variant == "fast" else []
    (folder / "train_opt.txt").write_text("\n".join([*lines, "--- End ---"]))
    records, evaluations = [], []
    for step in range(10, steps + 1, 10):
        fall = np.exp(-step / 600)
        losses = {"G_GAN": 0.4 + 0.3 * fall + rng.normal(0, 0.08), "NCE": level * 3 + 4 * fall + rng.normal(0, 0.15)}
        losses["D"] = 0.25 + 0.1 * (1 - fall) + rng.normal(0, 0.03)
        records.append({"step": step, "epoch": 1 + step // 200, "time": 1e9 + step, **losses})
    for step in range(200, steps + 1, 200):
        fall = np.exp(-step / 500)
        values = {"ssim": 0.75 - level - 0.4 * fall + rng.normal(0, 0.012), "l1": level / 2 + 0.3 * fall}
        values["FID-domain"] = 40 * level + 90 * fall + rng.normal(0, 2)
        better = {"ssim": "higher", "l1": "lower", "FID-domain": "lower"}
        evaluations.append({"step": step, "values": values, "better": better, "remarks": [], "best": step != 2000})
    if not best:
        evaluations = []
    for file, some in (("metrics.jsonl", records), ("evaluations.jsonl", evaluations)):
        (folder / file).write_text("".join(json.dumps(record) + "\n" for record in some))
    facts = {"state": state, "steps": steps, "images": steps * 8, "seconds": steps * (0.05 + 0.04 * len(variant))}
    facts |= {"evaluation_seconds": 30.0, "seconds_per_step": 0.05 + 0.04 * len(variant), "peak_memory": 900 * 2**20}
    facts |= {"parameters": {"G": 2_840_000, "D": 690_000, "F": 140_000}, "device": "cpu", "threads": 2, "torch": "2.9"}
    facts |= {"error": "loss NCE is not finite at step 700" if state == "failed" else None, "total_steps": 2000}
    facts |= {"best": {"metric": "FID-domain", "value": 21.0, "step": 1800} if best else None}
    (folder / "run.json").write_text(json.dumps(facts))
    if state == "failed":
        return
    for label in ("latest", "best") if best else ("latest",):
        result = root / "results" / name / f"test_{label}"
        result.mkdir(parents=True)
        gain = 0.02 if label == "best" else 0.0
        way = {"extractor": "domain:judge 1a2b3c4d5e6f", "resize": "none", "comparable": False}
        scores = {
            "ssim": {"value": 0.74 - level + gain + rng.normal(0, 0.01), "pairs": 400, "better": "higher"}
            | {"of the source, copied": 0.41, "of a white page": 0.35},
            "l1": {"value": level / 2 + rng.normal(0, 0.004), "pairs": 400, "better": "lower"}
            | {"of the source, copied": 0.27, "of a white page": 0.31},
            "FID-domain": entry(None if nan else 40 * level + 12 + rng.normal(0, 1.5), 3.2, "lower", **way),
            "recall": entry(0.9 - level + rng.normal(0, 0.02), 0.93, "higher", **way),
        }
        (result / "metrics.json").write_text(json.dumps(scores))
        (result / "test_opt.yaml").write_text(yaml.safe_dump({"name": name, "model": model, "metrics": ["ssim", "l1"]}))
        (result / "test_opt.txt").write_text("    metrics: ('ssim', 'l1')       \t[default: ()]\n")
        for i, item in enumerate(ITEMS if images else ()):
            save(result / "images" / "real_A" / f"{item}.png", shape(i))
            save(result / "images" / "fake_B" / f"{item}.png", styled(i, 400 * level - 2000 * gain * level, seed))
            save(result / "images" / "real_B" / f"{item}.png", styled(i, 0, 0))


def experiment(root):
    """Three variants of two seeds: one fails in one run, one has a value that is not a number; and a run alone."""
    write_run(root, "plain-1", "plain", 1, 0.10)
    write_run(root, "plain-2", "plain", 2, 0.11)
    write_run(root, "fast-1", "fast", 1, 0.22, nan=True)
    write_run(root, "fast-2", "fast", 2, 0.24)
    write_run(root, "paired-1", "paired", 1, 0.06, model="zi2zi")
    write_run(root, "paired-2", "paired", 2, 0.06, model="zi2zi", state="failed")
    write_run(root, "bare-1", "bare", 1, 0.3, images=False, best=False)
    titles = {"plain": "cut", "fast": f"fastcut {NASTY}", "paired": "zi2zi (pairs)", "bare": None}
    names = [(variant, seed) for variant in ("plain", "fast", "paired") for seed in (1, 2)] + [("bare", 1), ("bare", 2)]
    return [read_run(root / "checkpoints", f"{v}-{seed}", root / "results", v, seed, titles[v]) for v, seed in names]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    root = tmp_path_factory.mktemp("comparison")
    return build_page(experiment(root), root / "page", f"Glyphs {NASTY}", "One font pair.\n\nA </script> note.")


@pytest.mark.slow
def test_the_page_is_one_file_that_asks_for_nothing(page):
    text = page.read_text()
    assert "http://" not in text and "https://" not in text
    assert 'src="' not in text  # images are data of the script
    assert text.count("data:image/png") == 10 * 12 + 24  # each image once: 2 checkpoints of 5 runs, inputs, truths


def test_names_are_text_wherever_they_appear(page):
    text = page.read_text()
    assert "<img" not in text and "A </script>" not in text and text.count("</script>") == 2
    assert "&lt;img src=x onerror=" in text


def test_a_failed_run_and_a_missing_one_are_told(page):
    text = page.read_text()
    assert "zi2zi (pairs), seed 2 failed." in text and "loss NCE is not finite at step 700" in text
    assert "bare, seed 2 was not run." in text
    assert "1 of 2 failed" in text and "1 of 2 missing" in text


def test_the_table_says_of_how_many_seeds_a_mean_is(page):
    text = page.read_text()
    assert "(1 of 2)" in text and '<small class="n">(2)</small>' in text


def test_csv_and_latex_lie_beside_the_page_and_inside_it(page):
    text = page.read_text()
    assert (page.parent / "comparison.csv").is_file() and (page.parent / "comparison.tex").is_file()
    assert text.count('download="comparison.') == 2


def test_options_that_differ_are_a_table(page):
    text = page.read_text()
    assert '<th scope="row">lambda_NCE</th>' in text and '<td class="other">10.0</td>' in text
    assert '<th scope="row">n_epochs</th>' not in text and "The same everywhere, and not the default (1)" in text


def test_commands_have_the_options_that_are_not_defaults():
    options = {"model": "cut", "name": "a b", "seed": 3, "lr": 1e-4, "nce_layers": [0, 4], "idt": True, "x": None}
    changed = {"lr": "2e-4", "nce_layers": "(0,)", "idt": "False", "x": "1", "gone": "1"}
    expected = "python train.py --model cut --name 'a b' --seed 3 --idt true --lr 0.0001 --nce_layers 0,4 --x none"
    assert command("train.py", options, changed) == expected


def test_runs_without_anything_still_make_a_page(tmp_path):
    runs = [read_run(tmp_path, name, tmp_path, name, 1) for name in ("one", "other")]
    text = build_page(runs, tmp_path / "page", "Nothing yet").read_text()
    assert "one, seed 1 was not run." in text and "No run has been judged" in text and 'id="wall"' not in text


def test_images_from_noise_stand_beside_each_other(tmp_path):
    for name in ("one", "other"):
        for label in ("cat", "dog"):
            save(tmp_path / "results" / name / "test_latest" / "samples" / label / "0000.png", shape(3))
    runs = [read_run(tmp_path, name, tmp_path / "results", name, 1) for name in ("one", "other")]
    text = build_page(runs, tmp_path / "page", "Noise").read_text()
    assert '"items":["cat/0000","dog/0000"]' in text and "2 of 2 images." in text


def test_inputs_that_differ_by_seed_are_each_shown(tmp_path):
    for seed, items in ((1, "ab"), (2, "cd")):
        for name, item in ((f"{v}-{seed}", item) for v in ("one", "other") for item in items):
            save(tmp_path / "results" / name / "test_latest" / "images" / "fake_B" / f"{item}.png", shape(seed))
    names = [(v, seed) for v in ("one", "other") for seed in (1, 2)]
    runs = [read_run(tmp_path, f"{v}-{seed}", tmp_path / "results", v, seed) for v, seed in names]
    text = build_page(runs, tmp_path / "page", "Seeds").read_text()
    assert '"items":["a","b"]' in text and '"items":["c","d"]' in text and "Each seed has others." in text


def test_large_images_are_made_small(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    save(tmp_path / "results" / "one" / "test_latest" / "images" / "fake_B" / "a.png", noise)
    path = build_page([read_run(tmp_path, "one", tmp_path / "results", "one", 1)], tmp_path / "page", "Large")
    assert "data:image/webp;base64," in path.read_text() and "1 of 1 files are embedded as WebP" in path.read_text()
    assert path.stat().st_size < 400_000  # the PNG has 1.9 MB


@pytest.mark.slow
def test_the_page_lives_in_a_browser(page, tmp_path):
    with chromium() as tab:
        for width, dark in ((1280, False), (390, True)):
            tab.size(width, 900, dark, mobile=width < 600)
            tab.open(page)
            tab.wait_for("document.documentElement.dataset.page === 'ready'")
            assert tab.errors == [] and tab.strangers(page.parent) == [] and tab.broken_images() == []
            assert tab.run("document.documentElement.scrollWidth") <= width
            assert tab.run("document.documentElement.dataset.curves") == "3"
        names = "[...document.querySelectorAll('#table tbody th > span')].map(s => s.textContent.slice(0, 5))"
        head = "document.querySelectorAll('#table thead button')[1]"
        assert tab.run(f"{head}.click(), {names}") == ["zi2zi", "cut", "fastc", "bare"]  # ssim: the highest first
        assert tab.run(f"{head}.click(), {names}") == ["bare", "fastc", "cut", "zi2zi"]
        assert tab.run("document.querySelectorAll('#table thead th')[1].ariaSort") == "ascending"
        tab.run("document.querySelectorAll('#table thead button')[2].click()")  # ssim of the best: bare has none
        assert tab.run(names)[-1] == "bare"
        assert tab.run("document.querySelectorAll('#wall tbody tr').length") == 12
        tab.run("document.querySelectorAll('#wall tbody tr')[1].querySelectorAll('button')[1].click()")
        large, caption = "document.querySelector('dialog img').src", "document.querySelector('dialog p').textContent"
        assert tab.run("document.querySelector('dialog').open") and "cut" in tab.run(caption)
        before = tab.run(large)
        tab.press("ArrowRight")
        assert "fastcut" in tab.run(caption) and tab.run(large) != before
        tab.press("ArrowRight")
        tab.press("ArrowRight")  # bare has no images
        assert tab.run(caption).endswith("truth")
        truth = tab.run(large)
        tab.press("ArrowLeft")
        tab.run("document.querySelector('dialog img').dispatchEvent(new Event('pointerdown'))")
        assert tab.run(large) == truth
        tab.run("document.querySelector('dialog img').dispatchEvent(new Event('pointerup'))")
        assert tab.run(large) != truth and "zi2zi" in tab.run(caption)
        assert tab.errors == []


@pytest.mark.slow
def test_many_variants_are_told_apart_and_filtered(tmp_path):
    runs = []
    for i in range(23):
        name, folder = f"cut-lr{i % 2}-n{i}", tmp_path / "checkpoints" / f"cut-lr{i % 2}-n{i}"
        folder.mkdir(parents=True)
        (folder / "train_opt.yaml").write_text(yaml.safe_dump({"model": "cut", "name": name, "lr": i % 2, "ngf": i}))
        (folder / "metrics.jsonl").write_text("".join(json.dumps({"step": s, "G": s * i}) + "\n" for s in (1, 2)))
        result = tmp_path / "results" / name / "test_latest"
        result.mkdir(parents=True)
        (result / "metrics.json").write_text(json.dumps({"FID": {"value": 1.0 + i, "better": "lower"}}))
        save(result / "images/fake_B/a.png", shape(i))
        runs.append(read_run(tmp_path / "checkpoints", name, tmp_path / "results", name, 1))
    page = build_page(runs, tmp_path / "page", "Many")
    with chromium() as tab:
        for width in (1280, 390):
            tab.size(width, 900, False, mobile=width < 600)
            tab.open(page)
            tab.wait_for("document.documentElement.dataset.page === 'ready'")
            assert tab.errors == [] and tab.run("document.documentElement.scrollWidth") <= width
        # Of so many variants one input is shown first.
        tab.run("document.querySelector('input[name=layout][value=inputs]').click()")
        look = "i => i.className + getComputedStyle(i).getPropertyValue('--own')"
        assert tab.run(f"new Set([...document.querySelectorAll('#table .swatch')].map({look})).size") == 23
        heads = "[...document.querySelectorAll('#table thead button > span')].map(s => s.textContent)"
        assert tab.run(heads)[:4] == ["variant", "FID \u2193", "lr", "ngf"]
        rows = "[...document.querySelectorAll('#table tbody tr')].filter(r => r.offsetHeight).length"
        columns = "[...document.querySelectorAll('#wall thead th')].length"
        buttons = "[...document.querySelectorAll('#legend button')].filter(b => b.offsetHeight).length"
        told = "[...document.querySelectorAll('table.which thead th')].filter(h => h.offsetHeight).length"
        assert [tab.run(count) for count in (rows, columns, buttons, told)] == [23, 23, 23, 24]
        box = "document.getElementById('filter')"
        tab.run(f"{box}.value = 'LR1 n1', {box}.dispatchEvent(new Event('input'))")
        assert [tab.run(count) for count in (rows, columns, buttons, told)] == [6, 6, 6, 7]  # 1, 11, 13, ... 19
        assert tab.run("document.getElementById('found').textContent") == "6 of 23"
        assert tab.run("document.documentElement.dataset.curves") == "6" and tab.errors == []


@pytest.mark.slow
def test_a_column_whose_ideal_is_one_sorts_by_the_distance_from_it(tmp_path):
    for name, value in (("far", 3.0), ("near", 0.9), ("low", 0.2)):
        result = tmp_path / name / "test_latest"
        result.mkdir(parents=True)
        (result / "metrics.json").write_text(json.dumps({"density": {"value": value, "better": "one"}}))
    runs = [read_run(tmp_path, name, tmp_path, name, 1) for name in ("far", "near", "low")]
    page = build_page(runs, tmp_path / "page", "Density")
    with chromium() as tab:
        tab.open(page)
        tab.wait_for("document.documentElement.dataset.page === 'ready'")
        names = "[...document.querySelectorAll('#table tbody th > span')].map(s => s.textContent)"
        head = "document.querySelectorAll('#table thead button')[1]"
        assert tab.run(f"{head}.click(), {names}") == ["near", "low", "far"]
        assert tab.run(f"{head}.click(), {names}") == ["far", "low", "near"]
        assert tab.errors == []
