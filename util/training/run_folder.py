"""<checkpoints_dir>/<name>: one run, one owner, never overwritten by accident."""

import errno
import os
import shutil
import socket
from pathlib import Path
from typing import IO

from options import Exit, UserError
from util.commit import RECORD, finish

# In the order in which they are deleted: what is half deleted is no checkpoint, nor a folder of weights alone.
BEGUN = ("*.manifest.json", "*_net_*.pth", "*_state.pt", ".*.tmp", "loss_log.txt")  # by which a run is known
RESULTS_OF_A_RUN = (
    RECORD,
    *BEGUN,
    "metrics.jsonl",
    "evaluations.jsonl",
    "run.json",
    "train_opt.*",
    "test_opt.*",
    "split.json",
    "held_out.json",
    "classes.json",
    "captions.json",
    "vocabulary.json",
    "pretrained.json",
    "fixed_noise.pt",
    "web",
    "tensorboard",
    "wandb",
)


class RunFolder:
    """The folder of a training run, locked while the run goes on.

    The lock belongs to the process: the kernel frees it however the process ends.

    Raises:
        UserError: another process trains here; or an earlier run is here and neither continued nor overwritten.
    """

    def __init__(self, path: Path, *, continued: bool, overwrite: bool):
        self.path = path
        earlier = [p for pattern in BEGUN for p in path.glob(pattern)] if path.is_dir() else []
        if earlier and not continued and not overwrite:
            raise UserError(
                f"{path} holds a run already ({earlier[0].name}): use --continue_train to go on with it, "
                "--overwrite to delete it and start anew, or another --name"
            )
        if continued and not earlier:
            raise UserError(
                f"--continue_train: there is no run in {path}; start it without --continue_train", code=Exit.CHECKPOINT
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
            self.lock = self._take_lock()
            if continued:
                finish(path)
        except OSError as error:
            raise UserError(
                f"{path}: cannot be written ({error.strerror}); choose another --checkpoints_dir", code=Exit.STORAGE
            ) from None

    def clear(self) -> None:
        """Delete what an earlier run left here, and nothing else."""
        for pattern in RESULTS_OF_A_RUN:
            for old in self.path.glob(pattern):
                shutil.rmtree(old) if old.is_dir() else old.unlink()

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *error: object) -> None:
        if self.lock is not None:
            self.lock.close()

    def _take_lock(self) -> IO[str] | None:
        try:
            import fcntl
        except ImportError:  # Windows has no flock; two runs of one name are not caught
            return None
        lock = (self.path / ".lock").open("a+")
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock, not held by orphaned workers
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                return lock  # a file system without locks
            lock.seek(0)
            raise UserError(
                f"{self.path}: another run is training here ({lock.read().strip()}); use another --name"
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        lock.flush()
        return lock
