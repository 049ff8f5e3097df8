"""Whether what a run and its tests left is still there, whole: files are looked at, not notes of them."""

import os
from pathlib import Path

from options import UserError
from util.commit import current
from util.files import finite_number, json_or_empty, sha256
from util.pages.files import noted_files
from util.training.manifest import problem, read_manifest

GONE = "one that is no longer there"  # a checkpoint


def lacking_results(test: Path) -> str:
    """What is missing of the results of a test, in words; empty where all that it left is there."""
    if not test.is_dir():
        return f"{test} is not there"
    noted = noted_files(test)
    gone = [name for name in noted if not os.path.isfile(test / name)]  # noqa: PTH113  (which raises nothing, of any name)
    if gone:
        return f"{test} lacks {len(gone)} of {len(noted)} files, such as {gone[0]}"
    metrics = test / "metrics.json"
    if metrics.is_file() and not json_or_empty(metrics):
        return f"{metrics} is damaged"
    return "" if noted or metrics.is_file() else f"{test} holds no results"


def damage(run: Path, label: str) -> str:
    """What is wrong with a checkpoint that has a manifest, in words; empty where nothing is.

    Only files that were touched since the manifest was written are read. A manifest that cannot be read, or that a run
    at work replaces again and again, says nothing here: whoever tests the checkpoint is told.
    """
    try:
        read_manifest(run, label)
        return problem(run, label, touched=True) or ""
    except UserError:
        return ""


def other_checkpoint(run: Path, test: Path, label: str) -> str:
    """Of which checkpoint a test was, in words, where that is not the one of this name now; empty where it may be.

    A test without checkpoint.json is of an unknown one; runs whose checkpoints were all deleted say nothing.
    """
    tested, manifest = json_or_empty(test / "checkpoint.json"), current(run / f"{label}.manifest.json")
    if not tested:
        return ""
    if not manifest.is_file():
        return GONE if any(run.glob("*.manifest.json")) else ""
    now, then = finite_number(json_or_empty(manifest).get("step")), finite_number(tested.get("step"))
    digest = tested.get("sha256")
    if isinstance(digest, str):
        try:
            differs = sha256(manifest) != digest
        except OSError:
            return ""
    else:
        differs = None not in (now, then) and now != then
    if not differs:
        return ""
    return (
        f"another one (step {then:,.0f}, now {now:,.0f})"
        if now is not None and then not in (None, now)
        else "another one"
    )
