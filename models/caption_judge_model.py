"""A judge of captions, to score pictures made from them with: what does it show, and which caption is its own?

    python train.py --model caption_judge --dataroot glyphs --phase all --glyph_variants 24 --draw_seed 1 --name judge
    python test.py --name judge --phase all --draw_seed 2 --glyph_variants 8

The drawings of a model, whose --draw_seed is 0, are then new to the judge. The second command prints how often it is
right on others still: of few drawings of a glyph it learns those by heart. It learns the attributes of the data, where
they have any, and a space in which pictures are near to their captions. What its last layers read are the features of
distances between sets of pictures. Trained with --phase all it knows every glyph that a model is asked for, also those
that the model never saw; its numbers on real pictures are the ceiling of what can be scored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F

from evaluation.judges import CaptionJudge, read_caption_judge
from evaluation.metrics.shared.captions import attribute_accuracy, r_precision
from evaluation.metrics.shared.labels import accuracy
from models.base_judge import JudgeModel
from models.base_model import BaseModel
from models.label_judge_model import augment
from models.losses.text import cosine_scores, matching_loss
from networks.caption_judge import CaptionMatcher
from options import UserError, default, option
from util.attributes import holds
from util.seeding import derive
from util.table import Row, Table, write_metrics
from util.training.manifest import by_age, has_manifest, problem
from util.vocabulary import Vocabulary, tell_of_words
from util.words import UAX29
from util.writing import make_folder


class CaptionJudgeModel(BaseModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(JudgeModel.Options):
        section = "judge of captions"
        shapes: ClassVar[tuple[str, ...]] = ("njf", "max_words")
        njf: int = option(
            24, "channels of the judge's first layer; its features are up to eight times as many", least=1
        )
        lambda_match: float = option(0.5, "weight of matching pictures with captions; that of attributes is 1", least=0)
        tau: float = option(0.07, "temperature of the cosines by which pictures and captions are matched", above=0)
        max_words: int = option(32, "words of a caption that the judge reads", least=1)
        vocab_size: int = option(8000, "words that the judge knows, the most frequent ones", least=1)
        augment: float = default(0.5)
        n_epochs: int = default(12)
        dataset_mode: str = default("caption")

    tasks: Mapping[str, str] = {"phase": "report"}  # always: there are no images to show
    ema_names = ("C",)
    netC: CaptionMatcher

    def __init__(self, opt):
        super().__init__(opt)
        self.visual_names = ("real", "seen") if opt.is_train else ("real",)

    def see_data(self, dataset: Any) -> None:
        """Build a judge of the attributes and captions of these data; outside training the one of the run."""
        opt = self.opt
        if not opt.is_train:
            self.netC, _ = read_caption_judge(Path(opt.checkpoints_dir, opt.name), opt.epoch)
            return
        if len(dataset.captions) < 2:
            raise UserError(f"--dataroot {opt.dataroot}: a single caption, and nothing to tell it from")
        if opt.crop_size < (least := JudgeModel.smallest):
            raise UserError(f"--crop_size {opt.crop_size}: a judge sees nothing in so few pixels; give {least} or more")
        rule = self._rule()
        words = Vocabulary.build(dataset.captions, opt.vocab_size, rule).known
        self.netC = CaptionMatcher(
            dataset.attributes, words, dataset.channels, opt.crop_size, opt.njf, most=opt.max_words, rule=rule
        )
        self.vocabulary = Vocabulary(words, rule=rule)
        tell_of_words(self.vocabulary, dataset.captions, opt.max_words)
        self.add_optimizer("C", self.netC)

    def _rule(self) -> str:
        """By which captions are split into words: that of the run whose weights this one begins with."""
        name = self.opt.name if self.opt.continue_train else self.opt.pretrained_name
        run = Path(self.opt.checkpoints_dir, name or "")
        for label in (self.opt.epoch, *by_age(run)) if name else ():
            if has_manifest(run, label) and not problem(run, label):
                return read_caption_judge(run, label)[0].rule
        return UAX29

    def set_input(self, batch: Mapping[str, Any]) -> None:
        """image is (B, C, H, W) in [-1, 1]; caption B strings; said and shown are (B, A) int64."""
        self.real, self.said, self.shown = batch["image"], batch["said"], batch["shown"]
        self.image_paths = {"A": list(batch["image_paths"])}
        if self.opt.is_train:
            ids = self.vocabulary.ids(batch["caption"], self.opt.max_words)
            self.ids = ids.to(self.real.device, non_blocking=True)

    def forward(self):
        if self.opt.is_train:
            # half as they are: a warp blurs, and from warped ones alone thin strokes that are sharp would look bold
            kept = torch.rand(len(self.real), 1, 1, 1, device=self.real.device) < 0.5
            self.seen = torch.where(kept, self.real, augment(self.real, self.opt.augment))
            self.logits, pictures, captions = self.netC(self.seen, self.ids)
            self.scores = cosine_scores(self.gather(pictures), self.gather(captions), self.opt.tau)

    def optimize_parameters(self) -> None:
        self.forward()
        self.update("C", self.judge_losses)
        if self.logits:  # told, not minimised
            answers = torch.stack([logits.argmax(1) for logits in self.logits], 1)
            self.losses["accuracy"] = ((answers == self.shown) | (self.shown < 0)).all(1).float().mean()

    def judge_losses(self) -> dict[str, torch.Tensor]:
        smoothing = self.opt.label_smoothing
        losses = {
            f"CE_{name}": known_entropy(logits.float(), shown, smoothing)
            for name, logits, shown in zip(self.netC.attributes, self.logits, self.shown.T, strict=False)
        }
        true = holds(self.gather(self.said), self.gather(self.shown)).T
        return losses | {"match": self.opt.lambda_match * matching_loss(self.scores, true)}

    def report(self, dataset: Any, engine: Any, folder: Path) -> None:
        """Print how often the judge is right on the pictures of --phase, and finds their captions."""
        opt = self.opt
        if not dataset.present:
            raise UserError(f"--dataroot {opt.dataroot}: no pictures to judge; name the data the judge was trained on")
        levels = dataset.levels(opt.phase)
        if not len(levels.images):
            raise UserError(f"--phase {opt.phase}: {opt.dataroot} has no such pictures; see --test_fraction")
        judge = CaptionJudge(self.netC.eval(), f"--name {opt.name}", dataset.attributes, "")
        row = judge.judge(levels.images, levels.captions, levels.said, levels.shown)
        generator = torch.Generator().manual_seed(derive(opt.seed, "scores"))
        found = r_precision(row.seen.embedding, row.captions, row.said, row.shown, generator)
        right: dict[str, float] = {}
        each: dict[str, dict[str, float]] = {}
        if dataset.attributes:
            answers = row.seen.answers
            right = attribute_accuracy(answers, row.shown, list(dataset.attributes))
            for (name, values), answer, shown in zip(dataset.attributes.items(), answers.T, row.shown.T, strict=True):
                known = shown.unique()[shown.unique() >= 0].tolist()
                each[name] = {values[k]: accuracy(answer[shown == k], shown[shown == k]) for k in known}
            print(", ".join(f"{name} {part:.4f}" for name, part in right.items()))
        print(f"{found.name} {found.mean:.4f} \u00b1 {found.deviation:.4f} on {len(row):,} pictures of {opt.phase}")
        make_folder(folder, folder.parent)
        values, deviations = right | {found.name: found.mean}, {found.name: found.deviation}
        result = Row(label=opt.phase, kind="result", values=values, deviations=deviations, count=len(row))
        table = Table(rows=[result], better=dict.fromkeys(values, "higher"))
        write_metrics(folder / "metrics.json", [table], {"values": each} if each else {})


def known_entropy(logits: torch.Tensor, target: torch.Tensor, label_smoothing: float = 0.0) -> torch.Tensor:
    """Cross entropy of logits (B, V), the mean over rows whose target (B,) is known, at least 0; 0 without any."""
    whole = F.cross_entropy(logits, target, ignore_index=-1, label_smoothing=label_smoothing, reduction="sum")
    return whole / (target >= 0).sum().clamp(min=1)
