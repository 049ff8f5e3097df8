"""Compare two sets of pictures:  python evaluate.py --real testB --fake results --metrics fid --extractor ..."""

import util.early  # noqa: F401, I001  (first: see there)

import contextlib
import io
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from data.loading.value_range import remark
from evaluation.extractors import extractor_for
from evaluation.metrics import METRICS
from evaluation.metrics.base_captioned import CaptionedMetric
from evaluation.metrics.base_set import SetMetric
from evaluation.metrics.fid_metric import FidMetric
from evaluation.metrics.ifid_metric import IfidMetric
from evaluation.metrics.shared.observed import Observed
from evaluation.pairs import Scores
from evaluation.sets import SetScores, keeps_images
from evaluation.sides import against_statistics, check_sides, check_width, of_one_kind, one_numbering, open_side
from options import UserError
from options.evaluate_options import EvaluateOptions
from options.parsing import parse_script
from options.shown import shown
from util import distributed
from util.cli import run
from util.device import choose_device
from util.images import from_bytes, read_image, read_values, to_bytes
from util.in_order import in_order
from util.patience import read_patiently
from util.stopwatch import Countdown
from util.storage import check_writable, unwritten
from util.table import figures, finite, joined, write_metrics
from util.values import units_of

SIDES = {"real": "A", "fake": "B", "train": "A"}  # which numbers of --value_range a folder goes by
SHOWN = 5  # names in a message
AT_ONCE = 32  # pictures that are looked at at once
CLASSES = "intra-FID of classes"  # in metrics.json


def main(argv=None):
    distributed.forget_said()
    opt = parse_script(EvaluateOptions, argv, "Values of generated pictures beside real ones, set against set.")
    found = {name: METRICS.find(name, opt.plugin_dir) for name in dict.fromkeys(opt.metrics)}
    for name, cls in found.items():
        if issubclass(cls, CaptionedMetric) or cls.judge or cls.against == "source":
            raise UserError(f"--metrics {name}: needs more than pictures; test.py computes it")
    if opt.output:
        check_output(Path(opt.output))
    sets = [cls(opt) for cls in found.values() if issubclass(cls, SetMetric)]
    pairs = [cls for cls in found.values() if not issubclass(cls, SetMetric)]
    device = choose_device(opt.device, opt.gpu_ids)
    distributed.start(device)
    with contextlib.ExitStack() as stack:
        if distributed.rank() > 0:  # what is to be said, one process says
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        return compare(opt, found, sets, pairs, device)


def compare(opt, found, sets, pairs, device):
    """Values of the metrics; several processes share the pictures, and the main one has the values."""
    extractor = extractor_for(sets, opt, (), device) if sets else None  # what is wrong shows before anything is read
    given = [flag for flag in ("real", "fake", "train") if getattr(opt, flag)]
    sides = {flag: open_side(flag, Path(getattr(opt, flag))) for flag in given}
    sides, classes = one_numbering(of_one_kind(sides, opt.channels))
    check_labels(found, sides)
    warn_of_values(opt, sides)
    both = partners(opt, *(named(opt, flag, sides[flag]) for flag in ("real", "fake"))) if pairs else {}
    scores = scores_of_pairs(opt, pairs, both, device) if pairs else None
    tables = [joined(scores.compute())] if scores and distributed.rank() == 0 else []
    facts = {}
    if extractor is not None:
        if classes and any("answers" in metric.asks for metric in sets):
            extractor = extractor_for(sets, opt, classes, device)
        table, facts = scores_of_sets(opt, sets, sides, classes, extractor)
        tables.append(table)
    if distributed.rank() > 0:
        return 0
    print("\n".join(line for table in tables for line in table.lines()))
    for name, value in facts.get(CLASSES, {}).items():
        print(f"intra-FID of {shown(name)}: {figures(value, 'not defined')}")
    if opt.output:
        try:
            write_metrics(Path(opt.output), tables, facts)
        except OSError as error:
            raise unwritten(opt.output, error, "; the values are those above") from None
    return 0


def check_output(path):
    """Find out before anything is computed whether the file can be written."""
    if path.is_dir():
        raise UserError(f"--output {path}: is a folder; name a file in it")
    check_writable(path.parent, "--output")


def check_labels(found, sides):
    """Metrics of classes need sides that have them."""
    for name, cls in found.items():
        if "labels" in getattr(cls, "asks", ()) and any(side.labels is None for side in sides.values()):
            raise UserError(
                f"--metrics {name}: needs classes on every side: a folder for each, or the labels of a .npz; "
                f"{' and '.join(map(str, sides.values()))} have none in common"
            )


def warn_of_values(opt, sides):
    """A line for pictures whose values are not those that are asked for."""
    for flag, side in sides.items():
        if side.files and (
            line := remark(
                f"pictures of --{flag}", side.files, units(opt, flag), partial(read_values, channels=opt.channels)
            )
        ):
            print(line, file=sys.stderr)


def named(opt, flag, side):
    """{name without its ending, relative to the folder: file}."""
    found: dict[str, Path] = {}
    if not side.files:
        raise UserError(f"{side}: has no names of pictures, by which pairs go; give a folder")
    for file, path in zip(side.files, side.names, strict=True):
        name = str(path.with_suffix(""))
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


def scores_of_pairs(opt, metrics, both, device):
    scores, countdown = Scores(lambda: [cls(opt) for cls in metrics]), Countdown(len(both), "pair")
    mine = range(distributed.rank(), len(both), distributed.world_size())
    names, files = list(both), list(both.values())
    sides = (levels(opt, [files[n][k] for n in mine], flag) for k, flag in enumerate(("real", "fake")))
    read = ((n, (names[n], real, fake)) for n, real, fake in zip(mine, *sides, strict=True))
    for name, real, fake in in_order(read, device):
        real, fake = from_bytes(real)[None], from_bytes(fake)[None]
        if real.shape != fake.shape:
            sizes = [" x ".join(map(str, image.shape[:1:-1])) for image in (real, fake)]
            raise UserError(f"{name}: {sizes[0]} pixels in --real, {sizes[1]} in --fake; pairs must be of one size")
        scores.update([""], real, fake, fake, {})
        countdown.step()
    return scores


def scores_of_sets(opt, metrics, sides, classes, extractor):
    """The table of metrics of sets, and what metrics.json says besides."""
    only_fid = all(isinstance(metric, FidMetric) for metric in metrics)
    remarks = check_sides(list(sides.values()), extractor, opt.resize, only_fid)
    kept = keeps_images(metrics)
    seen = {flag: observed(opt, extractor, side, kept) for flag, side in sides.items() if side.statistics is None}
    for side in sides.values():
        check_width(side, extractor)  # once more, for an extractor that only its first image tells how many they are
    if distributed.rank() > 0:
        return None, {}
    if len(seen) < len(sides):
        return against_statistics(extractor, seen, sides, remarks), {}
    table = SetScores(metrics, extractor, classes).beside_training(seen["real"], seen["fake"], seen.get("train"))
    facts = {}
    for metric in metrics:
        if isinstance(metric, IfidMetric) and not metric.flaws(seen["real"], seen["fake"]):
            values = metric.of_classes(seen["real"], seen["fake"])
            facts[CLASSES] = {metric.called(label): finite(value) for label, value in values.items()}
    return replace(table, remarks=[*remarks, *table.remarks]), facts


def observed(opt, extractor, side, keep=False):
    """What the extractor sees in the pictures, those of one size at once; with themselves where a metric needs them."""
    if side.features is not None:
        return Observed(side.features)
    parts = list(in_order(looked_at(opt, extractor, side, keep), extractor.device))
    if distributed.rank() > 0:
        return None
    if keep and len({part.images.shape[1:] for part in parts}) > 1:
        sizes = sorted({" x ".join(map(str, part.images.shape[:1:-1])) for part in parts})
        shown = f"{', '.join(sizes[:SHOWN])}{', ...' * (len(sizes) > SHOWN)}"
        raise UserError(f"--metrics cas: pictures of {side} are of several sizes: {shown}; bring them to one")
    return replace(Observed.join(parts), labels=side.labels)


def looked_at(opt, extractor, side, keep):
    """Of the batches of this process, which are parts of every 32 pictures: number, and what the extractor sees."""
    images = side.files if side.images is None else side.images
    rank, world = distributed.rank(), distributed.world_size()
    mine = [n for n in range(len(images)) if n // AT_ONCE % world == rank]
    chosen = (images[n] for n in mine)
    read = levels(opt, list(chosen), side.flag) if side.images is None else map(of_archive, chosen)
    countdown, first = Countdown(len(mine), "picture"), 0
    batch: list[torch.Tensor] = []

    def look():
        together = torch.stack(batch)
        return first, replace(extractor(together), images=together if keep else None)

    for n, image in zip(mine, read, strict=True):
        if batch and (n % AT_ONCE == 0 or image.shape != batch[0].shape):
            yield look()
            batch = []
        first = first if batch else n
        batch.append(image)
        countdown.step()
    if batch:
        yield look()


def of_archive(image):
    """One image of an archive as bytes (C, H, W)."""
    return torch.from_numpy(image.transpose(2, 0, 1).copy())


def levels(opt, files, flag):
    """The pictures of this folder as bytes (C, H, W)."""
    values = units(opt, flag)
    return read_patiently(files, lambda file: to_bytes(read_image(file, opt.channels, values)), opt.data_timeout)


def units(opt, flag):
    """What values in the files of this folder are."""
    return units_of({"value_range": opt.value_range}, SIDES[flag])


if __name__ == "__main__":
    sys.exit(run(main))
