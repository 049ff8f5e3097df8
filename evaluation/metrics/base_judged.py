"""Metrics that ask a judge, a network that was trained apart from the model it judges.

A judge is a callable: images (B, C, H, W) in [-1, 1] to its answers, (B,) int64 on the CPU, in the terms of ``facts``:
code points, or numbers of styles. ``judge.classes`` are the answers it can give. This layer knows no networks, so
whoever makes the metric passes the judge in; :func:`evaluation.judges.load_judge` loads one.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch

from evaluation.metrics.base_metric import Facts, Metric
from options import UserError

FACT = {"character": "character", "style": "label"}  # what a judge answers -> where the data tell the truth
FLAG = {"character": "--recogniser", "style": "--style_judge"}


class JudgedMetric(Metric):
    """Part of the images that a judge answers rightly, of the fakes and of the real ones.

    Args:
        judge: see the module; without one nothing can be judged.

    Raises:
        UserError: there is no judge.
    """

    better = "higher"
    plugin: ClassVar[str]  # as after --metrics

    def __init__(self, opt: Any = None, judge: Callable[[torch.Tensor], torch.Tensor] | None = None) -> None:
        super().__init__(opt)
        kind = str(self.judge)
        if judge is None:
            raise UserError(
                f"--metrics {self.plugin} asks a judge: give {FLAG[kind]} <run folder>, "
                f"of a run of --model glyph_judge --judge {kind}"
            )
        self.ask = judge
        self.right = {"real": 0, "fake": 0}
        self.count, self.asked = 0, set[int]()

    def update(self, real: torch.Tensor, fake: torch.Tensor, facts: Facts | None = None) -> None:
        fact = FACT[str(self.judge)]
        if facts is None or fact not in facts:
            raise UserError(f"--metrics {self.plugin}: these data do not say the {self.judge} of an image")
        truth = facts[fact]
        for name, images in (("real", real), ("fake", fake)):
            self.right[name] += int((self.ask(images).cpu() == truth).sum())
        self.count += len(truth)
        self.asked.update(truth.tolist())

    def accuracy(self, name: str) -> float:
        """Of the real or the fake images; NaN of none."""
        return self.right[name] / self.count if self.count else float("nan")

    def unknown(self) -> list[int]:
        """What was asked for and is none of the judge's answers."""
        return sorted(self.asked - set(self.classes))

    @property
    def classes(self) -> Iterable[int]:
        return getattr(self.ask, "classes", self.asked)
