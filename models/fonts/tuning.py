"""A run that goes on from another one's weights: what it trains of them, and what its new styles begin with."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from networks.zi2zi import StyleTable


def trained_parts(G: Any, tune: str) -> list[nn.Module]:
    """The modules of a StyleUnet that ``--tune`` trains."""
    return {"all": [G], "decoder": [G.up, G.styles], "norms": tables(G), "embedding": [G.styles]}[tune]


def set_modes(G: Any, tune: str) -> None:
    """What is not trained keeps the statistics of its norms too."""
    G.train(tune in ("all", "decoder"))
    G.down.train(tune == "all")


def tables(G: Any) -> list[Any]:
    return [module for module in G.modules() if isinstance(module, StyleTable)]


@torch.no_grad()
def give_numbers(G: Any, dataset: Any, engine: Any) -> None:
    """Give each style that the earlier run did not have the numbers of the one that is nearest to its glyphs.

    The generator is in eval mode afterwards.
    """
    known = [label for label in dataset.known_labels if label < G.styles.weight.shape[0]]
    G.eval()
    for style in dataset.style_list:
        if style.label in known or not known:
            continue
        A, B = (engine.place(x) for x in dataset.examples(style, 32))
        far = []
        for label in known:
            fake, _ = G(A, torch.full((len(A),), label, device=A.device))
            far.append(F.l1_loss(fake.float(), B.float()).item())
        nearest = known[far.index(min(far))]
        for table in tables(G):
            if table.weight.requires_grad:  # rows that never learn would stay the same
                table.weight[style.label] = table.weight[nearest]
        print(f"style {style.name} begins as style number {nearest}, the nearest of {len(known)}")
