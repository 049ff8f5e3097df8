"""Run a trained model on images:  python test.py --dataroot ./datasets/grumpifycat --name grumpycat_cut"""

import contextlib
import json
import shutil
import sys
from pathlib import Path

from data import DATASETS, Loader
from models import MODELS
from models.published import run_options
from options import TestOptions, UserError
from options.parsing import parse
from util import checkpoint
from util.cli import run
from util.config import read_config, save_options
from util.engine import Engine
from util.images import save_image
from util.metrics import METRICS
from util.naming import ResultNames
from util.results_page import ResultsPage
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
    loader = Loader(dataset, opt, engine.place)
    stack.callback(loader.close)
    if opt.metrics and not dataset.paired:
        raise UserError(
            f"--metrics {','.join(opt.metrics)}: --dataset_mode {opt.dataset_mode} has no true targets to compare with"
        )
    metrics = [METRICS.find(name, opt.plugin_dir) for name in opt.metrics]
    outcome, copied = [metric() for metric in metrics], [metric() for metric in metrics]
    model = MODELS.find(opt.model, opt.plugin_dir)(opt)
    model.meet(dataset)
    engine.prepare(model)
    which = checkpoint.load_networks(run_folder, opt.epoch, model, opt.use_ema)
    if opt.eval:
        model.eval()

    folder = Path(opt.results_dir, opt.name, f"{opt.phase}_{which}")
    count = len(dataset) if opt.num_test == "all" else min(opt.num_test, len(dataset))
    if count < len(dataset):
        print(f"{count} of {len(dataset)} rows; --num_test all runs every one")
    page, names, countdown, pairs = None, {"A": ResultNames(), "B": ResultNames()}, Countdown(count), 0
    for batch in loader.epoch(items=count):
        model.set_input(batch)
        with engine.inference():
            model.test()
        visuals = model.get_current_visuals()
        if page is None:  # the first batch went through: only now is anything written
            made = [v for v in visuals if not v.startswith("real")]
            if not made:
                raise UserError(
                    f"--model {opt.model} makes nothing from {', '.join(visuals)}: the side it translates is "
                    f"missing in {opt.dataroot}; --direction BtoA swaps the sides"
                )
            shutil.rmtree(folder / "images", ignore_errors=True)  # of an earlier test of this checkpoint
            (folder / "metrics.json").unlink(missing_ok=True)
            folder.mkdir(parents=True, exist_ok=True)
            save_options(opt, folder, opt.phase)
            title = f"Experiment = {opt.name}, Phase = {opt.phase}, Epoch = {which}"
            page = ResultsPage(folder, title, list(model.visual_names), opt.display_winsize)
        if "fake_B" in visuals and "real_B" in visuals:
            for metric, other in zip(outcome, copied, strict=True):
                metric.update(visuals["real_B"], visuals["fake_B"])
                if visuals["real_A"].shape == visuals["real_B"].shape:
                    other.update(visuals["real_B"], visuals["real_A"])
            pairs += len(visuals["fake_B"])
        paths = model.image_paths
        for i in range(len(next(iter(paths.values())))):
            row = {}
            for visual, images in visuals.items():
                side = model.visual_sides.get(visual, "A")
                row[visual] = f"images/{visual}/{names[side](paths[side][i])}.png"
                save_image(images[i], folder / row[visual])
            page.add_row(names["A"](paths["A"][i]) if "A" in paths else names["B"](paths["B"][i]), row)
            countdown.step()
    if page is None:
        raise UserError(f"{opt.dataroot}: no image could be read")
    scores = {}
    for metric, other in zip(outcome if pairs else [], copied, strict=False):
        baseline = {name: value for name, value in other.compute().items() if value == value}
        for name, value in metric.compute().items():
            scores[name] = {"value": value, "pairs": pairs}
            text = f"{name}: {value:.4f}, mean of {pairs} pairs"
            if name in baseline:
                scores[name]["of the source, copied"] = baseline[name]
                text += f"; the source, copied: {baseline[name]:.4f}"
            print(text)
    if scores:
        (folder / "metrics.json").write_text(json.dumps(scores, indent=1, allow_nan=False))
        page.add_summary({f"{name} ({key})": value for name, entry in scores.items() for key, value in entry.items()})
    page.save()
    print(f"{countdown.done} rows: {folder / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
