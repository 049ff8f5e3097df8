"""What a method has to say for itself, and what it is given in return."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from networks.spectral import matrices
from options import BaseOptions
from options.errors import UnknownName
from util import contract, distributed, published_names

RENAMED = {"meet": "see_data", "adopt": "start_from"}
OF_GROUPS = ("betas", "amsgrad", "largest_gradient")  # what a method may say of a group of parameters, beside its lr


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
    family = ""  # beside which other methods compare.py shows it
    channels_last = False  # whether its networks are fastest in that layout in float32 on a CPU too
    visual_sides: Mapping[str, str] = {}  # the side, A or B, of the source image of each; A unless it says B
    masks_pairs = False  # whether it tells pairs from other items of a batch by its ``pairs``
    # Of a method that translates back too: network -> the one that has its part when the sides change places.
    other_way: Mapping[str, str] = {}
    ema_names: tuple[str, ...] = ()  # networks whose weights are averaged, e.g. ("G",)
    # A flag of test.py -> the method that does what it asks in place of the results page, method(dataset, engine,
    # folder) with weights loaded; the folder of results may not exist yet. Such flags are fields of a nested
    # TestOptions(Options); None, False, 0 and nothing do not ask.
    tasks: Mapping[str, str] = {}
    # what the toolkit calls, with these arguments
    hooks: tuple[str, ...] = ("__init__", "set_input", "forward", "optimize_parameters", "see_data", "start_from")
    hooks += ("save_files", "get_current_visuals", "get_current_losses", "get_image_paths", "test")

    def __init__(self, opt: Any):
        super().__init__()
        self.opt = opt
        self.engine: Any = None
        self.optimizers: dict[str, torch.optim.Optimizer] = contract.Optimizers(type(self))
        self.losses: dict[str, torch.Tensor] = {}
        self.loss_owners: dict[str, str] = {}  # every term so far, in display order -> the optimizer that logs it
        self._updated: dict[str, int] = {}  # optimizer -> the images before the batch that it last learnt from
        self._awaited: dict[str, int] = {}  # term that comes now and then -> those before the batch that said so
        # Side -> the source file of each image of the batch; a list is of side A.
        self.image_paths: Mapping[str, list[str]] | list[str] = {}

    def see_data(self, dataset: Any) -> None:
        """See the data once, before the first batch: refuse what does not suit the method, or size networks by it."""

    def start_from(self, dataset: Any, engine: Any) -> None:
        """Called when the weights of another run (``--pretrained_name``) were loaded, before the first step."""

    meet, adopt = see_data, start_from  # their names in version 0.1, see __init_subclass__

    def __init_subclass__(cls, **rest: Any) -> None:
        """Let a plugin write or call a hook by its name in version 0.1, for one more release."""
        super().__init_subclass__(**rest)
        for old, new in RENAMED.items():
            writer = next(c for c in cls.__mro__ if {old, new} & vars(c).keys())  # a mixin writes hooks too
            if {old, new} <= vars(writer).keys() and writer is cls:
                raise contract.broken(cls, old, f"is called {new} now, and both are written; write {new} alone")
            if new in vars(cls):
                setattr(cls, old, vars(cls)[new])
            elif new not in vars(writer):
                setattr(cls, new, vars(writer)[old])
                setattr(cls, old, vars(writer)[old])
                if os.environ.get("RANK", "0") == "0":  # processes do not know each other yet
                    told = contract.broken(cls, old, f"is called {new} now; the next release knows that name alone")
                    print(f"warning: {told}", file=sys.stderr)

    def save_files(self, folder: Any) -> None:
        """Keep with a new run, in <checkpoints_dir>/<name>, what a test must know besides weights and options."""

    def set_input(self, batch: Mapping[str, Any]) -> None:
        raise contract.broken(self, "set_input(batch)", "is not written: keep the tensors of one batch")

    def forward(self) -> None:
        raise contract.broken(self, "forward()", "is not written: compute the images of visual_names")

    def optimize_parameters(self) -> None:
        raise contract.broken(self, "optimize_parameters()", "is not written: self.update(optimizer, losses)")

    # -- for subclasses --------------------------------------------------------------------------

    def add_optimizer(self, name: str, *networks: nn.Module, lr: float | None = None, **settings: Any) -> None:
        """Let ``self.update(name, ...)`` train these networks; a second call adds groups with settings of their own.

        --weight_decay is of convolutions and linear layers alone; the rest is then a group of its own.

        Args:
            settings: of the groups: ``betas``, ``amsgrad``, and ``largest_gradient``, the norm that theirs is cut to.
        """
        if wrong := sorted(settings.keys() - OF_GROUPS):
            raise contract.broken(self, "add_optimizer", f"was given {wrong[0]}; it takes lr, {', '.join(OF_GROUPS)}")
        if not isinstance(name, str) or not all(isinstance(network, nn.Module) for network in networks):
            told = ", ".join(map(contract.kind, (name, *networks)))
            due = 'it is given a name and networks: self.add_optimizer("G", self.netG)'
            raise contract.broken(self, "add_optimizer", f"was given {told}; {due}")
        opt = self.opt
        params = [p for network in networks for p in network.parameters()]
        if not params:  # a head that learns nothing
            return
        lr = opt.lr if lr is None else lr
        if not isinstance(lr, float | int) or isinstance(lr, bool):
            raise contract.broken(self, "add_optimizer", f"was given lr={lr!r}; a learning rate is a number")
        there = self.optimizers[name].param_groups if name in self.optimizers else []
        known = {id(p) for group in there for p in group["params"]}
        if known & set(map(id, params)) or len(set(map(id, params))) < len(params):
            raise contract.broken(self, "add_optimizer", f"was given weights twice for {name!r}")
        shared = dict(lr=lr, initial_lr=lr, eps=opt.adam_eps) | settings
        shared["betas"] = settings.get("betas") or (opt.beta1, opt.beta2)
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
        """Step the optimizer ``name`` on the sum of the dictionary that ``losses()`` returns, and log it.

        A term that it logged for the batch before and leaves out now is forgotten, unless ``every`` was told of it.
        Several updates for one batch log what all of them have. What other optimizers logged stays.
        """
        terms = self.engine.update(self, name, losses)
        batch = self.engine.progress.images
        again, self._updated[name] = self._updated.get(name) == batch, batch
        self.loss_owners |= dict.fromkeys(terms, name)
        for term, owner in self.loss_owners.items():
            if owner == name and term not in terms and not again and self._awaited.get(term) != batch:
                self.losses.pop(term, None)
        known = self.losses | {term: value.detach() for term, value in terms.items()}
        self.losses = {term: known[term] for term in dict.fromkeys([*self.loss_owners, *known]) if term in known}

    def every(self, n: int, *terms: str) -> bool:
        """True in the last of each n steps: ``if self.every(opt.n_dis): self.update("G", ...)``.

        Args:
            terms: losses that are computed then alone, and logged with their last value until the next.
        """
        if not isinstance(n, int) or n < 1 or not all(isinstance(term, str) for term in terms):
            told = ", ".join(map(repr, (n, *terms)))
            raise contract.broken(self, f"every({told})", "takes a number of steps, from 1 on, and names of losses")
        self._awaited |= dict.fromkeys(terms, self.engine.progress.images)
        return self.engine.every(n)

    @property
    def part_done(self) -> float:
        """How far the run is, in (0, 1]: the epoch under way over all epochs, 1 in the last; see Engine.part_done."""
        return self.engine.part_done

    def annealed(self, start: float, end: float) -> float:
        """The value in this step of what goes from one to the other; see --anneal_images."""
        return start if start == end else self.engine.annealed(start, end)

    def has_stepped(self, name: str) -> bool:
        """Whether the optimizer ``name`` stepped for this batch; with --accumulate it does for the last of n."""
        return name in self.engine.stepped

    def may_log(self, term: str) -> bool:
        """Whether ``every`` was told of this term, which may be still to come."""
        return term in self._awaited

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
        images = self._images()
        contract.check_images(self, images)
        return {name: image.detach() for name, image in images.items()}

    def _images(self) -> dict[str, Any]:
        names = contract.names_in(self, "visual_names")
        if missing := [name for name in names if not hasattr(self, name)]:
            raise contract.broken(self, "visual_names", f"lists {', '.join(missing)}, which forward() did not set")
        return {name: image for name in names if (image := getattr(self, name)) is not None}

    def checked_visuals(self) -> tuple[dict[str, torch.Tensor], Mapping[str, Sequence[str]]]:
        """``get_current_visuals`` and ``get_image_paths``, as a test needs them; a plugin may have written either.

        Raises:
            UserError: they are not what they should be.
        """
        images = self.get_current_visuals()
        contract.check_images(self, images)
        paths = contract.paths_by_side(self, self.get_image_paths())
        contract.check_sources(self, images, paths)
        return images, paths

    def get_image_paths(self) -> Mapping[str, Sequence[str]]:
        """Side -> the source file of each image of the batch."""
        return contract.paths_by_side(self, self.image_paths)

    def get_loss_levels(self) -> Mapping[str, Mapping[str, float]]:
        """``loss_levels``, as they are now."""
        return contract.levels_of(self, self.loss_levels)

    def asked(self, opt: Any) -> list[str]:
        """The flags of ``tasks`` that a test was given."""
        for flag in self.tasks:
            if not hasattr(opt, flag):
                raise contract.broken(self, "tasks", f"names the flag {flag!r}, which is no field of TestOptions")
        return [flag for flag in self.tasks if getattr(opt, flag) not in (None, (), False)]

    # -- its contract ----------------------------------------------------------------------------

    @classmethod
    def check_class(cls) -> None:
        """Raises:
        UserError: ``tasks`` or ``visual_sides`` of a plugin say what is not.
        """
        for taken in ("opt", "engine", "optimizers", "losses", "loss_owners", "image_paths"):
            if callable(getattr(cls, taken, None)):
                raise contract.broken(cls, taken, f"is a method, and self.{taken} is the toolkit's; call it otherwise")
        for attribute in ("tasks", "visual_sides"):
            if not isinstance(value := getattr(cls, attribute), Mapping | property):
                raise contract.broken(cls, attribute, f"is {contract.kind(value)}; it must be a dictionary")
        for flag, method in cls.tasks.items():
            if not callable(getattr(cls, str(method), None)):
                raise contract.broken(cls, "tasks", f"says {method!r} of {flag!r}, and there is no such method")

    def check_made(self) -> None:
        """Raises:
        UserError: a plugin's constructor forgot that of its base.
        """
        if not {"_modules", "optimizers", "loss_owners"} <= vars(self).keys():
            raise contract.broken(self, "__init__", "does not call super().__init__(opt) first")
        if self.opt is None or not hasattr(self.opt, "is_train"):
            raise contract.broken(self, "opt", f"is {contract.kind(self.opt)}; keep the options that __init__ is given")

    def check_prepared(self) -> None:
        """Whether the engine can work with what the constructor and ``see_data`` made.

        Raises:
            UserError: it cannot.
        """
        if not isinstance(self.optimizers, dict):
            raise contract.broken(self, "optimizers", f"is {contract.kind(self.optimizers)}; {contract.OF_OPTIMIZERS}")
        if self.opt.is_train and not self.optimizers:
            raise contract.broken(self, "optimizers", f"is empty, so nothing would be learnt; {contract.OF_OPTIMIZERS}")
        for name, optimizer in self.optimizers.items():
            groups = getattr(optimizer, "param_groups", None)
            if not isinstance(groups, list) or not all("initial_lr" in group for group in groups):
                told = f"has {contract.kind(optimizer)} as {name!r} that add_optimizer did not make"
                raise contract.broken(self, "optimizers", f"{told}; {contract.OF_OPTIMIZERS}")
        if not isinstance(self.losses, dict):
            raise contract.broken(self, "losses", f"is {contract.kind(self.losses)}; update() keeps the losses there")
        if not isinstance(self.visual_sides, Mapping):
            raise contract.broken(self, "visual_sides", f"is {contract.kind(self.visual_sides)}, not a dictionary")
        for name, value in vars(self).items():
            if name.startswith("net") and isinstance(value, list | tuple | dict):
                raise contract.broken(self, name, f"is {contract.kind(value)}; keep networks in torch.nn.ModuleList")
        contract.names_in(self, "visual_names")
        for name, side in self.visual_sides.items():
            if side not in ("A", "B"):
                raise contract.broken(self, "visual_sides", f"has {side!r} for {name!r}; a side is A or B")
        averaged = contract.names_in(self, "ema_names")
        lacking = [name for name in averaged if name not in self.networks]
        if lacking and self.opt.is_train and self.opt.ema_decay > 0:
            raise contract.broken(self, "ema_names", f"lists {lacking[0]!r}; there are {', '.join(self.networks)}")

    def check_step(self) -> None:
        """Whether the first step made what ``visual_names`` lists.

        Raises:
            UserError: it did not.
        """
        contract.check_images(self, self.get_current_visuals() if self.shows_cheaply else {})
        contract.check_logged(self, self.get_current_losses())
        self.get_loss_levels()

    @property
    def shows_cheaply(self) -> bool:
        """Whether its visuals are there after a step; those of noise are drawn when they are shown."""
        return self.makes == "translations"

    def __setattr__(self, name: str, value: Any) -> None:
        try:
            super().__setattr__(name, value)
        except AttributeError as error:
            if not isinstance(getattr(type(self), name, None), property):
                raise
            instead = published_names.ASSIGNED.get(name, f"write it as @property def {name}(self)")
            raise contract.broken(self, name, f"is a property and cannot be assigned; {instead}") from error

    if not TYPE_CHECKING:  # to a type checker an unknown name stays a mistake

        def __getattr__(self, name: str) -> Any:
            if name in published_names.READ:
                raise UnknownName(str(contract.broken(self, name, f"is not here; {published_names.READ[name]}")))
            return super().__getattr__(name)

    @torch.no_grad()
    def test(self) -> None:
        self.forward()
