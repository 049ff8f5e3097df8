"""The benchmark runs and its forms agree; what it measures is not asserted."""

import json

import pytest

from benchmarks import word_memory
from options import UserError

SMALL = ["--batch", "4", "--places", "9", "--words", "3", "--dim", "8"]


def test_every_form_has_the_same_loss(capsys):
    found = []
    for form in word_memory.FORMS:
        assert word_memory.main(["--peak", form, *SMALL]) == 0
        found.append(json.loads(capsys.readouterr().out)["loss"])
    assert found == pytest.approx([found[0]] * 3, rel=1e-5) and found[0] > 0


def test_a_row_for_each_form(tmp_path, monkeypatch, capsys):
    def here(module, argv):
        capsys.readouterr()
        assert module == "benchmarks.word_memory" and word_memory.main(argv) == 0
        return json.loads(capsys.readouterr().out)

    monkeypatch.setattr(word_memory, "in_own_process", here)
    assert word_memory.main([*SMALL, "--json", str(tmp_path / "rows")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    assert [row["form"] for row in rows] == list(word_memory.FORMS)
    assert {(row["N"], row["R"], row["T"], row["D"]) for row in rows} == {(4, 9, 3, 8)}


def test_an_unknown_form_is_refused():
    with pytest.raises(UserError, match="choose from parts"):
        word_memory.main(["--forms", "whole"])
