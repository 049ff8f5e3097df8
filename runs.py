"""See every run below a folder:  python runs.py --checkpoints_dir ./checkpoints --filter state=died"""

import util.early  # noqa: F401, I001  (first: see there)

import shutil
import sys
from pathlib import Path

from options import Exit, UserError
from options.parsing import parse_script
from options.runs_options import RunsOptions
from options.shown import shown
from util.cli import run
from util.files import as_json
from util.pages.runs import write_page
from util.table import plural
from util.training.found_runs import find_runs
from util.training.prune import may_go, prune
from util.training.runs_table import RunsTable, counted, size_text

PAGE = "runs.html"
MOST_TOLD = 10  # runs in one state of which a line says why


def main(argv=None):
    opt = parse_script(
        RunsOptions, argv, "See every run below a folder, as a table, a page or JSON; prune checkpoints."
    )
    root = Path(opt.checkpoints_dir)
    found, remarks = find_runs(root)
    for line in remarks:
        print(line, file=sys.stderr)
    if not found:
        print("[]" if opt.json else f"{root}: there is no run")
        return 0
    table = RunsTable(found, opt.filter, opt.metrics)
    table.sort(opt.sort, opt.reverse)
    if opt.json:
        print(as_json(table.entries(), indent=1))
        return 0
    if not table.runs:
        print(f"{root}: none of {len(found)} runs is like that")
        return 0
    if opt.prune:
        return prune_runs(table.runs, opt)
    print("\n".join(table.lines(shutil.get_terminal_size().columns if sys.stdout.isatty() else None)))
    print("\n".join(summary(table)))
    if not opt.no_html:
        page = Path(opt.output or root / PAGE)
        write_page(table, root, page, remarks)
        print(page)
    return 0


def summary(table):
    """What is below the table: how many runs are in which state, which died, and why others failed."""
    counts = ", ".join(f"{count} {state}" for state, count in counted(table.runs).items())
    whole = "" if len(table.runs) == len(table.found) else f" of {len(table.found):,}"
    how_many = f"{len(table.runs):,}{whole} run{'s' * (len(table.found) != 1)}"
    yield f"{how_many}: {counts}; {size_text(sum(one.size for one in table.runs))}"
    if table.further:
        yield f"--metrics shows other values too: {', '.join(map(shown, table.further))}"
    for state in ("failed", "died"):
        told = [line for one in table.runs if one.state == state and (line := why(one))]
        yield from told[:MOST_TOLD]
        if len(told) > MOST_TOLD:
            yield f"{len(told) - MOST_TOLD:,} more {state}; the page and --json say of each how"


def why(run):
    """A line of a run that failed, as far as it is known why, or died."""
    if run.state == "died":
        step = f"{run.number('steps') or 0:,.0f}"
        return f"{shown(run.name)} died after step {step}; train.py --continue_train goes on with it"
    return f"{shown(run.name)} failed: {shown(run.text('error'))}" if run.text("error") else ""


def prune_runs(runs, opt):
    """Say what would go, ask, and delete it: 0 done or not wanted, else why something could not go."""
    planned, failures = [], []
    for one in runs:
        if one.state == "running":
            print(f"{shown(one.name)}: is running, and stays as it is")
            continue
        try:
            planned.append(may_go(one.folder, opt.every))
        except UserError as error:
            failures.append(error)
    for plan in planned:
        for label in plan.kept:
            print(f"{shown(str(plan.run))}: stays: {shown(label)}")
        if plan.labels:
            checkpoints = plural(len(plan.labels), "checkpoint")
            print(f"{shown(str(plan.run))}: {checkpoints}, {size_text(plan.freed)}: {', '.join(plan.labels)}")
    planned = [plan for plan in planned if plan.labels]
    if planned and is_wanted(planned, opt.yes):
        gone = []
        for plan in planned:
            try:
                gone.append(prune(plan, opt.every))
            except UserError as error:
                failures.append(error)
        told = plural(sum(len(one.labels) for one in gone), "checkpoint")
        print(f"deleted {told} of {plural(len(gone), 'run')}: {size_text(sum(one.freed for one in gone))}")
    elif not planned:
        print("nothing to prune: latest, previous, best and the epochs of --keep_every stay")
    for failure in failures[1:]:
        print(f"runs.py: {failure}", file=sys.stderr)
    if failures:
        raise failures[0]
    return Exit.DONE


def is_wanted(planned, yes):
    """Whether what is planned may be done; who is at no terminal says so with --yes."""
    count = sum(len(plan.labels) for plan in planned)
    what = f"{plural(count, 'checkpoint')}, {size_text(sum(plan.freed for plan in planned))}"
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UserError(f"--prune: {what} would go; there is no terminal to ask at, so --yes is needed")
    try:
        answer = input(f"delete {what}? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        print("nothing was deleted")
        return False
    return True


if __name__ == "__main__":
    sys.exit(run(main))
