"""A cluster of Slurm on this machine, in a folder, for as long as it is needed: munged, slurmctld, and a slurmd."""

import contextlib
import os
import secrets
import shutil
import subprocess
import time

DAEMONS = ("munged", "slurmctld", "slurmd")
PATHS = "/usr/sbin:/sbin:/usr/bin:/bin"
CONF = """
ClusterName=test
SlurmctldHost=localhost
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmctldPort={port}
SlurmdPort={next}
StateSaveLocation={folder}/ctld
SlurmdSpoolDir={folder}/slurmd
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
KillWait=20
ReturnToService=2
NodeName=localhost CPUs={cpus} CoresPerSocket={cpus} RealMemory=2000 State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:8
"""


def lacking():
    """The daemons that are not installed here."""
    return [name for name in (*DAEMONS, "sbatch") if shutil.which(name, path=f"{os.environ['PATH']}:{PATHS}") is None]


@contextlib.contextmanager
def slurm(folder, port=16817):
    """The environment in which sbatch, squeue and scancel know it."""
    folder.mkdir(parents=True)
    (folder / "key").write_bytes(secrets.token_bytes(128))
    (folder / "key").chmod(0o400)
    cpus = os.cpu_count() or 1
    (folder / "slurm.conf").write_text(CONF.format(folder=folder, port=port, next=port + 1, cpus=cpus))
    (folder / "ctld").mkdir()
    (folder / "slurmd").mkdir()
    env = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{os.environ['PATH']}:{PATHS}"}
    files = {name: f"--{name}={folder / name}" for name in ("key-file", "socket", "pid-file", "log-file", "seed-file")}
    files |= {"key-file": f"--key-file={folder / 'key'}", "socket": f"--socket={folder / 'munge.socket'}"}
    started = []

    def start(*words):
        with (folder / f"{words[0]}.out").open("w") as out:
            started.append(subprocess.Popen(words, env=env, stdout=out, stderr=out))

    try:
        start("munged", "--foreground", "--force", "--num-threads=2", *files.values())
        until(lambda: (folder / "munge.socket").exists(), folder)
        start("slurmctld", "-D")
        start("slurmd", "-D", "-N", "localhost")
        until(lambda: asked(env, "sinfo", "-h", "-o", "%T") in ("idle", "mixed"), folder)
        yield env
    finally:
        asked(env, "scancel", "--full", "--signal=KILL", "-u", "root")
        asked(env, "scancel", "-u", "root")
        with contextlib.suppress(AssertionError):
            until(lambda: not asked(env, "squeue", "-h"), folder, 30)
        for process in reversed(started):
            process.terminate()
        for process in reversed(started):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def asked(env, *words):
    """What a program of Slurm answers."""
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=60).stdout.strip()


def until(condition, folder, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        said = [f"{file}: {file.read_text()[-2000:]}" for file in (*folder.glob("*.out"), *folder.glob("*.log"))]
        assert time.monotonic() < end, "\n".join(said)
        time.sleep(0.2)
