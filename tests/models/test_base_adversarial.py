"""What methods with a discriminator share: spectral norm, penalties, and the discriminator's learning rate."""

import pytest
import torch
from torch import nn

import train as train_script
from models import MODELS
from models.base_adversarial import AdversarialModel
from options import UserError
from tests.conftest import SMALL, small_argv, train_options
from util.training.engine import Engine, only_trainable

CRITIC = ("--gan_mode", "wgangp")


class Linear(nn.Module):
    """A discriminator whose gradient is its weight, at every image."""

    def __init__(self, size):
        super().__init__()
        self.layer = nn.Linear(size, 1, bias=False)

    def forward(self, x):
        return self.layer(x.flatten(1))


class Judge(AdversarialModel):
    """Nothing but a linear discriminator with the given weight (C, H, W)."""

    def __init__(self, opt, weight):
        super().__init__(opt)
        self.netD = self.finish_D(Linear(weight.numel()))
        (self.matrix,) = self.netD.parameters()  # what is learnt; with --sn_D not what images are multiplied with
        with torch.no_grad():
            self.matrix.copy_(weight.flatten()[None])
        self.add_optimizer("D", self.netD)
        self.add_optimizer("G", nn.Linear(1, 1))


def judge(*argv, weight=None):
    torch.manual_seed(0)
    return Judge(train_options(*argv), torch.randn(2, 3, 3) if weight is None else weight)


def images(B=4, C=2):
    return torch.randn(B, C, 3, 3), torch.randn(B, C, 3, 3)


# -- penalties -------------------------------------------------------------------------------------


def test_r1_of_a_linear_discriminator_is_its_squared_weight():
    model = judge("--lambda_r1", "6")
    losses = model.real_or_fake(model.netD, *images())
    assert list(losses) == ["D_real", "D_fake", "D_r1"]
    assert losses["D_r1"].item() == pytest.approx(6 / 2 * model.matrix.square().sum().item())


def test_the_gradient_penalty_of_a_linear_discriminator_is_its_distance_from_length_one():
    model = judge(*CRITIC, "--lambda_gp", "7")
    losses = model.real_or_fake(model.netD, *images())
    assert list(losses) == ["D_real", "D_fake", "D_gp"]
    assert losses["D_gp"].item() == pytest.approx(7 * (model.matrix.norm().item() - 1) ** 2)


def test_without_weights_there_are_no_penalties():
    assert list(judge().real_or_fake(judge().netD, *images())) == ["D_real", "D_fake"]
    model = judge(*CRITIC, "--lambda_gp", "0")
    assert list(model.real_or_fake(model.netD, *images())) == ["D_real", "D_fake"]


def test_under_spectral_norm_a_linear_discriminator_has_length_one_and_no_gradient_penalty():
    model = judge("--sn_D", *CRITIC, "--lambda_r1", "6")
    for _ in range(3):
        losses = model.real_or_fake(model.netD, *images())
    assert losses["D_gp"].item() == pytest.approx(0, abs=1e-9)
    assert losses["D_r1"].item() == pytest.approx(3, rel=1e-5)


def test_a_score_of_pairs_is_penalised_for_the_generated_half_alone():
    """D sees (A, B); the penalties are of B, which no gradient connects with A or with A's half of the weight."""
    model = judge(*CRITIC, "--lambda_r1", "2", weight=torch.randn(4, 3, 3))
    A, (B, fake) = torch.randn(4, 2, 3, 3, requires_grad=True), images()
    fake.requires_grad_()
    losses = model.penalties("D", model.netD, B, fake, lambda b: model.netD(torch.cat([A, b], 1)))
    half = model.matrix.detach().view(4, 3, 3)[2:]
    assert losses["D_r1"].item() == pytest.approx(half.square().sum().item())
    assert losses["D_gp"].item() == pytest.approx(10 * (half.norm().item() - 1) ** 2)
    (losses["D_r1"] + losses["D_gp"]).backward()
    gradient = model.matrix.grad.view(4, 3, 3)
    assert not gradient[:2].any() and gradient[2:].all()
    assert A.grad is None or not A.grad.any()
    assert fake.grad is None


def test_a_score_is_what_is_judged():
    model = judge()
    real, fake = images()
    losses = model.real_or_fake(model.netD, real, fake, lambda x: x.mean((1, 2, 3)))
    assert losses["D_real"].item() == pytest.approx(0.5 * (real.mean((1, 2, 3)) - 1).square().mean().item())
    assert losses["D_fake"].item() == pytest.approx(0.5 * fake.mean((1, 2, 3)).square().mean().item())
    assert model.fool(model.netD, fake, lambda x: x.mean((1, 2, 3))).item() == pytest.approx(
        (fake.mean((1, 2, 3)) - 1).square().mean().item()
    )


@pytest.mark.slow
def test_a_score_goes_around_the_compiler_in_a_penalty():
    """Compiled networks have no second derivative, so a score that calls one runs it as it was written."""
    model, calls = judge("--compile", *CRITIC, "--lambda_r1", "2"), []
    model.netD.compile(backend=lambda graph, _: lambda *given: calls.append(1) or graph(*given))
    losses = model.real_or_fake(model.netD, *images(), lambda x: model.netD(x))
    assert len(calls) == 2  # for real and fake
    assert losses["D_r1"].item() == pytest.approx(model.matrix.square().sum().item())
    model.fool(model.netD, images()[0])
    assert len(calls) == 3


@pytest.mark.slow
@pytest.mark.parametrize("argv", [(*CRITIC,), ("--lambda_r1", "1")], ids=" ".join)
def test_a_penalty_needs_images_that_do_not_mix(argv):
    opt = train_options("--normD", "batch", *argv)
    with pytest.raises(UserError, match=f"^{argv[0]} .* with --normD batch: .*use --normD instance or none"):
        MODELS.find("cut")(opt)
    MODELS.find("cut")(train_options("--normD", "batch", *CRITIC, "--lambda_gp", "0"))


# -- spectral norm ---------------------------------------------------------------------------------


def bounded(model):
    """The largest singular value of each layer of each discriminator."""
    values = []
    for name, network in model.networks.items():
        network.eval()
        for layer in network.modules() if name.startswith("D") else ():
            if hasattr(layer, "parametrizations"):
                matrix = getattr(layer, "scale", 1.0) * layer.weight.detach().flatten(1)
                values.append(torch.linalg.matrix_norm(matrix, 2).item())
        network.train()
    return values


@pytest.mark.parametrize(
    "argv,norm",
    [
        ((), "instance"),
        (("--sn_D",), "none"),
        (("--sn_D", "false"), "instance"),
        (("--sn_D", "--normD", "batch"), "batch"),
    ],
    ids=str,
)
def test_spectral_norm_replaces_the_usual_norm(argv, norm):
    assert train_options(*argv).normD == norm


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_a_norm_beside_spectral_norm_is_said_once(norm, capsys):
    opt = train_options("--model", "dcl", "--sn_D", "--normD", norm, *SMALL)
    model = MODELS.find("dcl")(opt)  # of two discriminators
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith(f"--sn_D with --normD {norm}: ")
    assert bounded(model)


def test_spectral_norm_alone_says_nothing(capsys):
    MODELS.find("cut")(train_options("--sn_D", *SMALL))
    assert capsys.readouterr().err == ""


STABLE = (
    *("--sn_D", "--lambda_r1", 1, "--lr_D", 1e-3, *CRITIC),
    *("--optimizer", "adamw", "--weight_decay", 0.01, "--lr_policy", "cosine"),
)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["cut", "fastcut", "cycle_gan", "dcl", "simdcl", "sincut", "template"])
def test_every_method_trains_with_every_stabiliser(name, precision):
    heads = {"--netF_nc", "--num_patches"} if name in ("cycle_gan", "template") else set()
    flags = [w for i in range(0, len(SMALL), 2) if SMALL[i] not in heads for w in SMALL[i : i + 2]]
    opt = train_options("--model", name, *flags, *STABLE, "--precision", precision, "--batch_size", 2)
    engine = Engine(opt)
    model = engine.prepare(MODELS.find(name)(opt))
    before = [p.detach().clone() for p in model.parameters() if p.ndim > 1]
    for _ in range(3):
        with engine.step(model):
            A, B = (engine.place(torch.rand(2, c, 32, 32) * 2 - 1) for c in (opt.input_nc, opt.output_nc))
            model.set_input({"A": A, "B": B, "A_paths": ["a", "a"], "B_paths": ["b", "b"]})
            model.optimize_parameters()
    losses = model.get_current_losses()
    assert {key[-3:] for key in losses} >= {"_gp", "_r1"} and engine.finite
    assert all(
        not torch.equal(a, b) for a, b in zip(before, [p for p in model.parameters() if p.ndim > 1], strict=True)
    )
    assert {t.dtype for n, t in model.named_buffers() if n.endswith(("._u", "._v"))} == {torch.float32}
    assert bounded(model) and bounded(model) == pytest.approx([1] * len(bounded(model)), abs=0.1)


def test_a_step_of_the_generator_leaves_a_bounded_discriminator_alone():
    opt = train_options("--sn_D", *SMALL)
    model = MODELS.find("cut")(opt)
    with only_trainable(model, list(model.netG.parameters())):
        image = torch.randn(1, 3, 32, 32, requires_grad=True)
        model.fool(model.netD, image).backward()
    assert image.grad.any() and all(p.grad is None for p in model.netD.parameters())


@pytest.mark.slow
def test_a_run_with_every_stabiliser_is_continued_to_the_same_bits(dataroot, tmp_path):
    """The vectors of power iteration are part of a checkpoint."""
    argv = (*STABLE, "--n_epochs_decay", 0, "--n_epochs")
    for folder, epochs in ((tmp_path / "whole", 2), (tmp_path / "parts", 1)):
        assert train_script.main(small_argv(dataroot, folder, *argv, epochs, "--lr_policy", "step")) == 0
    assert train_script.main(small_argv(dataroot, tmp_path / "parts", "--continue_train", "--n_epochs", 2)) == 0
    one, other = (
        torch.load(tmp_path / f / "checkpoints/run/latest_state.pt", weights_only=True) for f in ("whole", "parts")
    )
    names = [name for name in one["model"] if name.endswith("._u")]
    assert names and all(torch.equal(value, other["model"][name]) for name, value in one["model"].items())
    for name, optimizer in one["optimizers"].items():
        for i, moments in optimizer["state"].items():
            assert all(torch.equal(v, other["optimizers"][name]["state"][i][k]) for k, v in moments.items())


# -- the discriminator's learning rate -------------------------------------------------------------


@pytest.mark.parametrize("argv,D", [((), 2e-4), (("--lr_D", "4e-4"), 4e-4), (("--lr_D", "none"), 2e-4)])
def test_discriminators_may_have_a_learning_rate_of_their_own(argv, D):
    optimizers = judge(*argv).optimizers
    assert [optimizers[name].param_groups[0]["initial_lr"] for name in "DG"] == [D, 2e-4]
