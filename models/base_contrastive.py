"""What methods with PatchNCE share: tapped generators, heads, and where the negatives come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

import networks
from models.base_translation import TranslationModel
from models.losses import patch_nce
from networks.queue import VectorQueue
from options import UserError, default, option


class ContrastiveModel(TranslationModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(TranslationModel.Options):
        section = "PatchNCE"
        shapes: ClassVar[tuple[str, ...]] = ("netF", "netF_nc", "nce_layers")
        lambda_GAN: float = option(1.0, "weight of the adversarial terms", least=0)
        lambda_NCE: float = option(1.0, "weight of PatchNCE", least=0)
        nce_layers: tuple[str, ...] = option(
            ("0", "4", "8", "12", "16"),
            "layers of G whose patches are compared: names (pixels, down1, res1) or indices",
        )
        negatives: Literal["internal", "minibatch", "queue"] = option(
            "internal",
            "what a patch is told from: its own image, all images of the batch, or also those of earlier batches",
        )
        queue_size: int = option(4096, "negatives queue: vectors kept per layer", least=1)
        nce_includes_all_negatives_from_minibatch: bool = option(False, "the published name of --negatives minibatch")
        netF: str = option(
            "mlp_sample",
            "head that turns patches into vectors",
            choices=lambda: [n for n in networks.list_networks("F") if n != "mapping"],
        )
        netF_nc: int = option(256, "size of a patch's vector", least=1)
        nce_T: float = option(0.07, "temperature of PatchNCE", above=0)
        num_patches: int = option(256, "patches compared per layer; 0 compares all", least=0)
        pool_size: int = default(0)
        own_image = False  # whether the method weighs the patches of one image, and can take no others' as negatives
        has_negatives = True

        def validate(self):
            alone = self.num_patches == 1 or self.netF == "global_pool"
            shared = self.negatives != "internal" or self.nce_includes_all_negatives_from_minibatch
            if self.own_image and self.is_train and (shared or alone):
                flag = "--nce_includes_all_negatives_from_minibatch true"
                flag = flag if self.negatives == "internal" else f"--negatives {self.negatives}"
                told = flag if shared else f"--num_patches {self.num_patches} --netF {self.netF}"
                way = "leave it out" if shared else "compare more patches than one"
                raise UserError(
                    f"{told}: --model {self.model} weighs the patches of an image by those of the same image; {way}"
                )
            others = self.negatives == "queue" or (shared and self.batch_size > 1)
            if self.is_train and self.has_negatives and self.lambda_NCE > 0 and alone and not others:
                raise UserError(
                    f"--num_patches {self.num_patches} --netF {self.netF} --negatives {self.negatives} --batch_size "
                    f"{self.batch_size}: one patch of one image is told from nothing; compare more patches, or take "
                    "--negatives minibatch with a larger batch, or --negatives queue"
                )

    cosine = False  # whether vectors are normalised once more in PatchNCE, which DCLGAN does
    taps: Sequence[str]
    netF: Any

    def __init__(self, opt):
        super().__init__(opt)
        self.memory: Any = nn.ModuleDict()

    @property
    def across_batch(self) -> bool:
        """Whether the images of a batch are each other's negatives."""
        return self.opt.negatives != "internal" or self.opt.nce_includes_all_negatives_from_minibatch

    def build_F(self, netG: Any, input_nc: int | None = None) -> nn.Module:
        """The head of a generator that takes images of so many channels; --input_nc where it is not told."""
        opt = self.opt
        channels = [shape[0] for shape in self.shapes_at(netG, self.taps, "--nce_layers", input_nc)]
        head = networks.define("F", opt.netF, channels=channels, dim=opt.netF_nc)
        return networks.init_weights(head, opt.init_type, opt.init_gain)

    def build_memory(self, **heads: Any) -> None:
        """With --negatives queue, for each term of the loss a queue per layer of the vectors its head makes."""
        if self.opt.negatives == "queue":
            for term, head in heads.items():
                self.memory[term] = nn.ModuleList(VectorQueue(self.opt.queue_size, dim) for dim in head.dims)

    def encode(self, netG: Any, image: torch.Tensor) -> list[torch.Tensor]:
        return netG(image, self.taps, encode_only=True)

    def choose(self, queries: Sequence[torch.Tensor], keys: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The places of each layer that are compared, as :func:`networks.heads.at_places` has them.

        Args:
            queries, keys: features (B, C_l, H_l, W_l) of the output and of its source.
        """
        return self.netF.sample_ids(queries, self.opt.num_patches)

    def contrast_of_layer(self, q: torch.Tensor, k: torch.Tensor, more: torch.Tensor | None) -> torch.Tensor:
        """One layer's contrast of vectors (B, S, D), with further negatives (Q, D) where there are such."""
        return patch_nce(q, k, self.opt.nce_T, self.across_batch, self.cosine, more=more)

    def patch_nce(self, term: str, queries: Sequence[torch.Tensor], keys: Sequence[torch.Tensor]) -> torch.Tensor:
        """PatchNCE, or what a method has in its place, of vectors (B, S_l, D_l) of each layer; the mean over layers.

        The keys of every process are remembered, so that all have one queue, which is what a checkpoint holds.
        """
        values = []
        queues = self.memory[term] if term in self.memory else [None] * len(queries)
        for q, k, queue in zip(queries, keys, queues, strict=True):
            more = None if queue is None else queue.vectors
            values.append(self.contrast_of_layer(q, k, more))
            if queue is not None:
                queue.put(self.gather(k.detach()).flatten(0, 1))
        return torch.stack(values).mean()
