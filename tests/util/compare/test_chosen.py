"""Runs that are named for a comparison: variants and their seeds."""

import pytest
import yaml

from options import UserError
from util.compare.chosen import chosen_runs


def write(root, name, **options):
    (root / name).mkdir()
    (root / name / "train_opt.yaml").write_text(yaml.safe_dump({"name": name, "model": "cut", **options}))


def test_a_copy_of_a_run_is_no_second_seed(tmp_path):
    write(tmp_path, "one", seed=3)
    write(tmp_path, "copy", seed=3)
    with pytest.raises(UserError, match=r"one and .*copy have the same options and --seed 3: one run twice"):
        chosen_runs(["one", "copy"], tmp_path, tmp_path)


def test_runs_of_one_seed_with_other_options_are_two_variants(tmp_path):
    write(tmp_path, "one", seed=3, lr=0.1)
    write(tmp_path, "other", seed=3, lr=0.2)
    runs, name = chosen_runs(["one", "other"], tmp_path, tmp_path)
    assert [(run.variant, run.seed) for run in runs] == [("one", 3), ("other", 3)] and name == "one_vs_other"
