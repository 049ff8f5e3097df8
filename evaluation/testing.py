"""What metrics make of a complete test, whether test.py makes it or an evaluation in training."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from evaluation.diversity import Diversity
from evaluation.extractors import extractor_for
from evaluation.extractors.base import Extractor
from evaluation.judges import load_judge
from evaluation.metrics import METRICS
from evaluation.metrics.base_captioned import CaptionedMetric
from evaluation.metrics.base_set import SetMetric
from evaluation.metrics.shared.observed import Observed
from evaluation.pairs import Scores, make_metrics
from evaluation.samples import RealImages, floor_rows
from evaluation.sets import SetScores, keeps_images
from options import UserError
from util import distributed
from util.images import from_bytes, to_bytes
from util.in_order import on_cpu
from util.table import Table, joined

# what is added to the names of values -> the images that are compared, and with which
SIDES = {"": ("fake_B", "real_B"), " of A": ("fake_A", "real_A")}
FACTS = ("character", "label")  # of a batch, that metrics are told
COPIED = "the source, copied"
EVENLY = "; --sample_classes data mixes samples as the held-out images are"
FLOATS_AT_ONCE = 1024  # images from noise that are floats at a time
JUDGED = ("metrics", "recogniser", "style_judge")  # flags of a test that have what it made judged

Seen = Mapping[str, Observed]  # name of images -> what the extractor sees in them
TrainingItems = Callable[[str, int], Iterator[Mapping[str, Any]]]  # see data.loading.rows.TestSet.training_items


@dataclass(frozen=True)
class Scored:
    """Values of pairs by style, and of sets of images by side, see SIDES."""

    pairs: Mapping[str, Table]
    sets: Mapping[str, Table]

    @property
    def tables(self) -> list[Table]:
        """That of all styles, and those of sets, their values named after their side."""
        return [joined(self.pairs), *(table.named(side) for side, table in self.sets.items())]

    def lines(self) -> list[str]:
        """What test.py prints."""
        return [line for table in self.tables for line in table.lines()]

    def remarks(self) -> list[str]:
        return [line for table in self.tables for line in table.remarks]

    def entries(self) -> dict[str, Any]:
        """What metrics.json holds of them."""
        return {name: entry for table in self.tables for name, entry in table.entries().items()}

    def values(self, sets_first: bool) -> tuple[dict[str, float], dict[str, str]]:
        """{name: value} and where each improves; of sets first if so wanted."""
        pairs, *sets = self.tables
        tables = [*sets, pairs] if sets_first else [pairs, *sets]
        values = {name: value for table in tables for name, value in table.values.items()}
        return values, {name: way for table in tables for name, way in table.better.items()}


class Evaluation:
    """Takes in what a model makes of a test, batch by batch, for every metric that was asked for.

    Args:
        opt: options of a test: metrics, extractor, judges.
        dataset: of the test.
        translates: whether images are made of others, so that they have a source, and perhaps a target.

    Raises:
        UserError: a metric does not exist, lacks its judge or extractor, or has nothing to compare in these data.
    """

    def __init__(self, opt: Any, dataset: Any, device: torch.device | str, translates: bool = True):
        self.opt, self.dataset = opt, dataset
        found = {name: METRICS.find(name, opt.plugin_dir) for name in dict.fromkeys(opt.metrics)}
        of_captions = [name for name, cls in found.items() if issubclass(cls, CaptionedMetric)]
        if of_captions:
            raise UserError(
                f"--metrics {of_captions[0]}: is computed for images from captions with --caption_judge; leave it out"
            )
        of_pairs = [name for name, cls in found.items() if not issubclass(cls, SetMetric)]
        if of_pairs and not translates:
            raise UserError(
                f"--metrics {of_pairs[0]}: compares image with image, and --model {opt.model} makes images from noise; "
                "metrics of sets such as fid are for it"
            )
        if any(issubclass(cls, SetMetric) for cls in found.values()) and translates:
            self.refuse_one_side()
        if translates and not dataset.paired_in_tests:
            self.refuse_targets(found)
        judges = load_judges(opt, dataset, device) if translates else {}
        self.set_metrics = [cls(opt) for cls in found.values() if issubclass(cls, SetMetric)]
        self.sets_first = bool(found) and issubclass(next(iter(found.values())), SetMetric)
        floors = dataset.floors if dataset.paired_in_tests else (COPIED,)
        self.pairs = Scores(make_metrics(opt, judges), floors)
        self.asked = bool(found) or bool(judges)
        self.extractor: Extractor | None = (
            extractor_for(self.set_metrics, opt, class_names(dataset), device) if self.set_metrics else None
        )
        self.keeps_images = keeps_images(self.set_metrics)
        self.fakes: dict[str, list[Observed]] = {}
        self.reals: dict[str, list[Observed]] = {}
        self.others: dict[str, Observed | None] = {}  # real images of training, by side
        self.diversity = Diversity()

    def refuse_one_side(self) -> None:
        """Raises:
        UserError: the data are known to lack real images of the side that translations are of.
        """
        side = "B" if self.opt.direction == "AtoB" else "A"
        sides, one = getattr(self.dataset, "sides", None), getattr(self.dataset, "side", None)
        if (isinstance(sides, Mapping) and not sides.get(side, True)) or one not in (None, side):
            raise UserError(self.no_real_images)

    @property
    def no_real_images(self) -> str:
        return (
            f"--metrics {','.join(self.opt.metrics)}: there are no real images in {self.dataset.where} that the "
            "translations could be compared with; they are read from the other side of --phase"
        )

    def refuse_targets(self, found: Mapping[str, Any]) -> None:
        """Raises:
        UserError: a metric compares with true targets, which the data do not have.
        """
        asked = [name for name, cls in found.items() if not issubclass(cls, SetMetric) and cls.against == "target"]
        flags = {"metrics": ",".join(asked), "recogniser": self.opt.recogniser, "style_judge": self.opt.style_judge}
        words = " ".join(f"--{flag} {value}" for flag, value in flags.items() if value)
        if words:
            raise UserError(f"{words}: --dataset_mode {self.opt.dataset_mode} has no true targets to compare with")

    # -- translations ----------------------------------------------------------------------------

    def look(self, batch: Mapping[str, Any], visuals: Mapping[str, torch.Tensor]) -> Seen:
        """What the extractor sees in a batch, by the name of the images; any process may do that."""
        if self.extractor is None:
            return {}
        labels = batch["label"].cpu() if "label" in batch else None
        wanted = [made for made, _ in SIDES.values()]
        wanted += [true for side, (_, true) in SIDES.items() if side not in self.others]
        return {name: self.seen(to_bytes(visuals[name]).cpu(), labels) for name in wanted if name in visuals}

    def update(self, batch: Mapping[str, Any], visuals: Mapping[str, torch.Tensor], seen: Seen | None = None) -> None:
        """One batch of a test: its facts, and the images (B, C, H, W) in [-1, 1] that the model shows of it.

        Args:
            seen: of ``look``, where another process did that.
        """
        for kind, names in (("fake", ("fake_B", "fake_A")), ("real", ("real_B", "real_A"))):
            if images := [visuals[name] for name in names if name in visuals]:
                self.diversity.add(kind, images[0])
        if not self.asked:
            return
        facts = {name: value.cpu() for name, value in batch.items() if name in FACTS}
        if "fake_B" in visuals and "real_A" in visuals:
            several = len(getattr(self.dataset, "styles", ())) > 1
            styles = batch["group"] if several else [""] * len(visuals["fake_B"])
            real = visuals.get("real_B") if self.dataset.paired_in_tests else None
            if real is not None or not self.dataset.paired_in_tests:
                self.pairs.update(styles, real, visuals["fake_B"], visuals["real_A"], facts)
            else:
                self.pairs.without_target += len(visuals["fake_B"])
        seen = self.look(batch, visuals) if seen is None else seen
        for side, (made, true) in SIDES.items():
            if made in seen:
                self.fakes.setdefault(side, []).append(seen[made])
            if true in seen and side not in self.others:
                self.reals.setdefault(side, []).append(seen[true])

    def compute(self, training_items: TrainingItems) -> Scored:
        """The values; real images of training are read for the floors.

        Raises:
            UserError: a side has no real images to compare with, or no translation has a target.
        """
        if self.pairs.make() and not self.pairs.pairs and self.pairs.without_target:
            told = f"--metrics {','.join(self.opt.metrics)}: none of {self.pairs.without_target} translations"
            raise UserError(f"{told} has a target, a picture of the other side with the same name")
        tables = {}
        for side, parts in self.fakes.items():
            fake = Observed.join(parts)
            if side not in self.reals:
                continue
            real = Observed.join(self.reals[side])
            if side not in self.others:
                self.others[side] = self.training_images(training_items, side, len(fake))
            tables[side] = self.table(real, fake, self.others[side])
        if self.fakes and ("" if "" in self.fakes else " of A") not in tables:
            raise UserError(self.no_real_images)
        return Scored(self.pairs.compute(), tables)

    def table(self, real: Observed, fake: Observed, other: Observed | None) -> Table:
        """Values of sets, with those of training images against the real ones as floors, or of two halves of these."""
        assert self.extractor is not None
        way_out = EVENLY if getattr(self.opt, "sample_classes", None) == "even" else ""
        scores = SetScores(self.set_metrics, self.extractor, class_names(self.dataset), way_out)
        return scores.beside_training(real, fake, other)

    def training_images(self, training_items: TrainingItems, side: str, count: int) -> Observed | None:
        """What the extractor sees in as many training images of this side."""
        key = SIDES[side][1][-1] if self.opt.direction == "AtoB" else {"A": "B", "B": "A"}[SIDES[side][1][-1]]
        parts: list[Observed] = []
        for item in training_items(key, count):
            label = torch.tensor([item["label"]]) if "label" in item else None
            parts.append(self.seen(to_bytes(item[key][None]).cpu(), label))
        return Observed.join(parts) if len(parts) > 1 else None

    def start_again(self) -> None:
        """Forget what was made; what is real stays as it was seen, in the main process."""
        known = distributed.told_by_main(list(self.others))
        self.others = self.others or dict.fromkeys(known)
        self.pairs = Scores(self.pairs.make, list(self.pairs.floors))
        self.fakes, self.diversity = {}, Diversity()

    # -- images from noise -----------------------------------------------------------------------

    def of_samples(self, levels: torch.Tensor, labels: torch.Tensor | None, data: RealImages) -> Table:
        """Values of generated images, bytes (N, C, S, S), beside held-out ones, with training images as floor."""
        assert self.extractor is not None
        for name, images in (("fake", levels), ("real", data.held[0])):
            for part in images.split(FLOATS_AT_ONCE):
                self.diversity.add(name, from_bytes(part))
        if "" not in self.others:
            self.reals[""] = [self.seen(*data.held)]
            rows = floor_rows(len(data.train[0]), len(levels))
            self.others[""] = self.seen(data.train[0][rows], data.train[1][rows])
        return self.table(self.reals[""][0], self.seen(levels, labels), self.others[""])

    def seen(self, levels: torch.Tensor, labels: torch.Tensor | None) -> Observed:
        assert self.extractor is not None
        found = self.extractor(levels)
        labels = None if labels is None or labels.ndim != 1 else labels
        return replace(found, labels=labels, images=levels if self.keeps_images else None)


def told_of(batch: Mapping[str, Any]) -> dict[str, Any]:
    """What an evaluation needs of a batch besides its images."""
    return {name: on_cpu(batch[name]) for name in ("group", *FACTS) if name in batch}


def refuse_ignored(opt: Any, flags: Sequence[str], why: str) -> None:
    """Raises:
    UserError: one of these flags was given another value than its default, and would do nothing.
    """
    defaults = {field.name: field.default for field in fields(opt)}
    for flag in flags:
        if (value := getattr(opt, flag)) != defaults[flag]:
            shown = ",".join(value) if isinstance(value, tuple) else value
            raise UserError(f"--{flag} {shown}: {why}; leave it out")


def load_judges(opt: Any, dataset: Any, device: torch.device | str) -> dict[str, Any]:
    """{what they tell apart: judge} of the command line."""
    styles = {style.name: style.label for style in getattr(dataset, "style_list", ())}
    folders = {"character": opt.recogniser, "style": opt.style_judge}
    return {kind: load_judge(folder, kind, device, styles) for kind, folder in folders.items() if folder}


def class_names(dataset: Any) -> list[str]:
    """What the labels of these data are called, in their order: classes or styles; nothing without labels."""
    styles = {style.label: style.name for style in getattr(dataset, "style_list", ())}
    return [styles.get(k, "") for k in range(max(styles, default=-1) + 1)] or list(getattr(dataset, "classes", ()))
