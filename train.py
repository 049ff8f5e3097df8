"""Train a model:  python train.py --model cut --dataroot ./datasets/grumpifycat --name grumpycat_cut"""

import util.early  # noqa: F401, I001  (first: see there)

import contextlib
import dataclasses
import shlex
import sys
from pathlib import Path

from data import DATASETS, Loader
from data.loading.rows import TestSet
from evaluation.preview import Preview, words_of_preview
from evaluation.records import FILE as EVALUATIONS
from evaluation.records import Evaluations
from evaluation.training import Evaluator, phase_of_evaluations, words_of_test
from models import MODELS
from models.inference.weight_folder import lent, or_lent, trained_direction
from models.noise.published import load_published, or_published
from options import TestOptions, TrainOptions, UserError
from options.command_line import text_of, words_of
from options.fields import flags_of, idle
from options.parsing import Saved, as_dict, parse, table
from util import distributed
from util.cli import run
from util.config import kept_options, read_config, save_options, saved_options
from util.files import read_json_lines
from util.pages.results_page import of_another_picture
from util.stopwatch import Stopwatch, duration
from util.table import plural
from util.training import checkpoint
from util.training.collapse import CollapseDetector
from util.training.ending import Ending
from util.training.engine import Engine
from util.training.isolation import isolated
from util.training.run_folder import RunFolder, size_of
from util.training.run_record import RunRecord, read_record
from util.training.schedule import fitted, intervals, learning_rates, total_images, total_steps, untrained
from util.training.sinks import require_packages, servers_left_out
from util.visualizer import Visualizer

PLUGINS = {"model": MODELS, "dataset_mode": DATASETS}


def main(argv=None):
    # -- prepare: options, data, networks; nothing is written yet ------------------------------------------------------
    distributed.forget_said()
    told = parse(TrainOptions, PLUGINS, argv, read_config, or_published(or_lent(saved_options)))
    check_direction(told)
    engine = Engine(told)
    dataset = DATASETS.make(told.dataset_mode, told.plugin_dir, told)
    told, judging = with_eval_phase(dataset.settle(), dataset)
    loader = Loader(dataset, told, engine.place, engine.rank, engine.world)
    opt = fitted(told, len(loader))  # the same, with the epochs that --max_steps asks for
    shorter = intervals(opt, total_images(opt, len(loader), engine.world), opt.batch_size * engine.world)
    opt = dataclasses.replace(opt, **shorter)
    dataset.n_epochs = opt.n_epochs
    model = MODELS.make(opt.model, opt.plugin_dir, opt)
    model.see_data(dataset)
    engine.prepare(model)
    check_pairs(opt, dataset, model)
    evaluator = make_evaluator(opt, dataset, engine) if opt.eval_freq else None
    folder, progress = Path(opt.checkpoints_dir, opt.name), engine.progress

    with contextlib.ExitStack() as stack:
        # -- prepare: the folder of the run, and the weights it begins with --------------------------------------------
        stack.callback(engine.signals.release)
        stack.callback(loader.close)
        with distributed.together(engine.device):
            claimed = engine.folder = stack.enter_context(RunFolder.of(opt)) if engine.is_main else None
        restored = opt.continue_train and restore(opt, folder, model, engine)
        if opt.continue_train == "auto" and is_done(opt, folder, engine):
            return 0
        if not restored:
            begin_with_weights(opt, model, dataset, engine)
            distributed.broadcast_module(model)
        if claimed is not None:
            require_packages(opt)
            claimed.begin(progress, size_of(model, engine.averages))
            print(table(told, whole=told.verbose))
            for line in (*idle(told), *untrained(opt, model), *(() if restored else lent(opt)), *judging):
                print(line)
            if left_out := servers_left_out(kept_options(folder) if opt.continue_train else {}, opt):
                print(left_out)
            if opt.max_steps:
                print(f"--max_steps {opt.max_steps}: --n_epochs {opt.n_epochs} --n_epochs_decay {opt.n_epochs_decay}")
            if shorter:
                words = " ".join(f"--{name} {images}" for name, images in shorter.items())
                print(f"the run is short, so it is shown and saved more often: {words}")
            if not opt.no_html:
                print(f"watch it: {folder / 'web/index.html'}")
            save_options(told, folder, "train")
            dataset.save_files(folder)
            model.save_files(folder)

        # -- prepare: what is shown, measured and kept of it -----------------------------------------------------------
        items, steps = len(loader) * opt.batch_size * engine.world, total_steps(opt, len(loader))
        evaluations = stack.enter_context(Evaluations(folder, evaluator, opt.best_metric, engine))
        visualizer = stack.enter_context(
            Visualizer(
                opt,
                folder if engine.is_main else None,
                items_per_epoch=items,
                total_items=total_images(opt, len(loader), engine.world),
                done_items=progress.images,
                done_step=progress.step,
                done=(progress.epoch + 1, progress.in_epoch),
                levels=model.get_loss_levels,
                evaluations=evaluations.records,
                detector=CollapseDetector(opt, steps, model.get_loss_levels),
                apart=apart_on_page(model, dataset),
            )
        )
        page = None if opt.no_html else "web/index.html"
        record = RunRecord(folder if engine.is_main else None, model, engine, steps, evaluations, page)
        stack.enter_context(record)
        ending = stack.enter_context(Ending(folder, model, engine))
        preview = make_preview(opt, model, visualizer.shows_pictures)
        if engine.due(opt.eval_freq):  # in the last step of a part of the run that ended before it was done
            evaluations.make(model, progress.epoch + bool(progress.in_epoch), record, visualizer)
        if engine.due(opt.save_latest_freq) and progress.in_epoch:
            checkpoint.save(folder, label_between(opt, progress), model, engine)

        # -- loop ------------------------------------------------------------------------------------------------------
        stopwatch, began, counted = Stopwatch(), progress.images, progress.images
        while progress.epoch < opt.total_epochs and not engine.reached_end():
            epoch = progress.epoch + 1
            for batch in stopwatch.watch(ending.batches(loader.epoch(epoch, start=progress.in_epoch))):
                with engine.step(model):
                    model.set_input(batch)
                    model.optimize_parameters()

                visualizer.progress(progress.images)
                if engine.due(opt.print_freq):
                    engine.check_losses(model)
                    if claimed is not None:
                        claimed.check()
                    losses, times = model.get_current_losses(), stopwatch.per_image(progress.images - counted)
                    visualizer.print_current_losses(epoch, progress.in_epoch, losses, *times)
                    rates = learning_rates(model)
                    visualizer.plot_current_losses(progress.step, epoch, progress.in_epoch / items, losses, rates)
                    record.tell()
                    counted = progress.images
                if engine.due(opt.display_freq) or engine.due(opt.update_html_freq):
                    if engine.due(opt.display_freq):
                        with stopwatch.paused():
                            look(preview, model, engine, visualizer)
                    visualizer.display_current_results(
                        model.get_current_visuals(), progress.step, epoch, save=engine.due(opt.update_html_freq)
                    )
                if engine.due(opt.save_latest_freq):
                    checkpoint.save(folder, label_between(opt, progress), model, engine)
                    record.write()
                if engine.due(opt.eval_freq):
                    with stopwatch.paused():
                        evaluations.make(model, epoch, record, visualizer)
                if engine.reached_end() and progress.in_epoch < items:
                    break  # --max_steps ends in the middle of an epoch, from where a longer run goes on
            else:
                engine.end_epoch(model)
            if progress.images > began:  # a run that is continued at the very end of an epoch has nothing to show of it
                visualizer.display_current_results(model.get_current_visuals(), progress.step, epoch, save=True)
            if epoch % opt.save_epoch_freq == 0 or epoch == opt.total_epochs or engine.reached_end():
                checkpoint.save(folder, "latest", model, engine, also=[str(epoch)])
                record.write()

        # -- finish ----------------------------------------------------------------------------------------------------
        look(preview, model, engine, visualizer, last=True)
        if opt.eval_freq:
            evaluations.make(model, progress.epoch + bool(progress.in_epoch), record, visualizer)
        for line in evaluations.lines():
            visualizer.say(line)
        visualizer.finish()
        record.finish()
        for line in last_lines(opt, folder, record.training_seconds()):
            visualizer.say(line)
    return ending.code


def restore(opt, folder, model, engine):
    """Continue the run; the checkpoint that it goes on from, nothing where it was stopped before its first."""
    with distributed.together(engine.device):
        found = checkpoint.restore(folder, "latest" if opt.continue_train == "auto" else opt.epoch, model, engine)
    distributed.refuse_unlike(
        f"{found or 'no checkpoint'}, step {engine.progress.step}",
        lambda main, other, there: (
            f"{folder}: the main process finds {main} there, process {other} {there}; "
            "give --checkpoints_dir on storage that all machines share"
        ),
    )
    for flag in ("pretrained_name", "pretrained"):
        if found and engine.is_main and (told := getattr(opt, flag, None)):
            print(f"--{flag} {text_of(told)}: ignored, for the run goes on from its own checkpoint")
    return found


def begin_with_weights(opt, model, dataset, engine):
    """Load those of another run or of published files, if the run is to begin with some."""
    if opt.pretrained_name:
        checkpoint.load_networks(Path(opt.checkpoints_dir, opt.pretrained_name), opt.epoch, model, partly=True)
        model.start_from(dataset, engine)
    elif getattr(opt, "pretrained", ()):
        load_published(model)
        model.start_from(dataset, engine)


def label_between(opt, progress):
    """The label of a save between epochs."""
    return f"iter_{progress.images}" if opt.save_by_iter else "latest"


def last_lines(opt, folder, seconds):
    """How long it took, where everything is, and what to do next."""
    usual = {name: flag.default for name, flag in flags_of(type(opt)).items()}
    where = {
        name: getattr(opt, name) for name in ("checkpoints_dir", "plugin_dir") if getattr(opt, name) != usual[name]
    }
    page = "" if opt.no_html else f", its page {folder / 'web/index.html'}"
    yield f"trained in {duration(seconds)}: {folder}{page}"
    yield f"test it: {shlex.join(['python', 'test.py', *words_of({'name': opt.name} | where)])}"


def is_done(opt, folder, engine):
    """Whether --continue_train auto has nothing left to do, which is said: it was finished, as long as it is told."""
    progress = engine.progress
    done = progress.epoch >= opt.total_epochs or engine.reached_end()
    if not done or distributed.any_process(read_record(folder).get("state") != "finished", engine.device):
        return False
    if engine.is_main:
        made = f"{plural(progress.step, 'step')} in {plural(progress.epoch, 'epoch')}"
        print(f"{folder}: done, {made}; nothing is left to do")
    return True


def check_direction(opt):
    """Refuse to go on the other way: G would go on with the images of the other side."""
    trained = trained_direction(Path(opt.checkpoints_dir, opt.name)) if opt.continue_train else None
    if trained not in (None, opt.direction):
        raise UserError(f"--direction {opt.direction}: the run {opt.name} is trained {trained}; leave the flag out")


def check_pairs(opt, dataset, model):
    """Refuse a supervised term on data without pairs, and on items that are none where the method cannot tell."""
    if model.needs_pairs and not dataset.paired:
        asking = f"--lambda_L1 {opt.lambda_L1}" if getattr(opt, "lambda_L1", 0) else f"--model {opt.model}"
        raise UserError(
            f"{asking} needs pairs, which --dataset_mode {opt.dataset_mode} does not have here; "
            "use --dataset_mode aligned, or font with --paired"
        )
    if model.needs_pairs and dataset.unpaired and not model.masks_pairs:
        raise UserError(
            f"--dataset_mode {opt.dataset_mode} has items here that are no pairs, and --model {opt.model} takes each "
            "for one; use --unpaired drop"
        )


def with_eval_phase(opt, dataset):
    """The options with what evaluations read, which the run keeps; and a line that says it, where there are any."""
    if not opt.eval_freq:
        return opt, []
    run = Path(opt.checkpoints_dir, opt.name)
    made = list(read_json_lines(run / EVALUATIONS)) if opt.continue_train else []
    phase, line = phase_of_evaluations(opt, dataset, made)
    return dataclasses.replace(opt, eval_phase=phase), [line]


def make_evaluator(opt, dataset, engine):
    """What evaluates the model from time to time, without a trace in the training."""
    model = MODELS.find(opt.model, opt.plugin_dir)
    saved = Saved("the options of the run", as_dict(opt))
    tests = parse(TestOptions, PLUGINS, words_of_test(opt, model), read_config, lambda run: saved)
    with isolated():
        return Evaluator(tests, dataset, model, TestSet, engine.device)


def make_preview(opt, model, shown):
    """What translates the same pictures from time to time; of a model that makes none, or where none is shown, none."""
    saved = Saved("the options of the run", as_dict(opt))

    def tests(phase):
        return parse(TestOptions, PLUGINS, words_of_preview(opt, phase), read_config, lambda run: saved)

    wanted = shown and model.makes == "translations" and "phase" not in model.tasks
    return Preview(opt.preview if wanted else 0, tests, TestSet, MODELS.find(opt.model, opt.plugin_dir))


def apart_on_page(model, dataset):
    """What the page shows apart: of data that are not paired, what is no answer to fake_B."""
    unpaired = model.makes == "translations" and not dataset.paired
    return of_another_picture(model.visual_names, model.visual_sides) if unpaired else []


def look(preview, model, engine, visualizer, last=False):
    """Show how the pictures of --preview are translated now, without a trace in the training."""
    if not preview.due(engine.progress.step, last):
        return
    with preview.timed(engine):
        with isolated():
            made = preview.look(model, engine)
        visualizer.display_preview(engine.progress.step, preview.names, preview.sources, made)


if __name__ == "__main__":
    sys.exit(run(main))
