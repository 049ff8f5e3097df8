"""Families of variants, what is ranked with what, who came out as failing, and the short list of the best."""

import dataclasses
import re

import pytest

import compare
from models import MODELS
from models.base_adversarial import AdversarialModel
from tests.util.compare.test_table import run, said
from util.compare.alarms import alarms_of
from util.compare.failing import failures
from util.compare.families import FEW, OTHER, PAIRS, with_families
from util.compare.shortlist import short_list
from util.compare.table import Comparison

FAMILIES = {
    **{"cut": "one-sided", "santa": "one-sided", "unsb": "one-sided", "cycle_gan": "two-sided", "simdcl": "two-sided"},
    **{"pix2pix": PAIRS, "zi2zi": PAIRS, "sngan": "from noise, without classes", "acgan": "from noise, with classes"},
    **{"xmcgan": "from captions", "my_lab.cut_model": "", "../cut": ""},
}


@pytest.mark.parametrize("model", FAMILIES)
def test_a_method_says_its_family_and_a_name_on_a_disk_imports_nothing(model):
    assert compare.family_of(model) == FAMILIES[model]


@pytest.mark.slow
def test_every_method_that_is_compared_has_a_family():
    judges = {name for name in MODELS.names() if not issubclass(MODELS.find(name), AdversarialModel)}
    assert {name for name in MODELS.names() if not compare.family_of(name)} == judges


def seeds(variant, values, better="higher", count=2, **more):
    """Runs of a variant, whose values spread by a hundredth."""
    return [
        run(variant, seed, {name: value + 0.01 * seed for name, value in values.items()}, better, **more)
        for seed in range(count)
    ]


def test_many_variants_stand_by_family_and_few_as_they_are_named():
    models = ["dcl", "cut", "pix2pix", *(f"m{i}" for i in range(FEW - 3))]
    runs = [run(name, 0, {}, options={"model": name, "lambda_L1": 5.0 * (name == "m0")}) for name in models]
    found = with_families(runs, compare.family_of, {"m1": "mine"}, {"cut": "needs more"})
    assert [r.variant for r in found] == models
    assert [r.family for r in found] == ["two-sided", "one-sided", PAIRS, PAIRS, "mine", OTHER]
    assert [r.note for r in found][:2] == ["", "needs more"]
    more = [*runs, run("enco", 0, {}, options={"model": "enco"})]
    ordered = with_families(more, compare.family_of, {"m1": "mine"})
    assert list(Comparison(ordered).families) == ["mine", "two-sided", "one-sided", PAIRS, OTHER]
    assert [r.variant for r in ordered][2:4] == ["cut", "enco"]


def mixed(**more):
    """a leads without pairs, b is within its spread, c is behind; p and q see pairs, and p is ahead of all."""
    values = {"a": 0.60, "b": 0.605, "c": 0.3, "p": 0.9, "q": 0.5}
    return [
        one
        for name, value in values.items()
        for one in seeds(name, {"IoU": value}, options={"lambda_L1": 9.0 * (name in "pq")}, **more)
    ]


def test_what_sees_pairs_is_ranked_among_its_own():
    comparison = Comparison(mixed())
    assert comparison.peers == [["a", "b", "c"], ["p", "q"]]
    assert comparison.leaders("IoU", "latest") == {"b", "p"} and comparison.ties("IoU", "latest") == {"a"}
    assert comparison.winners("IoU", "latest") == {"p"}
    assert "Those that see pairs are ranked among themselves alone." in said(mixed(), "limit")
    assert "IoU: p 0.905 \u00b1 0.007, then q 0.505 \u00b1 0.007, of those that see pairs" in said(mixed(), "yes")
    two = [r for r in mixed() if r.variant in "ap"]
    assert not Comparison(two).leaders("IoU", "latest")
    assert "Nothing is ranked: no value that has a direction is known of two variants that were told alike." in said(
        two, "limit"
    )


def rows(comparison):
    """Of the short list: the texts of each row's cells."""
    section = short_list(comparison)
    body = section.render(pretty=False).split("<tbody>")[1].split("</tbody>")[0] if section else ""
    cells = [re.findall(r"<t[hd].*?</t[hd]>", row) for row in body.split("</tr>")[:-1]]
    return [[re.sub(r"<.*?>", "|", cell).strip("|").split("||") for cell in row] for row in cells]


def test_the_short_list_has_leader_ties_and_the_next_of_each_kind():
    alone, paired = rows(Comparison(mixed()))
    flat = [" ".join(word.strip("|") for word in cell) for cell in alone]
    assert flat[0].startswith("IoU \u2191") and flat[0].endswith("without pairs")
    assert [text.split()[0].strip("|") for text in flat[1:]] == ["b", "a", "c"] and "best value of all" not in flat[1]
    assert (
        "0.905 \u00b1 0.007" in str(paired[1]) and "the best value of all" in str(paired[1]) and "q" in str(paired[3])
    )
    unlike = [dataclasses.replace(r, options={**r.options, "dataroot": r.variant}) for r in mixed()]
    assert short_list(Comparison(unlike)) is None


def test_one_seed_alone_is_listed_as_that():
    assert "one seed alone" in str(rows(Comparison([r for r in mixed() if r.seed == 0]))[0][1])


def test_no_better_than_the_copied_source_is_marked_in_the_row():
    """A floor that is perfect but for rounding says nothing."""
    floors = {"floors": {"the source, copied": {"value": 0.5}}}
    runs = [*seeds("good", {"IoU": 0.8}, entry=floors), *seeds("bad", {"IoU": 0.4}, entry=floors)]
    assert failures(Comparison(runs)) == {"bad": ["no better than the source, copied: IoU"]}
    assert "the source, copied, than bad: IoU 0.500." in said(runs, "limit")
    perfect = {"floors": {"the source, copied": {"value": 6e-14}}}
    assert not failures(Comparison(seeds("any", {"E": 0.4}, "lower", entry=perfect)))


def test_an_alarm_of_training_is_found_again_and_told():
    losses = [{"step": s, "D_real": 0.001, "D_fake": 0.001, "lr": 1e-4} for s in range(1, 101)]
    flat = [{"step": 50, "diversity": 0.02}, {"step": "x", "diversity": None}]
    facts, won = {"total_steps": 100}, alarms_of({"gan_mode": "lsgan"}, {"total_steps": 100}, losses, [])
    assert len(won) == 1 and won[0].startswith("D has told real from generated images almost without error")
    assert "Try" not in won[0]
    assert alarms_of({}, facts, [], flat)[0].startswith("at step 50 outputs are nearly alike")
    assert alarms_of({"gan_mode": [1], "z_dim": {}}, {}, [{"step": None}, {"D_real": "x"}], []) == ()
    runs = [dataclasses.replace(one, alarms=won) for one in seeds("a", {"IoU": 0.5}, count=3)]
    assert failures(Comparison(runs)) == {"a": ["signs of a collapse in 3 of 3"]}
    text = said(runs, "wrong")
    assert "a: signs of a collapse in 3 of 3 runs. Of seed 0: D has told" in text and "Of seed 1, 2 likewise." in text
