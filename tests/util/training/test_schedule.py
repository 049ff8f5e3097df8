"""The length of a run that is told in steps."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from options import UserError
from tests.conftest import train_options
from util.training.schedule import (
    Progress,
    fitted,
    has_passed,
    intervals,
    learning_rates,
    lr_factor,
    part_done,
    total_images,
    total_steps,
)


@dataclass(frozen=True)
class Opt:
    max_steps: int = 0
    n_epochs: int = 200
    n_epochs_decay: int = 200
    accumulate: int = 1
    batch_size: int = 4
    epoch_count: int = 1
    lr_policy: str = "linear"
    lr_decay_iters: int = 50
    lr_gamma: float = 0.1
    anneal_images: int = 0

    @property
    def total_epochs(self):
        return self.n_epochs + self.n_epochs_decay


@pytest.mark.parametrize(
    "steps,epochs,found", [(400, (200, 200), (4, 4)), (401, (200, 200), (5, 4)), (30, (200, 200), (1, 0))]
)
def test_the_epochs_end_where_the_steps_do(steps, epochs, found):
    opt = fitted(Opt(steps, *epochs), batches=50)
    assert (opt.n_epochs, opt.n_epochs_decay) == found
    assert total_steps(opt, 50) == steps and total_images(opt, 50, world=2) == steps * 4 * 2


@pytest.mark.parametrize("epochs", [(200, 200), (140, 0), (0, 30), (1, 399), (100, 7)])
@pytest.mark.parametrize("steps", [1, 49, 50, 777, 100_000])
def test_the_ratio_of_epochs_is_kept_and_fitting_again_changes_nothing(epochs, steps):
    opt = fitted(Opt(steps, *epochs), batches=50)
    assert opt.total_epochs == -(-steps // 50)
    assert abs(opt.n_epochs / opt.total_epochs - epochs[0] / sum(epochs)) < 1 / opt.total_epochs
    assert fitted(opt, batches=50) == opt


def test_batches_that_make_no_whole_step_belong_to_an_epoch_too():
    opt = fitted(Opt(max_steps=7, accumulate=2), batches=7)  # three steps an epoch, of six batches out of seven
    assert opt.total_epochs == 3 and total_images(opt, 7, world=1) == (7 + 7 + 2) * 4
    with pytest.raises(UserError, match="--accumulate 8: an epoch has only 7 batches"):
        fitted(Opt(max_steps=7, accumulate=8), batches=7)


def test_without_steps_a_run_is_as_long_as_its_epochs():
    opt = Opt()
    assert fitted(opt, 50) is opt and total_steps(opt, 50) == 400 * 50 and total_images(opt, 50, 1) == 400 * 50 * 4


@pytest.mark.parametrize("batches", [1, 50, 400, 100_000])
@pytest.mark.parametrize("policy", ["linear", "cosine", "step"])
def test_the_learning_rate_of_steps_does_not_know_epochs_and_ends_with_the_run(policy, batches):
    opt = Opt(max_steps=400, lr_policy=policy)

    def at(step):
        return lr_factor(opt, Progress(step=step, epoch=step // batches))

    expected = {
        "linear": [1, 1, 0.5, 0.005, 0],
        "cosine": [1, 0.5, 0.5 - 0.5**1.5, 1.54e-5, 0],  # (1 + cos 135 degrees) / 2
        "step": [1, 1e-4, 1e-6, 1e-7, 1e-8],  # a cut every 50 of the 400 epochs
    }
    assert [at(step) for step in (0, 200, 300, 399, 400)] == pytest.approx(expected[policy], rel=1e-2, abs=1e-12)


def test_the_shape_of_a_run_of_steps_is_that_of_its_epochs():
    steps = Opt(max_steps=777, n_epochs=100, n_epochs_decay=7, lr_policy="step", lr_decay_iters=10)
    cuts = [s for s in range(1, 777) if lr_factor(steps, Progress(step=s)) < lr_factor(steps, Progress(step=s - 1))]
    assert cuts == [-(-777 * 10 * k // 107) for k in range(1, 11)]
    flat = Opt(max_steps=10, n_epochs=3, n_epochs_decay=0)
    assert {lr_factor(flat, Progress(step=s)) for s in range(11)} == {1}
    falling = Opt(max_steps=10, n_epochs=0, n_epochs_decay=5)
    assert [lr_factor(falling, Progress(step=s)) for s in (0, 1, 9)] == pytest.approx([1, 0.9, 0.1])


def test_a_part_of_a_run_is_of_its_steps_where_these_are_told():
    assert [has_passed(Opt(max_steps=10), Progress(step=s), 0.6) for s in (5, 6)] == [False, True]
    assert [has_passed(Opt(), Progress(epoch=e, step=10**6), 0.6) for e in (239, 240)] == [False, True]


def test_how_far_a_run_is_counts_the_epoch_under_way():
    assert [part_done(Opt(max_steps=10), Progress(step=s)) for s in (0, 4, 9, 12)] == [0.1, 0.5, 1, 1]
    epochs = Opt().total_epochs
    assert [part_done(Opt(), Progress(epoch=e, step=10**6)) for e in (0, epochs - 1)] == [1 / epochs, 1]


def test_every_zero_images_is_never():
    assert not Progress(images=8, previous=4).due(0) and Progress(images=8, previous=4).due(8)


def test_intervals_that_nobody_told_are_parts_of_a_short_run():
    opt = train_options("--display_freq", 400)
    assert intervals(opt, 192, 1) == {"print_freq": 1, "update_html_freq": 4, "save_latest_freq": 19}
    assert intervals(opt, 192, 16) == {"print_freq": 16, "update_html_freq": 16, "save_latest_freq": 19}
    assert intervals(opt, 8000, 1) == {"print_freq": 80, "update_html_freq": 200, "save_latest_freq": 800}
    assert intervals(opt, 1344 * 400, 1) == {} == intervals(opt, 50000, 1)


def test_learning_rates_go_by_their_optimizers_where_they_differ():
    def model(**rates):
        groups = {name: SimpleNamespace(param_groups=[{"lr": r} for r in told]) for name, told in rates.items()}
        return SimpleNamespace(optimizers=groups)

    assert learning_rates(model(G=[2e-4], D=[2e-4, 2e-4])) == {"lr": 2e-4}
    assert learning_rates(model(G=[2e-4], D=[1e-4])) == {"lr_G": 2e-4, "lr_D": 1e-4}
    assert learning_rates(model(G=[2e-4, 1e-3, 2e-4], D=[2e-4])) == {"lr_G": 2e-4, "lr_G_2": 1e-3, "lr_D": 2e-4}
