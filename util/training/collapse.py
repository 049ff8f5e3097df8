"""An alarm for GANs that have gone wrong: outputs that are all alike, a discriminator that has won or sees nothing.

It knows losses and a coarse measure of diversity alone, so it speaks late and rarely: a false alarm costs a reader's
trust in the next.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

# What one term of D is, real or fake, where it cannot tell them apart; wgangp has no such level.
UNDECIDED = {"lsgan": 0.25, "vanilla": math.log(2), "nonsaturating": math.log(2), "hinge": 1.0, "hinge_paper": 1.0}

WON, WON_FOR = 0.05, 0.1  # part of the undecided loss below which D has won, and for which part of the run
BLIND, BLIND_FOR = 0.01, 1 / 3  # distance from it, in parts of it, within which D sees nothing, and for how long
# A D that barely sees is none yet: of zi2zi's demo, whose other losses teach it well, it stays within 1 % for 16 %.
LINES = 20  # lines of losses in a row that either takes at least

ALIKE = 0.1  # distance of two outputs, in parts of that of two real images, below which all are alike
FALLEN, BELOW = 0.5, 0.25  # or it has fallen to so much of its best, and below that
EARLY = 0.1  # part of the run in which outputs may still be alike: nothing has been learned yet

Losses = Mapping[str, float | None]
Levels = Mapping[str, Mapping[str, float]]


class CollapseDetector:
    """Watches one run and warns of each thing once.

    Args:
        opt: its options; only flags that are among them are proposed.
        total_steps: optimizer steps of the whole run.
        levels: what losses are to be read by, see BaseModel.loss_levels.

    Attributes:
        warnings: {what is wrong: a line about it with what to try}, as told so far.
    """

    def __init__(self, opt: Any, total_steps: int, levels: Callable[[], Levels] = dict):
        self.opt, self.total, self.levels = opt, max(1, total_steps), levels
        self.warnings: dict[str, str] = {}
        self._streaks: dict[tuple[str, str], tuple[int, int]] = {}  # (what, D) -> its first step, and how many lines
        self._most_diverse = 0.0

    def see_losses(self, step: int, losses: Losses) -> list[str]:
        """A line of losses after so many steps; what is to be told now."""
        new = []
        for name, (value, undecided) in self._discriminators(losses).items():
            part = value / undecided
            if self._lasts("won", name, step, part < WON, WON_FOR):
                new += self._warn(
                    "won",
                    f"{name} has told real from generated images almost without error since step "
                    f"{self._streaks['won', name][0]} ({value:.3g}, where {undecided:.3g} is guessing); the generator "
                    "learns little from it",
                )
            if self._lasts("blind", name, step, abs(part - 1) < BLIND, BLIND_FOR):
                new += self._warn(
                    "blind",
                    f"{name} has not told real from generated images since step {self._streaks['blind', name][0]} "
                    f"({value:.3g}, where {undecided:.3g} is guessing)",
                )
        return new

    def see_diversity(self, step: int, ratio: float | None) -> list[str]:
        """The mean distance of two outputs in parts of that of two real images; what is to be told now."""
        if ratio is None or not math.isfinite(ratio):
            return []
        self._most_diverse = max(self._most_diverse, ratio)
        if step < EARLY * self.total:
            return []
        if ratio < ALIKE:
            what = "are nearly alike"
        elif ratio < min(BELOW, FALLEN * self._most_diverse):
            what = f"differ less and less: by {self._most_diverse:.2g} at best"
        else:
            return []
        return self._warn(
            "alike", f"at step {step} outputs {what}; two of them differ by {ratio:.2g} of what two real images do"
        )

    def _lasts(self, what: str, name: str, step: int, holds: bool, part: float) -> bool:
        """Whether something has held for enough lines and for this part of the run."""
        if not holds:
            self._streaks.pop((what, name), None)
            return False
        first, lines = self._streaks.get((what, name), (step, 0))
        self._streaks[what, name] = first, lines + 1
        return lines + 1 >= LINES and step - first >= part * self.total

    def _discriminators(self, losses: Losses) -> dict[str, tuple[float, float]]:
        """Discriminator -> its adversarial loss, and what that is when it is undecided."""
        term = UNDECIDED.get(getattr(self.opt, "gan_mode", ""))
        pairs = {}
        if term is not None:
            # Images from noise count each term fully, translation by half (models.base_noise, base_adversarial).
            weight = 1.0 if hasattr(self.opt, "z_dim") else 0.5
            terms = 3 if getattr(self.opt, "label_shuffling", False) else 2  # zi2zi then has two fakes
            pairs["D"] = (self._sum(losses, "D_real", "D_fake"), weight * terms * term)
            pairs |= {name: (self._sum(losses, name), term) for name in ("D_A", "D_B")}  # means of both terms
        if level := self.levels().get("D_dual", {}).get("chance"):
            pairs["D"] = (self._sum(losses, "D_dual"), level)
        return {name: (value, undecided) for name, (value, undecided) in pairs.items() if value is not None}

    @staticmethod
    def _sum(losses: Losses, *names: str) -> float | None:
        values = [value for name in names if (value := losses.get(name)) is not None and math.isfinite(value)]
        return sum(values) if len(values) == len(names) else None

    def _warn(self, kind: str, text: str) -> list[str]:
        if kind in self.warnings:
            return []
        proposals = self._proposals(kind)
        self.warnings[kind] = f"{text}. Try {', '.join(proposals)}" if proposals else text
        return [self.warnings[kind]]

    def _proposals(self, kind: str) -> list[str]:
        """What to try, of the flags that this model has."""
        told = {f.name: getattr(self.opt, f.name) for f in dataclasses.fields(self.opt)}
        has = told.get
        if kind == "blind":
            return [
                *(f"more than --{flag} {value}" for flag in ("ndf",) if (value := has(flag))),
                *([f"a higher --lr_D (it is {self._lr_D(told):g})"] if "lr_D" in told else []),
                *(f"less than --{flag} {value}" for flag in ("lambda_r1", "augment_D") if (value := has(flag))),
            ]
        found = []
        if kind == "alike":
            weighs = has("lambda_NCE") and has("weight_NCE") is not False  # SimDCL's is not weighted unless asked to
            found += [f"a heavier --lambda_NCE (it is {told['lambda_NCE']:g})"] if weighs else []
            found += ["--nce_idt true"] if has("nce_idt") is False else []
        found += [f"a lower --lr_D (it is {self._lr_D(told):g})"] if "lr_D" in told else []
        found += ["--sn_D"] if has("sn_D") is False else []
        found += ["--augment_D color,translation,cutout"] if has("augment_D") == "" else []
        if has("gan_mode") == "wgangp":
            found += [f"a heavier --lambda_gp (it is {told['lambda_gp']:g})"] if "lambda_gp" in told else []
        else:
            found += ["--lambda_r1 1"] if has("lambda_r1") == 0 else []
        return found

    @staticmethod
    def _lr_D(told: Mapping[str, Any]) -> float:
        return told["lr"] if told["lr_D"] is None else told["lr_D"]
