"""What methods share that make images of a class: whose classes the fakes of a step are."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch

from models.base_latent import LatentModel
from models.noise.classes import tell_of_protocol
from options import UserError, option


class ConditionalModel(LatentModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(LatentModel.Options):
        section = "classes"
        fake_labels: Literal["uniform", "data"] = option(
            "uniform", "classes of generated images in training: all alike, or those of the batch's real ones"
        )
        sample_classes: Literal["auto", "data", "even"] = option(
            "auto",
            "classes of samples: mixed as the held-out images, or alike; auto is data where these are compared with",
        )

    family = "from noise, with classes"
    conditional = True
    without_classes: ClassVar[str] = ""  # how the method does without them, for a message

    def see_data(self, dataset: Any) -> None:
        opt, count = self.opt, len(dataset.classes)
        if self.conditional and count < 2:
            why = f"--model {opt.model} needs two classes, and there is {count}{self.without_classes}"
            raise UserError(f"--dataroot {opt.dataroot}: {why}")
        if self.conditional:
            tell_of_protocol(opt)
        super().see_data(dataset)

    def conditions(self) -> torch.Tensor | None:
        return self.y if self.conditional and self.opt.fake_labels == "data" else super().conditions()
