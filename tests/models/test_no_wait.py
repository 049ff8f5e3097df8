"""One step of every method on a device without values: whatever asks it for one, or mixes in the CPU, fails there.

The stand-in is torch's ``meta`` device, which knows shapes alone. What a GPU would have to be waited for (a number, a
branch on one, a mask's indices, a copy that is not told to go on) has no answer there.
"""

import collections
import contextlib

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.tiny_steps import STEPS
from data import DATASETS, Loader
from models import MODELS
from tests.conftest import train_options
from util.training.engine import Engine


class Unasked(TorchDispatchMode):
    """Refuses what would make a GPU wait though ``meta`` allows it: copies that are not told to go on, and mixtures."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = operation(*args, **kwargs)
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        devices = {x.device.type for x in (*tensors, *(y for y in tree_leaves(out) if isinstance(y, torch.Tensor)))}
        if devices == {"cpu", "meta"}:
            copies = operation.overloadpacket in (torch.ops.aten._to_copy, torch.ops.aten.copy_)
            told = kwargs.get("non_blocking") or (
                operation.overloadpacket is torch.ops.aten.copy_ and args[2:] == (True,)
            )
            number = all(x.ndim == 0 for x in tensors if x.device.type == "cpu")
            assert told if copies else number, f"{operation} of {[(x.device.type, tuple(x.shape)) for x in tensors]}"
        return out


class Made(TorchFunctionMode):
    """Refuses tensors that are made of Python's numbers on the device: they are made on the CPU and copied."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in (torch.tensor, torch.as_tensor, torch.asarray):
            assert torch.device(kwargs.get("device") or "cpu").type == "cpu", f"{function.__name__}{args}"
        return function(*args, **kwargs)


@pytest.fixture
def without_precision(monkeypatch):
    """``meta`` has no autocast and no fused optimizers."""
    autocast, adam = torch.autocast, torch.optim

    def chosen(device, *args, **kwargs):
        return contextlib.nullcontext() if device == "meta" else autocast(device, *args, **kwargs)

    monkeypatch.setattr(torch, "autocast", chosen)
    for kind in ("Adam", "AdamW"):
        plain = getattr(adam, kind)
        monkeypatch.setattr(adam, kind, lambda groups, plain=plain, **_: plain(groups))


def on_meta(folder, model, *words):
    """A model there whose optimizers hold its parameters, and a batch of its data."""
    opt = train_options("--model", model, "--checkpoints_dir", folder, "--device", "meta", "--num_threads", 0, *words)
    engine, dataset = Engine(opt), DATASETS.find(opt.dataset_mode)(opt)
    loader, model = Loader(dataset, opt, engine.place), MODELS.find(opt.model)(opt)
    model.see_data(dataset)
    # A parameter stays the same object, so that what is no parameter or buffer and stays behind is found out.
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        engine.prepare(model)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)
    return model, next(iter(loader.epoch()))


@pytest.mark.slow
@pytest.mark.parametrize("words", STEPS, ids=[f"{i}-{words[0]}" for i, words in enumerate(STEPS)])
def test_a_step_asks_the_device_for_nothing(words, without_precision, dataroot, tmp_path):
    model, *flags = words
    given = () if "--dataroot" in flags or "--charset" in flags else ("--dataroot", dataroot)
    if model == "sincut":
        (tmp_path / "one").mkdir()
        for side in "AB":
            (tmp_path / f"one/train{side}").symlink_to(one_picture(dataroot, tmp_path, side))
        given = ("--dataroot", tmp_path / "one")
    made, batch = on_meta(tmp_path, model, *given, *flags)
    assert {p.device.type for p in made.parameters()} == {"meta"}
    made.engine.checked = True  # in a run's first step, and in no other, it looks at what was made
    with Made(), Unasked(), made.engine.step(made):
        made.set_input(batch)
        made.optimize_parameters()
    assert made.losses and {value.device.type for value in made.losses.values()} == {"meta"}


def one_picture(dataroot, folder, side):
    place = folder / side
    place.mkdir()
    path = next((dataroot / f"train{side}").iterdir())
    (place / path.name).write_bytes(path.read_bytes())
    return place


def test_every_method_takes_its_step():
    assert collections.Counter(words[0] for words in STEPS).keys() == set(MODELS.names())


def broken(way):
    x, mask = torch.ones(3, device="meta"), torch.ones(3, device="meta") > 0
    return {
        "number": lambda: x.sum().item(),
        "branch": lambda: bool(mask.any()),
        "selection": lambda: x[mask],
        "copy": lambda: torch.ones(3).to("meta"),
        "mixture": lambda: x[torch.tensor([0, 2])],
        "numbers": lambda: torch.tensor([1.0, 2.0], device="meta"),
    }[way]


@pytest.mark.parametrize("way", ["number", "branch", "selection", "copy", "mixture", "numbers"])
def test_what_waits_is_found(way):
    with pytest.raises((RuntimeError, NotImplementedError, AssertionError)), Made(), Unasked():
        broken(way)()


def test_what_goes_on_is_allowed():
    with Made(), Unasked():
        assert torch.ones(3).to("meta", non_blocking=True).device.type == "meta"
        assert (torch.ones(3, device="meta") * torch.tensor(2.0)).device.type == "meta"
