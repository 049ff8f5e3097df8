"""One contract for all launchers: what is started says its code and its log, is stopped with a checkpoint, and leaves
nothing. Slurm's programs are pretended here, and so is Ray; tests/test_cluster.py has the real ones."""

import json
import os
import re
import shutil
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

import compare
from options import UserError
from options.compare_options import LAUNCHERS, CompareOptions
from options.parsing import parse_script
from tests.util.compare.launchers.fake_ray import fake_ray
from util.claim import Claim
from util.compare.claims import claimed
from util.compare.launchers import found_again, launcher
from util.compare.launchers.base import Command, Launcher, Settings
from util.compare.launchers.local import Local, places
from util.compare.runner import Runner

FAKE = Path(__file__).with_name("fake_slurm.py")
SCRIPT = """
import os, signal, sys, time
shown = {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")}
print(sys.argv[1:], shown, os.getcwd(), flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
if sys.argv[1] == "wait":
    print("ready", flush=True)
    time.sleep(60)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def pretended(tmp_path, monkeypatch):
    """Slurm's programs and Ray."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sbatch", "srun", "squeue", "scancel"):
        (programs / name).write_text(f"#!{sys.executable} -S\n{FAKE.read_text()}")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("FAKE_SLURM", str(programs))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr("util.compare.launchers.slurm_job.LOOK", 0.2)
    monkeypatch.setitem(sys.modules, "ray", None)
    return fake_ray([{"CPU": 8.0, "GPU": 1.0}, {"CPU": 8.0, "GPU": 1.0}])


@pytest.fixture
def command(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "grid/state").mkdir(parents=True)

    def make(name, *words):
        claim = Claim(tmp_path / f"grid/state/{name}.lock")
        return Command(name, tmp_path / "script.py", list(words), tmp_path / f"grid/logs/{name}.log", claim)

    return make


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while (found := condition()) is None or found is False:
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def test_every_launcher_has_a_file_and_there_are_no_others():
    there = {path.stem for path in Path(sys.modules[Local.__module__].__file__).parent.glob("*.py")}
    assert there - {"__init__", "base", "work", "slurm_job"} == set(LAUNCHERS)
    for path in Path(sys.modules[Local.__module__].__file__).parent.glob("*.py"):
        assert len(path.read_text().splitlines()) < 120, path


@pytest.mark.extra
@pytest.mark.slow
@pytest.mark.parametrize("name", LAUNCHERS)
def test_the_contract(name, pretended, command, tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    starter = launcher(name)(Settings(jobs=2))
    starter.check()
    starter.open()
    ends, waits = command("ends", "3", "--overwrite"), command("waits", "wait")
    one, other = starter.start([ends, waits])
    assert until(one.code) == 3
    log = ends.log.read_text()
    assert log.startswith("$ python script.py 3 --overwrite\n['3', '--overwrite'] ") and str(Path.cwd()) in log
    threads = {"slurm": "3", "ray": "8"}.get(name, str(max(1, len(os.sched_getaffinity(0)) // 2)))
    assert f"'OMP_NUM_THREADS': '{threads}'" in log
    until(lambda: waits.log.exists() and "ready" in waits.log.read_text())
    assert (other.code() is None and name in ("ray", "local")) or "node1" in other.where
    other.stop()
    assert until(other.code) == 75
    starter.close()
    for used in (ends, waits):
        assert json.loads(used.claim.file.read_text())["child"] is None
        used.claim.release()
    assert not list((tmp_path / "grid/state").iterdir())


@pytest.mark.extra
@pytest.mark.slow
def test_jobs_of_slurm_are_left_and_found_again(pretended, command, tmp_path):
    starter = launcher("slurm")(Settings(jobs=1, slurm={"partition": "gpu", "time": "7"}, gpus_per_run=2))
    left = command("left", "wait")
    starter.start([left])
    told = (tmp_path / "programs/submitted").read_text()
    for words in ("--partition=gpu", "--time=7", "--gpus-per-node=2", "--signal=USR2@90"):
        assert f"#SBATCH {words}\n" in told
    until(lambda: left.log.exists() and "ready" in left.log.read_text())
    left.claim.release()  # compare.py ends here
    starter.close()
    (state,) = (tmp_path / "grid/state").glob("slurm-*")  # which the job may need yet
    found_again(state.parent / "left.job.json").stop()

    def task():
        claim, waited = yield from claimed(state.parent, "left", left.log)
        with claim:
            return 0 if waited and not list(state.parent.glob("left.*.json")) else 1

    assert Runner().run({"left": task()}, str) == {"left": 0}


class Lasting(Launcher):
    """Its jobs go on without compare.py, until they are killed."""

    outlives = True

    def __init__(self, jobs):
        super().__init__(Settings(jobs))
        self.started, self.killed = [], []

    def start(self, commands):
        self.started.append([command.what for command in commands])
        return [
            SimpleNamespace(where="there", code=partial(self.code, one), kill=partial(self.kill, one))
            for one in commands
        ]

    def code(self, command):
        return 75 if command.what in self.killed else None

    def kill(self, command):
        self.killed.append(command.what)

    def plan(self, lines, runs):
        yield from lines


@pytest.mark.slow
@pytest.mark.parametrize("signals", [1, 2])
def test_the_first_signal_leaves_jobs_that_outlive_compare_and_a_second_ends_them(command, monkeypatch, signals):
    monkeypatch.setattr("util.compare.runner.LEAVE", 1.0)
    commands = [command(name, "wait") for name in ("a", "b", "c")]
    starter = Lasting(2)

    def task(one):
        with one.claim:
            return (yield one)

    def ask():
        for _ in range(signals):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)

    timer = threading.Timer(0.5, ask)
    timer.start()
    codes = Runner(launcher=starter).run({one.what: task(one) for one in commands}, str)
    timer.join()
    assert codes == dict.fromkeys("abc", 75) and starter.started == [["a", "b"]]  # together, in one array
    assert starter.killed == (["a", "b"] if signals == 2 else [])
    assert not list(commands[0].claim.file.parent.glob("[ab].lock"))


@pytest.mark.extra
def test_a_dry_run_prints_what_would_be_submitted(tmp_path, pretended, capsys):
    recipe = tmp_path / "some.yaml"
    recipe.write_text("models: {cut: {}}\nseeds: [0, 1]\nbudget: 5 steps")
    words = [str(recipe), "--experiments_dir", str(tmp_path / "new"), "--dry_run", "--jobs", "3"]
    slurm = ["--launcher", "slurm", "--slurm", "partition=gpu,time=600", "--gpus_per_run", "1"]
    for more, expected in [
        (
            slurm,
            ["#SBATCH --array=0-1%2", "#SBATCH --gpus-per-node=1", "#SBATCH --partition=gpu", "#SBATCH --time=600"],
        ),
        (
            ["--launcher", "ray", "--gpus_per_run", "0.25"],
            ["# tasks of Ray on this machine, 3 at once, 0.25 GPUs each:"],
        ),
        (["--gpus", "4,7,8"], []),
    ]:
        assert compare.main([*words, *more]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert set(expected) <= set(lines)
        share = "OMP_NUM_THREADS=.* CUDA_VISIBLE_DEVICES=4 " if "--gpus" in more else ""
        assert sum("train.py" in line or "test.py" in line for line in lines) == 4
        assert any(
            re.match(rf"{share}python .*train.py.* --name cut-s0 .*--continue_train auto$", line) for line in lines
        )
    assert not (tmp_path / "new").exists() and pretended.told.init is None


def test_a_note_that_names_no_job_is_a_line(tmp_path, pretended, monkeypatch):
    note = tmp_path / "a.job.json"
    for said, expected in [
        ("{}", "does not say which job is at the run"),
        ('{"launcher": "os", "id": "1"}', "does not say which job is at the run"),
        ('{"launcher": "local", "id": "1"}', "local leaves no such notes"),
        ('{"launcher": "slurm", "id": "1; rm -rf x"}', "is no job of Slurm"),
    ]:
        note.write_text(said)
        with pytest.raises(UserError, match=expected):
            found_again(note)
    note.write_text('{"launcher": "slurm", "id": "12_3"}')
    shutil.rmtree(tmp_path / "programs")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="job 12_3 of Slurm may be at this run, and there is no squeue here"):
        found_again(note)
    with pytest.raises(UserError, match="there is no sbatch here"):
        launcher("slurm").check(None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--slurm", "partition"), "--slurm partition: expected parameter=value"),
        (("--launcher", "slurm", "--slurm", "tim=5"), "--slurm tim=5: no parameter 'tim'; did you mean time"),
        (("--launcher", "slurm", "--slurm", "time=10:00"), "--slurm time=10:00: expected a whole number of minutes"),
        (("--launcher", "slurm", "--slurm", "partition="), "--slurm partition=: expected a value"),
        (("--launcher", "slurm", "--gpus_per_run", "0.5"), "--gpus_per_run 0.5: Slurm gives whole ones"),
        (
            ("--launcher", "slurm", "--gpus_per_run", "1", "--slurm", "gres=gpu:2"),
            "--gpus_per_run 1 and --slurm gres=gpu:2",
        ),
        (
            ("--launcher", "slurm", "--slurm", "time=1"),
            "--slurm time=1: jobs end before the warning 90 seconds earlier",
        ),
        (("--launcher", "ray", "--gpus_per_run", "1.5"), "--gpus_per_run 1.5: Ray gives shares"),
        (("--launcher", "ray", "--gpus", "0"), "--gpus is of --launcher local"),
        (("--slurm", "time=5"), "--slurm is of --launcher slurm"),
        (("--ray", "ray://a:1"), "--ray is of --launcher ray"),
        (("--launcher", "rai"), "--launcher rai: choose from local, slurm, ray; did you mean ray"),
        (("--gpus_per_run", "1"), "--gpus_per_run 1: of which"),
        (("--gpus", "0,x"), "--gpus x: expected numbers"),
        (("--gpus", "0,0"), "0 is named twice"),
        (("--gpus", "0,00"), "--gpus 00: expected numbers"),
        (("--gpus", "0", "--gpus_per_run", "1e-9"), "--gpus_per_run 1e-09: expected 0.01 or more"),
        (("--output", "x"), "--output is of runs that are there, and this compares a recipe; leave it out"),
        (("--gpus", "0,1", "--gpus_per_run", "1.5"), "--gpus_per_run 1.5: expected a share"),
        (("--gpus", "0", "--gpus_per_run", "2"), "--gpus_per_run 2: --gpus 0 are fewer"),
        (("--gpus", "0,1", "--jobs", "3"), "--jobs 3: --gpus 0,1 has room for 2 runs at once"),
    ],
)
@pytest.mark.extra
def test_what_does_not_fit_is_a_line(words, said, pretended):
    with pytest.raises(UserError, match=said):
        opt = parse_script(CompareOptions, ["--runs", "a.yaml", *words])
        launcher(opt.launcher)(Settings(opt.jobs, opt.gpus, opt.gpus_per_run, opt.parameters, opt.ray))


@pytest.mark.parametrize("words", [("--launcher", "slurm"), ("--gpus_per_run", "1"), ("--jobs", "2"), ("--dry_run",)])
def test_what_runs_that_are_there_do_not_need_is_refused(words):
    with pytest.raises(UserError, match=f"{words[0]} is of a recipe, and this compares runs that are there; leave it"):
        parse_script(CompareOptions, ["--runs", "a", "b", *words])


@pytest.mark.parametrize("name", ["slurm", "ray"])
def test_a_package_that_is_missing_is_named_with_its_extra(name, monkeypatch):
    monkeypatch.setitem(sys.modules, {"slurm": "submitit"}.get(name, name), None)
    with pytest.raises(UserError, match=f"--launcher {name}: needs {'submitit' if name == 'slurm' else name}, of the"):
        launcher(name)(Settings())


@pytest.mark.extra
def test_what_slurm_refuses_is_a_line(pretended, command, tmp_path):
    with pytest.raises(UserError, match=r"sbatch refused it .*invalid partition specified: none"):
        launcher("slurm")(Settings(slurm={"partition": "none"})).start([command("a", "0")])
    assert [path.name for path in (tmp_path / "grid/state").iterdir()] == ["a.lock"]
    launcher("slurm")(Settings(slurm={"gres": "lscratch:10"}, gpus_per_run=1))  # which is no GPU


def test_ray_shares_nodes_among_the_runs_at_once(pretended):
    for jobs, gpus, asked in [
        (2, 0.25, {"num_gpus": 0.25, "num_cpus": 8}),
        (8, None, {"num_gpus": 1.0, "num_cpus": 2}),
        (32, 0, {"num_gpus": 0, "num_cpus": 0.5}),
    ]:
        starter = launcher("ray")(Settings(jobs, gpus_per_run=gpus, ray="ray://head:10001"))
        starter.open()
        assert starter.needs == asked and pretended.told.init[0] == "ray://head:10001"
    with pytest.raises(UserError, match="--gpus_per_run 2: no node of the cluster has more than 1 GPUs"):
        launcher("ray")(Settings(gpus_per_run=2)).open()
    with pytest.raises(UserError, match="--ray ray://nowhere:10001: no cluster answers there"):
        launcher("ray")(Settings(ray="ray://nowhere:10001")).open()
    with pytest.raises(UserError, match=r"answers there \(RuntimeError: Starting Ray client server failed.\)"):
        launcher("ray")(Settings(ray="ray://slow:10001")).open()


def test_a_cluster_of_ray_that_vanishes_is_a_line(pretended, tmp_path):
    """With two runs at work: one notices, and none of the calls after that is one of a cluster."""
    (tmp_path / "state").mkdir()
    starter = launcher("ray")(Settings(2, ray="ray://head:10001"))
    assert os.environ["RAY_ENABLE_AUTO_CONNECT"] == "0"
    pretended.remote = lambda **_: lambda _: SimpleNamespace(remote=lambda work: work)

    def task(name):
        with Claim(tmp_path / f"state/{name}.lock") as claim:
            pretended.told.gone = name == "b"
            return (yield Command(name, tmp_path / "script.py", [], tmp_path / f"logs/{name}.log", claim))

    with pytest.raises(UserError, match=r"the cluster is gone \(Client is shutting down.\); the same command") as error:
        Runner(launcher=starter).run({name: task(name) for name in "ab"}, str)
    assert error.value.code == 75 and not list((tmp_path / "state").iterdir())
    job = starter.start([Command("c", tmp_path / "script.py", [], tmp_path / "logs/c.log")])[0]
    with pytest.raises(UserError, match="it does not answer any more"):
        job.code()
    job.kill()


@pytest.mark.parametrize(
    ("gpus", "each", "expected"),
    [
        ("0,1,2,3", None, ["0", "1", "2", "3"]),
        ("0,1,2,3", 2.0, ["0,1", "2,3"]),
        ("0,1", 0.5, ["0", "1", "0", "1"]),
        ("4", 0.1, ["4"] * 10),
        ("", None, []),
    ],
)
def test_places_of_runs_on_gpus(gpus, each, expected):
    assert places(Settings(gpus=tuple(filter(None, gpus.split(","))), gpus_per_run=each)) == expected


def test_gpus_that_are_not_here_are_named(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    Local(Settings(gpus=("5",))).check()
    with pytest.raises(UserError, match="--gpus 6: CUDA_VISIBLE_DEVICES is '4,5', which leaves it out"):
        Local(Settings(gpus=("4", "6"))).check()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(UserError, match="--gpus 2: there is no such GPU, this machine has numbers 0 to 1"):
        Local(Settings(gpus=("1", "2"))).check()


@pytest.mark.slow
def test_each_run_has_its_gpu_and_the_next_takes_one_that_is_free(command, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    commands = [command(f"run{number}", "0") for number in range(4)]

    def task(one):
        return (yield one)

    runner = Runner(launcher=Local(Settings(gpus=("0", "1"))))
    assert runner.jobs == 2
    assert set(runner.run({one.what: task(one) for one in commands}, str).values()) == {0}
    logs = [one.log.read_text() for one in commands]
    assert sorted("'CUDA_VISIBLE_DEVICES': '0'" in log for log in logs) == [False, False, True, True]
    assert all("'CUDA_VISIBLE_DEVICES': '1'" in log for log in logs if "'CUDA_VISIBLE_DEVICES': '0'" not in log)
