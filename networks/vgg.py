"""The convolutions of VGG-16, for features of images at their own size (Simonyan and Zisserman, ICLR 2015)."""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import nn

CONVOLUTIONS = (2, 2, 3, 3, 3)  # of each block; the next begins at half the size and, but for the last, twice the width
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, by torchvision's reference transforms


class VGG16Features(nn.Module):
    """Images (B, 1 or 3, H, W) in [-1, 1] to what the ReLUs ``taps`` put out, (B, C_l, H_l, W_l) each.

    ReLUs are counted from 0, as F-LSeSim's code has it: 4 is relu3_1, 7 is relu4_1, 9 is relu4_3. Images are put in
    [0, 1] and normalised as ImageNet's, and stay as large as they are; one channel is taken for three.

    Args:
        state: weights of torchvision's vgg16, or of F-LSeSim's class; what is behind the convolutions is not looked at.

    Raises:
        ValueError: there is no such ReLU, or these are no weights of VGG-16.
    """

    channels = 3

    def __init__(self, state: Mapping[str, torch.Tensor], taps: Sequence[int]):
        super().__init__()
        count = sum(CONVOLUTIONS)
        if lacking := [tap for tap in taps if not 0 <= tap < count]:
            raise ValueError(f"VGG-16 has no ReLU {lacking[0]}; they count from 0 to {count - 1}")
        if len(set(taps)) < len(taps):
            raise ValueError(f"{', '.join(map(str, taps))}: name each ReLU once")
        self.taps = list(taps)
        found = {key: re.search(r"(?:^features|^relu\d_\d)\.(\d+)\.(weight|bias)$", key) for key in state}
        held = {(int(m[1]), m[2]): state[key] for key, m in found.items() if m}
        layers: list[nn.Module] = []
        channels = 3
        for block in CONVOLUTIONS:
            for _ in range(block):
                weight, bias = (held.get((len(layers), name)) for name in ("weight", "bias"))
                if weight is None or bias is None or weight.shape[1:] != (channels, 3, 3) or len(weight) != len(bias):
                    raise ValueError(f"no convolution of VGG-16 under features.{len(layers)}")
                conv = nn.Conv2d(channels, channels := len(weight), 3, padding=1)
                conv.load_state_dict({"weight": weight, "bias": bias})
                layers += [conv, nn.ReLU()]
            layers += [nn.MaxPool2d(2)]
        self.layers = nn.Sequential(*layers)
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1))

    mean: torch.Tensor
    deviation: torch.Tensor

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        x = ((images.expand(-1, 3, -1, -1) + 1) / 2 - self.mean) / self.deviation
        features, count = {}, -1
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                count += 1
                features[count] = x
                if count >= max(self.taps):
                    break
        return [features[tap] for tap in self.taps]
