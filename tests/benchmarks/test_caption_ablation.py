"""The table of the ablation of XMC-GAN's contrasts."""

from benchmarks.caption_ablation import ALL, VARIANTS, table


def test_a_cell_has_mean_spread_and_the_difference_with_the_same_seed():
    found = {(variant, seed): {"pictures": 8, "letter": 0.5 + 0.1 * seed} for variant in VARIANTS for seed in (0, 1)}
    found["none", 0]["letter"], found["none", 1]["letter"] = 0.1, 0.3
    lines = table(found, (0, 1)).splitlines()
    assert lines[0] == "| | letter |" and len(lines) == 2 + len(VARIANTS)
    assert lines[2] == f"| {ALL} | 0.550 \u00b1 0.071 |"
    assert lines[-1] == "| none | 0.200 \u00b1 0.141 (-0.350) |"
