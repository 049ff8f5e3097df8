"""A run that is killed at any change of any file goes on to what it would have been: weights, records, checkpoints."""

import hashlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import time

import pytest

import train as train_script
from evaluation.training import Evaluated
from options import UserError
from tests.conftest import SMALL
from tests.kills import Deaths, silent
from tests.test_fonts import SMALL as FONTS
from tests.test_train import differences, spawn, state
from util.commit import RECORD, finish, names
from util.training.manifest import by_age, problem

STEPS = {"--gpu_ids": -1, "--num_threads": 0, "--print_freq": 1, "--display_freq": 10**6, "--update_html_freq": 10**6}
CUT = [*SMALL, "--ema_decay", "0.9", "--batch_size", "1", "--max_dataset_size", "3"]
CONTRAGAN = ["--model", "contragan", "--dataroot", "digits", "--ngf", "4", "--ndf", "4", "--z_dim", "4"]
CONTRAGAN += ["--embed_dim", "4", "--max_dataset_size", "30", "--batch_size", "10", "--lr_policy", "linear"]
ZI2ZI = [*FONTS[: FONTS.index("--n_epochs")], "--ngf", "4", "--max_dataset_size", "24", "--GAN_from", "0"]
MODELS = {"cut": (CUT, 1), "contragan": (CONTRAGAN, 10), "zi2zi": (ZI2ZI, 16)}


class Scripted:
    """The first evaluation is the best so far, the second improves on it, the third does not."""

    def __init__(self, *_):
        pass

    def prepare(self):
        return {"L1": 0.0}, {"L1": "lower"}

    def __call__(self, model, engine):
        value = abs(engine.progress.step - 4) + float(next(model.parameters()).detach().abs().mean())
        return Evaluated({"L1": value, "odd": float("nan")}, {"L1": "lower"}, [], float("nan"), [])

    def close(self):
        pass


class Case:
    """A run of six steps in two epochs: evaluated every other step, saved every third and after each epoch."""

    def __init__(self, model, dataroot, folder, *more, links=True):
        argv, batch = MODELS[model]
        words = [*argv, *(["--dataroot", str(dataroot)] if model == "cut" else []), "--n_epochs", "1"]
        words += ["--n_epochs_decay", "1", "--save_epoch_freq", "1", "--save_latest_freq", str(3 * batch)]
        words += ["--eval_freq", str(2 * batch), "--eval_metrics", "self_similarity" if model == "cut" else "l1"]
        words += [str(word) for pair in STEPS.items() for word in pair]
        self.words, self.folder, self.links = [*words, *map(str, more)], folder, links
        self.whole = self.outcome(self.start(folder / "whole"))
        self.done = self.changes  # of files, one after the other
        self.commits = [n for n, what in enumerate(self.done, 1) if what == f"os.rename {RECORD}"]
        assert {"latest", "previous", "best", "1", "2"} <= self.whole["states"].keys()

    def start(self, place, fatal=0, die=None, more=(), before=None):
        """Run; killed before the change number ``fatal``. What it had done to files until then."""
        words = [*self.words, "--name", "run", "--checkpoints_dir", str(place / "checkpoints"), *more]
        with Deaths(place, fatal, die, self.links, before) as deaths, silent():
            train_script.main(words)
        self.changes = deaths.done
        return place

    def go_on(self, place):
        try:
            return self.start(place, more=["--continue_train"])
        except UserError as error:  # killed before it was a run
            assert error.code == 4 and "there is no run" in str(error)
            return self.start(place)

    def outcome(self, place):
        run = place / "checkpoints/run"
        found = json.loads((run / "run.json").read_text())
        return {
            "files": {name for name in names(run) if name != RECORD},
            "states": {label: (run / f"{label}_state.pt").read_bytes() for label in by_age(run)},
            "evaluations": lines(run / "evaluations.jsonl"),
            "losses": lines(run / "metrics.jsonl"),
            "log": logged(run / "loss_log.txt"),
            "record": {key: found[key] for key in ("state", "steps", "images", "best", "total_steps", "error")},
        }

    def check(self, place):
        """What is left of a killed run is whole, and what it goes on to is the run that was not killed."""
        run = place / "checkpoints/run"
        for label in by_age(run) if run.is_dir() else []:
            assert problem(run, label) is None
        found = self.outcome(self.go_on(place))
        assert not (run / RECORD).exists() and not list(run.glob(".*.tmp"))
        for part in ("files", "evaluations", "losses", "log", "record"):
            assert found[part] == self.whole[part], part
        for label, content in self.whole["states"].items():
            same = content == found["states"][label]
            assert same or differences(state(self.folder / "whole", label), state(place, label)) == [], label
            assert problem(run, label) is None

    def kill(self, *fatal, die=None):
        """Kill a run, and what goes on from it, before these changes; the last goes on to the end."""
        place, more = self.folder / "killed", []
        shutil.rmtree(place, ignore_errors=True)
        for number in fatal:
            self.start(place, number, die, more)
            more = ["--continue_train"]
        self.check(place)


def logged(path):
    """The lines of losses, without times; each part of a run has a header."""
    return [re.sub(r"(time|data): [\d.]+", "", line) for line in path.read_text().splitlines() if line[0] == "("]


def lines(path):
    return [timeless(json.loads(line)) for line in path.read_text().splitlines()]


@pytest.fixture
def scripted(monkeypatch):
    monkeypatch.setattr(train_script, "make_evaluator", Scripted)


def in_child(work, kill_after=None):
    """The exit code of a process of its own that does this work, or is killed after so many seconds."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(kill_after)
    if process.exitcode is None:
        process.kill()
        process.join()
    return process.exitcode


@pytest.mark.slow
def test_killed_around_its_commits_a_run_goes_on_to_the_same_bits(dataroot, tmp_path, scripted):
    """Without hard links: while the first best is staged, at its record, among its renames, and so on."""
    case = Case("cut", dataroot, tmp_path, "--no_html", links=False)
    first, latest, best, epoch, *_ = case.commits
    for fatal in (first - 9, first, first + 1, first + 8, latest - 3, latest + 4, best + 1, epoch + 12):
        case.kill(fatal)
    case.kill(first + 3, 4)  # while it finishes what the first left


@pytest.mark.slow
def test_a_process_that_is_no_more_leaves_what_the_next_finishes(dataroot, tmp_path, scripted):
    case = Case("cut", dataroot, tmp_path, "--no_html", "--save_by_iter", "--eval_freq", 3)
    for fatal in (case.commits[0] + 2, case.commits[0] + 40):  # of best and latest; of iter_3, of the same step
        place = tmp_path / "killed"
        shutil.rmtree(place, ignore_errors=True)
        assert in_child(lambda place=place, n=fatal: case.start(place, n, lambda: os._exit(9))) == 9
        assert (place / "checkpoints/run/loss_log.txt").exists()
        case.check(place)


# -- every change of every file --------------------------------------------------------------------


class Images:
    """The disk at every moment of a run, as a process that died there would have left it, is gone on from.

    Moments that leave the same to whoever goes on, after what was staged is finished or removed, are one.
    """

    def __init__(self, case):
        self.case, self.seen, self.moments = case, set(), 0

    def look(self, place, more=()):
        """Go through a run, new or continued with ``more``, in ``place``."""
        image, copied = self.case.folder / "image", []

        def before(number):
            copied.append(image / str(number))
            if place.exists():
                shutil.copytree(place, copied[-1])
            else:  # it begins
                copied[-1].mkdir(parents=True)

        shutil.rmtree(image, ignore_errors=True)
        self.case.start(place, more=more, before=before)
        for path in copied:
            self.moments += 1
            run = path / "checkpoints/run"
            whole = {label: problem(run, label) for label in by_age(run)} if run.is_dir() else {}
            assert not any(whole.values()), (self.moments, whole)
            if run.is_dir():
                finish(run)
                assert set(by_age(run)) == whole.keys()  # who only reads sees what is to come
            if (left := self.left(run)) not in self.seen:
                self.seen.add(left)
                self.case.check(path)
            shutil.rmtree(path)

    def left(self, run):
        """What there is to go on from, without the times."""
        parts = []
        for path in sorted(run.glob("*")) if run.is_dir() else []:
            if path.suffix in (".jsonl", ".json"):
                parts.append((path.name, json.dumps([timeless(json.loads(line)) for line in texts(path)])))
            elif path.name != "loss_log.txt":
                parts.append((path.name, hashlib.sha256(path.read_bytes()).hexdigest()))
            else:
                parts.append((path.name, tuple(logged(path))))
        return tuple(parts)


def texts(path):
    return path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text() or "{}"]


def timeless(record):
    if not isinstance(record, dict):
        return record
    told = ("time", "seconds", "seconds_per_step", "cpu_per_step", "peak_memory", "evaluation_seconds")
    return {key: value for key, value in record.items() if key not in told}


@pytest.mark.exhaustive
@pytest.mark.timeout(0)
@pytest.mark.parametrize("links", [True, False], ids=["links", "copies"])
@pytest.mark.parametrize("model", MODELS)
def test_dead_before_any_change_of_a_file_a_run_goes_on_to_the_same_bits(dataroot, tmp_path, scripted, model, links):
    """Of a whole run, and of one that goes on from the middle of its first commit."""
    case, again = Case(model, dataroot, tmp_path, "--no_html", links=links), tmp_path / "again"
    assert [record["best"] for record in case.whole["evaluations"]] == [True, True, False] and len(case.commits) == 6
    images = Images(case)
    images.look(tmp_path / "looked")
    case.start(again, case.commits[0] + 5)
    images.look(again, ["--continue_train"])
    print(f"{model}, {'links' if links else 'copies'}: {images.moments} moments, {len(images.seen)} to go on from")
    assert images.moments > len(case.done) + 200


@pytest.mark.exhaustive
@pytest.mark.timeout(0)
@pytest.mark.parametrize("model", MODELS)
def test_killed_at_random_moments_a_run_goes_on_to_the_same_bits(dataroot, tmp_path, scripted, model):
    """By SIGKILL, in processes of their own, again and again until a run comes to its end: 67 times each model."""
    case, place, kills = Case(model, dataroot, tmp_path, "--no_html"), tmp_path / "killed", 0
    began = time.monotonic()
    case.start(tmp_path / "timed")
    seconds, moments = time.monotonic() - began, random.Random(model)
    while kills < 67:
        shutil.rmtree(place, ignore_errors=True)
        while (code := in_child(lambda: case.go_on(place), moments.uniform(0, seconds))) == -signal.SIGKILL:
            kills += 1
        assert code == 0
        case.check(place)
    print(f"{model}: {kills} kills survived")


@pytest.mark.exhaustive
@pytest.mark.timeout(0)
def test_train_py_killed_at_random_moments_goes_on_to_the_same_bits(dataroot, tmp_path):
    """By SIGKILL, from the command line, with an evaluation: one command up to four times, and once to its end."""
    argv = ["--max_dataset_size", 3, "--n_epochs", 2, "--n_epochs_decay", 0, "--no_html", "--ema_decay", 0.9]
    argv += ["--save_epoch_freq", 1, "--save_latest_freq", 1, "--eval_freq", 2, "--eval_metrics", "self_similarity"]
    argv += ["--print_freq", 1, "--continue_train", "auto"]
    began = time.monotonic()
    assert spawn(dataroot, tmp_path / "whole", *argv).wait() == 0
    seconds, moments, kills, place = time.monotonic() - began, random.Random(0), [], tmp_path / "killed"
    while len(kills) < 20:
        shutil.rmtree(place, ignore_errors=True)
        code, patience = None, [moments.uniform(0.3, 1.1) * seconds for _ in range(4)]
        while code != 0:
            began, process = time.monotonic(), spawn(dataroot, place, *argv)
            try:
                code = process.wait(patience.pop() if patience else None)
                seconds = time.monotonic() - began  # on a machine that others use
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
                made = place / "checkpoints/run/metrics.jsonl"
                kills.append(len(made.read_text().splitlines()) if made.exists() else None)  # what it had logged
            assert code in (0, -signal.SIGKILL), process.stderr.read()
        for label in ("latest", "best", "1", "2"):
            assert differences(state(tmp_path / "whole", label), state(place, label)) == [], label
        for name in ("evaluations.jsonl", "metrics.jsonl"):
            one, other = (lines(folder / "checkpoints/run" / name) for folder in (tmp_path / "whole", place))
            assert one == other
        one, other = (logged(folder / "checkpoints/run/loss_log.txt") for folder in (tmp_path / "whole", place))
        assert one == other
    print(f"train.py: {len(kills)} kills survived, lines of losses before each: {kills}")
