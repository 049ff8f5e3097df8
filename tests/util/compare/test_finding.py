"""What is said of a comparison of many variants, and what of it is read first."""

import dataclasses

from tests.util.compare.test_table import run
from util.compare.finding import Finding, first_to_read
from util.compare.findings import findings
from util.compare.table import Comparison


def test_of_many_variants_the_list_stays_short():
    runs = [run(f"v{k:02}", seed, {"IoU": 0.1 * seed}) for k in range(20) for seed in (0, 1)]
    broken = [dataclasses.replace(one, state="failed", facts={"error": "a loss is not finite."}) for one in runs[::2]]
    died = [dataclasses.replace(one, state="died", alarms=("D has won; try less", "more")) for one in runs[1::2]]
    wrong = [f for f in findings(Comparison([*broken, *died])) if f.kind == "wrong"]
    assert [f.text for f in wrong] == [
        "20 runs failed.",
        "20 runs died before their end.",
        "Signs of a collapse in runs of 20 variants.",
    ]
    assert wrong[0].details.startswith("v00, seed 0: a loss is not finite; v01, seed 0: a loss")
    assert wrong[0].details.endswith(" and 12 more. Their values are left out of means.")
    assert wrong[2].details.startswith("v00, 1 of 2 runs: D has won; v01, ")
    told = [*(Finding("wrong", str(k)) for k in range(30)), *(Finding("limit", str(k)) for k in range(8))]
    first, others = first_to_read(told)
    assert [f.text for f in first] == ["0", "1", "2", "3", "0", "1", "2", "3", "4", "5"] and len(others) == 28
    assert first_to_read(told[:10]) == (told[:10], [])
