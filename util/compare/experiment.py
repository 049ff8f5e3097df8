"""The runs of a recipe in the folder of an experiment: their commands, how far each is, and what is left to do.

    <experiments_dir>/<recipe>/
    ├── checkpoints/<variant>-s<seed>/    runs; those that are prepared under their own name
    ├── results/<variant>-s<seed>/        of their tests
    ├── logs/                             what the scripts printed
    ├── state/                            which tests are done, with what; which runs failed, and why; who is at what
    ├── budget.json                       seconds per step of each variant, timed once, with a hash of their options
    └── recipe.yaml                       a copy

Everything is derived from these files, so that a comparison that was cut off goes on from them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from options import Exit, UserError
from options.command_line import text_of, words_of
from options.evaluation_options import EvaluationOptions
from options.fields import flags_of
from options.parsing import as_dict
from options.trust import leads_to_server
from util.claim import Claim
from util.commit import current
from util.compare.artefacts import damage, lacking_results, other_checkpoint
from util.compare.budget import NOT_COMPARED, UNTIMED, Timings
from util.compare.claims import claimed, trained
from util.compare.recipe import Options, Recipe
from util.compare.run import CHECKPOINTS
from util.compare.runner import ENDED, STOPPED, Command, Task, last_line, of
from util.compare.troubles import continued
from util.config import read_config
from util.files import json_or_empty, sha256
from util.training.run_folder import has_begun
from util.training.run_record import read_record
from util.writing import check_written_to, make_folder, remove_folder, write_atomically

# Of training, for its test too.
MACHINE = (*("device", "gpu_ids", "precision"), *("num_threads", "data_timeout", "plugin_dir", "compile"))
EVALUATION = {name for name, flag in flags_of(EvaluationOptions).items() if flag.owner is EvaluationOptions}

Parse = Callable[[list[str]], Any]
Check = Callable[[list[str], Any], None]


@dataclass(frozen=True)
class Run:
    """One run of an experiment; ``seed`` is None where it is prepared for the others."""

    name: str
    variant: str
    seed: int | None
    options: Options

    @property
    def title(self) -> str:
        return f"prepare {self.name}" if self.seed is None else f"{self.variant}, seed {self.seed}"


class Experiment:
    """A recipe and its folder.

    Args:
        folder: <experiments_dir>/<name of the recipe>; nothing is written before :meth:`begin`.
        scripts: where train.py and test.py are.
        parse_train: the words of train.py -> its options; raises UserError where they do not fit.
        check_test: raises UserError where the words of test.py do not fit these options of training.
        jobs: runs side by side, which share the processor's cores.
    """

    def __init__(
        self, recipe: Recipe, folder: Path, scripts: Path, parse_train: Parse, check_test: Check, jobs: int = 1
    ):
        self.recipe, self.folder, self.scripts = recipe, folder, scripts
        self.parse_train, self.check_test = parse_train, check_test
        self.checkpoints, self.results = folder / "checkpoints", folder / "results"
        self.jobs, self.labels = jobs, CHECKPOINTS if recipe.during else CHECKPOINTS[:1]
        self.prepared = [Run(name, name, None, options) for name, options in recipe.prepare.items()]
        self.runs = [
            Run(f"{variant}-s{seed}", variant, seed, options)
            for seed in recipe.seeds
            for variant, options in recipe.models.items()
        ]  # one seed of all before the next of any: what is cut off has compared something
        clash = {run.name for run in self.runs} & set(recipe.prepare)
        if clash:
            raise UserError(
                f"{recipe.path}: prepare: {clash.pop()} is the name of a run that is compared; take another"
            )
        self.timings = Timings(recipe, folder, scripts / "train.py", parse_train, self._has_begun, jobs)
        self.overwritten: set[str] = set()

    # -- commands --------------------------------------------------------------------------------

    def train_words(self, run: Run, state: str = "new") -> list[str]:
        """The words of train.py for this run."""
        options: Options = {"name": run.name, "checkpoints_dir": self.checkpoints}
        options |= {} if run.seed is None else {"seed": run.seed}
        options |= run.options
        if run.seed is not None:
            steps = self.timings.steps_of(run.variant)
            options |= {} if steps is None else {"max_steps": steps}
            options |= self.during(run, options, steps)
        words = words_of(options)
        return [*words, *(["--overwrite"] if state == "overwrite" else ["--continue_train", "auto"])]

    def test_words(self, run: Run, label: str = "latest") -> list[str]:
        """The words of test.py for a checkpoint of this run."""
        options: Options = {"name": run.name, "checkpoints_dir": self.checkpoints, "results_dir": self.results}
        options |= {"epoch": label} | {k: v for k, v in run.options.items() if k in MACHINE}
        for plugin in ("model", "dataset_mode"):  # a module that a run's own files may not name
            if "." in str(run.options.get(plugin, "")):
                options[plugin] = run.options[plugin]
        options |= {name: value for name, value in run.options.items() if leads_to_server(name, value)}  # likewise
        return words_of(options | self.filled("evaluate", self.recipe.evaluate))

    def during(self, run: Run, options: Options, steps: int | None) -> Options:
        """Options of evaluation while training: the recipe's ``during``, and what ``evaluate`` judges with.

        ``evaluations: 4`` becomes the --eval_freq that gives a run of so many steps as many.
        """
        if not self.recipe.during:
            return {}
        told = dict(self.recipe.during)
        if "evaluations" in told:
            told["eval_freq"] = self._eval_freq(run, options, steps, told.pop("evaluations"))
        shared = {k: v for k, v in self.recipe.evaluate.items() if k in EVALUATION}
        if "metrics" in self.recipe.evaluate:
            shared["eval_metrics"] = self.recipe.evaluate["metrics"]
        return self.filled("during", shared | told)

    def _eval_freq(self, run: Run, options: Options, steps: int | None, count: Any) -> int:
        where = f"{self.recipe.path}: during: evaluations"
        if not isinstance(count, int) or count < 1:
            raise UserError(f"{where}: expected a whole number of evaluations of each run, not {count!r}")
        if steps is None and not self.timings.must_time(run.variant):
            raise UserError(
                f"{where}: needs a budget, for it is spread over a run's steps; or give eval_freq in images"
            )
        opt = self.parse_train(words_of(options))
        return max(1, (steps or count) * opt.batch_size * opt.accumulate // count)

    def filled(self, key: str, options: Options) -> Options:
        """The options with ``{name}`` replaced by the folder of the run that was prepared under this name."""

        def fill(value: Any) -> Any:
            if isinstance(value, list):
                return [fill(item) for item in value]
            if not isinstance(value, str) or "{" not in value:
                return value
            for run in self.prepared:
                value = value.replace(f"{{{run.name}}}", str(self.checkpoints / run.name))
            if "{" in value:
                known = ", ".join(self.recipe.prepare) or "nothing"
                raise UserError(f"{self.recipe.path}: {key}: {value}: prepared is {known}; add it under 'prepare'")
            return value

        return {name: fill(value) for name, value in options.items()}

    def check(self) -> None:
        """Raises:
        UserError: options do not fit a run, or a run that is there has others and is not overwritten.
        """
        for run in [*self.prepared, *self.runs]:
            key = "prepare" if run.seed is None else "models"
            try:
                opt = self.parse_train(self.train_words(run))
                if run.seed is not None:
                    self.check_test(self.test_words(run), opt)
            except UserError as error:
                raise UserError(f"{self.recipe.path}: {key}: {run.variant}: {error}", error.code) from None
            self._check_unchanged(run, opt)

    def _check_unchanged(self, run: Run, opt: Any) -> None:
        if run.name in self.overwritten:
            return
        untimed = {"max_steps"} if run.seed is not None and self.timings.must_time(run.variant) else set()
        change = self._change(run, opt, untimed)
        if change:
            key, saved, wanted = change
            raise UserError(
                f"{self.checkpoints / run.name} was trained with --{key} {saved}, the recipe now says {wanted}: "
                "give the variant another name, or --overwrite to start it anew"
            )

    def _change(self, run: Run, opt: Any, but: set[str]) -> tuple[str, str, str] | None:
        """An option of a run that has begun, its value and the one it should have, where they differ."""
        path = self.checkpoints / run.name / "train_opt.yaml"
        if not path.is_file() or self.state(run) == "new":
            return None
        saved, wanted = read_config(path), as_dict(opt)
        for key in [key for key in wanted if key in saved and key not in NOT_COMPARED | but]:
            if saved[key] != wanted[key]:
                return key, text_of(saved[key]), text_of(wanted[key])
        return None

    def overwrite_changed(self) -> None:
        """Note the runs whose options have changed: they start anew."""
        for run in [*self.prepared, *self.runs]:
            try:
                self._check_unchanged(run, self.parse_train(self.train_words(run)))
            except UserError:
                self.overwritten.add(run.name)
        self.timings.forget_begun()  # what starts anew keeps no timing

    def _has_begun(self, variant: str, opt: Any) -> bool:
        """Whether a run of the variant, of any seed, goes on with these options."""
        seeds = self.checkpoints.glob(f"{variant}-s*")
        there = [Run(p.name, variant, 0, {}) for p in seeds if p.name.removeprefix(f"{variant}-s").isdecimal()]
        return any(self.state(run) not in ("new", "overwrite") and not self._change(run, opt, UNTIMED) for run in there)

    # -- how far a run is ------------------------------------------------------------------------

    def state(self, run: Run) -> str:
        """``new``, ``overwrite``, ``continue`` or ``finished``: how train.py finds it."""
        folder = self.checkpoints / run.name
        if run.name in self.overwritten:
            return "overwrite"
        if read_record(folder).get("state") == "finished":
            return "finished"
        return "continue" if has_begun(folder) else "new"

    def failure(self, run: Run) -> str:
        """Why a run or its test failed, in words; empty where it did not, or starts anew."""
        record, noted = read_record(self.checkpoints / run.name), json_or_empty(self._failed(run))
        if run.name in self.overwritten or (record.get("state") == "finished" and noted.get("script") != "test.py"):
            return ""
        if noted:
            code, line = noted.get("exit_code"), noted.get("line")
            how = of(code) if isinstance(code, int) and code < 0 else f"ended with code {code}"
            return f"{noted.get('script')} {how}: {line}"
        return str(record.get("error") or "failed") if record.get("state") == "failed" else ""

    def is_done(self, run: Run) -> bool:
        return self.state(run) == "finished" and (run.seed is None or not self.untested(run))

    def _failed(self, run: Run) -> Path:
        return self.folder / "state" / f"{run.name}.failed.json"

    def untested(self, run: Run) -> list[str]:
        """Checkpoints of a finished run that were not tested as they are now, with these words and judges, or whose
        results are not all there any more."""
        there = [label for label in CHECKPOINTS if self._manifest(run.name, label)]
        return [
            label
            for label in there
            if json_or_empty(self._tested(run, label)) != self._protocol(run, label) or self._lost(run, label)
        ]

    def _lost(self, run: Run, label: str) -> str:
        """What is not as a test of this checkpoint leaves it, in words."""
        test = self.results / run.name / f"test_{label}"
        of = other_checkpoint(self.checkpoints / run.name, test, label)
        return lacking_results(test) or (f"{test} is of {of}" if of else "")

    def damage(self, run: Run) -> str:
        """What is wrong with the checkpoints of a finished run that are needed, and the way out; empty where nothing.

        A test of a latest that is damaged would be one of the checkpoint before it.
        """
        if self.state(run) != "finished":
            return ""
        for label in self.untested(run) if run.seed is not None else CHECKPOINTS[:1]:
            if wrong := damage(self.checkpoints / run.name, label):
                way = continued(run.name, self.checkpoints) if label == CHECKPOINTS[0] else "delete the run's folder"
                return f"checkpoint {label} is damaged ({wrong}), so it is not tested; {way}, then the same command"
        return ""

    def _protocol(self, run: Run, label: str) -> dict[str, Any]:
        judges = {judge.name: self._manifest(judge.name, "latest") for judge in self.prepared}
        return {"words": self.test_words(run, label), "checkpoint": self._manifest(run.name, label), "judges": judges}

    def _tested(self, run: Run, label: str) -> Path:
        return self.folder / "state" / f"{run.name}.test_{label}.json"

    def _manifest(self, name: str, label: str) -> str:
        """Hash of the list of a checkpoint's files and their hashes; empty where there is none."""
        path = current(self.checkpoints / name / f"{label}.manifest.json")
        return sha256(path) if path.is_file() else ""

    def notes(self, there: int) -> list[str]:
        """What a page says of the experiment: the recipe's note, the budget, and how many runs are not there."""
        lines = [self.recipe.note, self.timings.note()]
        if there < len(self.runs):
            lines.append(f"{len(self.runs) - there} of {len(self.runs)} runs have not begun.")
        return [line for line in lines if line]

    # -- tasks -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Make the folder, with a copy of the recipe.

        Raises:
            UserError: it cannot be written, as through a link in it (exit code 5).
        """
        names = [*(run.name for run in [*self.prepared, *self.runs]), *(f"{v}-timing" for v in self.recipe.models)]
        kinds = ("checkpoints/{}", "results/{}", "logs/{}.log", "state/{}.lock")
        within = [kind.format(name) for kind in kinds for name in names]
        check_written_to(self.folder, ("checkpoints", "results", "logs", "state", *within))
        try:
            make_folder(self.folder / "state", self.folder)
            write_atomically(self.folder / "recipe.yaml", self.recipe.path.read_bytes())
        except OSError as error:
            raise UserError(f"{self.folder}: cannot be written ({error.strerror})", code=Exit.STORAGE) from None

    def train(self, run: Run, place: str) -> Task:
        """Train a run as far as it is not trained, and test it as far as it is not tested; one process at a time."""
        claim, waited = yield from claimed(self.folder / "state", run.name, self.log(run))
        with claim:
            if waited and not self._change(run, self.parse_train(self.train_words(run)), set()):
                self.overwritten.discard(run.name)  # somebody else has made it anew
            return (yield from self._train(run, place, claim))

    def _train(self, run: Run, place: str, claim: Claim) -> Task:
        state, log = self.state(run), self.log(run)
        self._failed(run).unlink(missing_ok=True)
        if state != "finished":
            if state == "overwrite":
                remove_folder(self.results / run.name, self.folder, ignore_errors=True)
            doing = "training goes on" if state == "continue" else "training"
            words, script = self.train_words(run, state), self.scripts / "train.py"
            command = Command(f"{place} {run.name}: {doing}", script, words, log, claim)
            code = yield from trained(self.checkpoints / run.name, command)
            self.overwritten.discard(run.name)
            if code:
                return self._note_failure(run, "train.py", code)
        for label in [] if run.seed is None else self.untested(run):
            words = self.test_words(run, label)
            code = yield Command(f"{place} {run.name}: test of {label}", self.scripts / "test.py", words, log, claim)
            if code:
                return self._note_failure(run, "test.py", code)
            if lost := self._lost(run, label):
                return self._note_failure(run, "test.py", code, f"{lost}, after its test of {label}")
            said = json.dumps(self._protocol(run, label), indent=1) + "\n"
            write_atomically(self._tested(run, label), said, self.folder)
        return 0

    def log(self, run: Run) -> Path:
        return self.folder / "logs" / f"{run.name}.log"

    def _note_failure(self, run: Run, script: str, code: int, line: str = "") -> int:
        """Note that a run failed; not what a signal or the storage ended, which goes on the next time."""
        if code in ENDED:
            return STOPPED
        if code == Exit.STORAGE:
            return code
        facts = {"script": script, "exit_code": code, "line": line or last_line(self.log(run))}
        write_atomically(self._failed(run), json.dumps(facts, indent=1) + "\n", self.folder)
        return code or 1
