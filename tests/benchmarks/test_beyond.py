"""The benchmark runs; what it measures is not asserted."""

import json

import pytest

from benchmarks import beyond


@pytest.mark.exhaustive
def test_a_row_for_each_variant(tmp_path):
    words = ["--size", "32", "--images", "4", "--rounds", "1", "--shards", "2", "--json", str(tmp_path / "rows")]
    assert beyond.main(words) == 0
    rows = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    variants = ["folders", "shards", "web", "failing"]
    assert [row["variant"] for row in rows] == [*variants, *(f"{name}, first" for name in variants)]
    assert all(row["images/s"] > 0 and row["CPU ms"] > 0 for row in rows)


def test_pictures_of_a_million_are_indexed(capsys):
    assert beyond.main(["--million", "40"]) == 0
    told = capsys.readouterr().out
    assert "index made, 32 of 40 to train on" in told and "the index takes" in told
