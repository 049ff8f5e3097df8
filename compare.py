"""Compare methods:  python compare.py recipes/glyphs.yaml   or, runs that are there:  python compare.py run_a run_b"""

import util.early  # noqa: F401, I001  (first: see there)

import shlex
import sys
from pathlib import Path

from data import DATASETS
from evaluation.metrics import METRICS
from models import MODELS
from options import Exit, TestOptions, TrainOptions
from options.compare_options import CompareOptions
from options.parsing import Saved, as_dict, parse, parse_script
from options.shown import shown
from options.trust import check_trusted
from util.cli import run
from util.compare.chosen import chosen_runs
from util.compare.claims import is_left
from util.compare.experiment import Experiment
from util.compare.families import with_families
from util.compare.launchers import launcher
from util.compare.launchers.base import Settings
from util.compare.page import build_page
from util.compare.progress import GridProgress, NowAndThen, progress_section, row_of
from util.compare.recipe import read_budget, read_recipe
from util.compare.run import read_run
from util.compare.runner import KILLED, STOPPED, Runner, last_line
from util.compare.table import Comparison
from util.compare.troubles import troubles
from util.config import read_config
from util.storage import check_writable

SCRIPTS = Path(__file__).resolve().parent
PLUGINS = {"model": MODELS, "dataset_mode": DATASETS}


def main(argv=None):
    argv = list(sys.argv[1:] if argv is None else argv)
    said = shlex.join(["python", "compare.py", *argv])
    if argv and not argv[0].startswith("-"):
        argv.insert(0, "--runs")
    opt = parse_script(CompareOptions, argv, "Run what a recipe compares and build its page, or a page of runs.")
    if opt.recipe is None:
        runs, name = chosen_runs(opt.runs, Path(opt.checkpoints_dir), Path(opt.results_dir))
        target = Path(opt.output or Path(opt.experiments_dir, name))
        check_writable(target, "--output" if opt.output else "--experiments_dir")
        page = build_page(with_families(runs, family_of), target, name.replace("_vs_", " and "))
        tell_troubles(runs)
        print(f"{len(runs)} runs: {page}")
        return 0

    check_trusted(opt.trust, [opt.recipe], "the recipe")
    whole = read_recipe(Path(opt.recipe), opt.settings, opt.test_settings, opt.trust)
    budget = None if opt.budget is None else read_budget(opt.budget)
    folder = Path(opt.experiments_dir, whole.name)
    settings = Settings(opt.jobs, opt.gpus, opt.gpus_per_run, opt.parameters, opt.ray)
    starter = launcher(opt.launcher)(settings)
    parts = (SCRIPTS, parse_train, check_test, starter.jobs)
    seeds = list(dict.fromkeys((*whole.seeds, *opt.seeds)))
    everything = Experiment(whole.chosen((), seeds, budget), folder, *parts)
    experiment = Experiment(whole.chosen(opt.models, opt.seeds, budget), folder, *parts)
    if not opt.page_only:
        if opt.overwrite:
            experiment.overwrite_changed()
        experiment.check()
        if opt.dry_run:
            print("\n".join(plan(experiment, starter)))
            return 0
        starter.check()
        check_writable(folder, "--experiments_dir")
        code = run_grid(experiment, opt, Runner(starter.jobs, starter), everything)
    page = page_of(everything, not opt.page_only)
    if opt.page_only:
        code = 0
    print(page or f"{folder}: no run to show yet")
    if code in (STOPPED, KILLED):
        print(f"stopped; the same command goes on from here: {said}")
    return code


def parse_train(words):
    return parse(TrainOptions, PLUGINS, words, read_config)


def family_of(model):
    """What a method of ours says of itself; of others nothing, for a name on a disk imports no code."""
    return MODELS.find(model).family if model in MODELS.names() else ""


def check_test(words, trained):
    opt = parse(TestOptions, PLUGINS, words, read_config, lambda run: Saved("the run", as_dict(trained)))
    for name in opt.metrics:
        METRICS.find(name, opt.plugin_dir)


def plan(experiment, starter):
    """What --dry_run prints: each run and how far it is, then every command that is left, to be pasted as it is."""
    recipe = experiment.recipe
    yield f"{recipe.name}: {recipe.title}"
    yield f"{len(recipe.models)} variants, seeds {', '.join(map(str, recipe.seeds))}; {experiment.folder}"
    commands, runs = [], 0
    for one in [*experiment.prepared, *experiment.runs]:
        done, failure = experiment.is_done(one), experiment.failure(one)
        damage, ended = experiment.damage(one), one.seed is not None and experiment.state(one) == "finished"
        left = experiment.untested(one) if ended else []
        state = f"failed ({failure}); --retry_failed" if failure else damage or experiment.state(one)
        state += f"; to be tested: {', '.join(left)}" if left and not failure and not damage else ""
        steps = experiment.timings.steps_of(one.variant) if one.seed is not None else one.options.get("max_steps")
        timed = one.seed is not None and experiment.timings.must_time(one.variant)
        length = f"{recipe.budget}, timed first" if timed else f"{steps} steps" if steps else "its epochs"
        yield f"  {one.name:<32} {length:<24} {state}"
        if not done and not failure and not damage:
            follows = "--max_steps and --eval_freq follow" if recipe.during else "--max_steps follows"
            note = f"  # {recipe.budget} are not timed yet, from which {follows}" if timed else ""
            trained, runs = experiment.state(one) == "finished", runs + 1
            commands += [] if trained else [("train.py", experiment.train_words(one, experiment.state(one)), note)]
            labels = left if trained else experiment.labels if one.seed is not None else ()
            commands += [("test.py", experiment.test_words(one, label), "") for label in labels]
    yield from kept(experiment)
    here = Path.cwd() == SCRIPTS
    yield from starter.plan(
        [
            f"python {script if here else shlex.quote(str(SCRIPTS / script))} {shlex.join(words)}{note}"
            for script, words, note in commands
        ],
        runs,
    )


def kept(experiment):
    """A line for each variant whose steps were timed otherwise, and stay because its runs have begun."""
    for variant in experiment.recipe.models:
        if experiment.timings.keeps_steps(variant):
            yield (
                f"{variant}: timed on another device, by another clock, with other threads or other defaults; its runs "
                f"have begun, so all seeds keep {experiment.timings.steps_of(variant)} steps"
            )


def run_grid(experiment, opt, runner, everything):
    """Run what is missing: 0 done, 1 something failed, 5 storage did, 75 a signal stopped it or a run, 130 two did.

    Args:
        everything: the experiment with every variant and seed, of which the page is built now and then.
    """
    experiment.begin()
    failed: dict[str, str] = {}
    stopped: set[str] = set()
    unstored: dict[str, str] = {}
    todo = {}
    for one in [*experiment.prepared, *experiment.runs]:
        failure = experiment.failure(one)
        if failure and not opt.retry_failed:
            failed[one.name] = failure
        elif damage := experiment.damage(one):
            failed[one.name] = damage
        elif not experiment.is_done(one):
            todo[one.name] = one
    todo = dict(sorted(todo.items(), key=lambda item: not is_left(experiment.folder / "state", item[0])))
    total = len(experiment.prepared) + len(experiment.runs)
    progress = GridProgress(experiment, list(todo.values()), total, runner)
    place = {name: f"[{total - len(todo) + number}/{total}]" for number, name in enumerate(todo, 1)}

    rebuilt = NowAndThen(lambda: page_of(everything, True, runner))

    def tell(active):
        rebuilt()
        return progress.whole(active)

    def work(runs):
        runs = sorted(runs, key=lambda one: list(todo).index(one.name))  # what is there already counts among --jobs
        codes = runner.run({one.name: experiment.train(one, place[one.name]) for one in runs}, tell)
        unstored.update({one.name: last_line(experiment.log(one)) for one in runs if codes[one.name] == Exit.STORAGE})
        ended = (0, STOPPED, Exit.STORAGE)
        failed.update({one.name: experiment.failure(one) for one in runs if codes[one.name] not in ended})
        stopped.update(name for name, code in codes.items() if code == STOPPED)

    for line in kept(experiment):
        print(line)
    work([one for one in experiment.prepared if one.name in todo])
    blocked = [one.name for one in experiment.prepared if one.name in {*failed, *stopped, *unstored}]
    if not blocked and not runner.signals:
        timing = [v for v in experiment.recipe.models if experiment.timings.must_time(v)]
        codes = runner.run(
            {v: experiment.timings.time(v) for v in timing}, lambda active: f"timing {', '.join(active)}"
        )
        untimed = [v for v in timing if codes[v]]
        stopped.update(v for v in untimed if codes[v] == STOPPED)
        failed.update({f"{v}-timing": "could not be timed" for v in untimed if codes[v] != STOPPED})
        if not runner.signals:
            work([one for one in experiment.runs if one.name in todo and one.variant not in untimed])
    runner.launcher.close()
    for name, why in unstored.items():
        print(f"{name}: {why}; the same command goes on once there is room", file=sys.stderr)
    for name, why in failed.items():
        print(f"failed: {name}: {why}", file=sys.stderr)
    broken = [name for name in blocked if name in failed]
    if broken:
        print(f"nothing is compared without {', '.join(broken)}; --retry_failed tries again", file=sys.stderr)
    if runner.signals or stopped:
        return KILLED if runner.signals > 1 else STOPPED
    return Exit.STORAGE if unstored else int(bool(failed))


def page_of(experiment, has_run, runner=None):
    """The page of all runs of the recipe that are there; None where there is none.

    Args:
        has_run: whether ``run_grid`` has named the runs that cannot be tested.
        runner: what runs them just now.
    """
    recipe = experiment.recipe
    there = [one for one in experiment.runs if experiment.state(one) != "new" or experiment.failure(one)]
    if not there:
        return None
    runs = [read_run(experiment.checkpoints, o.name, experiment.results, o.variant, o.seed, None) for o in there]
    active = {one.name for one in runner.active} if runner else set()
    rows = [
        row_of(experiment, one, one.name in active, runner.where(one.name) if runner else "")
        for one in [*experiment.prepared, *experiment.runs]
    ]
    progress = None if all(row.state == "done" for row in rows) else progress_section(rows)
    runs = with_families(runs, family_of, recipe.families, recipe.notes)
    note = " ".join(experiment.notes(len(there)))
    page = build_page(runs, experiment.folder, recipe.title, note, settings=recipe.settings, progress=progress)
    if runner:
        return page
    tell_troubles(runs, {one.name for one in experiment.runs if has_run and experiment.damage(one)})
    return page


def tell_troubles(runs, told=()):
    """What the page says of files that are gone or damaged; of runs that were told that is said already."""
    for trouble in troubles(Comparison(runs)):
        if trouble.run.name not in told:
            line = f"{trouble.run.name}: {trouble.text} {trouble.details} {trouble.command}"
            print(shown(line.strip()), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run(main))
