"""The film strip: small however long the run is, and named for who cannot see it."""

import re

import pytest
import torch

from util.files import json_or_empty
from util.pages.curves import Curves
from util.pages.strip import COLUMNS, Strip, thinnest
from util.pages.training import Status, TrainingPage

NAMES = ["a<b>.png", "c.png"]


def images(value=0.0):
    return [torch.full((3, 4, 4), value) for _ in NAMES]


def add(strip, *steps):
    for step in steps:
        strip.add(step, NAMES, images(), images(step / 1000))


@pytest.fixture
def web(tmp_path):
    (tmp_path / "web").mkdir()
    return tmp_path / "web"


def files(web):
    return sorted(path.name for path in (web / "images").glob("preview_*"))


def test_old_columns_are_thinned_and_their_files_go(web):
    strip = Strip(web, 0)
    add(strip, *range(1, 101))
    assert len(strip.steps) == COLUMNS and (strip.steps[0], strip.steps[-1]) == (1, 100)
    gaps = [b - a for a, b in zip(strip.steps, strip.steps[1:], strict=False)]
    assert max(gaps) <= 32  # no part of the run is without
    assert len(files(web)) == 2 * (COLUMNS + 1)
    assert thinnest([0, 10, 11, 30, 40]) == 1


def test_every_picture_is_named_by_its_row_and_its_step(web):
    page = TrainingPage(web, "run", {}, 256)
    page.write(Curves(), Status())
    assert 'id="preview"' not in (web / "index.html").read_text()
    add(page.strip, 4, 1200)
    page.write(Curves(), Status())
    text = (web / "index.html").read_text()
    alts = re.findall(r'alt="([^"]*)"', text)
    assert alts == [f"{name}: {at}" for name in ("a&lt;b&gt;.png", "c.png") for at in ("input", "step 4", "step 1,200")]
    assert text.count('scope="row"') == 2 and text.count('scope="col"') == 4
    assert all((web / source).is_file() for source in re.findall(r'<img[^>]*src="([^"]+)"', text))


def test_a_continued_run_drops_what_is_made_again(web):
    add(Strip(web, 0), 10, 20, 30)
    again = Strip(web, 20)
    assert again.steps == [10, 20]
    add(again, 40)
    assert again.steps == [10, 20, 40] and not [name for name in files(web) if "00000030" in name]
    assert json_or_empty(web / "preview.json") == {"names": NAMES, "steps": [10, 20, 40]}
    other = Strip(web, 40)
    other.add(50, ["d.png"], images()[:1], images()[:1])
    assert other.steps == [50] and files(web) == [
        "preview_00000050_1.png",
        "preview_input_1.png",
        "preview_input_2.png",
    ]


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"names": 1, "steps": [1]}', '{"names": ["a"], "steps": ["x", -1, null]}']
)
def test_a_table_that_is_damaged_is_none(web, text):
    (web / "preview.json").write_text(text)
    assert Strip(web, 100).steps == []
