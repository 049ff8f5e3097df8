"""A compact network that says what small pictures show, and which captions fit them."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .glyph_judge import STAGES, built, trunk
from .text import TextTransformer

HEADS, LAYERS = 4, 2  # of the reader of captions
LARGE = 64  # pixels; smaller pictures would be 2 x 2 at the end if they were halved at once


class CaptionMatcher(nn.Module):
    """Pictures (B, C, H, W) in [-1, 1] and captions (B, T) to answers for each attribute, and to two sets of vectors.

    The trunk of :class:`networks.glyph_judge.GlyphJudge`, whose first layer leaves pictures below 64 pixels as large
    as they are; one linear layer for each attribute, one into the space in which pictures meet captions. These are
    read by a transformer of its own.

    What answers and words mean is kept as an extra state, text in bytes, as a judge of glyphs does.

    Args:
        attributes: name -> the name of each answer; none where only captions are matched. No name has a tab or a line
            break.
        words: of its vocabulary; the ids of captions are 0 for padding, 1 for unknown words, then these.
        rule: by which captions are split into words; "" is that of judges that name none.
        channels: C.
        size: height and width it is trained with, in pixels.
        width: channels after the first convolution; the last has eight times as many.
        dim: of the common space and of the words, a multiple of 4.
        most: words of a caption that it reads.
    """

    def __init__(
        self,
        attributes: Mapping[str, Sequence[str]],
        words: Sequence[str],
        channels: int = 1,
        size: int = 64,
        width: int = 16,
        dim: int = 128,
        most: int = 32,
        rule: str = "",
    ):
        super().__init__()
        self.attributes = {name: tuple(values) for name, values in attributes.items()}
        self.words, self.rule, self.channels, self.size, self.most = tuple(words), rule, channels, size, most
        self.width = width * 2 ** (STAGES - 1)  # of the features
        self.features = trunk(channels, width, 2 if size >= LARGE else 1)
        self.answers = nn.ModuleList(nn.Linear(self.width, len(values)) for values in self.attributes.values())
        self.picture = nn.Linear(self.width, dim)
        self.text = TextTransformer(len(self.words) + 2, dim, LAYERS, HEADS, most)
        self.caption = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor, ids: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
        """Logits (B, values) of each attribute, unit vectors (B, dim) of the pictures, and (N, dim) of the captions."""
        _, answers, pictures = self.look(x)
        return answers, pictures, self.read(ids)

    def look(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor]:
        """Of pictures: features (B, F), at least 0, from which all else is read; logits; unit vectors (B, dim)."""
        seen = self.features(x).mean((2, 3))
        return seen, [answer(seen) for answer in self.answers], F.normalize(self.picture(seen).float(), dim=1)

    def read(self, ids: torch.Tensor) -> torch.Tensor:
        """Unit vectors (N, dim) of captions, ids (N, T)."""
        return F.normalize(self.caption(self.text(ids).sentence).float(), dim=1)

    def get_extra_state(self) -> torch.Tensor:
        lines = ["\t".join((name, *values)) for name, values in self.attributes.items()]
        text = "\n".join((f"{self.size} {self.rule}".strip(), str(len(lines)), *lines, *self.words))
        return torch.tensor(list(text.encode()), dtype=torch.uint8)

    def set_extra_state(self, state: torch.Tensor) -> None:
        if not torch.equal(state.cpu(), self.get_extra_state()):
            size, attributes, words, _ = meaning(state)
            raise ValueError(
                f"a judge of {', '.join(attributes) or 'captions'} at {size} pixels with {len(words)} words, not of "
                f"{', '.join(self.attributes) or 'captions'} at {self.size} with {len(self.words)}, or of other values"
            )


def matcher_of(state: Mapping[str, torch.Tensor]) -> CaptionMatcher:
    """The network whose weights these are, with them, in eval mode.

    Raises:
        ValueError: they are no such network's.
    """
    try:
        size, attributes, words, rule = meaning(state["_extra_state"])
        width, channels = state["features.0.weight"].shape[:2]
        most, dim = state["text.place"].shape
        network = built(lambda: CaptionMatcher(attributes, words, channels, size, width, dim, most, rule), state)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ValueError(f"no weights of a judge of captions ({str(error).splitlines()[0]})") from None
    return network.eval()


def meaning(state: torch.Tensor) -> tuple[int, dict[str, list[str]], list[str], str]:
    """Size, attributes, words and their rule of an extra state."""
    first, count, *lines = bytes(state.flatten().tolist()).decode().split("\n")
    attributes = [line.split("\t") for line in lines[: int(count)]]
    size, _, rule = first.partition(" ")
    return int(size), {name: values for name, *values in attributes}, lines[int(count) :], rule
