"""compare.py: what is run, what is not run again, what an interruption leaves; most of it with pretended scripts."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys

import pytest

import compare
import train as train_script
from options import UserError
from options.compare_options import CompareOptions
from options.parsing import parse_script
from tests.test_train import differences, state
from util.compare.runner import ENDED, Command, Runner, of

PRETENDING = """
import json, os, shutil, signal, sys, time
from pathlib import Path

words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
name, checkpoints = words["--name"], Path(words["--checkpoints_dir"])
with Path(checkpoints, "..", "calls.txt").open("a") as calls:
    threads = os.environ.get("OMP_NUM_THREADS", "-")
    calls.write(" ".join([Path(sys.argv[0]).name, name, words.get("--epoch", ""), threads]) + "\\n")
run = checkpoints / name
ngf, steps = int(words.get("--ngf", 64)), int(words.get("--max_steps", 0))
if Path(sys.argv[0]).name == "test.py":
    if (Path(sys.argv[0]).parent / "broken").exists():
        sys.exit("test.py: no room on the disk")
    folder = Path(words["--results_dir"], name, "test_" + words["--epoch"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps({"L1": {"value": 0.5, "better": "lower"}}))
    sys.exit(0)

def leave(state, done, code, **more):
    run.mkdir(parents=True, exist_ok=True)
    record = dict(state=state, steps=done, total_steps=steps, seconds=done / 2, seconds_per_step=0.5) | more
    (run / "run.json").write_text(json.dumps(record))
    (run / "train_opt.yaml").write_text(f"ngf: {ngf}\\nmax_steps: {steps}\\nseed: {words.get('--seed', 0)}\\n")
    (run / "latest.manifest.json").write_text(str(os.getpid()))
    lines = [json.dumps(dict(step=n + 1, time=100 + n / 2)) for n in range(done)]
    (run / "metrics.jsonl").write_text("\\n".join(lines))
    if ngf == 21:
        (run / "best.manifest.json").write_text("the best")
    sys.exit(code)

if ngf == 75 and not (run / "run.json").exists() and "timing" not in name:
    leave("stopped", 2, 75)
if ngf == 13:
    print("train.py: NCE is not finite")
    leave("failed", 3, 3, error="NCE is not finite")
if ngf == 99 and not (run / "run.json").exists():
    if (Path(sys.argv[0]).parent / "deaf").exists():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: leave("stopped", 2, 75))
    (checkpoints / "ready").write_text("iters iters iters")
    time.sleep(60)
alone = dict(device="cpu", threads=1, cpu_per_step=0.25) if ngf == 77 else {}
leave("finished", steps, 0, **alone)
"""


@pytest.fixture
def pretending(tmp_path, monkeypatch):
    """Scripts that leave what train.py and test.py leave, and a function that runs a recipe with them."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name in ("train.py", "test.py"):
        (scripts / name).write_text(PRETENDING)
    monkeypatch.setattr(compare, "SCRIPTS", scripts)

    def run(text, *words):
        (tmp_path / "some.yaml").write_text(text)
        (tmp_path / "experiments/some/checkpoints").mkdir(parents=True, exist_ok=True)
        folder = ["--experiments_dir", str(tmp_path / "experiments")]
        return compare.main([str(tmp_path / "some.yaml"), *folder, *map(str, words)])

    return run


def calls(folder):
    """What was started since the last look, as "script run checkpoint"."""
    file = folder / "experiments/some/calls.txt"
    lines = [line.rsplit(" ", 1)[0].strip() for line in file.read_text().splitlines()] if file.is_file() else []
    file.unlink(missing_ok=True)
    return lines


TWO = "models: {cut: {}, small: {model: cut, ngf: 4}}\nseeds: [0, 1]\nbudget: 5 steps\nevaluate: {num_test: 3}\n"


@pytest.mark.slow
def test_every_run_is_trained_and_tested_once(tmp_path, pretending, capsys):
    assert pretending(TWO) == 0
    names = ["cut-s0", "small-s0", "cut-s1", "small-s1"]  # one seed of all before the next
    assert calls(tmp_path) == [line for name in names for line in (f"train.py {name}", f"test.py {name} latest")]
    folder = tmp_path / "experiments/some"
    assert (folder / "index.html").is_file() and (folder / "recipe.yaml").read_text() == TWO
    assert "[4/4] small-s1: test of latest" in capsys.readouterr().out
    assert pretending(TWO) == 0 and calls(tmp_path) == []
    assert pretending(TWO, "--seeds", 2, "--models", "small") == 0
    assert calls(tmp_path) == ["train.py small-s2", "test.py small-s2 latest"]


@pytest.mark.slow
def test_what_is_tested_anew_is_what_changed(tmp_path, pretending):
    assert pretending(TWO) == 0 and len(calls(tmp_path)) == 8
    assert pretending(TWO.replace("num_test: 3", "num_test: 4"), "--models", "cut") == 0  # other words
    assert calls(tmp_path) == ["test.py cut-s0 latest", "test.py cut-s1 latest"]
    (tmp_path / "experiments/some/checkpoints/cut-s1/latest.manifest.json").write_text("other weights")
    assert pretending(TWO.replace("num_test: 3", "num_test: 4"), "--models", "cut") == 0
    assert calls(tmp_path) == ["test.py cut-s1 latest"]


def test_the_best_checkpoint_is_tested_where_there_is_one(tmp_path, pretending):
    assert pretending("models: {cut: {ngf: 21}}\nbudget: 5 steps") == 0
    assert calls(tmp_path) == ["train.py cut-s0", "test.py cut-s0 latest", "test.py cut-s0 best"]


@pytest.mark.slow
def test_a_failed_run_is_told_and_the_others_go_on(tmp_path, pretending, capsys):
    text = "models: {bad: {model: cut, ngf: 13}, cut: {}}\nbudget: 5 steps"
    assert pretending(text) == 1
    assert calls(tmp_path) == ["train.py bad-s0", "train.py cut-s0", "test.py cut-s0 latest"]
    said = capsys.readouterr()
    assert "[1/2] bad-s0: training: exit code 3: train.py: NCE is not finite; all of it:" in said.out
    assert "failed: bad-s0: train.py ended with code 3: train.py: NCE is not finite" in said.err
    assert pretending(text) == 1 and calls(tmp_path) == []  # told again, not tried again
    assert "failed: bad-s0" in capsys.readouterr().err
    assert pretending(text, "--retry_failed") == 1 and calls(tmp_path) == ["train.py bad-s0"]


@pytest.mark.slow
def test_a_test_that_failed_is_tried_again_when_asked(tmp_path, pretending):
    text, broken = "models: {cut: {}}\nbudget: 5 steps", tmp_path / "scripts/broken"
    broken.write_text("")
    assert pretending(text) == 1 and calls(tmp_path) == ["train.py cut-s0", "test.py cut-s0 latest"]
    broken.unlink()
    assert pretending(text) == 1 and calls(tmp_path) == []
    assert pretending(text, "--retry_failed") == 0 and calls(tmp_path) == ["test.py cut-s0 latest"]
    assert pretending(text) == 0 and calls(tmp_path) == []


@pytest.mark.slow
def test_runs_whose_options_changed_are_refused_before_anything_runs(tmp_path, pretending):
    assert pretending(TWO) == 0 and calls(tmp_path)
    other = TWO.replace("ngf: 4", "ngf: 6") + "common: {lr: 1.0e-3}\n"
    with pytest.raises(UserError, match=r"small-s0 was trained with --ngf 4, the recipe now says 6: .* --overwrite"):
        pretending(other)
    with pytest.raises(UserError, match="cut-s0 was trained with --max_steps 5, the recipe now says 9"):
        pretending(TWO, "--budget", "9steps")
    assert calls(tmp_path) == []
    assert pretending(other, "--overwrite") == 0
    assert calls(tmp_path)[:2] == ["train.py small-s0", "test.py small-s0 latest"]
    assert pretending(other) == 0 and calls(tmp_path) == []


@pytest.mark.slow
def test_prepared_runs_come_first_and_are_named_in_braces(tmp_path, pretending, capsys):
    text = TWO + "prepare: {eyes: {model: domain, dataset_mode: single}}\n"
    text = text.replace("num_test: 3", "num_test: 3, metrics: [self_similarity], extractor: 'domain:{eyes}'")
    assert pretending(text, "--models", "cut", "--seeds", 0) == 0
    assert calls(tmp_path) == ["train.py eyes", "train.py cut-s0", "test.py cut-s0 latest"]
    known = json.loads((tmp_path / "experiments/some/state/cut-s0.test_latest.json").read_text())
    eyes = tmp_path / "experiments/some/checkpoints/eyes"
    assert f"domain:{eyes}" in known["words"] and known["judges"]["eyes"]
    (eyes / "latest.manifest.json").write_text("others")
    assert pretending(text, "--models", "cut", "--seeds", 0) == 0
    assert calls(tmp_path) == ["test.py cut-s0 latest"]  # other eyes see other values
    with pytest.raises(UserError, match=r"evaluate: domain:\{ears\}: prepared is eyes"):
        pretending(text.replace("domain:{eyes}", "domain:{ears}"))


def test_nothing_is_compared_without_what_is_prepared(tmp_path, pretending, capsys):
    assert pretending(TWO + "prepare: {eyes: {model: cut, ngf: 13}}\n") == 1
    assert calls(tmp_path) == ["train.py eyes"] and "nothing is compared without eyes" in capsys.readouterr().err


@pytest.mark.slow
def test_minutes_are_turned_into_steps_once(tmp_path, pretending, capsys):
    text = "models: {cut: {}}\nbudget: 2 minutes"
    assert pretending(text, "--dry_run") == 0
    assert "2 minutes, timed first" in capsys.readouterr().out and calls(tmp_path) == []
    assert pretending(text) == 0
    assert calls(tmp_path) == ["train.py cut-timing", "train.py cut-s0", "test.py cut-s0 latest"]
    folder = tmp_path / "experiments/some"
    assert json.loads((folder / "budget.json").read_text())["cut"]["steps"] == 240  # half a second each
    assert json.loads((folder / "checkpoints/cut-s0/run.json").read_text())["steps"] == 240
    assert not (folder / "checkpoints/cut-timing").exists()
    assert "2 minutes of training" in (folder / "index.html").read_text()
    assert pretending(text, "--seeds", 0, 1) == 0
    assert calls(tmp_path) == ["train.py cut-s1", "test.py cut-s1 latest"]


@pytest.mark.slow
def test_minutes_of_a_process_on_one_thread_are_of_its_processor(tmp_path, pretending, monkeypatch):
    """The clock on the wall says half a second a step, for the machine is busy; the processor a quarter."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    text = "models: {{cut: {{ngf: 77, device: cpu, num_threads: {}}}}}\nbudget: 2 minutes"
    assert pretending(text.format(4)) == 0 and timed_anew(tmp_path)
    folder = tmp_path / "experiments/some"
    assert json.loads((folder / "budget.json").read_text())["cut"] | {"of": ""} == {
        **{"seconds_per_step": 0.5, "device": "cpu", "threads": 1, "clock": "wall", "of": ""},
        **{"budget": "2 minutes", "steps": 240},
    }
    assert "other work on the machine made steps fewer: cut 240" in (folder / "index.html").read_text()
    shutil.rmtree(folder / "checkpoints/cut-s0")  # with whose steps later seeds would agree
    assert pretending(text.format(0)) == 0 and timed_anew(tmp_path)
    timed = json.loads((folder / "budget.json").read_text())["cut"]
    assert (timed["seconds_per_step"], timed["clock"], timed["steps"]) == (0.25, "processor", 480)
    assert "other work on the machine does not take from a method: cut 480" in (folder / "index.html").read_text()


def timed_anew(folder):
    return [line for line in calls(folder) if "timing" in line]


@pytest.mark.slow
def test_what_was_timed_with_other_options_is_timed_anew(tmp_path, pretending, monkeypatch, capsys):
    text = "models: {cut: {ngf: 4}, dcl: {}}\nbudget: 2 minutes"
    assert pretending(text) == 0 and timed_anew(tmp_path) == ["train.py cut-timing", "train.py dcl-timing"]
    assert pretending(text.replace("4", "6"), "--overwrite") == 0
    assert timed_anew(tmp_path) == ["train.py cut-timing"]
    assert pretending(text.replace("4", "6"), "--overwrite", "--budget", "1min") == 0
    assert timed_anew(tmp_path) == []  # other minutes of the same pace


@pytest.mark.slow
def test_seeds_have_equal_steps_on_whatever_machine_the_later_ones_run(tmp_path, pretending, monkeypatch, capsys):
    text = "models: {cut: {}}\nbudget: 2 minutes"
    assert pretending(text) == 0 and timed_anew(tmp_path)
    monkeypatch.setattr("util.compare.cores.cores", lambda: 64)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    capsys.readouterr()
    assert pretending(text, "--seeds", 0, 1) == 0 and timed_anew(tmp_path) == []
    assert "its runs have begun, so all seeds keep 240 steps" in capsys.readouterr().out
    folder = tmp_path / "experiments/some/checkpoints"
    assert json.loads((folder / "cut-s1/run.json").read_text())["steps"] == 240
    with pytest.raises(UserError, match="cut-s0 was trained with --max_steps 240, the recipe now says 120"):
        pretending(text, "--budget", "1min")
    for run in folder.iterdir():
        shutil.rmtree(run)
    assert pretending(text) == 0 and timed_anew(tmp_path) == ["train.py cut-timing"]


@pytest.mark.slow
def test_a_run_that_a_signal_ended_has_not_failed(tmp_path, pretending, capsys):
    text = "models: {shy: {model: cut, ngf: 75}, cut: {}}\nbudget: 5 steps"
    assert pretending(text) == 75
    assert calls(tmp_path) == ["train.py shy-s0", "train.py cut-s0", "test.py cut-s0 latest"]
    said = capsys.readouterr()
    assert "shy-s0: training: stopped" in said.out and "the same command goes on" in said.out and not said.err
    assert not list((tmp_path / "experiments/some/state").glob("*failed*"))
    assert pretending(text) == 0 and calls(tmp_path) == ["train.py shy-s0", "test.py shy-s0 latest"]


@pytest.mark.slow
def test_a_prepared_run_that_was_stopped_is_waited_for(tmp_path, pretending, capsys):
    text = TWO + "prepare: {eyes: {model: cut, ngf: 75}}\n"
    assert pretending(text) == 75 and calls(tmp_path) == ["train.py eyes"]
    assert "failed" not in capsys.readouterr().err
    assert pretending(text) == 0 and len(calls(tmp_path)) == 9


def test_a_dry_run_prints_commands_and_writes_nothing(tmp_path, pretending, capsys):
    assert pretending(TWO, "--dry_run", "--set", "lr=0.1", "nce_layers=0,4", "--evaluate", "num_test=all") == 0
    assert calls(tmp_path) == [] and [path.name for path in (tmp_path / "experiments/some").iterdir()] == [
        "checkpoints"
    ]
    lines = capsys.readouterr().out.splitlines()
    commands = [line for line in lines if line.startswith("python ")]
    assert len(commands) == 8 and "small-s1" in commands[-1] and "--num_test all" in commands[-1]
    opt = compare.parse_train(shlex.split(commands[2])[2:])
    assert (opt.name, opt.ngf, opt.lr, opt.nce_layers, opt.max_steps, opt.seed) == (
        "small-s0",
        4,
        0.1,
        ("0", "4"),
        5,
        0,
    )


@pytest.mark.slow
def test_the_page_of_a_grid_that_is_not_done_says_how_far_each_run_is(tmp_path, pretending):
    assert pretending(TWO, "--seeds", 0, "--models", "cut") == 0
    page = tmp_path / "experiments/some/index.html"
    text = re.sub("<[^>]*>", " ", page.read_text())
    assert "1 of 4 runs are done; waits 3" in text and re.search(r"cut-s0\s+done\s+5 of 5\s+0.5\s", text)
    assert re.search(r"small-s1\s+waits", text)
    assert pretending(TWO) == 0 and 'id="progress"' not in page.read_text()


def test_a_dry_run_says_what_is_timed_first_and_tests_every_checkpoint(tmp_path, pretending, capsys):
    text = "models: {cut: {}}\nbudget: 3 minutes\nevaluate: {metrics: [fid]}\nduring: {evaluations: 2}"
    assert pretending(text, "--dry_run", "--jobs", 2) == 0 and calls(tmp_path) == []
    commands = [line for line in capsys.readouterr().out.splitlines() if "python " in line]
    train, *tests = commands
    assert train.startswith(f"OMP_NUM_THREADS=1 python {compare.SCRIPTS / 'train.py'} --name cut-s0 ")
    assert train.endswith("  # 3 minutes are not timed yet, from which --max_steps and --eval_freq follow")
    assert [re.search(r"--epoch (\w+)", line)[1] for line in tests] == ["latest", "best"]
    assert not list((tmp_path / "experiments/some").glob("*.*"))


ONE = "models: {cut: {}}\nbudget: 5 steps\nevaluate: {num_test: 3}\n"


@pytest.mark.slow
def test_results_that_are_gone_are_made_anew(tmp_path, pretending, capsys):
    assert pretending(ONE) == 0 and len(calls(tmp_path)) == 2
    results = tmp_path / "experiments/some/results/cut-s0"
    for harm in (
        lambda: shutil.rmtree(results),
        lambda: (results / "test_latest/metrics.json").unlink(),
        lambda: (results / "test_latest/metrics.json").write_text('{"L1": {"val'),
        lambda: (results / "test_latest/.files").write_text('"images/a.png"'),  # of which there is none
        lambda: (results / "test_latest/checkpoint.json").write_text('{"step": 4, "sha256": "of another"}'),
    ):
        harm()
        assert pretending(ONE, "--dry_run") == 0 and "finished; to be tested: latest" in capsys.readouterr().out
        assert pretending(ONE) == 0 and calls(tmp_path) == ["test.py cut-s0 latest"]
    assert pretending(ONE) == 0 and calls(tmp_path) == []


@pytest.mark.slow
def test_a_damaged_checkpoint_is_told_and_no_other_is_tested_for_it(tmp_path, pretending, capsys):
    assert pretending(ONE) == 0 and len(calls(tmp_path)) == 2
    run = tmp_path / "experiments/some/checkpoints/cut-s0"
    files = {"latest_net_G.pth": {"bytes": 3, "sha256": "0"}}
    (run / "latest.manifest.json").write_text(json.dumps({"epoch": 1, "step": 5, "files": files}))
    way = f"python train.py --name cut-s0 --checkpoints_dir {run.parent} --continue_train"
    assert pretending(ONE) == 1 and calls(tmp_path) == []
    told = capsys.readouterr().err
    assert (
        f"failed: cut-s0: checkpoint latest is damaged (latest_net_G.pth is missing), so it is not tested; {way}"
        in told
    )
    assert pretending(ONE, "--dry_run") == 0 and "checkpoint latest is damaged (latest" in capsys.readouterr().out
    assert pretending(ONE, "--page_only") == 0
    assert (
        "cut-s0: cut, seed 0: its last checkpoint is damaged: latest_net_G.pth is missing. " in capsys.readouterr().err
    )
    page = (tmp_path / "experiments/some/index.html").read_text()
    assert "its last checkpoint is damaged: latest_net_G.pth is missing." in page and way in re.sub("<[^>]*>", "", page)
    (run / "latest_net_G.pth").write_text("abc")  # of that size, and of other content
    assert pretending(ONE) == 1 and "latest_net_G.pth was altered since it was written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {cut: {ngff: 4}}", "some.yaml: models: cut: no option --ngff"),
        ("models: {cut: {ngf: four}}", "some.yaml: models: cut: --ngf four: expected a whole number"),
        ("models: {cutt: {}}", "some.yaml: models: cutt: "),
        ("models: {cut: {}}\nevaluate: {metrics: [fids]}", "some.yaml: models: cut: .*fids"),
        ("models: {cut: {}}\nevaluate: {lr: 2}", "some.yaml: models: cut: no option --lr"),
        ("models: {cut: {}}\nprepare: {eyes: {model: domain, ndf: 3}}", "some.yaml: prepare: eyes: no option --ndf"),
        ("models: {cut: {}}\nprepare: {cut-s0: {model: domain}}", "prepare: cut-s0 is the name of a run"),
        ("models: {cut: {}}\nduring: {eval_freq: 10}", "some.yaml: models: cut: --eval_freq 10: .*--eval_metrics"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_runs(tmp_path, pretending, text, said):
    with pytest.raises(UserError, match=said):
        pretending(text)
    assert calls(tmp_path) == []


def test_evaluation_while_training_judges_as_the_tests_do(tmp_path, pretending, capsys):
    text = (
        "models: {cut: {}}\nevaluate: {metrics: [fid, l1], extractor: inception, num_test: 3, batch_size: 9}\n"
        "during: {eval_freq: 40}"
    )
    assert pretending(text, "--dry_run") == 0
    command = next(line for line in capsys.readouterr().out.splitlines() if "train.py" in line)
    assert "--eval_metrics fid,l1" in command and "--eval_freq 40" in command and "--extractor inception" in command
    assert "num_test" not in command and "batch_size" not in command


def test_evaluations_are_spread_over_the_steps_of_each_run(tmp_path, pretending, capsys):
    text = (
        "models: {cut: {batch_size: 4}}\nevaluate: {metrics: [self_similarity]}\nduring: {evaluations: 5}\n"
        "budget: 100 steps"
    )
    assert pretending(text, "--dry_run") == 0
    command = next(line for line in capsys.readouterr().out.splitlines() if "train.py" in line)
    assert "--eval_freq 80" in command and "--eval_metrics self_similarity" in command  # 400 images by 5
    with pytest.raises(UserError, match="during: evaluations: needs a budget"):
        pretending(text.replace("budget: 100 steps", ""))
    with pytest.raises(UserError, match="during: evaluations: expected a whole number"):
        pretending(text.replace("evaluations: 5", "evaluations: often"))


@pytest.mark.slow
def test_runs_side_by_side_share_the_cores(tmp_path, pretending, monkeypatch):
    monkeypatch.setattr("util.compare.cores.cores", lambda: 6)
    assert pretending(TWO, "--jobs", 3) == 0
    lines = (tmp_path / "experiments/some/calls.txt").read_text().splitlines()
    assert len(lines) == 8 and all(line.endswith(" 2") for line in lines)


@contextlib.contextmanager
def signals(log, *numbers):
    """A process that sends these signals here, a second apart, once a log tells of three lines of losses."""
    text = f"import os, time; from pathlib import Path; log = Path({str(log)!r})\n"
    text += "while not log.exists() or log.read_text().count('iters') < 3: time.sleep(0.05)\n"
    text += f"for number in {[int(number) for number in numbers]}: os.kill({os.getpid()}, number); time.sleep(1)"
    process = subprocess.Popen([sys.executable, "-c", text])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_a_signal_that_reached_every_process_is_not_passed_on(tmp_path, monkeypatch):
    """Those that it ended within the time have nothing to be told; the one that runs yet is told once."""
    monkeypatch.setattr("util.compare.runner.PASS_ON", 0.5)
    script, log = tmp_path / "some.py", tmp_path / "log"
    script.write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('told')))\n"
        "print('iters iters iters', flush=True)\n"
        "time.sleep(float(sys.argv[1]))\n"
    )

    def task(seconds):
        return (yield Command("waiting", script, [str(seconds)], log))

    with signals(log, signal.SIGTERM):
        assert Runner().run({"quick": task(1.0)}, str) == {"quick": 0}
    assert "told" in log.read_text()
    log.unlink()
    monkeypatch.setattr("util.compare.runner.PASS_ON", 30)
    with signals(log, signal.SIGTERM):
        assert Runner().run({"quick": task(1.0)}, str) == {"quick": 0}
    assert "told" not in log.read_text()


def test_codes_in_words():
    """A run that a signal ended goes on, SIGKILL too; one that had no memory has failed."""
    assert {-signal.SIGTERM, -signal.SIGHUP, -signal.SIGUSR1, -9, 75, 130} <= ENDED and not {1, 2, 5, 6} & ENDED
    assert of(6) == "exit code 6" and of(-9).startswith("killed by SIGKILL, which a system does that has no memory")


WAITING = "models: {cut: {ngf: 99}, small: {model: cut, ngf: 4}}\nbudget: 5 steps"


@pytest.mark.slow
@pytest.mark.parametrize(
    "numbers", [(signal.SIGTERM,), (signal.SIGINT,), (signal.SIGUSR2, signal.SIGTERM, signal.SIGHUP)], ids=len
)
def test_a_signal_is_passed_on_and_the_same_command_goes_on(tmp_path, pretending, capsys, numbers):
    """Those that repeat it change nothing: the save is waited for."""
    with signals(tmp_path / "experiments/some/checkpoints/ready", *numbers):
        assert pretending(WAITING) == 75
    assert calls(tmp_path) == ["train.py cut-s0"]
    assert re.search(r"the same command goes on from here: python compare.py .*some.yaml", capsys.readouterr().out)
    assert pretending(WAITING) == 0
    assert calls(tmp_path) == [
        "train.py cut-s0",
        "test.py cut-s0 latest",
        "train.py small-s0",
        "test.py small-s0 latest",
    ]
    assert "[1/2] cut-s0: training goes on" in capsys.readouterr().out


def test_a_second_signal_ends_at_once_what_does_not_listen(tmp_path, pretending):
    (tmp_path / "scripts/deaf").write_text("")
    with signals(tmp_path / "experiments/some/checkpoints/ready", signal.SIGINT, signal.SIGINT):
        assert pretending(WAITING) == 130
    assert calls(tmp_path) == ["train.py cut-s0"]
    assert not list((tmp_path / "experiments/some/state").glob("*failed*"))


@pytest.mark.slow
def test_a_page_of_chosen_runs(tmp_path, pretending, capsys):
    assert pretending(TWO) == 0
    there = tmp_path / "experiments/some/checkpoints"
    where = ["--checkpoints_dir", str(there), "--experiments_dir", str(tmp_path / "experiments")]
    assert compare.main(["cut-s0", "cut-s1", "small-s0", *where]) == 0
    assert (tmp_path / "experiments/cut_vs_small-s0/index.html").is_file()
    assert compare.main([str(there / "cut-s0"), str(there / "small-s0"), "--output", str(tmp_path / "page")]) == 0
    page = (tmp_path / "page/index.html").read_text()
    assert "small-s0" in page and "L1" in page  # results beside the checkpoints
    for names, said in [
        (["cut-s8"], "cut-s8: no such run in .*; did you mean cut-s"),
        ([str(tmp_path)], "is no run: it has no train_opt.yaml"),
        (["cut-s0", str(there / "cut-s0")], "given twice"),
        ([], "give a recipe"),
        (["cut-s0", "x.yaml"], "one recipe at a time"),
    ]:
        with pytest.raises(UserError, match=said):
            compare.main([*names, *where])


@pytest.mark.slow
def test_seeds_of_one_variant_are_found_by_their_options(tmp_path, pretending):
    from util.compare.chosen import chosen_runs

    assert pretending(TWO) == 0
    there = tmp_path / "experiments/some/checkpoints"
    runs, name = chosen_runs(["cut-s1", "small-s0", "cut-s0", "small-s1"], there, tmp_path / "results")
    assert name == "cut_vs_small"
    assert [(run.variant, run.seed) for run in runs] == [("cut", 1), ("small", 0), ("cut", 0), ("small", 1)]


def test_lists_on_the_command_line_stay_together():
    words = ["--runs", "a.yaml", "--set", "nce_layers=0,4,8", "ngf=8", "--evaluate", "metrics=fid,kid"]
    opt = parse_script(CompareOptions, words)
    assert opt.settings == {"nce_layers": "0,4,8", "ngf": "8"} and opt.test_settings == {"metrics": "fid,kid"}
    with pytest.raises(UserError, match="--set ngf: expected option=value"):
        parse_script(CompareOptions, ["--runs", "a.yaml", "--set", "ngf"])


# -- the real scripts ----------------------------------------------------------------------------


REAL = """
title: Discs as squares
models: {cut: {}}
common: {ngf: 4, ndf: 4, netF_nc: 8, num_patches: 16, load_size: 36, crop_size: 32, netG: resnet_4blocks,
  netD: n_layers, n_layers_D: 2, num_threads: 0, device: cpu, no_html: true, print_freq: 2, save_latest_freq: 1000}
seeds: [0, 1]
budget: 60 steps
evaluate: {num_test: all, metrics: [self_similarity]}
"""


@pytest.mark.slow
def test_an_interrupted_grid_ends_as_the_uninterrupted_one(dataroot, tmp_path, capsys, monkeypatch):
    """It is stopped in the middle of its second run; the final weights are those of a run in one piece."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # of every script here: sums have one order
    monkeypatch.setattr("util.compare.runner.PASS_ON", 0.1)  # 60 steps may take less than the usual two seconds
    (tmp_path / "real.yaml").write_text(f"data: {{dataroot: {dataroot}}}{REAL}")
    argv = [str(tmp_path / "real.yaml"), "--experiments_dir", str(tmp_path)]
    folder = tmp_path / "real"
    finished, record = folder / "checkpoints/cut-s0", folder / "checkpoints/cut-s1/run.json"
    with signals(folder / "checkpoints/cut-s1/loss_log.txt", signal.SIGTERM):
        assert compare.main(argv) == 75
    part = json.loads(record.read_text())
    assert part["state"] == "stopped" and 0 < part["steps"] < 60
    first = {path: path.stat().st_mtime_ns for path in finished.iterdir()}

    assert compare.main(argv) == 0
    assert first == {path: path.stat().st_mtime_ns for path in finished.iterdir()}  # nothing finished was tried again
    whole, log = json.loads(record.read_text()), (folder / "logs/cut-s1.log").read_text()
    assert (whole["state"], whole["steps"]) == ("finished", 60) and "training goes on" in capsys.readouterr().out
    assert log.count("$ python train.py") == 2 and "--continue_train" in log
    _, value = json.loads((folder / "results/cut-s1/test_latest/metrics.json").read_text())
    assert value in (folder / "index.html").read_text()

    words = next(line for line in log.splitlines() if line.startswith("$ "))
    there, alone = str(folder / "checkpoints"), tmp_path / "alone/checkpoints"
    argv = [str(alone) if word == there else word for word in shlex.split(words)[3:]]
    assert subprocess.run([sys.executable, train_script.__file__, *argv]).returncode == 0
    (alone / "cut-s1").rename(alone / "run")
    (folder / "checkpoints/cut-s1").rename(folder / "checkpoints/run")
    assert not differences(state(folder), state(tmp_path / "alone"))
