"""Where a step is carried out: device, precision, processes, compilation, accumulation, averaging.

A model says *what* to minimise; the engine decides *how*. No model file imports torch.distributed, autocast or
torch.compile.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel

from options import UserError
from util import distributed
from util.contract import broken, kind, not_losses
from util.device import DTYPES, channels_last_pays, choose_device, computes_in_bf16
from util.seeding import seed_everything
from util.signals import Signals
from util.training.buckets import Buckets
from util.training.gate import check_finite
from util.training.own_state import OwnStates
from util.training.schedule import Progress, has_passed, learning_rate, left_to_anneal, part_done
from util.training.sync_norm import synchronise
from util.training.whole_step import WholeStep

Losses = dict[str, torch.Tensor]
Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]


class Engine:
    def __init__(self, opt: Any):
        self.opt = opt  # as told: the learning rate is a function of it, not of the epochs that fit --max_steps
        self.folder: Any = None  # the run_folder.RunFolder that a training run writes to, in the main process
        self.progress = Progress(epoch=opt.epoch_count - 1 if opt.is_train else 0)
        self.averages: dict[str, AveragedModel] = {}
        self.trainers: dict[str, str | None] = {}  # network that is averaged -> the optimizer that steps it
        self.scalers: dict[str, torch.amp.GradScaler] = {}
        self.device = choose_device(opt.device, opt.gpu_ids, trains=opt.is_train)
        # One process evaluates while the others wait, or for data, which may take longer than any step.
        patience = 10 + opt.data_timeout / 60 if opt.data_timeout else 240
        distributed.start(self.device, minutes=240 if opt.is_train and opt.eval_freq else patience)
        self.rank, self.world = distributed.rank(), distributed.world_size()
        self.is_main = self.rank == 0
        if opt.precision == "bf16" and self.is_main and not computes_in_bf16(self.device):
            print(f"--precision bf16: {self.device} has no bf16 arithmetic, so fp32 is faster here", file=sys.stderr)
        self.buckets: dict[str, Buckets] = {}
        self.micro = 0  # batches accumulated towards the next update
        self.stepped: set[str] = set()  # optimizers that did, since the step began
        self.known: set[str] = set()  # and those that ever did
        self.batches = 0  # that this process was given
        self.checked = False  # whether a step made what the model says that it makes
        self.finite = torch.ones((), dtype=torch.bool, device=self.device)
        self.saved: dict[str, dict[str, Any]] = {}  # label of a checkpoint -> the progress that it holds
        self.sums: dict[str, torch.Tensor] = {}  # of the watched loss over this epoch (plateau)
        self.own = OwnStates()
        self.signals = Signals()
        self.in_step = False
        self.last: WholeStep | None = None  # before the step that is under way, where one may be taken back
        self.low_precision = opt.precision != "fp32"
        self.channels_last = channels_last_pays(self.device, self.low_precision)
        torch.set_flush_denormal(True)  # denormals halve the speed of small networks
        torch.backends.cudnn.benchmark = opt.is_train and not opt.deterministic  # inputs of one size
        if opt.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True)
        # Computes, so it follows CUBLAS_WORKSPACE_CONFIG, which cuBLAS reads once.
        self.caches_casts = self.low_precision and casts_keep_gradients(self.device, DTYPES[opt.precision])
        seed_everything(opt.seed, "init")

    # -- before the loop -------------------------------------------------------------------------

    def prepare(self, model: Any) -> Any:
        """Place the model, make every process agree on it, average its generators, compile its networks."""
        model.check_prepared()
        model.engine = self
        model.to(self.device)
        self.channels_last = self.channels_last or model.channels_last
        if self.channels_last:
            model.to(memory_format=torch.channels_last)
        if self.opt.is_train and self.opt.sync_bn:
            synchronise(model)
        distributed.broadcast_module(model)
        if self.opt.is_train:
            if self.opt.ema_decay > 0:
                average = self.half_life() if self.opt.ema_half_life else moving_average(self.opt.ema_decay)
                self.averages = {
                    name: AveragedModel(model.networks[name], multi_avg_fn=average, use_buffers=True)
                    for name in model.ema_names
                }
                self.trainers = {name: trainer_of(model, model.networks[name]) for name in self.averages}
            self.scalers = {
                name: torch.amp.GradScaler(self.device.type, enabled=self.opt.precision == "fp16")
                for name in model.optimizers
            }
        if self.opt.verbose and self.is_main:
            print(model)
        if self.opt.compile:
            for network in model.networks.values():
                network.compile()  # in place: attribute names and state-dict keys stay
        return model

    def place(self, tensor: torch.Tensor) -> torch.Tensor:
        """A batch's tensor, where and how the networks want it."""
        tensor = tensor.to(self.device, non_blocking=True)
        return (
            tensor.contiguous(memory_format=torch.channels_last) if self.channels_last and tensor.ndim == 4 else tensor
        )

    # -- one step --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def step(self, model: Any) -> Iterator[None]:
        """Everything that surrounds ``model.optimize_parameters()`` for one batch."""
        progress = self.progress
        if self.micro == 0 and (self.world > 1 or self.opt.accumulate > 1):
            self.last = WholeStep(model, self)
        self.in_step = True
        seed_everything(self.opt.seed, self.rank, progress.step, self.micro)
        if self.micro == 0:
            progress.previous = progress.images
            self.stepped.clear()
            self.set_learning_rate(model)
            for optimizer in model.optimizers.values():
                optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            yield
        if not self.checked and self.known and self.known >= set(model.optimizers):  # every optimizer had its turn
            model.check_step()
            self.checked = True
        self.batches += 1
        self.micro = (self.micro + 1) % self.opt.accumulate
        items = self.opt.batch_size * self.world
        progress.in_epoch, progress.images = progress.in_epoch + items, progress.images + items
        if self.opt.lr_policy == "plateau":
            self._watch(model)
        if self.micro == 0:
            progress.step += 1
            for name, average in self.averages.items():
                if self.trainers[name] is None or self.trainers[name] in self.stepped:
                    average.update_parameters(model.networks[name])
        self.in_step = False

    def autocast(self) -> torch.autocast:
        """The networks' precision.

        A weight is cast once for all its uses, until an optimizer steps: ``update`` then empties autocast's cache,
        which would go on with the copies of the weights before.
        """
        return torch.autocast(
            self.device.type, DTYPES.get(self.opt.precision), self.low_precision, cache_enabled=self.caches_casts
        )

    @contextlib.contextmanager
    def inference(self) -> Iterator[None]:
        """Run networks without gradients, in the run's precision."""
        with torch.inference_mode(), self.autocast():
            yield

    def update(self, model: Any, name: str, compute: Callable[[], Losses]) -> Losses:
        """One gradient of the optimizer ``name``: losses, backward, average over processes, step.

        With ``--accumulate n`` the optimizer steps on the mean gradient of n batches, in the last of them.
        """
        if name not in model.optimizers:
            known = ", ".join(model.optimizers) or "none"
            raise broken(model, f"update({name!r})", f"names no optimizer; those that add_optimizer made: {known}")
        if not callable(compute):
            raise broken(model, f"update({name!r})", f"was given {kind(compute)}; give it the method that computes it")
        optimizer, scaler = model.optimizers[name], self.scalers[name]
        mine = [p for group in optimizer.param_groups for p in group["params"]]
        last = self.micro == self.opt.accumulate - 1
        buckets = self.buckets_of(name, mine) if last and self.world > 1 else None
        with only_trainable(model, mine):
            terms = compute()
            if name not in self.known and (mistake := not_losses(model, name, compute, terms)):
                raise mistake  # in the first turn; later only where they cannot be summed
            total = total_of(model, name, compute, terms)
            self.finite &= torch.isfinite(total.detach())
            with (
                torch.autocast(self.device.type, enabled=False),
                contextlib.nullcontext() if buckets is None else buckets.sending(),
                backward_of(model, name),
            ):
                scaler.scale(total / self.opt.accumulate).backward()
        if last:
            if buckets is None:
                distributed.average_gradients(mine)
            cut_gradients(optimizer, scaler)
            scaler.step(optimizer)
            scaler.update()
            torch.clear_autocast_cache()
            optimizer.zero_grad(set_to_none=True)
            self.stepped.add(name)
            self.known.add(name)
        return {**terms, name: total}

    def buckets_of(self, name: str, parameters: list[torch.nn.Parameter]) -> Buckets | None:
        """In which the gradients of an optimizer are sent; None where all are, after the backward pass."""
        if not self.opt.bucket_mb:
            return None
        if name not in self.buckets:
            self.buckets[name] = Buckets(parameters, self.opt.bucket_mb)
        return self.buckets[name]

    def every(self, n: int) -> bool:
        """True in the last of each n steps: ``if self.every(5): self.update("G", ...)``."""
        return (self.progress.step + 1) % n == 0

    def has_passed(self, part: float) -> bool:
        """Whether this part of the run, in [0, 1], is done."""
        return has_passed(self.opt, self.progress, part)

    @property
    def part_done(self) -> float:
        """The epoch under way, counted from 1, over all epochs; with --max_steps the step. 1 in the last, in (0, 1]."""
        return part_done(self.opt, self.progress)

    def annealed(self, start: float, end: float) -> float:
        """The value at the next step of what goes from one to the other; see --anneal_images."""
        return end + (start - end) * left_to_anneal(self.opt, self.progress)

    def set_learning_rate(self, model: Any) -> None:
        end = self.opt.beta2_end
        for optimizer in model.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(self.opt, self.progress, group["initial_lr"])
                if end is not None:
                    group["betas"] = (group["betas"][0], self.annealed(self.opt.beta2, end))

    def half_life(self) -> Callable[[Tensors, Tensors, torch.Tensor | int], None]:
        """For AveragedModel: how averages follow tensors with --ema_half_life; the integers among them as copies."""

        @torch.no_grad()
        def follow(averages: Tensors, tensors: Tensors, n: torch.Tensor | int) -> None:
            images, forgotten = self.progress.images - self.progress.previous, self.annealed(0, self.opt.ema_half_life)
            if forgotten <= 0 or not averages[0].is_floating_point():
                torch._foreach_copy_(averages, tensors)
            else:
                torch._foreach_lerp_(averages, tensors, 1 - 0.5 ** (images / forgotten))

        return follow

    # -- between steps ---------------------------------------------------------------------------

    def due(self, every: int) -> bool:
        """Whether something that happens every so many images is due now; never in the middle of an update."""
        return self.micro == 0 and self.progress.due(every)

    def reached_end(self) -> bool:
        """Whether --max_steps are made."""
        return 0 < self.opt.max_steps <= self.progress.step

    def end_epoch(self, model: Any) -> None:
        """Count the epoch; batches that were accumulated but make no whole update are dropped."""
        if self.opt.lr_policy == "plateau":
            self._watch_epoch(model)
        if not self.known and self.batches >= self.opt.accumulate:
            raise broken(model, "optimize_parameters", "never calls self.update(name, losses), so nothing is learnt")
        self.micro = 0
        for optimizer in model.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        self.progress.end_epoch()

    def check_finite(self, model: Any) -> None:
        """Stop a run whose losses, networks, averages or moments are not finite, before they reach a checkpoint.

        Raises:
            UserError: in every process, with exit code 3.
        """
        check_finite(model, self)

    def check_losses(self, model: Any) -> None:
        """The same where the losses alone are looked at."""
        if distributed.any_process(not self.finite.item(), self.device):
            check_finite(model, self)

    def last_checkpoint(self) -> str:
        """In words, for a run that cannot go on."""
        steps = [progress["step"] for progress in self.saved.values()]
        return f"the last checkpoint is of step {max(steps)}" if steps else "no checkpoint was saved"

    def should_stop(self) -> bool:
        """Whether a signal asked this process to stop; only between updates, where a checkpoint is exact."""
        return self.micro == 0 and self.signals.number != 0

    def is_whole(self, model: Any) -> bool:
        """Whether the networks are as the last whole step left them."""
        if self.micro == 0 and not self.in_step:
            return True
        return self.last is not None and not self.stepped and not self.last.is_left(model)

    def back_to_whole(self, model: Any) -> bool:
        """Take back a step that has changed nothing yet; whether the networks are at a whole one then."""
        if not self.is_whole(model):
            return False
        if self.last is not None and (self.micro or self.in_step):
            self.last.restore(model, self)
            self.micro, self.in_step = 0, False
        return True

    def no_such_metric(self, model: Any) -> UserError:
        return UserError(f"--plateau_metric {self.opt.plateau_metric}: this model logs {', '.join(model.losses)}")

    def _watch(self, model: Any) -> None:
        """Add the watched loss to the sums of the epoch, in the steps that log it."""
        name = self.opt.plateau_metric
        if name not in model.losses:
            # It may be of a network whose first turn is still to come; then the end of the epoch asks again.
            if self.known >= set(model.optimizers) and not self._knows_metric(model):
                raise self.no_such_metric(model)
            return
        value = model.losses[name].detach().double()
        self.sums = {
            "total": self.sums.get("total", 0) + value,
            "count": self.sums.get("count", 0) + torch.ones_like(value),
        }

    def _watch_epoch(self, model: Any) -> None:
        """Give the mean of the watched loss to the plateau; an epoch in which it paused throughout counts for nothing.

        It may have paused in one process alone, so every process asks all.
        """
        if not self._knows_metric(model):
            raise self.no_such_metric(model)
        nothing = torch.zeros((), dtype=torch.double, device=self.device)
        total, count = (distributed.mean(self.sums.get(part, nothing)) for part in ("total", "count"))
        if count > 0:
            self.progress.watch((total / count).item())
        self.sums = {}

    def _knows_metric(self, model: Any) -> bool:
        """Whether the watched loss was ever logged, in this part of the run or an earlier one, or is announced."""
        metric = self.opt.plateau_metric
        return bool(self.sums) or metric in model.loss_owners or model.may_log(metric)


def total_of(model: Any, name: str, compute: Callable[[], Losses], terms: Losses) -> torch.Tensor:
    """The sum of the losses.

    Raises:
        UserError: they are none, or depend on nothing. Why is looked into where summing fails; a step pays nothing.
    """
    try:
        total = torch.stack([term.reshape(()) for term in terms.values()]).sum()
    except (AttributeError, TypeError, ValueError, RuntimeError):
        if mistake := not_losses(model, name, compute, terms):
            raise mistake from None
        raise
    if not total.requires_grad:
        why = "depend on no network of this optimizer; were they detached, or is it another optimizer's?"
        raise broken(model, f"update({name!r})", f"has losses that {why}")
    return total


@contextlib.contextmanager
def backward_of(model: Any, name: str) -> Iterator[None]:
    """In words: what torch says of a graph that was differentiated, or whose values were changed."""
    try:
        yield
    except RuntimeError as error:
        if "backward through the graph a second time" in str(error):
            why = "were differentiated before: detach() in the losses of one optimizer what another trains"
        elif "modified by an inplace operation" in str(error):
            why = "go through weights or values that were changed meanwhile: compute them anew in the losses"
        else:
            raise
        raise broken(model, f"update({name!r})", f"has losses that {why}") from error


def cut_gradients(optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> None:
    """Scale down what is longer than a group's ``largest_gradient``."""
    limited = [group for group in optimizer.param_groups if group.get("largest_gradient")]
    if limited:
        scaler.unscale_(optimizer)
    for group in limited:
        torch.nn.utils.clip_grad_norm_(group["params"], group["largest_gradient"])


def moving_average(decay: float) -> Callable[[Tensors, Tensors, torch.Tensor | int], None]:
    r"""For AveragedModel: how averages follow tensors, the integers among them as copies.

    .. math:: a \leftarrow d_n a + (1 - d_n) x, \qquad d_n = \min(d, (1 + n) / (10 + n))

    after n updates, so that a short run's average is not mostly of its first steps; the warm-up is that of
    tf.train.ExponentialMovingAverage. n stays a tensor: nothing waits for the device to know it.
    """

    @torch.no_grad()
    def follow(averages: Tensors, tensors: Tensors, n: torch.Tensor | int) -> None:
        if not averages[0].is_floating_point():
            torch._foreach_copy_(averages, tensors)
            return
        part = torch.as_tensor(9 / (10 + n)).clamp(min=1 - decay).to(averages[0].dtype)
        torch._foreach_lerp_(averages, tensors, [part] * len(averages))

    return follow


def trainer_of(model: Any, network: torch.nn.Module) -> str | None:
    """The optimizer that has a parameter of this network."""
    mine = {id(p) for p in network.parameters()}
    groups = ((name, group) for name, optimizer in model.optimizers.items() for group in optimizer.param_groups)
    return next((name for name, group in groups if any(id(p) in mine for p in group["params"])), None)


@contextlib.contextmanager
def only_trainable(model: torch.nn.Module, parameters: list[torch.nn.Parameter]) -> Iterator[None]:
    """Inside, only these parameters collect gradients; the others save no activations for theirs."""
    mine = {id(p) for p in parameters}
    frozen = [p for p in model.parameters() if p.requires_grad and id(p) not in mine]
    for p in frozen:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in frozen:
            p.requires_grad_(True)


def casts_keep_gradients(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether autocast's cache can be used: not if what it cast under no_grad is used again where gradients are due."""
    layer, x = torch.nn.Linear(1, 1, device=device), torch.ones(1, 1, device=device)
    with torch.autocast(device.type, dtype, cache_enabled=True):
        with torch.no_grad():
            layer(x)
        y = layer(x)
    (gradient,) = torch.autograd.grad(y.sum(), layer.weight, allow_unused=True) if y.requires_grad else (None,)
    return gradient is not None
