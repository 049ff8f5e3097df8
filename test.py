"""Run a trained model on images:  python test.py --dataroot ./datasets/grumpifycat --name grumpycat_cut"""

import util.early  # noqa: F401, I001  (first: see there)

import contextlib
import io
import sys
from pathlib import Path

from data import DATASETS
from data.loading.rows import TestSet
from evaluation.testing import JUDGED, Evaluation, refuse_ignored, told_of
from models import MODELS
from models.inference.memory import check_model, check_tiled, generators_of, smaller, telling_of_memory
from models.inference.scaling import Scaling
from models.inference.weight_folder import as_directed, run_options
from models.noise.published import LABEL, load_published, or_published
from options import TestOptions, UserError
from options.command_line import peek
from options.errors import check_there
from options.parsing import parse
from util import distributed
from util.cli import run
from util.config import read_config, save_options
from util.in_order import brought, in_order, on_cpu
from util.pages.files import note_checkpoint
from util.pages.results import VALUES, Results, deep_files
from util.seeding import seed_everything
from util.stopwatch import Countdown
from util.storage import check_writable
from util.training import checkpoint
from util.training.engine import Engine
from util.training.run_record import noting_test
from util.writing import check_folders


def main(argv=None):
    with contextlib.ExitStack() as stack:
        return run_test(argv, stack)


def run_test(argv, stack):
    distributed.forget_said()
    argv = as_upstream(sys.argv[1:] if argv is None else list(argv))
    opt = parse(TestOptions, {"model": MODELS, "dataset_mode": DATASETS}, argv, read_config, or_published(run_options))
    model_class = MODELS.find(opt.model, opt.plugin_dir)
    opt, other_way = as_directed(opt, model_class)
    engine = Engine(opt)
    if not engine.is_main:  # what is to be said, one process says
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
    ways = smaller((), opt.tile, opt.batch_size)  # as far as is known before the method is
    stack.enter_context(telling_of_memory(engine.device, ways))
    run_folder = Path(opt.checkpoints_dir, opt.name)
    pretrained = getattr(opt, "pretrained", ())
    if not pretrained:
        check_there(run_folder)
    check_writable(Path(opt.results_dir, opt.name), "--results_dir")
    tests = TestSet(opt, engine.place)
    stack.callback(tests.close)
    dataset, opt = tests.dataset, tests.dataset.settle()
    model = MODELS.make(opt.model, opt.plugin_dir, opt)
    asked = model.asked(opt)
    if asked:  # samples from noise have metrics, of sets
        ignored = JUDGED[1:] if "num_samples" in asked else JUDGED
        refuse_ignored(opt, ignored, f"--model {opt.model} with --{asked[0]} makes nothing that this could judge")
        refuse_ignored(opt, ["format"], f"--model {opt.model} with --{asked[0]} makes PNGs alone")
        of_pictures = ["scale", "keep_scale", "tile", "overlap", "copy_inputs"]
        refuse_ignored(opt, of_pictures, f"--model {opt.model} with --{asked[0]} translates no pictures")
    else:
        check_model(opt, model)
    fewer = ["fewer --num_samples"] * ("num_samples" in asked) + ["--precision bf16"]
    ways[:] = fewer if asked else smaller(generators_of(model), opt.tile, opt.batch_size)
    evaluation = Evaluation(opt, dataset, engine.device) if not asked else None  # what is wrong shows at once
    model.see_data(dataset)
    engine.prepare(model)
    if pretrained:
        label = LABEL
        load_published(model)
    else:
        label = checkpoint.load_networks(run_folder, opt.epoch, model, opt.use_ema, other_way=other_way)
    if opt.eval:
        model.eval()

    folder = Path(opt.results_dir, opt.name, f"{opt.phase}_{label}")
    check_folders(folder, folder.parent)
    if not pretrained and engine.is_main:
        stack.enter_context(noting_test(run_folder, folder))
    if evaluation is None:
        if engine.world > 1:
            distributed.say_once(f"--{asked[0]} is of one process: the others of the {engine.world} have nothing to do")
        with distributed.alone():
            for method in dict.fromkeys(model.tasks[flag] for flag in asked if engine.is_main):
                getattr(model, method)(dataset, engine, folder)
        return 0

    deep = deep_files(opt, model.visual_names)
    rows = tests.rows
    if len(rows) < len(dataset):
        print(f"{len(rows)} of {len(dataset)} rows; --num_test all runs every one")
    scaling = Scaling(opt, run_folder, model)
    if scaling.words:
        print(scaling.words)
    several = list(getattr(dataset, "styles", ()))
    results, countdown = None, Countdown(len(rows))
    made = translated(tests, model, engine, scaling, evaluation)
    for batch, visuals, paths, seen in in_order(made, engine.device):
        if results is None:  # the first batch went through: only now is anything written
            if all(visual.startswith("real") for visual in visuals):
                raise UserError(
                    f"--model {opt.model} makes nothing from {', '.join(visuals)}: the side it translates is "
                    f"missing in {dataset.where}, {opt.phase}{opt.direction[0]}; --dataset_mode single reads any folder"
                )
            title = f"Experiment = {opt.name}, Phase = {opt.phase}, Epoch = {label}"
            words = {"unpaired": not dataset.paired_in_tests, "copy_inputs": opt.copy_inputs}
            shown = model.visual_names, model.visual_sides, opt.display_winsize
            results = Results(folder, title, *shown, several, deep, **words)
            stack.enter_context(results.kept(len(rows)))
            save_options(opt, folder, opt.phase)
            note_checkpoint(results.files, run_folder, label)
        count = len(next(iter(paths.values())))
        styles = batch["group"] if len(several) > 1 else [""] * count
        evaluation.update(batch, brought(visuals, engine.device), seen)
        for i in range(count):
            images = {visual: images[i] for visual, images in visuals.items()}
            results.add(styles[i], images, {side: files[i] for side, files in paths.items()})
            countdown.step()
    if not engine.is_main:
        return 0
    if results is None:
        raise UserError(f"{dataset.where}: no image could be read")
    try:
        scored = evaluation.compute(tests.training_items)
    except UserError:
        results.save(evaluation.pairs.compute())  # what was made is kept
        raise
    for line in scored.lines():
        print(line)
    results.save(scored.pairs, scored.tables[1:])
    print(f"{countdown.done} rows: {folder / 'index.html'}")
    for visual, (kind, units) in deep.items():
        print(f"{visual} in values from {units}: {folder / VALUES / visual}, .{kind}")
    return 0


def translated(tests, model, engine, scaling, evaluation):
    """Each batch of this process by its number: facts, what the method makes, source files by side, what is seen."""
    for number, batch in tests.part(engine.rank, engine.world):
        seed_everything(model.opt.seed, "test", number)
        given = scaling.brought(batch)
        model.set_input(given)
        with engine.inference():
            model.test()
        if "A" in given:
            check_tiled(model.opt, model, given["A"])
        visuals, paths = model.checked_visuals()
        visuals = scaling.back(visuals, batch, model.visual_sides)
        yield number, (told_of(batch), on_cpu(visuals), paths, evaluation.look(batch, visuals))


def as_upstream(argv):
    """The words of a test with what --load_size given by hand means upstream: pictures are resized to it."""
    told = peek(argv, "load_size", "crop_size", "preprocess")
    if "load_size" not in told or "preprocess" in told:
        return argv
    return [*argv, "--preprocess", "resize_and_crop" if "crop_size" in told else "resize"]


if __name__ == "__main__":
    sys.exit(run(main))
