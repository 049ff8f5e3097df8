"""Gradients that are sent in parts are those that are sent together, and those of one process with both batches."""

import contextlib

import pytest
import torch
from torch import nn

from benchmarks.tiny_steps import GLYPHS, NOISE, PHOTOS
from data import DATASETS, Loader
from models import MODELS
from tests.conftest import train_options
from tests.util.test_distributed import in_processes
from util import distributed
from util.training.buckets import Buckets, parted
from util.training.engine import Engine


def test_parts_are_of_one_kind_and_size():
    sizes = [3, 2, 9, 1, 1]
    parameters = [nn.Parameter(torch.zeros(size)) for size in sizes]
    parameters += [nn.Parameter(torch.zeros(1, dtype=torch.float64))]
    assert [[p.numel() for p in part] for part in parted(parameters, 20)] == [[3, 2], [9], [1, 1], [1]]


def small(rank, sent):
    """A network of which one part is unused in one process, and gets gradients of two backward passes in the other."""
    torch.manual_seed(0)
    net = nn.ModuleList(nn.Linear(4, 4) for _ in range(4)).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(rank))
    buckets, happened = Buckets(list(net.parameters()), 100 / 2**20), []
    begin = distributed.begin_total
    distributed.begin_total = lambda flat: (happened.append("sent"), begin(flat))[1]
    net[0].weight.register_hook(lambda gradient: happened.append("first layer"))

    def loss(x):
        h = net[0](x).tanh()
        h = net[1](h) if rank else h  # so that parts become whole in another order
        return distributed.gather(net[3](h).tanh()).square().sum() + (net[2](x).sum() if rank == 0 else 0)

    loss(x[0]).backward()  # as the first of two that are accumulated
    with buckets.sending() if sent else contextlib.nullcontext():
        (loss(x[1]) + (net[3](x[1]).sum() if rank else 0)).backward()
    if not sent:
        distributed.average_gradients(net.parameters())
    distributed.begin_total = begin
    return [p.grad.tolist() for p in net.parameters()], happened


def test_sent_in_parts_or_together_they_are_the_same_bits(tmp_path):
    def work(rank):
        return [small(rank, sent) for sent in (True, False)]

    (parts, together), (parts_of_other, together_of_other) = in_processes(work, tmp_path)
    assert parts[0] == parts_of_other[0] == together[0] == together_of_other[0]
    for _, happened in (parts, parts_of_other):
        assert happened.count("sent") == 4 + 4  # a weight of 128 bytes is a part of its own, and so is a bias beside it
        assert happened.index("sent") < len(happened) - 1 - happened[::-1].index("first layer")


def steps(words, mb, batch, work):
    """Gradients of every optimizer in two steps in float64, in as many processes as there are."""
    model, *flags = words
    told = (
        "--bucket_mb",
        mb,
        "--batch_size",
        batch,
        "--num_threads",
        0,
        "--adam_eps",
        1,
        "--pool_size",
        0,
        "--ema_decay",
        0,
    )
    told += ("--checkpoints_dir", work, "--gpu_ids", -1)
    opt = train_options("--model", model, *flags, *told)
    engine, dataset = Engine(opt), DATASETS.find(opt.dataset_mode)(opt)
    loader, made = Loader(dataset, opt, engine.place, engine.rank, engine.world), MODELS.find(model)(opt)
    made.see_data(dataset)
    engine.prepare(made).double()
    mine = slice(batch * engine.rank, batch * (engine.rank + 1))
    if hasattr(made, "noise"):  # each process draws its own; here both draw what one would
        z = torch.randn(64, opt.z_dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        made.noise = lambda count, *_: z[mine]
        made.conditions = lambda: (torch.arange(64) % len(made.class_names))[mine]
    found = []
    for name, optimizer in made.optimizers.items():
        optimizer.register_step_pre_hook(lambda o, *_, name=name: found.append((name, gradient(o))))
    for _, item in zip(range(2), loader.epoch(), strict=False):
        with engine.step(made):
            made.set_input({k: v.double() if is_image(v) else v for k, v in item.items()})
            made.optimize_parameters()
    return [(name, value.tolist()) for name, value in found]


def gradient(optimizer):
    params = [p for group in optimizer.param_groups for p in group["params"]]
    return torch.cat([p.grad.flatten() if p.grad is not None else torch.zeros(p.numel()) for p in params])


def is_image(value):
    return isinstance(value, torch.Tensor) and value.is_floating_point()


GLYPHS_AS_THEY_ARE = (
    *GLYPHS,
    "--styles_per_batch",
    0,
    "--serial_batches",
    "--augment",
    0,
    "--elastic",
    0,
    "--splice",
    0,
)
METHODS = [  # without what a process draws of its own, and without contrasts with the images of a process alone
    ("cut", "--num_patches", 0, "--netF_nc", 64, *PHOTOS),
    ("cycle_gan", *PHOTOS, "--normG", "batch", "--sync_bn"),
    ("zi2zi", *GLYPHS_AS_THEY_ARE, "--sync_bn"),
    ("contragan", *NOISE, "--sync_bn"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [METHODS[0], *(pytest.param(m, marks=pytest.mark.exhaustive) for m in METHODS[1:])], ids=lambda m: m[0]
)
def test_two_processes_have_the_gradients_of_one(words, dataroot, tmp_path):
    """Sent in parts and together, in float64; what some losses compute in float32 is left at a millionth."""
    given = () if "--dataroot" in words or "--target_font" in words else ("--dataroot", dataroot)
    batch = {"zi2zi": 6, "contragan": 4}.get(words[0], 1)
    one = steps((*words, *given), 0, 2 * batch, tmp_path)
    for mb in (0, 0.001):
        folder = tmp_path / str(mb)
        folder.mkdir()
        found = in_processes(lambda rank, mb=mb: steps((*words, *given), mb, batch, tmp_path), folder)
        for two in found:
            assert [name for name, _ in two] == [name for name, _ in one] and len(one) >= 4
            for (name, a), (_, b) in zip(one, two, strict=True):
                a, b = torch.tensor(a), torch.tensor(b)
                assert a.norm() > 0 and (a - b).norm() < 1e-6 * a.norm(), (name, mb, (a - b).norm() / a.norm())
