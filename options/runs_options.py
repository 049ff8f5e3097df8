"""Options of runs.py."""

import dataclasses
from typing import ClassVar

from .errors import UserError
from .fields import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunsOptions:
    section: ClassVar[str] = "many runs"

    checkpoints_dir: str = option("./checkpoints", "folder below which runs are looked for, at whatever depth")
    filter: tuple[str, ...] = option(
        (), "runs that are all of this: model=cut state=died ngf=8, with * and ?; a word alone is a name: 'cut-*'"
    )
    sort: str = option("run", "column that orders the rows, the name of a value, best first, or of an option")
    reverse: bool = option(False, "the order of --sort turned round")
    metrics: tuple[str, ...] = option((), "values to show by name, e.g. FID; none is what decided which was the best")
    json: bool = option(False, "print the table as JSON, for other tools, and write no page")
    output: str | None = option(None, "file of the page; none is runs.html in --checkpoints_dir")
    no_html: bool = option(False, "write no page")
    prune: bool = option(False, "delete checkpoints of epochs, after asking; latest, previous and best stay")
    keep_every: int | None = option(None, "--prune: every n-th epoch stays, 10 unless told; 0 keeps none", least=0)
    yes: bool = option(False, "--prune: do not ask")
    verbose: bool = option(False, "print a traceback when something fails")

    @property
    def every(self) -> int:
        """--keep_every, or what it is unless told."""
        return 10 if self.keep_every is None else self.keep_every

    def validate(self) -> None:
        for flag in ("json", "output", "no_html"):
            if self.prune and getattr(self, flag):
                raise UserError(f"--prune and --{flag} contradict each other; prune first, then look at what is left")
        if self.output and (self.json or self.no_html):
            raise UserError(f"--output {self.output}: --json and --no_html write no page; give one of them")
        if self.yes and not self.prune:
            raise UserError("--yes: only --prune asks; leave it out")
        if self.keep_every is not None and not self.prune:
            raise UserError(
                f"--keep_every {self.keep_every}: only --prune deletes what it leaves; give both, or neither"
            )
