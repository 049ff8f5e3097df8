"""A trained classifier of torchvision, frozen: what it makes of an image is compared in place of pixels."""

from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision

from networks.frozen import Frozen
from networks.vgg import DEVIATION, MEAN
from options import UserError, nearest
from util.files import sha256
from util.reading.weights import NETWORK, STATE, check_finite, read_tensors

SIZE = 224  # pixels a side, what classifiers of ImageNet are trained with


class FrozenNetwork(Frozen):
    """Images (B, 1 or 3, H, W) in [-1, 1] to the network's logits (B, classes); a gradient goes through.

    They are scaled to 224 pixels and put in [0, 1], as XMC-GAN's code does, and then ``normalised`` as the network was
    trained, which that code leaves out. What it consists of is in no state dict: it is in its file.

    Args:
        name: a classifier that torchvision has, such as resnet50.
        weights: its weights, a file of tensors that ``torch.save`` or torchvision wrote.

    Raises:
        UserError: no such network, or a file that does not hold its weights.
    """

    def __init__(self, name: str, weights: str, normalised: bool = False):
        known = torchvision.models.list_models(module=torchvision.models)
        if name not in known:
            raise UserError(f"--frozen_network {name}: torchvision has no such classifier{nearest(name, known)}")
        flag = f"--frozen_weights {weights}"
        path = Path(weights)
        if not path.is_file():
            raise UserError(f"{flag}: no such file; give the weights of torchvision's {name}")
        try:
            state = read_tensors(path, STATE, NETWORK)
            classes = [value for value in state.values() if value.ndim == 1][-1].numel()
            network = torchvision.models.get_model(name, weights=None, num_classes=classes)
            network.load_state_dict(state)
        except Exception as error:  # torch has many for a file that is damaged or of another kind
            raise UserError(f"{flag}: not weights of torchvision's {name} ({str(error).splitlines()[0]})") from None
        check_finite(state, flag)
        super().__init__(network)
        self.name, self.digest = name, sha256(path)
        mean, deviation = (MEAN, DEVIATION) if normalised else ((0.0,) * 3, (1.0,) * 3)
        self.mean: torch.Tensor
        self.deviation: torch.Tensor
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = F.interpolate(images.float().expand(-1, 3, -1, -1), (SIZE, SIZE), mode="bilinear", antialias=True)
        return self.network(((images + 1) / 2 - self.mean) / self.deviation)
