"""<checkpoints_dir>/<name>: one run, one owner, never overwritten by accident, and nothing left where none began."""

import contextlib
import fnmatch
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from options import Exit, UserError
from util.claim import Claim, Lost, Taken, holder
from util.commit import RECORD, finish
from util.storage import check_room, unwritten
from util.writing import Folder, check_written_to, remove_folder, write_atomically

# In the order in which they are deleted: what is half deleted is no checkpoint, nor a folder of weights alone.
BEGUN = ("*.manifest.json", "*_net_*.pth", "*_state.pt", ".*.tmp", "loss_log.txt")  # by which a run is known
RESULTS_OF_A_RUN = (
    RECORD,
    *BEGUN,
    "*_process_*.pt",
    "metrics.jsonl",
    "evaluations.jsonl",
    "run.json",
    "train_opt.*",
    "test_opt.*",
    "split.json",
    "held_out.json",
    "scale.json",
    "styles.json",
    "classes.json",
    "captions.json",
    "vocabulary.json",
    "pretrained.json",
    "fixed_noise.pt",
    "web",
    "tensorboard",
    "wandb",
    "wandb_id",
)
ASIDE = ".overwritten"  # an earlier run, until a step of the new one is done
LEAVING = ".overwriting"  # the same while it is put there: of a start that was killed then, all goes back
LOCK = ".lock"  # there while a run is trained, or after it was killed
# What is written in place, or into; a file that is replaced may be a link, as weights are that lie elsewhere.
IN_PLACE = (LOCK, ASIDE, LEAVING)
OF_A_RUN = ("loss_log.txt", "metrics.jsonl", "web", "web/images", "tensorboard", "wandb")
TAKEN = "another run is training here"


def has_begun(folder: Path) -> bool:
    """Whether a run is there: what train.py leaves from its first moment on."""
    return bool(_begun(folder))


def _begun(folder: Path) -> list[Path]:
    places = (folder, folder / ASIDE, folder / LEAVING)
    return [p for place in places if place.is_dir() for pattern in BEGUN for p in place.glob(pattern)]


class RunFolder:
    """The folder of a training run, claimed while the run goes on.

    Until :meth:`begin` nothing is there but the claim, which goes again. A run that ends before the first step that is
    asked of it leaves everything as it was: an earlier run that is overwritten lies aside until then.

    Raises:
        UserError: another process trains here; an earlier run is here and neither continued nor overwritten; or the
            folder cannot be written (exit code 5), as through a link in it.
    """

    def __init__(self, path: Path, *, continued: bool, overwrite: bool):
        self.path, self.continued, self.overwrite = path, continued, overwrite
        self.progress: Any = None
        self._options: dict[Path, bytes] = {}
        earlier = _begun(path)
        if earlier and not continued and not overwrite:
            if by := holder(path / LOCK):
                raise _taken(path, by)
            raise UserError(
                f"{path} holds a run already ({earlier[0].name}): use --continue_train to go on with it, "
                "--overwrite to delete it and start anew, or another --name"
            )
        if continued and not earlier:
            raise UserError(
                f"--continue_train: there is no run in {path}; start it without --continue_train", code=Exit.CHECKPOINT
            )
        check_written_to(path, IN_PLACE if overwrite else (*IN_PLACE, *OF_A_RUN))
        self._made = [p for p in (path, *path.parents) if not p.exists()]  # the deepest first
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._there = {p.name for p in path.iterdir()}
            self.claim = Claim(path / LOCK)
            self._identity = _identity(path)
            self._put_back(LEAVING)
            if not [p for p in _begun(path) if p.parent == path]:
                self._put_back(ASIDE)  # of a start that was killed before it had written anything
            if continued:
                finish(path)
        except Taken as taken:
            raise _taken(path, taken) from None
        except BaseException as error:  # a signal too
            if hasattr(self, "claim"):
                self.claim.release()
            self._remove_folders()
            if isinstance(error, OSError):
                raise unwritten(path, error, "; choose another --checkpoints_dir") from None
            raise

    @classmethod
    def of(cls, opt: Any) -> "RunFolder":
        """That of a run with these options."""
        return cls(Path(opt.checkpoints_dir, opt.name), continued=bool(opt.continue_train), overwrite=opt.overwrite)

    def begin(self, progress: Any, checkpoint: int = 0) -> None:
        """From here on files are written.

        Args:
            checkpoint: bytes of one. The next is written beside the last, and the one before that is kept.

        Raises:
            UserError: there is no room for them, or an earlier run cannot be put aside (exit code 5).
        """
        self.check()
        check_room(self.path, (1 if self.continued else 2) * checkpoint, "a run of such networks")
        self.progress, self._first = progress, progress.step
        try:
            if self.overwrite:
                self._put_aside()
            self._options = {p: p.read_bytes() for p in self.path.glob("train_opt.*") if p.is_file()}
        except OSError as error:
            raise UserError(
                f"{self.path}: the earlier run cannot be replaced ({error.strerror})", code=Exit.STORAGE
            ) from None

    def check(self) -> None:
        """See that the folder is the one that was claimed, before anything is written to it.

        Raises:
            Lost: it was removed, renamed or replaced (exit code 5), or another run has taken it.
        """
        try:
            there = _identity(self.path) == self._identity
        except OSError:
            there = False
        if not there:
            raise Lost(
                f"{self.path}: the folder of this run was removed, renamed or unmounted while it trained; nothing more "
                "is written. What had been saved is where the folder went",
                code=Exit.STORAGE,
            )
        if not self.claim.is_mine:
            raise Lost(
                f"{self.path}: another run has taken this folder; nothing more is written here", code=Exit.STORAGE
            )
        if self.progress is not None and self.progress.step > self._first:
            self._forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Lost):
            self.claim.release()
            return
        if error is not None and self.progress is not None and self.progress.step == self._first:
            self._undo()
        self._forget()
        self.claim.release()
        self._remove_folders()

    def _results(self) -> list[str]:
        """Names of what a run leaves, in the order in which it may go; those of links to nothing too."""
        names = [path.name for path in self.path.iterdir()]
        return list(dict.fromkeys(n for pattern in RESULTS_OF_A_RUN for n in fnmatch.filter(names, pattern)))

    def _put_aside(self) -> None:
        self._forget()
        with Folder(self.path) as here, Folder(self.path / LEAVING, self.path) as leaving:
            for name in self._results():
                here.rename(name, name, leaving)
            here.rename(LEAVING, ASIDE)
        self._there = {p.name for p in self.path.iterdir()}

    def _put_back(self, place: str) -> None:
        if (self.path / place).is_dir():
            with Folder(self.path) as here, Folder(self.path / place, self.path) as there:
                for old in (self.path / place).iterdir():
                    there.rename(old.name, old.name, here)
            (self.path / place).rmdir()

    def _forget(self) -> None:
        """A step was done, or the run is over: what was overwritten is gone for good."""
        remove_folder(self.path / ASIDE, self.path, ignore_errors=True)

    def _undo(self) -> None:
        """A start that was refused: no step was done."""
        with contextlib.suppress(OSError):
            for name in () if self.continued else self._results():
                if name not in self._there:
                    _delete(self.path / name)
            self._put_back(ASIDE)
            for path, content in self._options.items():
                if path.read_bytes() != content:
                    write_atomically(path, content)

    def _remove_folders(self) -> None:
        """Those that were made for this run and hold nothing."""
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:
                return


def size_of(model: Any, averages: Mapping[str, Any]) -> int:
    """About the bytes of a checkpoint: the networks twice, their averages twice, two moments of what is learnt."""
    parts = (model, *averages.values())
    tensors = [t for part in parts for some in (part.parameters(), part.buffers()) for t in some]
    tensors += [p for p in model.parameters() if p.requires_grad]
    return 2 * sum(t.numel() * t.element_size() for t in tensors)


def _taken(path: Path, by: object) -> UserError:
    return UserError(f"{path}: {TAKEN} ({by}); use another --name, or wait for it")


def _delete(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
