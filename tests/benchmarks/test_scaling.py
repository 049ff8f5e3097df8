"""The table of docs/scaling.md is what the code counts, and what a ring of processes sends."""

import re
from pathlib import Path

import pytest
import torch

from benchmarks.scaling import NETWORKS, PROCESSES, SIZES, head, row, seconds, sent
from models import MODELS
from options import UserError
from tests.conftest import train_options

PAGE = (Path(__file__).parents[2] / "docs/scaling.md").read_text(encoding="utf-8")
ROWS = {re.match(r"\| `(\w+)`", line)[1]: line for line in PAGE.splitlines() if re.match(r"\| `\w+` \| \d", line)}


def test_every_method_that_makes_images_is_in_the_table():
    judges = {"label_judge", "caption_judge", "glyph_judge", "domain", "template"}
    assert set(ROWS) == set(SIZES) == set(MODELS.names()) - judges and head() in PAGE


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", ["sngan", *(pytest.param(m, marks=pytest.mark.exhaustive) for m in SIZES if m != "sngan")]
)
def test_a_row_is_what_a_step_of_the_code_reduces(model, monkeypatch):
    assert row(model, sent(model)) == ROWS[model]


@pytest.mark.exhaustive
def test_what_is_counted_of_cut_is_its_networks():
    """D and G with F step once each, and all that they learn is sent once."""
    made = MODELS.find("cut")(train_options("--dataroot", "x"))
    numbers = sum(p.numel() for p in made.parameters())
    count = sent("cut")
    assert (count.updates, count.reduced, count.gathered) == (2, 4 * numbers, 0)
    assert made.netG is not None and all(p.dtype == torch.float32 for p in made.parameters())


def test_the_formula_of_a_ring():
    assert seconds(10**9, 2, 10**9) == 1 and seconds(8, 8, 1) == 14
    assert PROCESSES == (2, 8, 64) and list(NETWORKS.values()) == [450e9, 12.5e9, 1.25e9]


def test_a_method_that_is_not_there_is_named():
    with pytest.raises(UserError, match="--models nobody: choose from cut"):
        sent("nobody")
