"""Translate pictures:  python translate.py --checkpoint checkpoints/grumpycat_cut --input photos --output translated"""

import util.early  # noqa: F401, I001  (first: see there)

import sys
from functools import partial
from pathlib import Path

from data import DATASETS
from data.loading.value_range import remark
from models import MODELS
from models.inference.memory import smaller, telling_of_memory
from models.inference.translator import Translator, results_of
from options import Exit, TestOptions, UserError
from options.command_line import words_of
from options.parsing import parse, parse_script
from options.translate_options import TranslateOptions
from util import distributed
from util.cli import run
from util.config import kept_options, read_config, saved_options
from util.device import choose_device
from util.images import read_values
from util.picture_files import plan, read_ahead, write_picture
from util.seeding import seed_everything
from util.stopwatch import Countdown, peak_memory
from util.storage import check_writable
from util.values import common

__all__ = ["Translator"]
KINDS = {1: (".png", ".jpg"), 3: (".png", ".jpg"), 4: (".png",)}  # of files that hold so many channels;
DEEP = (".npy", ".tif")  # these hold any number


def main(argv=None):
    distributed.forget_said()
    opt = parse_script(TranslateOptions, argv, "Translate pictures with a trained generator.")
    ways = smaller((), opt.tile, opt.batch_size)  # as far as is known before the generator is
    with telling_of_memory(choose_device(opt.device, opt.gpu_ids), ways):
        return prepare(opt, ways)


def prepare(opt, ways):
    """Look at everything before anything is written, and translate; ``ways`` are what needs less memory."""
    results = [results_of(Path(opt.checkpoint), opt.direction, opt.epoch, opt.use_ema)]
    jobs = plan(opt.input, opt.output, common(results, opt.format), opt.overwrite)
    if any(job.target.suffix.lower() == ".png" for job in jobs):  # of one picture, whose file is named
        common(results, "png")
    check_writable(jobs[0].target.parent, "--output")
    translator = Translator.from_checkpoint(
        opt.checkpoint,
        opt.direction,
        epoch=opt.epoch,
        use_ema=opt.use_ema,
        device=opt.device,
        gpu_ids=opt.gpu_ids,
        precision=opt.precision,
        tile=opt.tile,
        overlap=opt.overlap,
        batch_size=opt.batch_size,
        scale=opt.scale,
        keep_scale=opt.keep_scale,
        of_run=partial(model_of, plugin_dir=opt.plugin_dir),
    )
    ways[:] = smaller([translator.netG], opt.tile, opt.batch_size)
    refuse_format(translator, jobs)
    print(f"{translator.file}: {translator.direction}, on {translator.device} in {translator.precision}")
    if translator.takes and translator.makes:
        print(f"values from {translator.takes} become values from {translator.makes}")
    print(translator.scaling)
    read = partial(read_values, channels=translator.input_nc)
    if line := remark("pictures of --input", [job.source for job in jobs], translator.takes, read):
        print(line, file=sys.stderr)
    seed_everything(opt.seed)
    return translate(opt, translator, jobs)


def translate(opt, translator, jobs):
    countdown, skipped = Countdown(len(jobs), "picture"), 0
    for group, problems in read_ahead(
        jobs, translator.input_nc, opt.batch_size, opt.tile, translator.takes, opt.data_timeout
    ):
        for problem in problems:
            if opt.on_bad_image == "error":
                raise UserError(f"{problem}; --on_bad_image skip leaves such files out")
            print(f"skipped: {problem}", file=sys.stderr)
            skipped += 1
        if len(group) == 1:
            job, image = group[0]
            size = translator.made_size(*image.shape[1:])
            write_picture(job, translator.rows(image, countdown.part), size, translator.makes)
        elif group:
            made = translator.batch([image for _, image in group])
            for (job, _), result in zip(group, made, strict=True):
                write_picture(job, [(0, result)], result.shape[1:], translator.makes)
        countdown.step(len(group) + len(problems))
    done, seconds = len(jobs) - skipped, countdown.seconds
    if not done:
        raise UserError("no picture could be read")
    left_out = f", {skipped} left out" if skipped else ""
    print(
        f"{done} picture{'s' * (done != 1)}{left_out} in {seconds:.1f} s, {done / seconds:.2f} images/s, "
        f"peak memory {peak_memory(translator.device) / 2**20:.0f} MB: {opt.output}"
    )
    return 0


def model_of(run, plugin_dir):
    """The model of a run whose generator is of no kind that weights show; None where no options say what it is.

    Raises:
        UserError: it is of a plugin that --plugin_dir does not hold, or of a method that translates nothing.
    """
    told = str(kept_options(run).get("model", ""))
    if not told:
        return None
    if plugin_dir is None and told not in MODELS.names():
        what = "is no method of the toolkit, and its weights do not show what they are of"
        way_out = "test.py runs it" if "." in told else "give --plugin_dir, the folder of its file"
        raise UserError(f"{run}: --model {told} {what}; {way_out}", code=Exit.CHECKPOINT)
    if (makes := MODELS.find(told, plugin_dir).makes) != "translations":
        raise UserError(f"{run}: --model {told} makes {makes}, no translations; test.py runs it", code=Exit.CHECKPOINT)
    words = {"name": run.resolve().name, "checkpoints_dir": run.resolve().parent, "gpu_ids": "-1"}
    words |= {"plugin_dir": plugin_dir} if plugin_dir else {}
    tests = parse(TestOptions, {"model": MODELS, "dataset_mode": DATASETS}, words_of(words), read_config, saved_options)
    return MODELS.make(tests.model, tests.plugin_dir, tests)


def refuse_format(translator, jobs):
    """Refuse kinds of files that cannot hold what the generator makes: 4 channels are RGBA, which JPEG has not."""
    able = (*KINDS.get(translator.output_nc, ()), *DEEP)
    spelt = {".jpeg": ".jpg", ".tiff": ".tif"}
    suffixes = {job.target.suffix.lower() for job in jobs}
    if any(spelt.get(suffix, suffix) not in able for suffix in suffixes):
        names = " or ".join(kind[1:] for kind in able)
        raise UserError(f"{translator.file} makes {translator.output_nc} channels; give --format {names}")


if __name__ == "__main__":
    sys.exit(run(main))
