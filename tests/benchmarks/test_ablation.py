"""The table of an ablation, and the order of its runs."""

from benchmarks.ablation import side_by_side, table


def test_a_cell_has_mean_spread_and_the_difference_with_the_same_seed():
    found = side_by_side(lambda variant, seed: {"letter": len(variant) + seed / 10, "rest": 0}, ("all", "a"), (0, 1), 2)
    lines = table(found, "all", {"letter": "letters"}).splitlines()
    assert lines[:2] == ["| | letters |", "|---|---|"]
    assert lines[2:] == ["| all | 3.050 \u00b1 0.071 |", "| a | 1.050 \u00b1 0.071 (-2.000) |"]
