"""Files of runs that are gone, damaged or of another checkpoint: what happened to which, and the command that helps."""

from dataclasses import dataclass

from util.compare.artefacts import GONE
from util.compare.options import command
from util.compare.run import CHECKPOINTS, ComparedRun
from util.compare.table import WORDS, Comparison


@dataclass(frozen=True)
class Trouble:
    """What happened to a run, what follows from it, and how it is put right; empty where it cannot be."""

    run: ComparedRun
    text: str
    details: str
    command: str = ""


def troubles(comparison: Comparison) -> list[Trouble]:
    """Each once, for a page and for a terminal."""
    found = [_damaged(run, label) for run in comparison.runs for label in run.damaged]
    found += [_stale(run, label) for run in comparison.runs for label in run.stale]
    untested = [*comparison.untested, *((run, label) for run in comparison.runs for label in run.lacking)]
    once = {(run.name, label): run for run, label in untested if label not in {*run.stale, *run.damaged}}
    return found + [_untested(comparison, run, label) for (_, label), run in once.items()]


def _damaged(run: ComparedRun, label: str) -> Trouble:
    text = f"{run.title}, seed {run.seed}: its {WORDS[label]} checkpoint is damaged: {run.damaged[label]}."
    told = "Its values are of a test before that." if run.scores.get(label) else "It is not tested."
    if label != CHECKPOINTS[0]:
        return Trouble(run, text, f"{told} Only a run that is trained anew makes it again.")
    told += " test.py by hand takes the one before it, and says so. The end is trained again by:"
    return Trouble(run, text, told, continued(run.name, run.folder.parent))


def continued(name: str, checkpoints: object) -> str:
    """The command that goes on from the last whole checkpoint of a run."""
    options = {"name": name, "checkpoints_dir": checkpoints}
    return f"{command('train.py', options, {'checkpoints_dir': ''})} --continue_train"


def _stale(run: ComparedRun, label: str) -> Trouble:
    text = f"{run.title}, seed {run.seed}: the test of its {WORDS[label]} checkpoint was of {run.stale[label]}."
    if run.stale[label] == GONE:
        return Trouble(run, text, "That test is left out.")
    return Trouble(run, text, "That test is left out; anew:", _tested(run, run, label))


def _untested(comparison: Comparison, run: ComparedRun, label: str) -> Trouble:
    lost = run.lacking.get(label)
    text = f"{run.title}, seed {run.seed}: its {WORDS[label]} checkpoint has no {'whole ' * bool(lost)}test."
    said = [f"{lost}."] if lost else []
    if any(run.name == other.name and label == of for other, of in comparison.untested):
        said.append("Other seeds were tested, and its evaluation while training is not mixed with those.")
    like = run if run.tested else next((other for other in comparison.variants[run.variant] if other.tested), None)
    if like is None:
        return Trouble(run, text, " ".join(said))
    return Trouble(run, text, " ".join([*said, "Anew:"]), _tested(run, like, label))


def _tested(run: ComparedRun, like: ComparedRun, label: str) -> str:
    """The command that tests a checkpoint, with the options of a test that was made."""
    options = {**like.tested, "name": run.name, "epoch": label}
    options |= {"seed": run.seed} if "seed" in options else {}
    return command("test.py", options, {**like.test_changed, "name": "", "epoch": ""})
