"""A judge of labels, to score images from noise with: which class is this, and how much do two images differ?

    python train.py --model label_judge --dataroot digits --name judge
    python test.py --name judge

The second command prints how often it is right on images that were held out. What its last layer reads,
8 * --njf numbers, are the features of distances between sets of images: of the data's own domain, so not comparable
with published ones. Train it with the --split_seed and --test_fraction of the models it scores, or it has seen what
they are compared with. Their test.py takes it as --label_judge.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from evaluation.judges import JUDGED_AT_ONCE, LabelJudge, read_judge
from evaluation.metrics.shared.labels import accuracy
from models.base_judge import JudgeModel
from networks.warp import random_warp
from options import UserError, default, option
from util.table import Row, Table, write_metrics
from util.writing import make_folder


class LabelJudgeModel(JudgeModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(JudgeModel.Options):
        section = "judge of labels"
        shapes: ClassVar[tuple[str, ...]] = ("njf",)
        njf: int = option(8, "channels of the judge's first layer; its features are eight times as many", least=1)
        dataset_mode: str = default("labeled")

    tasks: Mapping[str, str] = {"phase": "report"}  # always: there are no images to show

    def __init__(self, opt):
        super().__init__(opt)
        self.visual_names = ("real", "seen") if opt.is_train else ("real",)

    def see_data(self, dataset: Any) -> None:
        """Build a judge of the classes of these data; outside training the one that the run trained."""
        opt = self.opt
        if not opt.is_train:
            self.netC = read_judge(Path(opt.checkpoints_dir, opt.name), opt.epoch, "label_judge")
            return
        classes = dataset.classes
        if broken := next((name for name in classes if "\n" in name), None):
            raise UserError(f"--dataroot {opt.dataroot}: a line break in the name of the class {broken!r}; rename it")
        self.class_names = tuple(classes)
        self.build_C("label", list(classes), dataset.channels, f"--dataroot {opt.dataroot}")

    def set_input(self, batch: Mapping[str, Any]) -> None:
        """image is (B, C, H, W) in [-1, 1]; label is (B,) int64."""
        self.real, self.target = batch["image"], batch["label"]
        self.image_paths = {"A": list(batch["image_paths"])}

    def forward(self):
        if self.opt.is_train:
            self.seen = augment(self.real, self.opt.augment)
            self.logits = self.netC(self.seen)

    def report(self, dataset: Any, engine: Any, folder: Path) -> None:
        """Print how often the judge is right on the images of --phase, and on those of its worst class."""
        opt = self.opt
        if not dataset.present:
            raise UserError(f"--dataroot {opt.dataroot}: no images to judge; name the data the judge was trained on")
        images, labels = dataset.arrays(opt.phase)
        if not len(images):
            raise UserError(f"--phase {opt.phase}: {opt.dataroot} has no such images; see --test_fraction")
        numbers = {name: number for number, name in enumerate(dataset.classes)}
        judge = LabelJudge(self.netC.eval(), f"--name {opt.name}", numbers, "")
        answers = torch.cat([answers for _, answers in judge.look(images.split(JUDGED_AT_ONCE))])
        each = {
            numbers_: accuracy(answers[labels == numbers_], labels[labels == numbers_])
            for numbers_ in labels.unique().tolist()
        }
        worst = min(each, key=each.__getitem__)
        right = accuracy(answers, labels)
        print(
            f"accuracy {right:.4f} on {len(labels):,} images of {opt.phase}; "
            f"{each[worst]:.4f} on those of {dataset.classes[worst]!r}, the worst class"
        )
        make_folder(folder, folder.parent)
        row = Row(label=opt.phase, kind="result", values={"accuracy": right}, count=len(labels))
        classes = {dataset.classes[k]: v for k, v in each.items()}
        write_metrics(folder / "metrics.json", [Table(rows=[row], better={"accuracy": "higher"})], {"classes": classes})


def augment(images: torch.Tensor, strength: float = 1.0) -> torch.Tensor:
    """Each image (B, C, H, W) in [-1, 1] from a slightly other place: mirrored never, which changes a digit's class.

    At strength 1: turned by up to 8 degrees, sheared and scaled by up to a tenth, moved by up to a twelfth of the
    canvas and bent by about a hundredth of it; noise of up to 0.05 of the range.
    """
    if strength == 0:
        return images
    s, W = strength, images.shape[3]
    warped = random_warp(images, scale=0.1 * s, rotate=8 * s, shear=0.1 * s, shift=s / 12, elastic=0.01 * s * W)
    reach = torch.rand(len(warped), 1, 1, 1, device=warped.device) * 0.1 * s
    return (warped + reach * torch.randn_like(warped)).clamp(-1, 1)
