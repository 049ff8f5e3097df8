"""How a run ends before it is done: asked by a signal, by what went wrong, or because another process is lost."""

import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from options import Exit, UserError
from util import distributed
from util.claim import Lost
from util.cli import in_words, warn
from util.signals import Interrupted
from util.training import checkpoint

T = TypeVar("T")
END = object()
LACKING = UserError("it would lack what other processes keep to themselves, such as image pools")


class Ending:
    """Around the loop. Whatever ends it between two steps leaves a checkpoint of the last whole one.

    What ends it within a step, where networks may be half updated, leaves the last checkpoint as it was. A line says
    which it is. A signal, and a process that is lost, end the loop without an error; what went wrong is raised again,
    with that said; a bug keeps its traceback.

    Args:
        run: the run's folder.
        model, engine: the run, at the step from which it goes on.

    Attributes:
        code: with which the script ends.
    """

    def __init__(self, run: Path, model: Any, engine: Any):
        self.run, self.model, self.engine = run, model, engine
        self.code = Exit.DONE
        self._first, self._saved = engine.progress.step, -1

    def __enter__(self) -> Self:
        self.engine.signals.catch()
        return self

    def batches(self, batches: Iterable[T]) -> Iterator[T]:
        """The batches, until a signal asks for the end; it does not wait for one that never comes.

        Processes agree before each step: where one has no batch, none begins the step.
        """
        engine, source, stop = self.engine, iter(batches), False
        while True:
            with distributed.together(engine.device, self._save):
                if stop:
                    raise Interrupted(engine.signals.number)
                with engine.signals.leaving(at_once=engine.is_whole(self.model)):
                    batch: Any = next(source, END)
            if batch is END:
                return
            yield batch
            stop = engine.should_stop()

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> bool:
        if not isinstance(error, Exception | Interrupted) or isinstance(error, Lost):
            return False
        self.engine.signals.ignore()
        told = in_words(error)
        if told is not None and told.code == Exit.NOT_FINITE:
            return False
        where = self._leave(error)
        if distributed.is_shared(error):  # a launcher ends the others once one has ended: not before all is saved
            with contextlib.suppress(distributed.PeerLost):
                distributed.barrier()
        asked = isinstance(error, Interrupted | BrokenPipeError)
        if asked and self.engine.progress.step == self._first:
            return False
        if asked or distributed.is_lost(error):
            self.code = Exit.STOPPED
            unread = isinstance(error, BrokenPipeError)  # after | head, or beside a tee that has ended
            if distributed.tells(error):
                with contextlib.suppress(OSError):  # the terminal may be what has gone
                    why = "nobody reads what is printed" if unread else told or error
                    print(f"{why}{where.replace(';', ':', 1)}", flush=True, file=sys.stderr if unread else sys.stdout)
            return True
        if told is None:
            warn(f"not foreseen, see below{where}")
            return False
        again = UserError(f"{told}{where}", told.code)
        again.is_shared = distributed.is_shared(error)  # type: ignore[attr-defined]
        raise again from error

    def _leave(self, error: BaseException) -> str:
        """What there is to go on from, in words: of this step where its networks are whole, else of the last save."""
        if distributed.is_shared(error):
            self._collect()
        told = self._save()
        step = self.engine.progress.step
        if self._saved == step:
            return f"; saved at step {step}; --continue_train goes on from here"
        if told is not None and isinstance(error, Interrupted | BrokenPipeError):
            raise told from None
        problem = "" if told is None or str(told) == str(error) else f"; step {step} could not be saved"
        if told is LACKING:
            problem += f" ({told})"
        if not self.engine.saved:
            return problem if told is not None else f"; {self.engine.last_checkpoint()}"
        return f"{problem}; {self.engine.last_checkpoint()}; --continue_train goes on from there"

    def _collect(self) -> None:
        """Where all processes end together at a whole step, have the main one know what each keeps to itself."""
        engine = self.engine
        with contextlib.suppress(distributed.PeerLost):
            if not distributed.any_process(not engine.is_whole(self.model), engine.device, distributed.END):
                engine.back_to_whole(self.model)
                engine.own.collect(self.model, engine)

    def _save(self) -> UserError | None:
        """Save the last whole step, once, where the networks are at it and have learnt something; why it cannot be."""
        progress, engine = self.engine.progress, self.engine
        if not engine.is_main or not engine.back_to_whole(self.model) or progress.step in (self._first, self._saved):
            return None
        if engine.own.lack(self.model, engine):
            return LACKING
        engine.signals.ignore()
        try:
            with distributed.alone():
                checkpoint.save(self.run, "latest", self.model, engine)
        except Exception as failed:
            return in_words(failed) or UserError(f"{type(failed).__name__}: {failed}")
        self._saved = progress.step
        return None
