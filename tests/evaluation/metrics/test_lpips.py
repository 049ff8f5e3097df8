"""LPIPS with a backbone of random weights: against its formula, and what is no backbone."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torchmetrics.functional.image.lpips as library
from torchvision.models import alexnet

from evaluation.metrics import METRICS
from options import UserError
from util.files import sha256

SLICES = (1, 4, 7, 9, 11)  # torchvision's numbers of AlexNet's five rectified convolutions


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The features alone; a whole AlexNet has 200 MB more, of layers that are not asked."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = alexnet(weights=None).features
    path = tmp_path_factory.mktemp("lpips") / "alexnet.pth"
    torch.save({f"features.{name}": tensor for name, tensor in network.state_dict().items()}, path)
    return path


def images(seed, channels=3, size=64):
    return torch.rand(3, channels, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def by_formula(real, fake, path):
    """Equation 1 of Zhang et al., with the shift and scale that its code applies first."""
    features = alexnet(weights=None).features.eval()
    features.load_state_dict({name.partition(".")[2]: x for name, x in torch.load(path).items()})
    heads = torch.load(Path(library.__file__).with_name("lpips_models") / "alex.pth", map_location="cpu")
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    x, y = ((image - shift[:, None, None]) / scale[:, None, None] for image in (real, fake))
    total = torch.zeros(len(x))
    for number, layer in enumerate(features):
        with torch.no_grad():
            x, y = layer(x), layer(y)
        if number in SLICES:
            unit = [z / (z.square().sum(1, keepdim=True) + 1e-8).sqrt() for z in (x, y)]
            weight = heads[f"lin{SLICES.index(number)}.model.1.weight"]
            total += ((unit[0] - unit[1]).square() * weight).sum(1).mean((1, 2))
    return total.mean().item()


def metric(path):
    return METRICS.find("lpips")(SimpleNamespace(lpips_weights=str(path)))


@pytest.mark.slow
def test_lpips_is_its_formula_and_0_of_equal_images(weights):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    lpips, real, fake = metric(weights), images(1), images(2)
    for part in (slice(0, 2), slice(2, 3)):
        lpips.update(real[part], fake[part])
    assert torch.get_rng_state().equal(state)
    assert lpips.compute()["LPIPS"] == pytest.approx(by_formula(real, fake, weights), rel=1e-4)
    same = metric(weights)
    same.update(real, real.clone())
    assert same.compute()["LPIPS"] == 0
    assert same.network is lpips.network  # read once


def test_grey_images_count_as_three_equal_channels(weights):
    one, three = metric(weights), metric(weights)
    one.update(images(1, 1), images(2, 1))
    three.update(images(1, 1).expand(-1, 3, -1, -1), images(2, 1).expand(-1, 3, -1, -1))
    assert one.compute() == three.compute()


def test_other_weights_than_torchvision_s_are_told(weights):
    lpips = metric(weights)
    (line,) = lpips.remarks()
    assert sha256(weights)[:12] in line and "not comparable" in line
    lpips.digest = "7be5be791159472b1fbf8c2b3d3d6b2c"  # begins as the name of torchvision's file says
    assert lpips.remarks() == []


def test_what_is_no_backbone_is_refused(weights, tmp_path):
    with pytest.raises(UserError, match=r"--lpips_weights alexnet-owt-7be5be79.pth, of torchvision; nothing is down"):
        METRICS.find("lpips")(SimpleNamespace(lpips_weights=None))
    with pytest.raises(UserError, match=r"absent\.pth: cannot be read as weights.*: No such file"):
        metric(tmp_path / "absent.pth")
    (tmp_path / "broken.pth").write_bytes(weights.read_bytes()[:500])
    with pytest.raises(UserError, match=r"broken\.pth: cannot be read as weights, give torchvision's alexnet-owt"):
        metric(tmp_path / "broken.pth")
    torch.save(SimpleNamespace(), tmp_path / "pickle.pth")
    with pytest.raises(UserError, match=r"pickle\.pth: cannot be read as weights"):
        metric(tmp_path / "pickle.pth")
    torch.save({"features.0.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other\.pth: holds no AlexNet"):
        metric(tmp_path / "other.pth")
    with pytest.raises(UserError, match="16 x 16 pixels; AlexNet needs 31"):
        metric(weights).update(images(1, size=16), images(2, size=16))
    smallest = metric(weights)
    smallest.update(images(1, size=31), images(2, size=31))
    assert smallest.compute()["LPIPS"] > 0
