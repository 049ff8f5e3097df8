"""A grid on real clusters: Slurm and Ray on this machine, with a run, a worker, a node and compare.py killed.

Slurm is Debian's (munge slurmctld slurmd slurm-client), started by the test as root; Ray is the extra `ray`.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.slurm import lacking, slurm
from tests.test_train import ROOT, differences, state
from util.training.run_record import read_record

EIGHT = """
title: Eight tiny runs
models: {cut: {}, fastcut: {}}
common: {ngf: 4, ndf: 4, netF_nc: 8, num_patches: 16, load_size: 36, crop_size: 32, netG: resnet_4blocks,
  netD: n_layers, n_layers_D: 2, num_threads: 0, device: cpu, no_html: true, print_freq: 2, save_latest_freq: 20}
seeds: [0, 1, 2, 3]
budget: 60 steps
evaluate: {num_test: 2, metrics: [self_similarity]}
"""
NAMES = [f"{variant}-s{seed}" for seed in range(4) for variant in ("cut", "fastcut")]
pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(3600)]


class Grid:
    """The eight runs under a launcher, in a folder of their own."""

    def __init__(self, dataroot, folder, *words, env=None):
        folder.mkdir(parents=True)
        (folder / "eight.yaml").write_text(f"data: {{dataroot: {dataroot}}}{EIGHT}")
        self.folder, self.env = folder / "eight", {**(env or os.environ), "OMP_NUM_THREADS": "1"}
        self.argv = [sys.executable, "compare.py", str(folder / "eight.yaml"), "--experiments_dir", str(folder), *words]
        self.said = folder / "said"

    def start(self):
        with self.said.open("a") as said:
            return subprocess.Popen(self.argv, cwd=ROOT, env=self.env, stdout=said, stderr=said)

    def until(self, condition, seconds=900.0):
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, self.said.read_text()[-3000:]
            time.sleep(0.1)
        return found

    def finish(self):
        """The same command, until nothing is left: what was killed goes on the next time."""
        codes = []
        while not codes or (codes[-1] == 75 and len(codes) < 4):
            codes.append(self.start().wait(timeout=1800))
        assert codes[-1] == 0, self.said.read_text()[-3000:]
        return codes

    def run(self, name):
        return self.folder / "checkpoints" / name

    def trains(self):
        """{run: pid} of those that train just now, after their first losses."""
        return {
            name: claim["pid"]
            for name in NAMES
            if (self.run(name) / "metrics.jsonl").exists() and (claim := claim_of(self.run(name)))
        }

    def kill_one(self, whose=lambda pid: pid, but=""):
        """A run that trains just now, or whoever started it."""

        def killed():
            for pid in [pid for name, pid in self.trains().items() if name != but]:
                with contextlib.suppress(OSError):  # it has just ended
                    os.kill(whose(pid), signal.SIGKILL)
                    return True

        self.until(killed)


def claim_of(run):
    with contextlib.suppress(OSError, ValueError):
        claim = json.loads((run / ".lock").read_text())
        return claim if Path(f"/proc/{claim['pid']}").exists() else None


def parent(pid):
    with Path(f"/proc/{pid}/stat").open() as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])


@pytest.fixture(scope="module")
def at_home(dataroot, tmp_path_factory):
    grid = Grid(dataroot, tmp_path_factory.mktemp("local") / "local", "--jobs", "2")
    assert grid.finish() == [0]
    return grid


def assert_equal(grid, home):
    for name in NAMES:
        assert read_record(grid.run(name))["state"] == "finished"
        assert not differences(state(grid.folder, run=name), state(home.folder, run=name)), name
        results = [
            json.loads((g.folder / f"results/{name}/test_latest/metrics.json").read_text()) for g in (grid, home)
        ]
        assert results[0] == results[1]
    left = [path.name for path in (grid.folder / "state").iterdir() if ".test_latest." not in path.name]
    assert not [name for name in left if not name.startswith("slurm-")], left
    assert not list((grid.folder / "logs").glob("*timing*")) and (grid.folder / "index.html").is_file()


def test_a_grid_on_this_machine_with_a_run_and_the_launcher_killed(dataroot, tmp_path, at_home):
    grid = Grid(dataroot, tmp_path / "grid", "--jobs", "2")
    first = grid.start()
    grid.kill_one()
    grid.until(lambda: "killed by SIGKILL" in grid.said.read_text())
    grid.until(grid.trains)
    first.kill()
    first.wait()
    grid.finish()
    assert_equal(grid, at_home)


@pytest.mark.skipif(bool(lacking()) or os.geteuid() != 0, reason="needs Slurm's daemons, and to be root")
def test_a_grid_on_slurm_with_a_run_a_worker_and_the_launcher_killed(dataroot, tmp_path, at_home):
    with slurm(tmp_path / "cluster") as env:
        words = ("--launcher", "slurm", "--slurm", "time=4,signal_delay_s=90", "--jobs", "3")
        grid = Grid(dataroot, tmp_path / "grid", *words, env=env)
        first = grid.start()
        name, pid = grid.until(lambda: next(iter(grid.trains().items()), ()))
        os.kill(pid, signal.SIGSTOP)  # until its limit of time comes: machines differ in how long that is
        grid.kill_one(but=name)
        grid.kill_one(parent, but=name)  # while others are left: they may all have ended before that limit
        log = grid.folder / "state"
        grid.until(lambda: any("Calling checkpoint" in f.read_text() for f in log.glob("slurm-*/*_log.*")))
        os.kill(pid, signal.SIGCONT)
        grid.until(lambda: "Requeued job" in "".join(f.read_text() for f in log.glob("slurm-*/*_log.*")))
        first.kill()
        first.wait()
        assert grid.finish()[-1] == 0
        assert "a job that an earlier compare.py had submitted is at it" in grid.said.read_text()
        assert (grid.folder / f"logs/{name}.log").read_text().count("$ python train.py") >= 2
    assert_equal(grid, at_home)


class RayCluster:
    """Two nodes of Ray on this machine, which listens for ray://."""

    def __init__(self, port=6399):
        self.folder = tempfile.mkdtemp(prefix="ray")  # names of sockets are short
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self.env = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1", **token}
        self.address, self.port = f"ray://127.0.0.1:{port + 1}", port

    def start(self):
        port = self.port
        head = ["--head", f"--port={port}", f"--ray-client-server-port={port + 1}", "--include-dashboard=false"]
        self.ray("start", *head, "--num-cpus=2", "--node-name=first", f"--temp-dir={self.folder}")
        self.ray("start", f"--address=127.0.0.1:{port}", "--num-cpus=2", "--node-name=second")

    def ray(self, *words, tries=4):
        """Ray gives a node half a minute to begin, which a busy machine may not."""
        words = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", *words]
        done = subprocess.run(words, env=self.env, capture_output=True, text=True, timeout=600)
        if done.returncode and tries > 1:
            self.kill("" if "--head" in words else "second")
            return self.ray(*words, tries=tries - 1)
        assert done.returncode == 0, done.stderr[-3000:]

    def processes(self):
        """{pid: command line} of this cluster."""
        found = {}
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                line = path.read_text(errors="replace").replace("\0", " ")
                if self.folder in line:
                    found[int(path.parent.name)] = line
        return found

    def kill_second(self):
        (raylet,) = [pid for pid, line in self.processes().items() if "/raylet/raylet " in line and "second" in line]
        os.kill(raylet, signal.SIGKILL)

    def kill(self, those):
        for pid, line in self.processes().items():
            if those in line:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def close(self):
        self.kill("")
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def two_nodes():
    cluster = RayCluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


@pytest.mark.extra
def test_a_grid_on_ray_with_a_run_a_node_and_the_launcher_killed(dataroot, tmp_path, at_home, two_nodes):
    words = ("--launcher", "ray", "--ray", two_nodes.address, "--jobs", "4")
    grid = Grid(dataroot, tmp_path / "grid", *words, env=two_nodes.env)
    first = grid.start()
    running = grid.until(lambda: len(found := grid.trains()) > 2 and found)
    two_nodes.kill_second()
    grid.until(lambda: any((grid.folder / f"logs/{n}.log").read_text().count("$ python train.py") > 1 for n in running))
    grid.kill_one()
    grid.until(lambda: "killed by SIGKILL" in grid.said.read_text())
    grid.kill_one(parent)  # a worker of Ray
    grid.until(grid.trains)
    first.kill()
    first.wait()
    grid.finish()
    assert_equal(grid, at_home)


@pytest.mark.extra
def test_a_cluster_of_ray_that_vanishes_is_a_line_and_its_runs_end(dataroot, tmp_path, two_nodes):
    grid = Grid(dataroot, tmp_path / "grid", "--launcher", "ray", "--ray", two_nodes.address, env=two_nodes.env)
    first = grid.start()
    grid.until(grid.trains)
    two_nodes.kill("")
    assert first.wait(timeout=600) == 75
    said = grid.said.read_text()
    assert "compare.py: --launcher ray: the cluster is gone (" in said and "Traceback" not in said, said
    grid.until(lambda: not grid.trains())
    assert not list((grid.folder / "state").iterdir())


@pytest.mark.extra
def test_ray_starts_a_cluster_of_this_machine_itself(dataroot, tmp_path, at_home):
    """It is asked to end once, saves, and the same command goes on."""
    grid = Grid(dataroot, tmp_path / "grid", "--launcher", "ray", "--jobs", "2")
    first = grid.start()
    pid = grid.until(lambda: next(iter(grid.trains().values()), None))
    os.kill(pid, signal.SIGSTOP)  # it would end in two seconds
    first.send_signal(signal.SIGINT)
    grid.until(lambda: "a signal: what is running saves" in grid.said.read_text())
    os.kill(pid, signal.SIGCONT)
    assert first.wait(timeout=300) == 75
    assert "saved at step" in "".join(path.read_text() for path in (grid.folder / "logs").iterdir())
    assert grid.finish() == [0]
    assert_equal(grid, at_home)
