"""The benchmark runs; what it measures is not asserted."""

import json

import pytest

from benchmarks import inference
from options import UserError

SMALL = "--ngf 4 --netG resnet_4blocks --gpu_ids -1 --sizes 32 --rounds 1"


@pytest.mark.slow
def test_a_row_for_each_variant(tmp_path):
    argv = f"--models dcl,cut --batches 1,2 --variants published,published-pass,fp32 --no_memory {SMALL}".split()
    assert inference.main([*argv, "--json", str(tmp_path / "rows")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    assert [(r["model"], r["batch"], r["passes"]) for r in rows if r["variant"] == "published"] == [
        *(("dcl", 1, 4), ("dcl", 2, 4)),
        *(("cut", 1, 1), ("cut", 2, 1)),
    ]
    assert len(rows) == 12 and all(r["images/s"] > 0 for r in rows)


def test_memory(capsys):
    inference.main(["--peak", "fp32", "--models", "dcl", *SMALL.split()])
    own = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 10 < own["start"] <= own["peak"]


def test_an_unknown_variant_is_refused():
    with pytest.raises(UserError, match="choose from published"):
        inference.main(["--variants", "fp31"])
