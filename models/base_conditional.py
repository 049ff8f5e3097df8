"""What methods share that make images of a class: whose classes the fakes of a step are."""

from dataclasses import dataclass
from typing import Any, Literal

import torch

from models.base_latent import LatentModel
from options import UserError, option


class ConditionalModel(LatentModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(LatentModel.Options):
        section = "classes"
        fake_labels: Literal["uniform", "data"] = option(
            "uniform", "classes of generated images in training: all alike, or those of the batch's real ones"
        )

    conditional = True

    def see_data(self, dataset: Any) -> None:
        if len(dataset.classes) < 2:
            opt, count = self.opt, len(dataset.classes)
            raise UserError(f"--dataroot {opt.dataroot}: --model {opt.model} needs two classes, and there is {count}")
        super().see_data(dataset)

    def conditions(self) -> torch.Tensor | None:
        return self.y if self.opt.fake_labels == "data" else super().conditions()
