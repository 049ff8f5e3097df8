"""Translate pictures:  python translate.py --checkpoint checkpoints/grumpycat_cut --input photos --output translated"""

import util.early  # noqa: F401, I001  (first: see there)

import sys
from pathlib import Path

from models.inference.translator import Translator
from options import UserError
from options.parsing import parse_script
from options.translate_options import TranslateOptions
from util import distributed
from util.cli import run
from util.config import kept_options
from util.picture_files import plan, read_ahead, write_picture
from util.seeding import seed_everything
from util.stopwatch import Countdown, peak_memory
from util.storage import check_writable
from util.values import common, units_of

__all__ = ["Translator"]
DEEP = (".npy", ".tif", ".tiff")  # files of any number of channels


def main(argv=None):
    distributed.forget_said()
    opt = parse_script(TranslateOptions, argv, "Translate pictures with a trained generator.")
    checkpoint = Path(opt.checkpoint)
    kept = kept_options(checkpoint if checkpoint.is_dir() else checkpoint.parent)
    jobs = plan(opt.input, opt.output, common([units_of(kept, side) for side in "AB"], opt.format), opt.overwrite)
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
    )
    refuse_format(translator, jobs)
    if any(job.target.suffix.lower() == ".png" for job in jobs):
        common([translator.makes], "png")
    print(f"{translator.file}: {translator.direction}, on {translator.device} in {translator.precision}")
    if translator.takes and translator.makes:
        print(f"values from {translator.takes} become values from {translator.makes}")
    print(translator.scaling)
    seed_everything(opt.seed)
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
            write_picture(job.target, translator.rows(image, countdown.part), size, translator.makes)
        elif group:
            made = translator.batch([image for _, image in group])
            for (job, _), result in zip(group, made, strict=True):
                write_picture(job.target, [(0, result)], result.shape[1:], translator.makes)
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


def refuse_format(translator, jobs):
    """Refuse kinds of files that cannot hold what the generator makes: 4 channels are RGBA, which JPEG has not."""
    kinds = {1: (".png", ".jpg", ".jpeg", ".npy"), 3: (".png", ".jpg", ".jpeg", ".npy"), 4: (".png", ".npy")}
    able = kinds.get(translator.output_nc, (".npy",))
    if any(job.target.suffix.lower() not in (*able, *DEEP) for job in jobs):
        names = " or ".join(kind[1:] for kind in able)
        raise UserError(f"{translator.file} makes {translator.output_nc} channels; give --format {names}")


if __name__ == "__main__":
    sys.exit(run(main))
