"""The length of a run that is told in steps."""

from dataclasses import dataclass

import pytest

from options import UserError
from util.schedule import Progress, fitted, total_images, total_steps


@dataclass(frozen=True)
class Opt:
    max_steps: int = 0
    n_epochs: int = 200
    n_epochs_decay: int = 200
    accumulate: int = 1
    batch_size: int = 4
    epoch_count: int = 1

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


def test_every_zero_images_is_never():
    assert not Progress(images=8, previous=4).due(0) and Progress(images=8, previous=4).due(8)
