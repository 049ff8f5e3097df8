"""ContraD: its contrast of fakes, and what D's trunk learns from."""

import math

import pytest
import torch
import torch.nn.functional as F

from models.losses import between_views, told_from, told_levels, views_floor
from tests.models.test_base_latent import batch, prepared
from tests.util.test_distributed import in_processes


def vectors(count, seed, dim=8):
    return F.normalize(torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_fakes_are_told_from_reals_as_a_loop_says():
    own, others, tau = vectors(4, 0).double(), vectors(6, 1).double(), 0.1
    total = 0.0
    for i in range(4):
        keys = [own[j] for j in range(4) if j != i] + list(others)
        below = math.log(sum(math.exp(own[i].dot(key).item() / tau) for key in keys))
        total += sum(below - own[i].dot(own[p]).item() / tau for p in range(4) if p != i) / 3
    assert told_from(own, others, tau).item() == pytest.approx(total / 4)


def test_its_chance_and_its_floor():
    same = vectors(1, 0)
    assert told_from(same.expand(4, -1), same.expand(8, -1)).item() == pytest.approx(2.397895, abs=1e-6)
    assert told_levels(4, 8) == pytest.approx({"chance": math.log(11), "floor": 1.098612})
    assert told_from(same.expand(4, -1), -same.expand(8, -1), tau=0.05).item() == pytest.approx(math.log(3))


def test_views_of_one_image_at_a_simplex_are_at_the_floor():
    corners = torch.eye(5) - 0.2
    views = F.normalize(corners, dim=1)
    assert between_views(views, views, 0.5).item() == pytest.approx(views_floor(5, 0.5), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_finite_at_a_small_temperature(dtype):
    own, others = (vectors(count, count).to(dtype).requires_grad_() for count in (5, 10))
    value = told_from(own, others, tau=0.01)
    assert value.dtype == torch.float32 and value.isfinite()
    assert all(g.isfinite().all() for g in torch.autograd.grad(value, [own, others]))


def test_the_trunk_learns_from_contrasts_alone_and_the_generator_through_it():
    model, _ = prepared("contrad")
    model.set_input(batch(0))
    model.forward()
    losses = model.discriminator_losses()
    trunk = [p for p in model.netD.trunk.parameters() if p.requires_grad]
    head = list(model.netD.heads["logit"].parameters())

    def reached(value, parameters):
        found = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
        return any(g is not None and g.abs().sum() > 0 for g in found)

    for term in ("D_real", "D_fake"):
        assert not reached(losses[term], trunk) and reached(losses[term], head)
    for term in ("D_views", "D_fakes"):
        assert reached(losses[term], trunk) and not reached(losses[term], head)
    assert reached(model.generator_losses()["G_GAN"], list(model.netG.parameters()))


def test_data_whose_class_a_mirror_changes_are_not_mirrored():
    assert prepared("contrad")[0].views.mirror is False


def test_two_processes_contrast_what_one_would(tmp_path):
    """Values and gradients of the terms: their mean over processes is that of the whole batch in one."""
    answers = {name: torch.randn(count, 8, generator=torch.Generator().manual_seed(i)) for i, (name, count) in
               enumerate({"one": 12, "other": 12, "fake": 12, "real_one": 12, "real_other": 12}.items())}  # fmt: skip

    def terms(rows):
        model, _ = prepared("contrad")
        mine = {name: x[rows].clone().requires_grad_() for name, x in answers.items()}
        real = {
            "view": torch.cat([mine["one"], mine["other"]]),
            "fake": torch.cat([mine["real_one"], mine["real_other"]]),
        }
        losses = model.terms_D(real, {"fake": mine["fake"]})
        grads = torch.autograd.grad(sum(losses.values()), list(mine.values()))
        levels = {name: level["chance"] for name, level in model.loss_levels.items()}
        return {k: v.item() for k, v in losses.items()}, [g.tolist() for g in grads], levels

    whole, gradients, _ = terms(slice(0, 12))
    found = in_processes(lambda rank: terms(slice(6 * rank, 6 * rank + 6)), tmp_path)
    for values, _, levels in found:
        assert values == pytest.approx(whole, rel=1e-5)
        assert levels["D_fakes"] == pytest.approx(math.log(3 * 24 - 1))  # of two batches of --batch_size 12
    for i, gradient in enumerate(gradients):  # each process has the sum over both, which their mean then halves
        both = torch.cat([torch.tensor(grads[i]) for _, grads, _ in found])
        torch.testing.assert_close(both / 2, torch.tensor(gradient), rtol=1e-4, atol=1e-7)
