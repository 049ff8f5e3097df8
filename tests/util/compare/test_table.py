"""Numbers of a comparison, what they allow to say, and the two files that papers and spreadsheets take."""

import csv
import dataclasses
import io
import math

import pytest

from util.compare.export import as_csv, as_latex, tex
from util.compare.findings import findings
from util.compare.run import ComparedRun
from util.compare.table import Cell, Comparison, decimals, spreads_overlap


def run(variant, seed, values, better="lower", state="finished", entry=(), **more):
    scores = {name: {"value": value, "better": better, **dict(entry)} for name, value in values.items()}
    directions = dict.fromkeys(values, better)
    facts = {"state": state, **more.pop("facts", {})}
    return ComparedRun(
        name=f"{variant}-{seed}",
        variant=variant,
        seed=seed,
        title=more.pop("title", variant),
        state=state,
        facts=facts,
        better=directions,
        scores={"latest": scores, "best": more.pop("best", None)},
        **more,
    )


def two(a, b, **more):
    """Variants a and b with these values of one metric, a seed each."""
    return [run(v, s, {"FID": x}, **more) for v, values in (("a", a), ("b", b)) for s, x in enumerate(values, 1)]


def said(runs, kind):
    return " ".join(f"{f.text} {f.details}" for f in findings(Comparison(runs)) if f.kind == kind)


def test_mean_and_spread_are_those_of_the_seeds():
    cell = Comparison(two([1.0, 2.0, 4.0], [5.0])).cell("a", "FID", "latest")
    assert cell.mean == pytest.approx(7 / 3)
    assert cell.spread == pytest.approx(math.sqrt(((4 / 3) ** 2 + (1 / 3) ** 2 + (5 / 3) ** 2) / 2))  # n - 1


def test_one_seed_has_no_spread():
    cell = Comparison(two([1.0], [2.0])).cell("a", "FID", "latest")
    assert math.isnan(cell.spread) and cell.shown(2) == "1.00"


def test_values_that_are_missing_or_not_numbers_are_left_out_and_counted():
    runs = [*two([1.0, None], []), run("a", 3, {})]
    cell = Comparison(runs).cell("a", "FID", "latest")
    assert (cell.values, cell.runs, cell.lacking) == ((1.0,), 3, True)


def test_a_failed_run_counts_and_gives_no_value():
    runs = [run("a", 1, {"FID": 3.0}), run("a", 2, {"FID": 99.0}, state="failed", facts={"error": "NaN in D."})]
    cell = Comparison(runs).cell("a", "FID", "latest")
    assert (cell.mean, cell.runs) == (3.0, 2)
    assert "a, seed 2 failed. NaN in D. Its values are left out of means." in said(runs, "wrong")


@pytest.mark.parametrize(("better", "leader"), [("lower", "a"), ("higher", "c"), ("one", "b")])
def test_the_leader_is_the_best_in_the_direction_of_the_value(better, leader):
    runs = [run(v, 1, {"x": x}, better) for v, x in (("a", 0.2), ("b", 0.9), ("c", 2.0))]
    assert Comparison(runs).leaders("x", "latest") == {leader}


def test_equal_means_have_no_leader():
    assert Comparison(two([1.0], [1.0])).leaders("FID", "latest") == set()


def test_overlap_is_of_mean_and_spread():
    assert spreads_overlap(Cell((1.0, 3.0), 2), Cell((4.0, 6.0), 2)) is False  # 2 +- 1.41 and 5 +- 1.41
    assert spreads_overlap(Cell((1.0, 4.0), 2), Cell((4.0, 7.0), 2)) is True  # 2.5 +- 2.12 and 5.5 +- 2.12
    assert spreads_overlap(Cell((1.0,), 1), Cell((4.0, 6.0), 2)) is None


def test_a_difference_beyond_the_spread_is_said_with_its_caution():
    yes = said(two([1.0, 1.1], [5.0, 5.2]), "yes")
    assert "FID: a 1.05 \u00b1 0.07, then b 5.10 \u00b1 0.14" in yes and "a hint, no proof" in yes
    many = two([1.0, 1.1, 1.0, 1.1, 1.0], [5.0, 5.2, 5.1, 5.0, 5.2])
    assert "no proof" not in said(many, "yes")


def test_a_difference_within_the_spread_has_no_winner():
    runs = two([1.0, 4.0], [2.0, 6.0])
    assert "No winner" in said(runs, "limit") and said(runs, "yes") == ""


def test_one_seed_each_is_no_ranking():
    assert "No ranking" in said(two([1.0], [5.0]), "limit")


def test_ties_overlap_with_the_leader():
    runs = [
        run(v, s, {"x": x}) for v, some in (("a", (1, 3)), ("b", (2, 4)), ("c", (9, 9.5))) for s, x in enumerate(some)
    ]
    assert Comparison(runs).ties("x", "latest") == {"b"}


def test_budgets_that_differ_are_told_by_what_is_equal():
    def pair(*facts):
        return [run(v, 1, {"x": 1.0 * i}, facts=f) for i, (v, f) in enumerate(zip("ab", facts, strict=True))]

    longer = pair({"steps": 100, "images": 100, "seconds": 50}, {"steps": 200, "images": 200, "seconds": 100})
    assert "Budgets differ" in said(longer, "limit") and "a 100, b 200 steps" in said(longer, "limit")
    timed = pair({"steps": 100, "images": 100, "seconds": 60}, {"steps": 200, "images": 200, "seconds": 61})
    assert "The budget was time" in said(timed, "limit")
    batches = pair({"steps": 100, "images": 800, "seconds": 60}, {"steps": 200, "images": 800, "seconds": 90})
    assert "Steps differ; the images that were seen do not." in said(batches, "limit")
    assert "differ" not in said(pair({"steps": 100}, {"steps": 100}), "limit")


def test_different_supervision_is_told():
    runs = [run("a", 1, {"x": 1.0}, options={"lambda_L1": 100.0}), run("b", 1, {"x": 2.0}, options={"lambda_L1": 0.0})]
    assert "true targets: a; images alone: b." in said(runs, "limit")
    assert "told different things" not in said(runs[:1], "limit")


def test_what_was_chosen_on_the_images_it_is_reported_on_is_told():
    chosen = {"FID": {"value": 0.5, "better": "lower"}}
    runs = [run("a", 1, {"FID": 1.0}, best=chosen, facts={"best": {"metric": "FID", "value": 0.5, "step": 4}})]
    assert "The best checkpoints were chosen by FID on the images" in said(runs, "limit")


def test_what_was_chosen_on_other_images_than_it_is_tested_on_is_no_limit():
    made = {"FID": {"value": 0.5, "better": "lower"}}

    def told(phase):
        options = {"eval_phase": phase}
        return said([run("a", 1, {"FID": 1.0}, best=made, options=options)], "limit")

    assert "were chosen" in told("test") and "were chosen" not in told("val")


def test_models_that_images_without_learning_beat_are_told():
    beaten = two([0.5, 0.5], [0.2, 0.2], entry={"of a white page": 0.3, "of the truth, one pixel off": 0.1})
    assert "a white page, than a: FID 0.3000." in said(beaten, "limit")
    perfect = two([0.5], [0.2], entry={"of the source, copied": 0.0})  # of what is compared with the source itself
    assert "took no learning" not in said(perfect, "limit")


def test_floors_that_differ_tell_of_different_images():
    runs = [run("a", s, {"l1": 0.1}, entry={"of a white page": floor}) for s, floor in ((1, 0.3), (2, 0.4))]
    assert "judged on different images" in said(runs, "limit")
    assert "judged on different images" not in said(runs[:1], "limit")


def test_floors_of_pairs_and_of_sets_are_rows():
    pairs = run("a", 1, {"l1": 0.1}, entry={"of a white page": 0.4, "pairs": 9})
    sets = run("b", 1, {"FID": 5.0}, entry={"floor": 2.5, "images": 9, "comparable": False})
    comparison = Comparison([pairs, sets])
    assert comparison.floors == {"a white page": {"l1": (0.4, 0.4)}, "real against real": {"FID": (2.5, 2.5)}}
    assert "not comparable" in said([pairs, sets], "limit")


def test_csv_has_a_row_for_each_run_and_checkpoint_in_full_precision():
    best = {"FID": {"value": 0.1, "better": "lower"}}
    runs = [run("a", 1, {"FID": 1 / 3}, title="=1+1", best=best), run("a", 2, {"FID": None})]
    rows = list(csv.DictReader(io.StringIO(as_csv(Comparison(runs)))))
    assert [(r["seed"], r["checkpoint"], r["FID"]) for r in rows] == [
        ("1", "last", repr(1 / 3)),
        ("1", "best", "0.1"),
        ("2", "last", ""),
    ]
    assert rows[0]["variant"] == "'=1+1"  # no formula for a spreadsheet


def test_latex_is_a_table_whose_names_are_text():
    runs = two([1.0, 1.1], [5.0, 5.2], entry={"images": 400, "extractor": "judge_1"})
    text = as_latex(Comparison(runs), "50 % & more_or $less")
    assert r"\caption{50 \% \& more\_or \$less. 2 seeds; mean and standard deviation over seeds." in text
    assert r"FID: 400 images, judge\_1." in text
    assert r"a & $\mathbf{1.05 \pm 0.07}$ \\" in text and r"b & $5.10 \pm 0.14$ \\" in text
    assert r"FID $\downarrow$" in text and text.count("{") == text.count("}")


def test_many_values_are_rows_of_a_latex_table_and_each_checkpoint_has_its_own():
    names = [f"v{i}" for i in range(9)]
    entries = {name: {"value": 1.0, "better": "lower", "of a white page": 2.0} for name in names}
    runs = [run(v, s, entries, best=entries) for v in "ab" for s in (1, 2)]
    text = as_latex(Comparison(runs), "x")
    assert text.count(r"\begin{table}") == 2 and "x (last checkpoint)" in text and "x (best checkpoint)" in text
    assert text.count(r"\begin{tabular}{lrrr}") == 2 and r" & a & b & (a) \\" in text and "(a) a white page." in text
    assert all(text.count(f"    {name} ") == 2 for name in names)


def test_every_character_that_latex_reads_as_a_command_is_escaped():
    assert tex("a\\b~c^d{e}\n#") == r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d\{e\} \#"


@pytest.mark.parametrize(
    ("values", "places"),
    [([152.3], 1), ([0.61], 4), ([12345.0], 0), ([0.0], 3), ([], 3), ([1e-12], 7), ([math.nan], 3)],
)
def test_columns_show_four_figures_of_their_greatest(values, places):
    assert decimals(values) == places


def ahead(runs):
    return bool(Comparison(runs).leaders("FID", "latest")) or "ahead" in said(runs, "yes")


def pair(one, other, key="entry", **more):
    """Two variants of two seeds, a far ahead, that differ in their entries or options."""
    return [
        run(v, s, {"FID": x + s / 10}, **{key: facts}, **more)
        for v, x, facts in (("a", 1.0, one), ("b", 5.0, other))
        for s in (1, 2)
    ]


def test_values_of_one_side_that_a_method_has_not_are_no_failure():
    runs = [run("one", s, {"FID": 1.0 + s}) for s in (1, 2)] + [
        run("two", s, {"FID": 5.0, "FID of A": 1.0}) for s in (1, 2)
    ]
    assert "one: FID of A." in said(runs, "limit") and "not every run has" not in said(runs, "wrong")
    runs[3] = run("two", 2, {"FID": 5.0, "FID of A": None})
    assert "Values that not every run has: FID of A of two, 1 of 2 seeds." in said(runs, "wrong")


def test_nothing_is_ahead_across_extractors():
    assert ahead(pair({"extractor": "one"}, {"extractor": "one"}))
    runs = pair({"extractor": "judge 1"}, {"extractor": "judge 2"})
    assert not ahead(runs)
    assert "different extractors and cannot be compared. FID: judge 1 (a); judge 2 (b)." in said(runs, "limit")
    assert "No ranking: variants were not judged alike. FID: different extractors." in said(runs, "limit")
    assert "mathbf" not in as_latex(Comparison(runs), "x")


def test_nothing_is_ahead_across_numbers_of_images():
    runs = pair({"images": 400}, {"images": 390})
    assert not ahead(runs)
    assert "different numbers of images, which some depend on. FID: 400 images (a); 390 images (b)." in said(
        runs, "limit"
    )


def test_seeds_may_have_test_sets_of_their_own():
    runs = [
        run(v, s, {"FID": x + s / 10}, entry={"images": 390 + s}, options={"split_seed": None, "seed": s})
        for v, x in (("a", 1.0), ("b", 5.0))
        for s in (1, 2)
    ]
    assert ahead(runs) and "different data" not in said(runs, "limit")


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("dataroot", "horses", "cats"),
        ("dataset_mode", "font", "unaligned"),
        ("target_font", ["a.ttf"], ["b.ttf"]),
        ("direction", "AtoB", "BtoA"),
        ("value_range", [0, 1000], [0, 4095]),
        ("split_seed", 0, 3),
    ],
)
def test_nothing_is_ahead_across_data(key, one, other):
    runs = pair({key: one}, {key: other}, "options")
    assert not ahead(runs)
    assert "Runs were trained on different data. " + key in said(runs, "limit")
    assert "FID: different data" in said(runs, "limit")


def test_one_folder_under_two_spellings_is_the_same_data():
    assert ahead(pair({"dataroot": "data/x"}, {"dataroot": "./data/x/"}, "options"))


def test_a_test_on_other_data_than_those_of_training_is_seen():
    assert not ahead(pair({"dataroot": "x"}, {"dataroot": "y"}, "tested", options={"dataroot": "x"}))
    assert not ahead(pair({"scale": None}, {"scale": "train"}, "tested"))
    assert ahead(pair({"scale": None}, {"scale": "native"}, "tested"))


def test_values_of_tests_and_of_evaluations_in_one_column_are_told():
    one, other = run("a", 1, {"FID": 1.0}), run("b", 1, {})
    other = dataclasses.replace(other, evaluated={"latest": {"FID": {"value": 2.0, "extractor": "judge"}}})
    assert "for others. test.py: a; while training: b." in said([one, other], "limit")
    assert "for others" not in said([one, run("b", 1, {"FID": 2.0})], "limit")


def test_tests_and_evaluations_of_seeds_are_never_averaged():
    evaluated = {label: {"FID": {"value": 9.0, "better": "lower", "images": 1000}} for label in ("latest", "best")}
    runs = [
        run("a", 1, {"FID": 1.0}, entry={"images": 200}, tested={"name": "a-1", "num_test": 200}),
        dataclasses.replace(run("a", 2, {}, facts={"seconds": 1.0}), evaluated=evaluated),
        run("b", 1, {"FID": 2.0}, entry={"images": 200}),
    ]
    comparison = Comparison(runs)
    assert comparison.cell("a", "FID", "latest").values == (1.0,) and comparison.cell("a", "FID", "latest").lacking
    assert comparison.cell("a", "FID", "best").values == (9.0,)  # of which no seed has a test
    text = said(runs, "wrong")
    assert "a, seed 2: its last checkpoint has no test. Other seeds were tested, and its evaluation" in text
    assert (
        "Anew: python test.py --name a-2 --epoch latest" in text
        and "9.0" not in as_latex(comparison, "x").split("best")[0]
    )


def test_nothing_is_ahead_between_tests_and_evaluations():
    runs = pair({}, {})
    other = [dataclasses.replace(one, scores={}, evaluated={"latest": one.scores["latest"]}) for one in runs[2:]]
    assert ahead(runs) and not ahead([*runs[:2], *other])
    assert "tests beside evaluations while training" in said([*runs[:2], *other], "limit")
    alone = [dataclasses.replace(one, scores={}, evaluated={"latest": one.scores["latest"]}) for one in runs]
    assert ahead(alone) and "are of evaluations while training; no run has a test." in said(alone, "limit")


def test_latex_has_a_winner_only_where_there_is_one():
    assert "mathbf" in as_latex(Comparison(two([1.0, 1.1], [5.0, 5.2])), "x")
    for runs in (two([1.0, 5.0], [2.0, 6.0]), two([1.0], [5.0]), two([1.0, 1.1], [5.0])):
        assert Comparison(runs).leaders("FID", "latest") == {"a"} and "mathbf" not in as_latex(Comparison(runs), "x")


def test_options_that_vary_are_columns():
    told = {"a": {"lr": 2e-4, "ngf": 4, "tau": 0.1, "model": "cut"}, "b": {"lr": 1e-4, "ngf": 4, "model": "dcl"}}
    runs = [
        run(v, s, {"FID": s + 4.0 * (v == "b")}, options=told[v], changed={"tau": "1"}) for v in "ab" for s in (1, 2)
    ]
    rows = list(csv.DictReader(io.StringIO(as_csv(Comparison(runs)))))
    assert [(row["variant"], row["lr"], row["tau"]) for row in rows] == [
        *[("a", "0.0002", "0.1")] * 2,
        *[("b", "0.0001", "")] * 2,
    ]
    assert "ngf" not in rows[0]  # the same everywhere
    latex = as_latex(Comparison(runs), "x")
    assert r" & lr & FID $\downarrow$ \\" in latex and "a & 0.0002 & $" in latex and "tau" not in latex


def test_a_stale_test_is_told_with_the_command_that_makes_it_anew():
    some = run("a", 1, {}, tested={"name": "a-1", "metrics": ["fid"]}, test_changed={"metrics": "()"})
    text = said([dataclasses.replace(some, stale={"best": "another one (step 1, now 2)"})], "wrong")
    assert "a, seed 1: the test of its best checkpoint was of another one (step 1, now 2)." in text
    assert "python test.py --name a-1 --epoch best --metrics fid" in text


def test_one_seed_twice_is_one_seed():
    cell = Comparison([run("a", 1, {"FID": 1.0}), run("a", 1, {"FID": 1.0})]).cell("a", "FID", "latest")
    assert (cell.values, cell.runs) == ((1.0,), 1)


def test_the_pace_of_the_table_is_that_of_run_json():
    facts = {"seconds_per_step": 0.5, "seconds": 30.0, "steps": 10}
    assert Comparison([run("a", 1, {}, facts=facts)]).cost("a", "s/step").mean == 0.5
