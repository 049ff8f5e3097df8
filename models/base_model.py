"""What a method has to say for itself, and what it is given in return."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from networks.spectral import matrices
from options import BaseOptions
from util import distributed


class BaseModel(nn.Module):
    """A method: networks, losses, and the order in which they are updated.

    A plugin is one file, models/<name>_model.py, with one subclass. It writes

        Options                  its flags, a frozen dataclass                    (optional)
        __init__(opt)            networks as self.net<Name>; self.add_optimizer
        set_input(batch)         keep the tensors of one batch
        forward()                compute the images of ``visual_names``
        optimize_parameters()    one or more self.update(optimizer, losses)

    and everything a trainer needs is derived from it: ``model_names`` are the attributes that start with
    ``net``, ``loss_names`` the keys of the dictionaries that were summed.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseOptions):
        pass

    visual_names: tuple[str, ...] = ()  # attributes that are images (B, C, H, W) in [-1, 1], in display order
    makes: Literal["translations", "samples", "answers"] = "translations"  # samples from noise; answers of a judge
    channels_last = False  # whether its networks are fastest in that layout in float32 on a CPU too
    visual_sides: Mapping[str, str] = {}  # the side, A or B, of the source image of each; A unless it says B
    ema_names: tuple[str, ...] = ()  # networks whose weights are averaged, e.g. ("G",)
    # A flag of test.py -> the method that does what it asks in place of the results page, method(dataset, engine,
    # folder) with weights loaded; the folder of results may not exist yet. Such flags are fields of a nested
    # TestOptions(Options); None, False, 0 and nothing do not ask.
    tasks: Mapping[str, str] = {}

    def __init__(self, opt: Any):
        super().__init__()
        self.opt = opt
        self.engine: Any = None
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.losses: dict[str, torch.Tensor] = {}
        self.image_paths: Mapping[str, list[str]] = {}  # side -> the source file of each image of the batch

    def meet(self, dataset: Any) -> None:
        """See the data once, before the first batch: refuse what does not suit the method, or size networks by it."""

    def adopt(self, dataset: Any, engine: Any) -> None:
        """Called when the weights of another run (``--pretrained_name``) were loaded, before the first step."""

    def save_files(self, folder: Any) -> None:
        """Keep with a new run, in <checkpoints_dir>/<name>, what a test must know besides weights and options."""

    def set_input(self, batch: Mapping[str, Any]) -> None:
        raise NotImplementedError(f"{type(self).__name__} must write set_input(batch)")

    def forward(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} must write forward()")

    def optimize_parameters(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} must write optimize_parameters()")

    # -- for subclasses --------------------------------------------------------------------------

    def add_optimizer(
        self, name: str, *networks: nn.Module, lr: float | None = None, betas: tuple[float, float] | None = None
    ) -> None:
        """Let ``self.update(name, ...)`` train these networks; a second call adds groups with their own lr and betas.

        --weight_decay is of convolutions and linear layers alone; the rest is then a group of its own.
        """
        opt = self.opt
        params = [p for network in networks for p in network.parameters()]
        if not params:  # a head that learns nothing
            return
        lr = opt.lr if lr is None else lr
        shared = dict(lr=lr, initial_lr=lr, betas=betas or (opt.beta1, opt.beta2), eps=opt.adam_eps)
        groups = [dict(params=params, weight_decay=opt.weight_decay, **shared)]
        if opt.weight_decay > 0:
            decayed = {id(p) for network in networks for p in matrices(network)}
            groups[0]["params"] = [p for p in params if id(p) in decayed]
            groups.append(dict(params=[p for p in params if id(p) not in decayed], weight_decay=0.0, **shared))
        for group in groups:
            if not group["params"]:
                continue
            if name in self.optimizers:
                self.optimizers[name].add_param_group(group)
            else:
                kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[opt.optimizer]
                self.optimizers[name] = kind([group], fused=True)

    def update(self, name: str, losses: Callable[[], dict[str, torch.Tensor]]) -> None:
        """Step the optimizer ``name`` on the sum of the dictionary that ``losses()`` returns, and log it."""
        terms = self.engine.update(self, name, losses)
        self.losses.update({key: value.detach() for key, value in terms.items()})

    def every(self, n: int) -> bool:
        """True in the last of each n steps: ``if self.every(opt.n_dis): self.update("G", ...)``."""
        return self.engine.every(n)

    def gather(self, x: torch.Tensor) -> torch.Tensor:
        """Rows of x (B, ...) from every process, (world * B, ...), differentiable."""
        return distributed.gather(x)

    # -- for the loop ----------------------------------------------------------------------------

    @property
    def needs_pairs(self) -> bool:
        """Whether B of an item must be what its A should become."""
        return False

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {name.removeprefix("net"): m for name, m in self.named_children() if name.startswith("net")}

    @property
    def model_names(self) -> list[str]:
        return list(self.networks)

    @property
    def loss_levels(self) -> Mapping[str, Mapping[str, float]]:
        """Loss -> values to read it by, as logged: {"NCE": {"chance": what guessing has, "floor": the least}}."""
        return {}

    @property
    def loss_names(self) -> list[str]:
        return list(self.losses)

    def get_current_losses(self) -> dict[str, float]:
        """{name: float}; one transfer from the device for all of them."""
        values = torch.stack([v.float().reshape(()) for v in self.losses.values()]).tolist() if self.losses else []
        return dict(zip(self.losses, values, strict=True))

    def get_current_visuals(self) -> dict[str, torch.Tensor]:
        """{name: images}; a visual whose side the batch lacks is None and left out."""
        missing = [name for name in self.visual_names if not hasattr(self, name)]
        if missing:
            raise AttributeError(f"{type(self).__name__}.visual_names lists {missing}, which forward() did not set")
        return {n: v.detach() for n in self.visual_names if (v := getattr(self, n)) is not None}

    @torch.no_grad()
    def test(self) -> None:
        self.forward()
