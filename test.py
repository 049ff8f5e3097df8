"""Run a trained model on images:  python test.py --dataroot ./datasets/grumpifycat --name grumpycat_cut"""

import contextlib
import sys
from pathlib import Path

from data import DATASETS, Loader
from data.first_rows import FirstRows
from models import MODELS
from models.judges import load_judge
from models.published import run_options
from options import TestOptions, UserError
from options.parsing import parse
from util import checkpoint
from util.cli import run
from util.config import read_config, save_options
from util.engine import Engine
from util.results import Results
from util.scores import Scores, make_metrics
from util.stopwatch import Countdown


def main(argv=None):
    with contextlib.ExitStack() as stack:
        return run_test(argv, stack)


def run_test(argv, stack):
    opt = parse(TestOptions, {"model": MODELS, "dataset_mode": DATASETS}, argv, read_config, run_options)
    engine = Engine(opt)
    run_folder = Path(opt.checkpoints_dir, opt.name)
    if not run_folder.is_dir():
        raise UserError(f"no checkpoint: there is no run in {run_folder}; check --name and --checkpoints_dir", code=4)
    dataset = DATASETS.find(opt.dataset_mode, opt.plugin_dir)(opt)
    flags = {"metrics": ",".join(opt.metrics), "recogniser": opt.recogniser, "style_judge": opt.style_judge}
    asked = " ".join(f"--{flag} {value}" for flag, value in flags.items() if value)
    if asked and not dataset.paired:
        raise UserError(f"{asked}: --dataset_mode {opt.dataset_mode} has no true targets to compare with")
    scores = Scores(make_metrics(opt, load_judges(opt, dataset, engine.device)), dataset.floors)
    model = MODELS.find(opt.model, opt.plugin_dir)(opt)
    model.meet(dataset)
    engine.prepare(model)
    which = checkpoint.load_networks(run_folder, opt.epoch, model, opt.use_ema)
    if opt.eval:
        model.eval()

    folder = Path(opt.results_dir, opt.name, f"{opt.phase}_{which}")
    tasks = dict.fromkeys(method for flag, method in model.tasks.items() if getattr(opt, flag) not in (None, (), False))
    for method in tasks:
        getattr(model, method)(dataset, engine, folder)
    if tasks:
        return 0

    rows = FirstRows(dataset, opt.num_test)
    loader = Loader(rows, opt, engine.place)
    stack.callback(loader.close)
    if len(rows) < len(dataset):
        print(f"{len(rows)} of {len(dataset)} rows; --num_test all runs every one")
    several = list(getattr(dataset, "styles", ()))
    results, countdown = None, Countdown(len(rows))
    for batch in loader.epoch():
        model.set_input(batch)
        with engine.inference():
            model.test()
        visuals, paths = model.get_current_visuals(), model.image_paths
        if results is None:  # the first batch went through: only now is anything written
            if all(visual.startswith("real") for visual in visuals):
                raise UserError(
                    f"--model {opt.model} makes nothing from {', '.join(visuals)}: the side it translates is "
                    f"missing in {opt.dataroot}; --direction BtoA swaps the sides"
                )
            title = f"Experiment = {opt.name}, Phase = {opt.phase}, Epoch = {which}"
            results = Results(folder, title, model.visual_names, model.visual_sides, opt.display_winsize, several)
            save_options(opt, folder, opt.phase)
        count = len(next(iter(paths.values())))
        styles = batch["group"] if len(several) > 1 else [""] * count
        if asked and "fake_B" in visuals and "real_B" in visuals:
            facts = {name: value.cpu() for name, value in batch.items() if name in ("character", "label")}
            scores.update(styles, visuals["real_B"], visuals["fake_B"], visuals["real_A"], facts)
        for i in range(count):
            images = {visual: images[i] for visual, images in visuals.items()}
            results.add(styles[i], images, {side: files[i] for side, files in paths.items()})
            countdown.step()
    if results is None:
        raise UserError(f"{opt.dataroot}: no image could be read")
    table = scores.compute()
    for line in table.lines():
        print(line)
    results.save(table)
    print(f"{countdown.done} rows: {folder / 'index.html'}")
    return 0


def load_judges(opt, dataset, device):
    """{what they tell apart: judge} of the command line."""
    styles = {style.name: style.label for style in getattr(dataset, "style_list", ())}
    folders = {"character": opt.recogniser, "style": opt.style_judge}
    return {kind: load_judge(folder, kind, device, styles) for kind, folder in folders.items() if folder}


if __name__ == "__main__":
    sys.exit(run(main))
