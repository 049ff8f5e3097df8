"""A frozen classifier: what it is given, that it stays as it is, and what is refused as its weights."""

import pytest
import torch
import torch.nn.functional as F
import torchvision

from models.captions.frozen_network import FrozenNetwork
from models.losses import cosine_scores, matching_loss
from options import UserError
from tests.models.test_xmcgan import batch, prepared, take, terms
from util.attributes import holds

NAME = "squeezenet1_1"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Random weights for five classes."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("frozen") / "weights.pth"
    torch.save(torchvision.models.get_model(NAME, weights=None, num_classes=5).state_dict(), path)
    return str(path)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("normalised", [False, True])
def test_it_sees_images_of_224_pixels_from_0_to_1(file, normalised, channels):
    frozen, images = FrozenNetwork(NAME, file, normalised), torch.rand(2, channels, 32, 32) * 2 - 1
    seen = []
    plain = torchvision.models.get_model(NAME, weights=None, num_classes=5).eval()
    plain.load_state_dict(torch.load(file, weights_only=True))
    frozen.network.register_forward_hook(lambda m, args, out: seen.append(args[0]))
    logits = frozen(images)
    scaled = (F.interpolate(images, (224, 224), mode="bilinear", antialias=True).expand(-1, 3, -1, -1) + 1) / 2
    assert scaled.min() >= 0 and scaled.max() <= 1
    if normalised:  # of ImageNet, as torchvision's transforms have it
        kept = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.transforms()
        scaled = torchvision.transforms.functional.normalize(scaled, kept.mean, kept.std)
    torch.testing.assert_close(seen[0], scaled, rtol=1e-5, atol=1e-5)
    assert logits.shape == (2, 5) and torch.equal(frozen.train()(images), logits)  # no dropout ever
    torch.testing.assert_close(logits, plain(scaled), rtol=1e-4, atol=1e-5)


def test_a_gradient_goes_through_and_none_stays(file):
    frozen, images = FrozenNetwork(NAME, file), torch.rand(2, 1, 32, 32).requires_grad_()
    frozen(images).square().sum().backward()
    assert images.grad.any() and images.grad.isfinite().all()
    assert all(p.grad is None and not p.requires_grad for p in frozen.network.parameters())


@pytest.mark.slow
def test_its_contrast_reaches_the_generator_and_leaves_it_as_it_is(file):
    model, engine = prepared("--frozen_network", NAME, "--frozen_weights", file, "--lambda_frozen", 2, "--tau", 0.2)
    start = {name: x.clone() for name, x in model.frozen.network.state_dict().items()}
    items = batch(kinds=[0, 3, 4, 0, 1, 5, 2, 2], short=(1, 5))
    losses = terms(model, items)
    scores = cosine_scores(model.frozen(model.fake), model.frozen(model.real), 0.2)
    expected = 2 * matching_loss(scores, holds(items["said"], items["shown"]))
    assert losses["G_frozen"].item() == pytest.approx(expected.item(), rel=1e-5)
    gradients = torch.autograd.grad(losses["G_frozen"], list(model.netG.parameters()), allow_unused=True)
    assert sum(g.abs().sum().item() for g in gradients if g is not None) > 0
    take(model, engine, 0)
    assert "G_frozen" in model.losses and model.losses["G_frozen"] > 0
    assert model.loss_levels["G_frozen"]["chance"] == pytest.approx(2 * model.loss_levels["G_img"]["chance"])
    assert all(torch.equal(x, start[name]) for name, x in model.frozen.network.state_dict().items())


@pytest.mark.slow
def test_reals_are_constants_in_its_contrast(file):
    model, _ = prepared("--frozen_network", NAME, "--frozen_weights", file)
    items = batch()
    items["image"].requires_grad_()
    losses = terms(model, items)
    assert torch.autograd.grad(losses["G_frozen"], items["image"], allow_unused=True) == (None,)


def test_it_is_not_written_with_the_model(file):
    """Its file stays where it is; a checkpoint has what was learnt."""
    model, _ = prepared("--frozen_network", NAME, "--frozen_weights", file)
    assert not [name for name in model.state_dict() if "frozen" in name]
    assert "frozen" not in model.networks
    model.double()
    assert {p.dtype for p in model.frozen.network.parameters()} == {torch.float64}  # it goes where the model goes


def test_without_weights_or_with_a_weight_of_nought_there_is_none(file):
    assert prepared()[0].frozen is None
    model, _ = prepared("--frozen_weights", file, "--frozen_network", NAME, "--lambda_frozen", 0, steps=1)
    assert model.frozen is None and not {"G_frozen"} & (set(model.losses) | set(model.loss_levels))


def refused(name, weights):
    with pytest.raises(UserError) as error:
        FrozenNetwork(name, str(weights))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_wrong_name_is_told_what_is_like_it(file):
    assert "--frozen_network squeezenet1_2" in (said := refused("squeezenet1_2", file))
    assert "squeezenet1_1" in said or "squeezenet1_0" in said


def test_a_file_that_is_not_its_weights_is_named(file, tmp_path):
    assert f"--frozen_weights {tmp_path}/none.pth: no such file" in refused(NAME, tmp_path / "none.pth")
    text = tmp_path / "text.pth"
    text.write_text("not weights")
    assert f"--frozen_weights {text}: not weights of torchvision's {NAME}" in refused(NAME, text)
    assert "not weights of torchvision's mobilenet_v3_small" in refused("mobilenet_v3_small", file)
    one = tmp_path / "number.pth"
    torch.save({"classifier.1.weight": torch.zeros(3, 3)}, one)
    assert f"not weights of torchvision's {NAME}" in refused(NAME, one)


class Trap:
    def __reduce__(self):
        return pytest.fail, ("the file was executed",)


def test_a_file_with_objects_is_refused_and_not_run(tmp_path):
    torch.save({"weights": Trap()}, tmp_path / "objects.pth")
    assert "objects.pth: not weights" in refused(NAME, tmp_path / "objects.pth")
