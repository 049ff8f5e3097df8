"""What the base of every model does with an optimizer's options."""

import pytest
import torch
from torch import nn

from models.base_model import BaseModel
from networks.spectral import spectral_norm
from options import UserError
from tests.conftest import train_options
from util.training.engine import Engine


class Mixed(BaseModel):
    """One network with everything that is, and is not, a matrix."""

    def __init__(self, opt):
        super().__init__(opt)
        self.netG = nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Embedding(4, 2), spectral_norm(nn.Linear(2, 2))
        )
        self.add_optimizer("G", self.netG)
        self.add_optimizer("G", nn.Linear(2, 2), lr=0.5)


def names(model, group):
    ids = {id(p) for p in group["params"]}
    return [name for name, p in model.netG.named_parameters() if id(p) in ids]


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_weight_decay_is_of_matrices_alone(kind):
    model = Mixed(train_options("--optimizer", kind, "--weight_decay", "0.1"))
    decayed, rest, *second = model.optimizers["G"].param_groups
    assert names(model, decayed) == ["0.weight", "3.parametrizations.weight.original"]
    assert names(model, rest) == ["0.bias", "1.weight", "1.bias", "2.weight", "3.bias"]
    assert [g["weight_decay"] for g in (decayed, rest, *second)] == [0.1, 0, 0.1, 0]
    assert [g["initial_lr"] for g in (decayed, rest, *second)] == [2e-4, 2e-4, 0.5, 0.5]


def test_without_weight_decay_a_call_is_a_group():
    """So checkpoints of such runs keep the groups they have always had."""
    groups = Mixed(train_options("--optimizer", "adamw")).optimizers["G"].param_groups
    assert [len(g["params"]) for g in groups] == [7, 2]


def test_adamw_shrinks_a_matrix_by_the_learning_rate_times_the_decay():
    model = Mixed(train_options("--optimizer", "adamw", "--weight_decay", "0.1", "--lr", "0.01"))
    before = {name: p.detach().clone() for name, p in model.netG.named_parameters()}
    for p in model.netG.parameters():
        p.grad = torch.zeros_like(p)
    model.optimizers["G"].step()
    for name, p in model.netG.named_parameters():
        factor = 1 - 0.01 * 0.1 if name in ("0.weight", "3.parametrizations.weight.original") else 1
        torch.testing.assert_close(p.detach(), before[name] * factor)


def test_networks_without_matrices_have_no_empty_group():
    class Table(BaseModel):
        def __init__(self, opt):
            super().__init__(opt)
            self.netG = nn.Embedding(4, 2)
            self.add_optimizer("G", self.netG)

    (group,) = Table(train_options("--weight_decay", "0.1")).optimizers["G"].param_groups
    assert group["weight_decay"] == 0 and len(group["params"]) == 1


# -- what is logged ------------------------------------------------------------------------------


class Terms(BaseModel):
    """Logs for step n what ``plan(n)`` says: optimizer -> names of its terms; G and D have one weight each."""

    def __init__(self, opt, plan):
        super().__init__(opt)
        self.netG, self.netD, self.plan = nn.Linear(1, 1), nn.Linear(1, 1), plan
        self.add_optimizer("D", self.netD)
        self.add_optimizer("G", self.netG)

    def optimize_parameters(self):
        for name, terms in self.plan(self):
            weight = self.networks[name].weight.sum()
            value = weight * 0 + self.engine.progress.images + 1
            self.update(name, lambda terms=terms, value=value: dict.fromkeys(terms, value))


def logged(plan, steps, *argv):
    """What is logged after each of so many batches: {term: number of the batch that it is of}."""
    opt = train_options("--batch_size", 1, *argv)
    engine = Engine(opt)
    model, found = engine.prepare(Terms(opt, plan)), []
    for _ in range(steps):
        with engine.step(model):
            model.optimize_parameters()
        found.append(model.get_current_losses())
    return found


def test_a_term_that_is_left_out_is_absent_and_back_in_its_place_when_it_returns():
    def plan(model):
        kept = ["one", "two"] if model.engine.progress.step != 1 else ["one"]
        return [("D", kept), ("G", ["three"])]

    first, second, third = logged(plan, 3)
    assert list(first) == ["one", "two", "D", "three", "G"] == list(third)
    assert second == {"one": 2, "D": 2, "three": 2, "G": 2}  # and the sum is of what is logged
    assert third["D"] == 6


def test_terms_of_an_optimizer_that_rests_stay():
    def plan(model):
        return [("D", ["real"]), *([("G", ["fool"])] if model.every(5) else [])]

    found = logged(plan, 11)
    assert [row.get("fool") for row in found] == [None] * 4 + [5] * 5 + [10] * 2
    assert [row["real"] for row in found] == list(range(1, 12))


def test_a_term_that_is_computed_now_and_then_keeps_its_value_until_it_ends():
    def plan(model):
        lazy = ["r1"] if model.engine.progress.step < 7 and model.every(3, "r1") else []
        return [("D", ["real", *lazy]), ("G", ["fool"])]

    found = logged(plan, 9)
    assert [row.get("r1") for row in found] == [None, None, 3, 3, 3, 6, 6, None, None]


def test_several_updates_of_one_step_log_what_all_of_them_have():
    def plan(model):
        second = ["idt"] if model.engine.progress.step == 0 else ["nce"]
        return [("G", ["gan"]), ("G", second), ("D", ["real"])]

    first, second = logged(plan, 2)
    assert set(first) == {"gan", "idt", "G", "real", "D"} and set(second) == {"gan", "nce", "G", "real", "D"}


def test_with_accumulation_the_log_is_of_the_last_batch():
    def plan(model):
        odd = ["odd"] if model.engine.micro == 0 else []
        lazy = ["r1"] if model.every(2, "r1") else []
        return [("D", ["real", *odd, *lazy]), ("G", ["fool"])]

    found = logged(plan, 8, "--accumulate", 2)[1::2]  # steps are whole then, and lines printed
    assert ["odd" in row for row in found] == [False] * 4
    assert [row.get("r1") for row in found] == [None, 4, 4, 8] and [row["real"] for row in found] == [2, 4, 6, 8]


def test_a_term_has_one_owner_the_last_optimizer_that_logged_it():
    def plan(model):
        mine, yours = ("D", "G") if model.engine.progress.step == 0 else ("G", "D")
        return [(mine, ["moves", mine]), (yours, [yours])]

    assert ["moves" in row for row in logged(plan, 2)] == [True, True]


def plateau(plan, epochs, *argv):
    """The engine after so many epochs of four steps."""
    opt = train_options("--batch_size", 1, "--lr_policy", "plateau", *argv)
    engine = Engine(opt)
    model = engine.prepare(Terms(opt, plan))
    for _ in range(epochs):
        for _ in range(4):
            with engine.step(model):
                model.optimize_parameters()
        engine.end_epoch(model)
    return engine


def test_a_plateau_of_a_term_that_pauses_is_of_the_steps_that_logged_it():
    def plan(model):
        pauses = model.engine.progress.epoch == 1 or model.engine.progress.step % 2
        return [("D", ["real"] if pauses else ["real", "sometimes"]), ("G", ["fool"])]

    assert plateau(plan, 1, "--plateau_metric", "sometimes").progress.best == 2  # of steps 1 and 3
    twice = plateau(plan, 2, "--plateau_metric", "sometimes").progress
    assert (twice.best, twice.patience) == (2, 0)  # an epoch without it is none
    assert plateau(plan, 3, "--plateau_metric", "sometimes").progress.patience == 1


def test_a_plateau_waits_for_a_term_that_is_announced():
    def plan(model):
        return [("D", ["real", *(["r1"] if model.every(6, "r1") else [])]), ("G", ["fool"])]

    assert plateau(plan, 1, "--plateau_metric", "r1").progress.best == float("inf")
    assert plateau(plan, 2, "--plateau_metric", "r1").progress.best == 6
    with pytest.raises(UserError, match="--plateau_metric r2: this model logs real, D, fool, G"):
        plateau(plan, 1, "--plateau_metric", "r2")


# -- the contract --------------------------------------------------------------------------------


def test_visuals_that_are_none_are_left_out_and_others_must_be_images():
    model = Mixed(train_options())
    model.visual_names = ["real", "none"]
    model.real, model.none = torch.zeros(2, 3, 4, 4, requires_grad=True), None
    assert not model.get_current_visuals()["real"].requires_grad and list(model.get_current_visuals()) == ["real"]
    for wrong in ([torch.zeros(3)], torch.zeros(3, 4, 4), torch.zeros(2, 3, 4, 4, dtype=torch.uint8), 1.0):
        model.real = wrong
        with pytest.raises(UserError, match=r"test_base_model\.py: Mixed\.real is an? .*; 'real' of visual_names"):
            model.get_current_visuals()


def test_names_of_cut_are_answered_with_what_to_write():
    model = Mixed(train_options())
    for name in ("loss_names", "model_names"):
        with pytest.raises(UserError, match=f"Mixed.{name} is a property and cannot be assigned; leave it out"):
            setattr(model, name, ["G"])
    with pytest.raises(UserError, match=r"write self\.opt\.is_train"):
        model.isTrain  # noqa: B018
    with pytest.raises(UserError, match=r"write opt\.is_train"):
        model.opt.isTrain  # noqa: B018
    assert not hasattr(model, "device") and not hasattr(model.opt, "isTrain")
    with pytest.raises(AttributeError, match="has no attribute 'nosuch'"):
        model.nosuch  # noqa: B018
    with pytest.raises(UserError, match=r"Mixed\.optimizers has no append; write self\.add_optimizer"):
        model.optimizers.append(None)


def test_hooks_by_their_names_in_version_0_1_work_and_say_so_once(capsys):
    seen = []

    class Parent(BaseModel):
        def see_data(self, dataset):
            seen.append(("parent", dataset))

    class Old(Parent):
        def meet(self, dataset):
            super().meet(dataset)
            seen.append(("old", dataset))

        def adopt(self, dataset, engine):
            seen.append((dataset, engine))

    said = capsys.readouterr().err.splitlines()
    assert [line.partition("Old.")[2].partition(" now")[0] for line in said] == [
        "meet is called see_data",
        "adopt is called start_from",
    ]
    model = Old(train_options())
    model.see_data(1)
    model.start_from(2, 3)

    class New(Old):
        def see_data(self, dataset):
            super().see_data(dataset)
            seen.append(("new", dataset))

    New(train_options()).meet(4)  # a script of that time
    assert seen == [("parent", 1), ("old", 1), (2, 3), ("parent", 4), ("old", 4), ("new", 4)]
    assert capsys.readouterr().err == ""
