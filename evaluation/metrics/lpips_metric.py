"""How different two images look to a network."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from evaluation.metrics.base_metric import Facts
from evaluation.metrics.base_ratio import RatioMetric
from options import UserError
from util.cli import reason
from util.files import sha256
from util.reading.weights import NETWORK, STATE, check_finite, read_tensors

FILE = "alexnet-owt-7be5be79.pth"  # torchvision's weights of AlexNet; 7be5be79 begins their sha256
SMALLEST = 31  # pixels: AlexNet's features of less are empty


class LpipsMetric(RatioMetric):
    """LPIPS of AlexNet: 0 is equal, around 0.7 has little in common; the mean of the pairs.

    Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (CVPR 2018), version 0.1;
    torchmetrics has the network and its linear heads. The backbone is torchvision's file, which is read from
    ``--lpips_weights`` and never downloaded. Grey images count as three equal channels; no image is resized.

    Raises:
        UserError: there is no such file, or it holds no AlexNet.
    """

    name = "LPIPS"

    def __init__(self, opt: Any = None) -> None:
        super().__init__(opt)
        path = getattr(opt, "lpips_weights", None)
        if not path:
            raise UserError(f"--metrics lpips needs --lpips_weights {FILE}, of torchvision; nothing is downloaded")
        self.network, self.digest = load_lpips(Path(path).expanduser())

    def update(self, real: torch.Tensor, fake: torch.Tensor, facts: Facts | None = None) -> None:
        H, W = real.shape[2:]
        if min(H, W) < SMALLEST:
            raise UserError(f"--metrics lpips: images of {W} x {H} pixels; AlexNet needs {SMALLEST} at least")
        super().update(real, fake, facts)

    def parts(self, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = (images.float().expand(-1, 3, -1, -1) for images in (real, fake))
        with torch.no_grad(), torch.autocast(real.device.type, enabled=False):
            values = self.network.to(real.device)(x, y).flatten()
        return values, torch.ones_like(values)

    def remarks(self) -> list[str]:
        if self.digest.startswith(FILE[-12:-4]):
            return []
        return [f"LPIPS: weights are not torchvision's {FILE}; not comparable; their sha256 is {self.digest[:12]}..."]


@lru_cache(maxsize=1)
def load_lpips(path: Path) -> tuple[nn.Module, str]:
    """The network and the sha256 of its backbone's file; read once, for every style and floor has a metric."""
    from torchmetrics.functional.image.lpips import _LPIPS  # its public class downloads the backbone

    flag = f"--lpips_weights {path}"
    try:
        digest, tensors = sha256(path), read_tensors(path, STATE, NETWORK)
    except (OSError, UserError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise UserError(f"{flag}: cannot be read as weights, give torchvision's {FILE}: {why}") from None
    check_finite(tensors, flag)
    with torch.random.fork_rng(devices=[]):  # weights are drawn before they are loaded
        network = _LPIPS(net="alex", pnet_rand=True)
    own = network.net.state_dict()  # slice2.3.weight is torchvision's features.3.weight
    try:
        found = {name: tensors[f"features.{name.partition('.')[2]}"] for name in own}
        network.net.load_state_dict(found)
    except Exception as error:
        raise UserError(f"{flag}: holds no AlexNet, give torchvision's {FILE}: {reason(error)}") from error
    return network.eval(), digest
