"""How far a run has come, and the learning rate as a function of that."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from options import UserError
from options.fields import Usual, flags_of


@dataclasses.dataclass
class Progress:
    """Learning rates, random draws and data order are functions of these counters."""

    epoch: int = 0  # finished epochs
    step: int = 0  # optimizer steps since the start of the run
    in_epoch: int = 0  # items of this epoch already used, by all processes together
    images: int = 0  # items seen, by all processes together
    previous: int = 0  # items seen before the last step
    plateau: float = 1.0  # factor on the learning rate, for --lr_policy plateau
    best: float = math.inf  # the smallest epoch mean so far, and for how many epochs it has stood
    patience: int = 0

    def due(self, every: int) -> bool:
        """Whether the last step took the count of images to or past a multiple of ``every``; 0 is never."""
        return every > 0 and self.images // every > self.previous // every

    def end_epoch(self) -> None:
        self.epoch, self.in_epoch = self.epoch + 1, 0

    def watch(self, value: float) -> None:
        """Plateau: cut the learning rate by 5 after 5 epochs without a fall by 1 % (the published settings)."""
        if value < self.best * (1 - 0.01):
            self.best, self.patience = value, 0
        else:
            self.patience += 1
        if self.patience > 5:
            self.plateau, self.patience = self.plateau * 0.2, 0

    def state_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for field in dataclasses.fields(self):
            setattr(self, field.name, state[field.name])


def learning_rate(opt: Any, progress: Progress, initial: float) -> float:
    """The learning rate of the next step where it began as ``initial``.

    It never falls below --lr_min, where the cosine ends; one that began lower stays what it was.
    """
    low, factor = min(opt.lr_min, initial), lr_factor(opt, progress) * warm_up(opt, progress)
    return low + (initial - low) * factor if opt.lr_policy == "cosine" else max(low, initial * factor)


def warm_up(opt: Any, progress: Progress) -> float:
    """The part of its value that the learning rate has in the first --warmup_epochs: e / n in epoch e of n."""
    return min(1.0, part_done(opt, progress) * opt.total_epochs / opt.warmup_epochs) if opt.warmup_epochs else 1.0


def lr_factor(opt: Any, progress: Progress) -> float:
    """The shape of the learning rate: what the next step takes of its initial value, before the floor.

    Args:
        opt: as told. A function of finished epochs; under --max_steps one of step / max_steps, which stands for all
            these epochs, so that the shape ends where the run does.
    """
    if opt.lr_policy == "cosine":
        return left_to_anneal(opt, progress)
    if opt.max_steps and opt.lr_policy != "plateau":
        return _factor_of_steps(opt, progress.step)
    epoch = progress.epoch + 1
    if opt.lr_policy == "linear":
        return 1 - max(0, epoch - opt.n_epochs) / (opt.n_epochs_decay + 1)
    if opt.lr_policy == "step":
        return opt.lr_gamma ** ((epoch - 1) // opt.lr_decay_iters)
    return progress.plateau


def left_to_anneal(opt: Any, progress: Progress) -> float:
    """1 at the start, 0 at the end of annealing, between them half a cosine: of images where they are told, else of
    finished epochs, or of steps under --max_steps."""
    if opt.anneal_images:
        done = min(1.0, progress.images / opt.anneal_images)
    else:
        done = min(1.0, progress.step / opt.max_steps) if opt.max_steps else progress.epoch / opt.total_epochs
    return 0.5 * (1 + math.cos(math.pi * done))


def _factor_of_steps(opt: Any, step: int) -> float:
    """Linear reaches 0 at ``max_steps``; in integers as far as possible, so that cuts fall on their step."""
    done = step * opt.total_epochs  # epochs, in parts of max_steps
    if opt.lr_policy == "step":
        return opt.lr_gamma ** (done // (opt.lr_decay_iters * opt.max_steps))
    fallen = done - opt.n_epochs * opt.max_steps
    return 1 - min(1.0, fallen / (opt.n_epochs_decay * opt.max_steps)) if fallen > 0 and opt.n_epochs_decay else 1.0


def has_passed(opt: Any, progress: Progress, part: float) -> bool:
    """Whether this part of the run, in [0, 1], is done: of its epochs or, where they are told, of its steps."""
    if opt.max_steps:
        return progress.step >= part * opt.max_steps
    return progress.epoch >= part * opt.total_epochs


def part_done(opt: Any, progress: Progress) -> float:
    """In (0, 1]: the epoch under way over all of them, as published curricula count; of --max_steps the step."""
    done, total = (progress.step, opt.max_steps) if opt.max_steps else (progress.epoch, opt.total_epochs)
    return min(1.0, (done + 1) / total)


def learning_rates(model: Any) -> dict[str, float]:
    """What the last step learnt at: {"lr": x}, or {"lr_D": x, "lr_G": y, "lr_G_2": z} of optimizers and their groups.

    Of groups that learn at one rate the first stands for all.
    """
    found: dict[str, float] = {}
    for name, optimizer in model.optimizers.items():
        rates = list(dict.fromkeys(float(group["lr"]) for group in optimizer.param_groups))
        found |= {f"lr_{name}" + f"_{i}" * (i > 1): rate for i, rate in enumerate(rates, 1)}
    return {"lr": next(iter(found.values()))} if len(set(found.values())) == 1 else found


def untrained(opt: Any, model: Any) -> list[str]:
    """A line that says what does not learn, for its learning rate is 0."""
    groups = [group for optimizer in model.optimizers.values() for group in optimizer.param_groups]
    still = {id(p) for group in groups if group["initial_lr"] == 0 for p in group["params"]}
    names = [name for name, net in model.networks.items() if still & {id(p) for p in net.parameters()}]
    flags = [name for name in flags_of(type(opt)) if name.startswith("lr") and getattr(opt, name) == 0]
    told = " ".join(f"--{name} 0" for name in flags if name not in ("lr_min", "lr_gamma", "lr_decay_iters"))
    if not still:
        return []
    if all(group["initial_lr"] == 0 for group in groups):
        return [f"{told or 'a learning rate of 0'}: nothing is trained; all weights stay as they begin"]
    return [f"{told or 'a learning rate of 0'}: {', '.join(names)} do not learn; others do"]


# -- the length of a run ----------------------------------------------------------------------------


def fitted(opt: Any, batches: int) -> Any:
    """The options with epochs that --max_steps ends in: as many as it takes, --n_epochs of them in the same ratio.

    Args:
        batches: of an epoch, for each process.

    Returns:
        ``opt`` itself without --max_steps. It is a function of both: a run that is continued finds the same.

    Raises:
        UserError: no epoch has the batches of a single step.
    """
    steps = batches // opt.accumulate  # of an epoch: what makes no whole step is dropped
    if not steps:
        raise UserError(f"--accumulate {opt.accumulate}: an epoch has only {batches} batches, so no step is ever made")
    if not opt.max_steps:
        return opt
    total = -(-opt.max_steps // steps)
    constant = -(-total * opt.n_epochs // opt.total_epochs)
    return dataclasses.replace(opt, n_epochs=constant, n_epochs_decay=total - constant)


def total_steps(opt: Any, batches: int) -> int:
    """Optimizer steps of the whole run, with the options of :func:`fitted`."""
    steps = (opt.total_epochs - opt.epoch_count + 1) * (batches // opt.accumulate)
    return min(steps, opt.max_steps) if opt.max_steps else steps


def total_images(opt: Any, batches: int, world: int) -> int:
    """Images of the whole run over all processes, with the options of :func:`fitted`."""
    count = (opt.total_epochs - opt.epoch_count + 1) * batches
    if opt.max_steps:
        whole, rest = divmod(opt.max_steps, batches // opt.accumulate)
        count = min(count, whole * batches + rest * opt.accumulate)
    return count * opt.batch_size * world


def intervals(opt: Any, images: int, batch: int) -> dict[str, int]:
    """Intervals that nobody told and that this run is short for: {option: a part of the run, at least a batch}.

    Args:
        images: of the whole run; ``batch``: of a step, both over all processes.
    """
    found = {}
    for name, flag in flags_of(type(opt)).items():
        parts, usual = flag.metadata["part_of_run"], getattr(opt, name)
        if parts and isinstance(usual, Usual) and (wanted := max(batch, images // parts)) < usual:
            found[name] = wanted
    return found
