"""A compact classifier of small images, which says in its own weight file what its answers mean."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

STAGES = 4  # halvings of the image, whatever its size; 64 pixels become 4


class GlyphJudge(nn.Module):
    """Image (B, C, H, W) in [-1, 1] to logits (B, len(classes)); H and W are at least 32.

    A strided convolution halves the image four times; on all scales but the first a residual block follows. Batch
    norm throughout, the mean over places at the end (He et al., 2016, made small: 71 million multiplications for 64
    pixels and 32 channels).

    What the classes are is kept as an extra state, text in bytes: an integer buffer would come damaged out of a
    moving average, which computes in float32 and rounds down.

    Args:
        kind: what it tells apart, ``character``, ``style`` or ``label``.
        classes: the name of each answer: code points in decimal, or names of styles or classes, without line breaks.
        channels: C.
        size: height and width it is trained with, in pixels.
        width: channels after the first convolution; the last has eight times as many.
    """

    def __init__(self, kind: str, classes: Sequence[str], channels: int = 1, size: int = 64, width: int = 32):
        super().__init__()
        self.kind, self.classes, self.channels, self.size = kind, tuple(classes), channels, size
        self.features = trunk(channels, width)
        self.answer = nn.Linear(width * 2 ** (STAGES - 1), len(self.classes))
        self.class_axes = {"answer.weight": (0, 0), "answer.bias": (0, 0)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.answer(self.embed(x))

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """What the answer is read from: (B, 8 * width), at least 0."""
        return self.features(x).mean((2, 3))

    def get_extra_state(self) -> torch.Tensor:
        text = "\n".join((self.kind, str(self.size), *self.classes))
        return torch.tensor(list(text.encode()), dtype=torch.uint8)

    def set_extra_state(self, state: torch.Tensor) -> None:
        if not torch.equal(state.cpu(), self.get_extra_state()):
            kind, size, *classes = words(state)
            raise ValueError(
                f"a judge of {len(classes)} {kind}s at {size} pixels, not of these {len(self.classes)} {self.kind}s "
                f"at {self.size}"
            )


def judge_of(state: Mapping[str, torch.Tensor]) -> GlyphJudge:
    """The judge whose weights these are, with them, in eval mode.

    Raises:
        ValueError: they are no judge's.
    """
    try:
        kind, size, *classes = words(state["_extra_state"])
        width, channels = state["features.0.weight"].shape[:2]
        judge = built(lambda: GlyphJudge(kind, classes, channels, int(size), width), state)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ValueError(f"no weights of a judge ({str(error).splitlines()[0]})") from None
    return judge.eval()


def built(make: Callable[[], Any], state: Mapping[str, torch.Tensor]) -> Any:
    """The network that ``make`` builds, with these weights: first without memory, since a file may belie its sizes."""
    with torch.device("meta"):
        wanted = make().state_dict()
    for key, value in wanted.items():
        if key in state and not key.endswith("_extra_state") and state[key].shape != value.shape:
            raise ValueError(f"{key} is {tuple(state[key].shape)} instead of {tuple(value.shape)}")
    network = make()
    network.load_state_dict(state)
    return network


def words(state: torch.Tensor) -> list[str]:
    return bytes(state.flatten().tolist()).decode().split("\n")


def trunk(channels: int, width: int, stride: int = 2) -> nn.Sequential:
    """Images (B, channels, H, W) to features (B, 8 * width, ...) of their places; the first layer has ``stride``."""
    layers: list[nn.Module] = [*convolution(channels, width, stride)]
    for stage in range(1, STAGES):
        c = width * 2**stage
        layers += [*convolution(c // 2, c, 2), Residual(c)]
    return nn.Sequential(*layers)


def convolution(channels: int, out: int, stride: int = 1) -> tuple[nn.Module, nn.Module, nn.Module]:
    conv = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
    return conv, nn.BatchNorm2d(out), nn.ReLU(inplace=True)


class Residual(nn.Module):
    """relu(x + norm(conv(relu(norm(conv(x))))))."""

    def __init__(self, channels: int):
        super().__init__()
        self.block = nn.Sequential(*convolution(channels, channels), *convolution(channels, channels)[:2])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.block(x))
