"""Compare two folders of pictures:  python evaluate.py --real testB --fake results --metrics fid --extractor ..."""

import util.early  # noqa: F401, I001  (first: see there)

import sys
from functools import partial
from pathlib import Path

import torch

from data.loading.value_range import remark
from evaluation.extractors import load_extractor
from evaluation.metrics import METRICS
from evaluation.metrics.base_captioned import CaptionedMetric
from evaluation.metrics.base_set import SetMetric
from evaluation.metrics.shared.observed import Observed
from evaluation.pairs import Scores
from evaluation.sets import SetScores
from options import UserError
from options.evaluate_options import EvaluateOptions
from options.parsing import parse_script
from util import distributed
from util.reading import frames
from util.cli import run
from util.device import choose_device
from util.images import from_bytes, read_image, read_values, to_bytes
from util.listing import look_into
from util.patience import read_patiently
from util.stopwatch import Countdown
from util.storage import check_writable, unwritten
from util.table import joined, write_metrics
from util.values import units_of

SIDES = {"real": "A", "fake": "B", "train": "A"}  # which numbers of --value_range a folder goes by
SHOWN = 5  # names in a message


def main(argv=None):
    distributed.forget_said()
    opt = parse_script(EvaluateOptions, argv, "Values of generated pictures beside real ones, folder against folder.")
    found = {name: METRICS.find(name, opt.plugin_dir) for name in dict.fromkeys(opt.metrics)}
    for name, cls in found.items():
        if (
            issubclass(cls, CaptionedMetric)
            or cls.judge
            or cls.against == "source"
            or "labels" in getattr(cls, "asks", ())
        ):
            raise UserError(f"--metrics {name}: needs more than pictures; test.py computes it")
    if opt.output:
        check_output(Path(opt.output))
    sets = [cls(opt) for cls in found.values() if issubclass(cls, SetMetric)]
    pairs = [cls for cls in found.values() if not issubclass(cls, SetMetric)]
    extractor = load_extractor(opt, (), choose_device(opt.device, opt.gpu_ids)) if sets else None  # what is wrong shows
    folders = {flag: pictures(opt, flag) for flag in ("real", "fake", "train") if getattr(opt, flag)}
    for flag, files in folders.items():
        if line := remark(
            f"pictures of --{flag}", files, units(opt, flag), partial(read_values, channels=opt.channels)
        ):
            print(line, file=sys.stderr)
    both = partners(opt, *(named(opt, flag, folders[flag]) for flag in ("real", "fake"))) if pairs else {}
    tables = [joined(scores_of_pairs(opt, pairs, both).compute())] if pairs else []
    if extractor is not None:
        seen = {flag: observed(opt, extractor, files, flag) for flag, files in folders.items()}
        tables.append(SetScores(sets, extractor).beside_training(seen["real"], seen["fake"], seen.get("train")))
    print("\n".join(line for table in tables for line in table.lines()))
    if opt.output:
        try:
            write_metrics(Path(opt.output), tables)
        except OSError as error:
            raise unwritten(opt.output, error, "; the values are those above") from None
    return 0


def check_output(path):
    """Find out before anything is computed whether the file can be written."""
    if path.is_dir():
        raise UserError(f"--output {path}: is a folder; name a file in it")
    check_writable(path.parent, "--output")


def pictures(opt, flag):
    """The files of a folder and all below."""
    folder = Path(getattr(opt, flag))
    if not folder.is_dir():
        raise UserError(f"--{flag} {folder}: no such folder")
    listing = look_into(folder)
    count = len(listing.pictures)
    if count < 2:
        raise UserError(
            f"--{flag} {folder}: holds {count} picture{'s' * (count != 1)}; at least two are needed"
            f"{listing.unread(before='; ')}"
        )
    return listing.tell()


def named(opt, flag, files):
    """{name without its ending, relative to the folder: file}."""
    found: dict[str, Path] = {}
    for file in files:
        name = str(frames.named(file).relative_to(getattr(opt, flag)).with_suffix(""))
        if name in found:
            raise UserError(f"--{flag}: {found[name].name} and {file.name} have one name, so it has no one partner")
        found[name] = file
    return found


def partners(opt, real, fake):
    """{name: (real file, fake file)}; a picture that lacks its partner is an error, for it may have got lost."""
    for flag, one, other in (("fake", real, fake), ("real", fake, real)):
        if lost := sorted(set(one) - set(other)):
            some = ", ".join(lost[:SHOWN]) + ", ..." * (len(lost) > SHOWN)
            way_out = "metrics of sets such as fid do without partners"
            raise UserError(f"--{flag} {getattr(opt, flag)}: lacks {len(lost)} of {len(one)} names: {some}; {way_out}")
    return {name: (real[name], fake[name]) for name in real}


def scores_of_pairs(opt, metrics, both):
    scores, countdown = Scores(lambda: [cls(opt) for cls in metrics]), Countdown(len(both), "pair")
    sides = (levels(opt, [pair[k] for pair in both.values()], flag) for k, flag in enumerate(("real", "fake")))
    for name, real, fake in zip(both, *sides, strict=True):
        real, fake = from_bytes(real)[None], from_bytes(fake)[None]
        if real.shape != fake.shape:
            sizes = [" x ".join(map(str, image.shape[:1:-1])) for image in (real, fake)]
            raise UserError(f"{name}: {sizes[0]} pixels in --real, {sizes[1]} in --fake; pairs must be of one size")
        scores.update([""], real, fake, fake, {})
        countdown.step()
    return scores


def observed(opt, extractor, files, flag):
    """What the extractor sees in the pictures, those of one size at once."""
    countdown, parts = Countdown(len(files), "picture"), []
    batch: list[torch.Tensor] = []
    for image in levels(opt, files, flag):
        if batch and (len(batch) == 32 or image.shape != batch[0].shape):
            parts.append(extractor(torch.stack(batch)))
            batch = []
        batch.append(image)
        countdown.step()
    parts.append(extractor(torch.stack(batch)))
    return Observed.join(parts)


def levels(opt, files, flag):
    """The pictures of this folder as bytes (C, H, W)."""
    values = units(opt, flag)
    return read_patiently(files, lambda file: to_bytes(read_image(file, opt.channels, values)), opt.data_timeout)


def units(opt, flag):
    """What values in the files of this folder are."""
    return units_of({"value_range": opt.value_range}, SIDES[flag])


if __name__ == "__main__":
    sys.exit(run(main))
