"""What recordings of published code are held against: values, and whole training steps."""

import torch

from data import DATASETS
from models import MODELS
from options import TrainOptions
from options.parsing import parse
from tests import safetensors
from util.training.engine import Engine

UNUSED = {"initialized"}  # keys of published weights that nothing is computed with


def close(ours, published, rtol=1e-5):
    """Equal to ``rtol`` of the largest number."""
    assert ours.shape == published.shape
    error = (ours.detach().double() - published.double()).abs().max() / published.double().abs().max().clamp(min=1e-12)
    assert error < rtol, f"relative error {error:.2e}"


def counted(tensors, prefix):
    """The numbers that stand behind a prefix, such as those of layers."""
    return sorted({int(name.removeprefix(prefix).split(".")[0]) for name in tensors if name.startswith(prefix)})


def load(network, tensors, prefix="state."):
    state = {name: value for name, value in safetensors.under(tensors, prefix).items() if name not in UNUSED}
    alive = getattr(network, "alive", dict)
    network.load_state_dict(alive(state), strict=True)
    return network


def first_places(self, features, count):
    """In place of PatchSampler.sample_ids: the places that recordings compare, row-major."""
    return [torch.arange(min(f[0, 0].numel(), count or f[0, 0].numel())) for f in features]


class Steps:
    """Training steps of a command, in float64 and from recorded weights.

    Attributes:
        norms: {network: norm of its gradient when its optimizer stepped}, of the last step.
    """

    def __init__(self, argv, tensors, own=()):
        """``own``: networks whose weights are not recorded, for they are not trained or are not the method's."""
        self.opt = parse(TrainOptions, {"model": MODELS, "dataset_mode": DATASETS}, argv)
        self.engine = Engine(self.opt)
        self.model = MODELS.find(self.opt.model)(self.opt)
        networks = {n: m for n, m in self.model.networks.items() if n not in own}
        for name, network in networks.items():
            load(network, tensors, f"state0.{name}.")
        recorded = {k.split(".")[1] for k in tensors if k.startswith("state0.")} - set(own)
        assert recorded == {n for n, m in networks.items() if m.state_dict()}
        self.engine.prepare(self.model).double()
        self.start = {
            name: [p.detach().clone() for p in network.parameters()] for name, network in self.model.networks.items()
        }
        self.norms = {}
        for optimizer in self.model.optimizers.values():
            optimizer.register_step_pre_hook(self._record)

    def _record(self, optimizer, args, kwargs):
        stepped = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for name, network in self.model.networks.items():
            mine = [p.grad for p in network.parameters() if id(p) in stepped and p.grad is not None]
            if mine:
                self.norms[name] = torch.cat([g.flatten() for g in mine]).norm().item()

    def step(self, **images):
        sides = {name: image.double() for name, image in images.items()}
        with self.engine.step(self.model):
            self.model.set_input(sides | {"A_paths": ["a"] * len(sides["A"]), "B_paths": ["b"] * len(sides["B"])})
            self.model.optimize_parameters()
        return {name: value.item() for name, value in self.model.losses.items()}

    def moved(self):
        """{network: norm of the change of its parameters over all steps}"""
        return {
            name: torch.cat([(p.detach() - q).flatten() for p, q in zip(m.parameters(), self.start[name], strict=True)])
            .norm()
            .item()
            for name, m in self.model.networks.items()
            if self.start[name]
        }
