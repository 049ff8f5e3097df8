"""Everything a comparison knows of a run comes from files, whatever state they are in."""

import hashlib
import json
import math

import pytest

from tests.util.test_claim import hold
from util.compare.run import POINTS, finite_number, group, read_run


@pytest.fixture
def folders(tmp_path):
    run, result = tmp_path / "checkpoints" / "r", tmp_path / "results" / "r" / "test_latest"
    run.mkdir(parents=True)
    result.mkdir(parents=True)
    return tmp_path, run, result


def read(root, **more):
    return read_run(root / "checkpoints", "r", root / "results", "v", 7, **more)


def lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_a_run_without_files_is_missing(tmp_path):
    run = read(tmp_path)
    assert (run.state, run.title, run.seed) == ("missing", "v", 7)
    assert not run.options and not run.values("latest") and not run.images["latest"] and run.pace is None


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"state": ["finished"]}', "\x00\xff", "[" * 1200])
def test_damaged_files_are_empty(folders, text):
    root, run, result = folders
    for path in (run / "run.json", run / "train_opt.yaml", run / "evaluations.jsonl", run / "metrics.jsonl"):
        path.write_text(text)
    (result / "metrics.json").write_text(text)
    found = read(root)
    assert found.state == "unknown" and found.values("latest") == {} and found.losses.steps == []


def test_options_and_which_of_them_are_not_the_default(folders):
    root, run, _ = folders
    (run / "train_opt.yaml").write_text("model: dcl\nlr: 0.0001\nnce_layers: [0, 4]\n")
    (run / "train_opt.txt").write_text("    lr: 0.0001                        \t[default: 0.0002]\n    model: dcl\n")
    found = read(root)
    assert found.options == {"model": "dcl", "lr": 0.0001, "nce_layers": [0, 4]} and found.changed == {"lr": "0.0002"}


def test_losses_are_thinned_and_keep_their_names(folders):
    root, run, _ = folders
    lines(run / "metrics.jsonl", [{"step": i, "epoch": 1, "time": 0.0, "G": 2.0, "D": None} for i in range(1000)])
    losses = read(root).losses
    assert len(losses.steps) <= POINTS and set(losses.values) == {"G", "D"}
    assert set(losses.values["G"]) == {2.0} and set(losses.values["D"]) == {None}


def test_evaluations_are_by_step_and_one_made_again_counts_once(folders):
    root, run, _ = folders
    first = {"step": 10, "values": {"FID": 9.0}, "better": {"FID": "lower"}, "best": True}
    again = {"step": 20, "values": {"FID": 5.0}, "better": {"FID": "sideways"}, "best": False}
    lines(run / "evaluations.jsonl", [first, {**again, "values": {"FID": 99.0}}, again])
    found = read(root)
    assert found.evaluations.steps == [10, 20] and found.evaluations.values == {"FID": [9.0, 5.0]}
    assert found.best_step == 10 and found.better == {"FID": "lower"}


def test_values_are_those_of_the_test_and_without_one_of_the_evaluation(folders):
    root, run, result = folders
    lines(
        run / "evaluations.jsonl", [{"step": s, "values": {"FID": v}, "best": s == 1} for s, v in ((1, 4.0), (2, 6.0))]
    )
    assert read(root).values("latest") == {"FID": 6.0} and read(root).values("best") == {"FID": 4.0}
    (result / "metrics.json").write_text('{"FID": {"value": 5.5, "better": "lower"}, "l1": {"value": null}, "n": 3}')
    values = read(root).values("latest")
    assert values["FID"] == 5.5 and math.isnan(values["l1"]) and set(values) == {"FID", "l1"}
    assert read(root).values("best") == {"FID": 4.0}


def test_values_of_evaluations_carry_how_they_were_measured(folders):
    root, run, _ = folders
    told = {"value": 6.0, "better": "lower", "images": 90, "extractor": "judge 1a2b", "floor": 2.0}
    first = {"step": 1, "values": {"FID": 4.0}, "better": {"FID": "lower"}, "best": True}
    lines(run / "evaluations.jsonl", [first, {"step": 2, "values": {"FID": 6.0}, "entries": {"FID": told}}])
    found = read(root)
    assert found.source("latest") == "evaluation" and found.entries("latest") == {"FID": told}
    assert found.entries("best") == {"FID": {"better": "lower", "value": 4.0}}  # of before entries were written


def after_a_test(run, result, step=10, sha=True):
    """A checkpoint at a step and a test of it."""
    manifest = run / f"{result.name.removeprefix('test_')}.manifest.json"
    manifest.write_text(json.dumps({"step": step, "files": {}}))
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest() if sha else None
    result.mkdir(exist_ok=True)
    (result / "checkpoint.json").write_text(json.dumps({"step": step, "sha256": digest}))
    (result / "metrics.json").write_text('{"FID": {"value": 5.5}}')
    (result / "images/fake_B").mkdir(parents=True)
    (result / "images/fake_B/a.png").write_bytes(b"")
    return manifest


@pytest.mark.parametrize("sha", [True, False])
def test_a_test_of_another_checkpoint_counts_as_missing(folders, sha):
    root, run, result = folders
    manifest = after_a_test(run, result, sha=sha)
    assert read(root).values("latest") == {"FID": 5.5} and not read(root).stale
    manifest.write_text('{"step": 20, "files": {}}')
    found = read(root)
    assert found.scores["latest"] is None and not found.images["latest"]
    assert found.stale == {"latest": "another one (step 10, now 20)"}
    lines(run / "evaluations.jsonl", [{"step": 20, "values": {"FID": 4.0}}])
    assert read(root).values("latest") == {"FID": 4.0}


def test_a_checkpoint_trained_anew_for_as_many_steps_is_another(folders):
    root, run, result = folders
    after_a_test(run, result).write_text('{"step": 10, "files": {"other": 1}}')
    assert read(root).stale == {"latest": "another one"}


def test_a_test_of_a_best_checkpoint_that_is_gone_counts_as_missing(folders):
    root, run, result = folders
    manifest = after_a_test(run, result.with_name("test_best"))
    manifest.unlink()
    assert not read(root).stale  # all checkpoints were deleted: it may have been that one
    (run / "latest.manifest.json").write_text("{}")
    assert list(read(root).stale) == ["best"] and read(root).values("best") == {}


def test_what_is_gone_of_a_test_and_what_is_damaged_of_a_checkpoint_is_told(folders):
    root, run, result = folders
    (result / "metrics.json").write_text('{"FID": {"value": 5.5}}')
    (result / ".files").write_text('"index.html"\n"images/a.png"\n"unfinis')
    (result / "index.html").write_text("")
    assert read(root).lacking == {"latest": f"{result} lacks 1 of 2 files, such as images/a.png"}
    (result / "images").mkdir(exist_ok=True)
    (result / "images/a.png").write_text("")
    assert read(root).lacking == {} and read(root).damaged == {}
    (run / "latest_net_G.pth").write_text("abc")
    digest = hashlib.sha256(b"abc").hexdigest()
    files = {"latest_net_G.pth": {"bytes": 3, "sha256": digest}}
    (run / "latest.manifest.json").write_text(json.dumps({"epoch": 1, "step": 1, "files": files}))
    assert read(root).damaged == {}
    (run / "latest_net_G.pth").write_text("abd")
    assert read(root).damaged == {"latest": "latest_net_G.pth was altered since it was written"}


def test_scores_of_images_from_noise_are_entries_with_floors(folders):
    root, _, result = folders
    rows = {"generated": {"images": 9, "accuracy": 0.8}, "held-out": {"images": 9, "accuracy": 0.97}, "n": 9}
    (result / "metrics.json").write_text(json.dumps({"samples": 9, "scores": rows}))
    found = read(root)
    assert found.values("latest") == {"accuracy": 0.8} and found.better == {"accuracy": "higher"}
    assert found.scores["latest"]["accuracy"]["of held-out"] == 0.97


def test_images_are_found_with_styles_and_without(folders):
    root, _, result = folders
    for path in ("images/fake_B/b.png", "images/fake_B/a.png", "images/real_A/a.png", "images/fake_B/note.txt"):
        (result / path).parent.mkdir(parents=True, exist_ok=True)
        (result / path).write_bytes(b"")
    images = read(root).images["latest"]
    assert list(images["fake_B"]) == ["a", "b"] and images["real_A"]["a"] == result / "images/real_A/a.png"
    best = root / "results" / "r" / "test_best" / "bold" / "images" / "fake_B"
    best.mkdir(parents=True)
    (best / "a.png").write_bytes(b"")
    assert read(root).images["best"] == {"fake_B": {"bold/a": best / "a.png"}}


def test_samples_are_images_by_class(folders):
    root, _, result = folders
    for path in ("samples/dog/0000.png", "images/grid/0.png"):
        (result / path).parent.mkdir(parents=True)
        (result / path).write_bytes(b"")
    assert list(read(root).images["latest"]) == ["samples"]
    assert list(read(root).images["latest"]["samples"]) == ["dog/0000"]


def test_what_a_run_took(folders):
    root, run, _ = folders
    facts = {"state": "finished", "steps": 200, "seconds": 50.0, "parameters": {"G": 3, "D": "many", "F": True}}
    (run / "run.json").write_text(json.dumps(facts))
    found = read(root)
    assert found.pace == 0.25 and found.parameters == {"G": 3} and found.fact("peak_memory") is None


def test_a_run_that_was_killed_is_told_from_one_that_is_at_work(folders):
    root, run, _ = folders
    (run / "run.json").write_text('{"state": "running", "steps": 20}')
    assert read(root).state == "died"
    hold(run)
    assert read(root).state == "running"
    (run / "run.json").write_text('{"state": "stopped", "steps": 20}')  # and somebody goes on with it
    assert read(root).state == "running"


def test_runs_of_a_variant_are_together_by_seed(tmp_path):
    runs = [read_run(tmp_path, "r", tmp_path, variant, seed) for variant, seed in (("b", 2), ("a", 1), ("b", 1))]
    assert {v: [r.seed for r in some] for v, some in group(runs).items()} == {"b": [1, 2], "a": [1]}


def test_only_finite_numbers_are_numbers():
    assert finite_number(3) == 3.0
    assert [finite_number(v) for v in (True, "3", None, math.nan, math.inf, 10**400)] == [None] * 6
