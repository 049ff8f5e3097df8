"""What surrounds a step: precision, freezing, accumulation, averages, learning rates, and stopping in time."""

import copy
import os

import pytest
import torch
from torch import nn

from models.base_model import BaseModel
from options import UserError
from tests.conftest import train_options, weights
from util.training import engine as engine_module
from util.training.engine import Engine, only_trainable
from util.training.schedule import Progress, learning_rate, lr_factor


class Line(BaseModel):
    """Two networks of one layer and two losses whose gradients can be done by hand."""

    def __init__(self, opt):
        super().__init__(opt)
        torch.manual_seed(0)
        self.netG, self.netD = nn.Linear(3, 3), nn.Linear(3, 1)
        self.add_optimizer("D", self.netD)
        self.add_optimizer("G", self.netG, lr=opt.lr * 2, betas=(0.0, 0.9))

    ema_names = ("G",)

    def set_input(self, batch):
        self.x = batch["x"]

    def forward(self):
        self.y = self.netG(self.x)

    def optimize_parameters(self):
        self.forward()
        self.update("D", lambda: {"D_real": self.netD(self.x).mean(), "D_fake": -self.netD(self.y.detach()).mean()})
        self.update("G", lambda: {"G_GAN": self.netD(self.y).square().mean()})


def build(*argv, model=Line):
    opt = train_options("--lr", "0.01", *argv)
    engine = Engine(opt)
    return engine.prepare(model(opt)), engine


def step(model, engine, x):
    with engine.step(model):
        model.set_input({"x": x})
        model.optimize_parameters()


def test_one_step_is_adam_by_hand():
    model, engine = build()
    reference, x = copy.deepcopy(model), torch.randn(5, 3)
    step(model, engine, x)
    D, G = (
        torch.optim.Adam(reference.netD.parameters(), 0.01, (0.5, 0.999)),
        torch.optim.Adam(reference.netG.parameters(), 0.02, (0.0, 0.9)),
    )
    y = reference.netG(x)
    (reference.netD(x).mean() - reference.netD(y.detach()).mean()).backward()
    D.step()
    reference.netD.zero_grad()
    reference.netD(y).square().mean().backward()  # against the D that has just stepped
    G.step()
    torch.testing.assert_close(weights(model), weights(reference))
    assert model.optimizers["G"].param_groups[0]["lr"] == 0.02


def test_only_the_optimizers_own_parameters_are_trained_and_all_are_released_afterwards():
    model, _ = build()
    with only_trainable(model, list(model.netG.parameters())):
        assert [p.requires_grad for p in model.parameters()] == [True, True, False, False]
    with pytest.raises(ZeroDivisionError), only_trainable(model, []):
        raise ZeroDivisionError
    assert all(p.requires_grad for p in model.parameters())


def test_accumulated_batches_make_the_discriminators_step_of_one_large_batch():
    x = torch.randn(6, 3)
    (whole, engine_1), (parts, engine_3) = build(), build("--accumulate", "3")
    step(whole, engine_1, x)
    for piece in x.split(2):
        step(parts, engine_3, piece)
    assert engine_3.progress.step == 1 and engine_3.progress.in_epoch == 3
    torch.testing.assert_close(whole.netD.weight, parts.netD.weight)


def test_an_incomplete_accumulation_ends_with_its_epoch():
    model, engine = build("--accumulate", "2")
    before = weights(model)
    step(model, engine, torch.randn(2, 3))
    engine.end_epoch(model)
    assert engine.micro == 0 and torch.equal(weights(model), before) and model.netG.weight.grad is None


@pytest.mark.parametrize("decay", [0.25, 0.9])
def test_averages_follow_the_formula(decay):
    model, engine = build("--ema_decay", str(decay))
    average, expected = engine.averages["G"].module, torch.zeros(3, 3)
    for n in range(6):
        step(model, engine, torch.randn(2, 3))
        d = min(decay, (1 + n) / (10 + n)) if n else 0.0  # the first update copies
        expected = d * expected + (1 - d) * model.netG.weight.detach()
        torch.testing.assert_close(average.weight, expected)


def test_averages_reach_the_decay_that_was_asked_for():
    average, tensor, follow = torch.zeros(1), torch.ones(1), engine_module.moving_average(0.99)
    for n, expected in ((889, 9 / 899), (890, 0.01), (10**6, 0.01)):
        follow([average.zero_()], [tensor], torch.tensor(n))
        assert average.item() == pytest.approx(expected, rel=1e-5)


def test_a_short_runs_average_is_not_of_the_network_it_began_with():
    model, engine = build("--ema_decay", "0.999")
    for value in range(1, 101):
        with engine.step(model):
            torch.nn.init.constant_(model.netG.weight, value)
            engine.stepped.add("G")
    assert 85 < engine.averages["G"].module.weight[0, 0] < 95  # without a warm-up 5.7


def test_whole_numbers_among_the_buffers_are_copied_and_others_averaged():
    class Normed(Line):
        def __init__(self, opt):
            super().__init__(opt)
            self.netG = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
            self.netG.register_buffer("seen", torch.zeros(2, dtype=torch.bool))
            self.optimizers.clear()
            self.add_optimizer("D", self.netD)
            self.add_optimizer("G", self.netG)

    model, engine = build("--ema_decay", "0.9", model=Normed)
    average = engine.averages["G"].module
    step(model, engine, torch.randn(4, 3))
    mean = model.netG[1].running_mean.clone()
    model.netG.seen[1] = True
    step(model, engine, torch.randn(4, 3))
    assert average[1].num_batches_tracked == 2 and average.seen.tolist() == [False, True]
    torch.testing.assert_close(average[1].running_mean, mean * 2 / 11 + model.netG[1].running_mean * 9 / 11)


class Precise(Line):
    def optimize_parameters(self):
        self.forward()
        self.seen = self.y.dtype
        self.update("D", lambda: {"D": self.netD(self.x).float().mean()})
        # the second use of netD in this region must see the weights that were just stepped
        self.after = self.netD(self.x).float().mean()
        self.update("G", lambda: {"G": self.y.float().mean()})


@pytest.mark.parametrize(
    "precision,dtype", [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_networks_compute_in_the_precision_that_was_asked_for(precision, dtype):
    model, engine = build("--precision", precision, "--lr", "0.5", model=Precise)
    step(model, engine, x := torch.randn(4, 3))
    assert model.seen == dtype and engine.finite
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert model.after.item() == pytest.approx(model.netD(x).mean().item(), abs=0.02)


def test_every_n_steps():
    _, engine = build()
    fired = []
    for engine.progress.step in range(7):
        fired.append(engine.every(3))
    assert fired == [False, False, True, False, False, True, False]


@pytest.mark.parametrize("batch_size,accumulate", [(1, 1), (3, 1), (3, 2)])
def test_a_frequency_in_images_fires_once_for_each_multiple(batch_size, accumulate):
    model, engine = build("--batch_size", str(batch_size), "--accumulate", str(accumulate))
    fired = 0
    for _ in range(60 // batch_size):
        step(model, engine, torch.randn(batch_size, 3))
        fired += engine.due(10)
    assert fired == 6


def factors(epochs, *argv):
    opt = train_options(*argv)
    return [round(lr_factor(opt, Progress(epoch=e)), 6) for e in range(epochs)]


def test_learning_rates():
    assert factors(6, "--n_epochs", "3", "--n_epochs_decay", "3") == [1, 1, 1, 0.75, 0.5, 0.25]
    assert factors(5, "--lr_policy", "step", "--lr_decay_iters", "2") == [1, 1, 0.1, 0.1, 0.01]
    cosine = factors(4, "--lr_policy", "cosine", "--n_epochs", "2", "--n_epochs_decay", "2")
    assert cosine == sorted(cosine, reverse=True) and cosine[0] == 1 and cosine[2] == 0.5  # it never climbs back


def rates(epochs, *argv, initial=1e-3):
    opt = train_options("--lr", "1e-3", "--n_epochs", "40", "--n_epochs_decay", "0", *argv)
    return [learning_rate(opt, Progress(epoch=e), initial) for e in epochs]


def test_published_schedules_of_zi2zi_can_be_said():
    halved = ("--lr_policy", "step", "--lr_decay_iters", "20", "--lr_gamma", "0.5", "--lr_min", "2e-4")
    assert rates([0, 19, 20, 40, 60, 200], *halved) == pytest.approx([1e-3, 1e-3, 5e-4, 2.5e-4, 2e-4, 2e-4])
    shrunk = ("--lr_policy", "step", "--lr_decay_iters", "1", "--lr_gamma", "0.99", "--lr_min", "1.5e-4")
    assert rates([0, 1, 2, 100, 500], *shrunk) == pytest.approx([1e-3, 9.9e-4, 9.801e-4, 1e-3 * 0.99**100, 1.5e-4])


def test_the_cosine_ends_at_the_least_learning_rate():
    assert rates([0, 20, 40], "--lr_policy", "cosine", "--lr_min", "1e-4") == pytest.approx([1e-3, 5.5e-4, 1e-4])
    assert rates([0, 20, 40], "--lr_policy", "cosine") == pytest.approx([1e-3, 5e-4, 0])


@pytest.mark.parametrize("policy", ["linear", "step", "plateau", "cosine"])
def test_no_learning_rate_falls_below_the_least(policy):
    """It is an absolute number; a group that began lower never learns faster than it began."""
    watched = ["--plateau_metric", "G"] if policy == "plateau" else []
    opt = train_options("--lr_policy", policy, *watched, "--lr", "1e-3", "--lr_min", "1e-4")
    late = Progress(epoch=399, plateau=1e-6)
    assert learning_rate(opt, late, 1e-3) == pytest.approx(1e-4, rel=1e-3)
    assert learning_rate(opt, late, 4e-3) == pytest.approx(1e-4, rel=1e-3)
    assert learning_rate(opt, late, 5e-5) == pytest.approx(5e-5)


def test_the_learning_rate_rises_in_the_first_epochs():
    epochs = ("--n_epochs", "10", "--n_epochs_decay", "10", "--warmup_epochs", "4")
    assert rates([0, 1, 3, 4, 10], *epochs) == pytest.approx([2.5e-4, 5e-4, 1e-3, 1e-3, 1e-3 * 10 / 11])
    assert rates([0, 3], *epochs, "--lr_min", "3e-4") == pytest.approx([3e-4, 1e-3])
    with pytest.raises(UserError, match="--warmup_epochs 21"):
        train_options(*epochs[:4], "--warmup_epochs", "21")


def test_every_group_has_the_least_learning_rate():
    model, engine = build("--lr_policy", "step", "--lr_min", "0.004", "--lr_decay_iters", "1")
    engine.progress.epoch = 1
    step(model, engine, torch.randn(2, 3))
    assert [model.optimizers[name].param_groups[0]["lr"] for name in "DG"] == pytest.approx([0.004, 0.004])
    engine.progress.epoch = 0
    step(model, engine, torch.randn(2, 3))
    assert [model.optimizers[name].param_groups[0]["lr"] for name in "DG"] == [0.01, 0.02]


def test_plateau_cuts_when_the_loss_stands_still():
    progress = Progress()
    for value in [5.0, 4.0, *[3.999] * 5]:
        progress.watch(value)
    assert progress.plateau == 1
    progress.watch(3.999)
    assert progress.plateau == pytest.approx(0.2)
    model, engine = build("--lr_policy", "plateau", "--plateau_metric", "G_GAN")
    for _ in range(3):
        step(model, engine, torch.randn(2, 3))
    engine.end_epoch(model)
    assert engine.progress.best < float("inf") and engine.sums == {}
    model, engine = build("--lr_policy", "plateau", "--plateau_metric", "FID")
    with pytest.raises(UserError, match="--plateau_metric FID: this model logs D_real, D_fake, D, G_GAN, G"):
        step(model, engine, torch.randn(2, 3))


def test_a_plateau_of_a_loss_that_never_came_is_refused_at_the_end_of_the_epoch():
    """A network that has not stepped yet may still bring the loss; until then nothing is said."""
    model, engine = build("--lr_policy", "plateau", "--plateau_metric", "FID")
    with engine.step(model):
        model.set_input({"x": torch.randn(2, 3)})
        model.forward()
    with pytest.raises(UserError, match="--plateau_metric FID"):
        engine.end_epoch(model)


def test_a_loss_that_is_not_finite_stops_the_run_with_a_word():
    model, engine = build()
    step(model, engine, torch.full((2, 3), float("nan")))
    with pytest.raises(UserError, match="not finite at step 1") as error:
        engine.check_finite(model)
    assert error.value.code == 3


def test_denormal_numbers_are_flushed():
    build()
    assert (torch.tensor([1e-39]) * 0.5).item() == 0


@pytest.mark.parametrize("capability,pays", [("AVX512", True), ("AVX2", False)])
def test_channels_are_innermost_where_it_pays(capability, pays, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    for precision, innermost in (("fp32", pays), ("bf16", True)):
        _, engine = build("--precision", precision)
        assert engine.place(torch.randn(2, 3, 4, 4)).is_contiguous(memory_format=torch.channels_last) == innermost


def test_an_empty_dictionary_of_losses_is_an_error():
    class Nothing(Line):
        def optimize_parameters(self):
            self.update("D", dict)

    model, engine = build(model=Nothing)
    with pytest.raises(UserError, match="empty dictionary"):
        step(model, engine, torch.randn(2, 3))


class Twice(Line):
    """The network is used without gradients first, as contrastive keys are."""

    def optimize_parameters(self):
        with torch.no_grad():
            keys = self.netG(self.x)
        self.update("G", lambda: {"G": (self.netG(self.x) * keys).float().mean() + self.netG(self.x).float().mean()})


def test_casts_that_are_kept_carry_gradients():
    moved = {}
    for precision in ("fp32", "bf16"):
        model, engine = build("--precision", precision, model=Twice)
        before = model.netG.weight.detach().clone()
        step(model, engine, torch.linspace(-1, 1, 12).reshape(4, 3))
        moved[precision] = model.netG.weight.detach() - before
    assert engine.caches_casts  # true of the pinned torch
    torch.testing.assert_close(moved["bf16"], moved["fp32"])  # Adam's first step has the size of lr


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_nothing_is_computed_before_the_run_is_made_deterministic(precision, monkeypatch):
    """cuBLAS reads its setting at its first product; fp16 is for GPUs that need not have bf16."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    seen = []

    def probe(device, dtype):
        seen.append((os.environ.get("CUBLAS_WORKSPACE_CONFIG"), torch.are_deterministic_algorithms_enabled(), dtype))
        return True

    monkeypatch.setattr(engine_module, "casts_keep_gradients", probe)
    try:
        build("--deterministic", "--precision", precision)
    finally:
        torch.use_deterministic_algorithms(False)
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    assert seen == [(":4096:8", True, engine_module.DTYPES[precision])]


def test_a_gradient_is_cut_to_the_norm_that_was_told_of_its_group():
    seen = {}

    class Cut(Line):
        def __init__(self, opt):
            super().__init__(opt)
            self.netH = nn.Linear(3, 1)
            self.add_optimizer("G", self.netH, largest_gradient=0.01, amsgrad=True)
            self.optimizers["G"].register_step_pre_hook(self.look)

        def look(self, optimizer, args, kwargs):
            for group in optimizer.param_groups:
                norm = torch.cat([p.grad.flatten() for p in group["params"]]).norm().item()
                seen[group.get("largest_gradient")] = norm, group["amsgrad"]

        def optimize_parameters(self):
            self.forward()
            self.update("D", lambda: {"D_real": self.netD(self.x).mean()})
            self.update("G", lambda: {"G_GAN": 100 * self.netH(self.y).square().mean()})

    model, engine = build(model=Cut)
    step(model, engine, torch.randn(5, 3))
    assert seen[0.01] == (pytest.approx(0.01, rel=1e-3), True)
    assert seen[None][0] > 0.1 and not seen[None][1]


def test_a_setting_that_no_group_has_is_refused():
    class Mistaken(Line):
        def __init__(self, opt):
            super().__init__(opt)
            self.netH = nn.Linear(3, 1)
            self.add_optimizer("G", self.netH, beta=(0.5, 0.9))

    with pytest.raises(UserError, match="was given beta; it takes lr, betas"):
        build(model=Mistaken)
