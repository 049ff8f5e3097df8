"""Inputs that results show where they lie: the page and its small copies; evaluate.py and compare.py read them."""

import html
import json
import os
import re
import shutil
import urllib.parse

import numpy as np
import pytest
from PIL import Image

import evaluate as evaluate_script
import test as test_script
from options import UserError
from tests.browser import chromium
from tests.conftest import test_options
from util.compare.pictures import side_by_side
from util.compare.run import read_run
from util.compare.table import Comparison

ODD = ("plain", "it's a#b?c %20é", "x:y", "漢字")


def photo(path, seed, size=(420, 300)):
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (30, 42, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.NEAREST).save(path, quality=97)


def run_test(*words):
    argv = ["--name", "run", "--dataroot", "data", "--gpu_ids", "-1", "--num_threads", "0", "--scale", "native", *words]
    assert test_script.main(list(argv)) == 0


def evaluate(*words):
    return evaluate_script.main(["--metrics", "ssim", "--gpu_ids", "-1", *words])


@pytest.fixture(scope="module")
def place(whole, tmp_path_factory):
    """A current folder with a run, photographs with odd names, and results of them: without copies, and with."""
    place = tmp_path_factory.mktemp("place")
    shutil.copytree(whole / "checkpoints", place / "checkpoints")
    for number, name in enumerate(ODD):
        photo(place / f"data/testA/{name}.jpg", number)
        photo(place / f"data/testB/{name}.jpg", 10 + number)
    Image.open(place / "data/testA/plain.jpg").save(place / "data/testA/scan.tif")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        run_test()
        run_test("--copy_inputs", "--results_dir", "copied")
    return place


@pytest.fixture
def here(place, tmp_path, monkeypatch):
    """A copy of that folder, to stand in."""
    shutil.copytree(place, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def pictures(page, attribute):
    text = (page / "index.html").read_text()
    return [
        os.fsdecode(urllib.parse.unquote_to_bytes(html.unescape(a)))
        for a in re.findall(f'{attribute}="([^"#]+)"', text)
    ]


@pytest.mark.slow
def test_a_page_shows_inputs_where_they_lie_and_small_copies_of_what_is_large(here):
    page = here / "results/run/test_latest"
    made = {f"images/fake_B/{name}.png" for name in (*ODD, "scan")}
    assert {p.relative_to(page).as_posix() for p in page.rglob("*.png")} == made | {"images/real_A/scan.png"}
    given = {f"../../../data/test{side}/{name}.jpg" for name in ODD for side in "AB"}
    assert set(pictures(page, "href")) == made | given | {"images/real_A/scan.png"}
    small = pictures(page, "src")
    assert len(small) == 14 and all(re.match(r"thumbnails/\w+/.*\.webp", name) for name in small)
    assert all(Image.open(page / name).size == (420, 300) for name in small)
    noted = {json.loads(line) for line in (page / ".files").read_text().splitlines()}
    assert {*small, "inputs.jsonl", *made} <= noted and not [name for name in noted if ".." in name]
    text = (page / "index.html").read_text()
    assert "test.py --copy_inputs keeps copies" in text and text.count("another picture:") == 4
    assert not [p for p in here.rglob("*") if p.is_symlink()]


@pytest.mark.slow
def test_the_page_and_what_it_says_in_a_browser(here):
    page = here / "results/run/test_latest"
    with chromium() as browser:
        browser.open(page / "index.html")
        assert browser.broken_images() == [] and browser.errors == [] and browser.strangers(here) == []
        browser.run("document.querySelector('figure a').click()")
        browser.wait_for("document.querySelector('dialog img').naturalWidth === 420")
        assert browser.run("document.querySelector('dialog img').src").endswith(".jpg")
        shutil.move(page, here / "moved")  # without its inputs
        browser.open(here / "moved/index.html")
        assert browser.broken_images() == []
        browser.run("document.querySelector('figure a').click()")
        browser.wait_for("document.querySelector('dialog img').src.endsWith('.webp')")
        assert "the file is not where it was" in browser.run("document.querySelector('dialog p').textContent")


@pytest.mark.slow
def test_copies_are_kept_where_they_are_asked_for(here):
    page, before = here / "results/run/test_latest", sorted((here / "data").rglob("*.*"))
    run_test("--copy_inputs")
    assert len(list((page / "images/real_A").iterdir())) == 5 and len(list((page / "images/real_B").iterdir())) == 4
    assert not (page / "inputs.jsonl").exists() and "--copy_inputs keeps" not in (page / "index.html").read_text()
    read = [np.asarray(Image.open(p)) for p in (page / "images/real_A/plain.png", here / "data/testA/plain.jpg")]
    assert np.array_equal(*read)
    run_test("--load_size", "64")  # then what is shown is not what lies there
    assert len(list((page / "images/real_A").iterdir())) == 5
    assert sorted((here / "data").rglob("*.*")) == before


@pytest.mark.slow
def test_evaluate_reads_inputs_of_results_either_way(here, capsys):
    found = []
    for folder in ("results", "copied"):
        images = f"{folder}/run/test_latest/images"
        assert evaluate("--real", f"{images}/real_A", "--fake", f"{images}/fake_B") == 0
        found.append(capsys.readouterr().out)
    assert found[0] == found[1] and "SSIM" in found[0]
    images = "results/run/test_latest/images"
    with pytest.raises(UserError, match="no such folder"):
        evaluate("--real", f"{images}/rec_A", "--fake", f"{images}/fake_B")
    photo(here / "data/testA/x:y.jpg", 99)
    with pytest.raises(UserError, match=r"real_A: .*x:y.jpg, an input of these results, is not there, or has changed"):
        evaluate("--real", f"{images}/real_A", "--fake", f"{images}/fake_B")


def compared(here, *folders):
    runs = [read_run(here / "checkpoints", "run", here / folder, folder, 0) for folder in folders]
    return side_by_side(Comparison(runs))


@pytest.mark.slow
def test_compare_reads_inputs_of_results_either_way(here):
    for folders in (["results"], ["copied"], ["results", "copied"], ["copied", "results"]):
        wall = compared(here, *folders)
        seed = wall["seeds"]["0"]
        assert len(seed["items"]) == 5 and None not in seed["input"] and seed["truth"] is None and not wall["differ"]
        assert [wall["sizes"][place] for place in seed["input"]] == [(420, 300)] * 5 and wall["gone"] == 0
    photo(here / "data/testA/plain.jpg", 99)
    wall = compared(here, "results")
    at = wall["seeds"]["0"]["items"].index("plain")
    assert [i for i, place in enumerate(wall["seeds"]["0"]["input"]) if place is None] == [at] and wall["gone"] == 1


SIDES = [("cut", ["real_B"]), ("fastcut", ["real_B"]), ("sincut", ["real_B"])]
SIDES += [(name, ["real_B", "fake_A", "rec_B"]) for name in ("cycle_gan", "dcl", "simdcl")]


@pytest.mark.parametrize(("model", "apart"), SIDES)
def test_what_is_of_another_picture_stands_apart(model, apart, tmp_path):
    """For every unpaired method, whatever its direction, which swaps the sides before the method sees them."""
    import torch

    from models import MODELS
    from util.pages.results import Results

    made = MODELS.make(model, None, test_options("--model", model, "--ngf", 4, "--netG", "resnet_4blocks"))
    for unpaired in (True, False):
        results = Results(tmp_path, "t", made.visual_names, made.visual_sides, 64, unpaired=unpaired)
        images = {name: torch.zeros(3, 4, 4) for name in made.visual_names}
        results.add("", images, {"A": "a.png", "B": "b.png"})
        results.add("", {name: images[name] for name in apart}, {"B": "c.png"})  # there are more of B
        results.save({})
        text = (tmp_path / "index.html").read_text()
        first = text[text.index('id="row1"') : text.index('id="row2"')]
        mine, _, theirs = first.partition('class="group apart"')
        shown = [re.findall(r"<figcaption>([^<]*)", part) for part in (mine, theirs)]
        if unpaired:
            assert shown == [[name for name in made.visual_names if name not in apart], apart]
            assert "another picture: </span>b" in theirs and "not what fake_B should look like" in text
            assert f'alt="b: {apart[0]}"' in theirs and 'alt="a: fake_B"' in mine
        else:
            assert shown == [list(made.visual_names), []] and "another picture" not in text


def test_the_page_of_a_style_lies_deeper(tmp_path, monkeypatch):
    import torch

    from util.images import read_image
    from util.inputs import noted_inputs
    from util.pages.results import Results

    monkeypatch.chdir(tmp_path)
    photo(tmp_path / "data/a.png", 1, (12, 8))
    results = Results(tmp_path / "results", "t", ("real_A", "fake_B"), {}, 64, ["one", "two"])
    for style in ("one", "two"):
        images = {"real_A": read_image(tmp_path / "data/a.png", 3), "fake_B": torch.zeros(3, 8, 12)}
        results.add(style, images, {"A": "data/a.png"})
    results.save({})
    assert "../../data/a.png" in pictures(tmp_path / "results/two", "src")
    found = noted_inputs(tmp_path / "results")
    assert list(found) == ["one/images/real_A/a.png", "two/images/real_A/a.png"]
    assert all(one.is_there() for one in found.values())
