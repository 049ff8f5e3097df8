"""The methods computed the way the published CUT and DCLGAN code computes them, to compare ours with.

Written from a description of that code, on the networks of plain_networks.py. The mathematics is that of our models
(tests/benchmarks/test_published_methods.py shows equal losses and gradients); what differs is how it is carried out:

- eager float32, NCHW, torch.optim.Adam with its defaults (a loop over tensors on the CPU, multi-tensor on CUDA),
  an optimizer for each of G, D and F; ``zero_grad``, ``backward`` and ``step`` in each phase;
- keys come from a second pass through the encoder that builds a graph which nothing uses;
- PatchNCE builds (S, S) logits with the positives in a column of their own and the diagonal masked by -10;
  DCLGAN's takes them from a cosine similarity that is broadcast to (S, 1, S, D);
- the identity images of DCLGAN and CycleGAN are made one by one, at test time too; D judges reals, then fakes.

Where the published code needs settings, so does this: instance norm, antialiased networks, mlp_sample heads, and
for SimDCL one image per batch. The process-wide settings (denormals flushed to zero, cuDNN's search) are those of
our engine; the published code has no such line for the CPU, so they can only help it here.
"""

import contextlib
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from benchmarks.plain_networks import Discriminator, Generator, MappingHead, PatchHead, initialised
from options import UserError
from util.image_pool import ImagePool

Terms = dict[str, torch.Tensor]


class Published:
    """One method. ``losses`` are the terms that are summed, under our names."""

    test_passes = 1  # generator passes for each pair of images at test time

    def __init__(self, opt: Any, device: torch.device):
        check(opt)
        self.opt, self.device = opt, device
        self.networks: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.losses: Terms = {}
        self.gan = Adversary(opt.gan_mode) if opt.is_train else None
        self.build()

    def build(self) -> None:
        raise NotImplementedError

    def set_input(self, batch: Mapping[str, Any]) -> None:
        self.real_A, self.real_B = (batch[side].to(self.device) for side in "AB")

    def optimize_parameters(self) -> None:
        raise NotImplementedError

    def test(self) -> None:
        raise NotImplementedError

    # -- what the methods share ------------------------------------------------------------------

    def generator(self) -> Any:
        blocks = int(self.opt.netG.removeprefix("resnet_").removesuffix("blocks"))
        network = Generator(self.opt.input_nc, self.opt.output_nc, self.opt.ngf, blocks)
        return initialised(network).to(self.device)

    def discriminator(self) -> Any:
        layers = 3 if self.opt.netD == "basic" else self.opt.n_layers_D
        return initialised(Discriminator(self.opt.output_nc, self.opt.ndf, layers)).to(self.device)

    def head(self, netG: Generator) -> Any:
        """The head for the layers of netG; the published code finds their channels in the first batch."""
        self.layers = [int(tap) for tap in self.opt.nce_layers]
        with torch.no_grad():
            probe = torch.zeros(1, self.opt.input_nc, 64, 64, device=self.device)
            channels = [f.shape[1] for f in netG.encode(probe, self.layers)]
        return initialised(PatchHead(channels, self.opt.netF_nc)).to(self.device)

    def adam(self, name: str, *networks: nn.Module, **settings: Any) -> None:
        opt = self.opt
        parameters = [p for network in networks for p in network.parameters()]
        self.optimizers[name] = torch.optim.Adam(
            parameters, **({"lr": opt.lr, "betas": (opt.beta1, opt.beta2)} | settings)
        )

    def minimise(self, *names: str) -> "contextlib.AbstractContextManager[None]":
        return phase([self.optimizers[name] for name in names])

    def judge(self, netD: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.gan(netD(fake.detach()), False), self.gan(netD(real), True)  # type: ignore[misc]

    def fool(self, netD: nn.Module, fake: torch.Tensor) -> torch.Tensor:
        return self.gan(netD(fake), True)  # type: ignore[misc]

    def load(self, weights: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
        """Take {network: state_dict} of one of our models."""
        for name, network in self.networks.items():
            network.load_state_dict(weights[name], strict=True)


class CUT(Published):
    def build(self) -> None:
        opt = self.opt
        self.netG = self.generator()
        self.networks = {"G": self.netG}
        if opt.is_train:
            self.netF, self.netD = self.head(self.netG), self.discriminator()
            self.networks |= {"F": self.netF, "D": self.netD}
            across_batch = opt.nce_includes_all_negatives_from_minibatch or opt.negatives == "minibatch"
            self.nce_loss = PatchNCE(opt.nce_T, 1 if across_batch else opt.batch_size)
            for name in "GDF":
                self.adam(name, self.networks[name])

    def test(self) -> None:
        self.fake_B = self.netG(self.real_A)

    def coin(self) -> bool:
        return random.random() < 0.5

    def optimize_parameters(self) -> None:
        opt = self.opt
        real = torch.cat((self.real_A, self.real_B)) if opt.nce_idt else self.real_A
        self.flipped = opt.flip_equivariance and self.coin()
        fake = self.netG(torch.flip(real, [3]) if self.flipped else real)
        self.fake_B = fake[: len(self.real_A)]
        self.idt_B = fake[len(self.real_A) :]

        require_grad(True, self.netD)
        with self.minimise("D"):
            on_fake, on_real = self.judge(self.netD, self.real_B, self.fake_B)
            self.losses = {"D_fake": 0.5 * on_fake, "D_real": 0.5 * on_real}
            (0.5 * (on_fake + on_real)).backward()

        require_grad(False, self.netD)
        with self.minimise("G", "F"):
            terms = {"G_GAN": opt.lambda_GAN * self.fool(self.netD, self.fake_B)}
            share = 0.5 if opt.nce_idt else 1.0
            terms["NCE"] = share * self.contrast(self.real_A, self.fake_B)
            if opt.nce_idt:
                terms["NCE_Y"] = share * self.contrast(self.real_B, self.idt_B)
            sum(terms.values()).backward()  # type: ignore[union-attr]
            self.losses |= terms

    def contrast(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        queries = self.netG.encode(target, self.layers)
        if self.flipped:
            queries = [torch.flip(q, [3]) for q in queries]
        k, ids = self.netF(self.netG.encode(source, self.layers), self.opt.num_patches)
        q, _ = self.netF(queries, self.opt.num_patches, ids)
        total: Any = 0.0
        for pair in zip(q, k, strict=True):
            total = total + self.opt.lambda_NCE * self.nce_loss(*pair).mean()
        return total / len(self.layers)


class TwoSided(Published):
    fake_A: torch.Tensor
    fake_B: torch.Tensor

    def discriminators(self) -> None:
        self.netD_A, self.netD_B = self.discriminator(), self.discriminator()
        self.networks |= {"D_A": self.netD_A, "D_B": self.netD_B}
        self.adam("D", self.netD_A, self.netD_B)
        self.pool_A, self.pool_B = ImagePool(self.opt.pool_size), ImagePool(self.opt.pool_size)

    def step_discriminators(self) -> None:
        require_grad(True, self.netD_A, self.netD_B)
        with self.minimise("D"):
            for name, netD, real, fake in (
                ("D_A", self.netD_A, self.real_B, self.pool_B.query(self.fake_B)),
                ("D_B", self.netD_B, self.real_A, self.pool_A.query(self.fake_A)),
            ):
                on_fake, on_real = self.judge(netD, real, fake)
                self.losses[name] = 0.5 * (on_fake + on_real)
                self.losses[name].backward()


class CycleGAN(TwoSided):
    test_passes = 4  # there and back again

    def build(self) -> None:
        opt = self.opt
        self.netG_A, self.netG_B = self.generator(), self.generator()
        self.networks = {"G_A": self.netG_A, "G_B": self.netG_B}
        if opt.is_train:
            self.adam("G", self.netG_A, self.netG_B, betas=(opt.beta1, 0.999))
            self.discriminators()
            self.l1 = nn.L1Loss()

    def test(self) -> None:
        self.fake_B = self.netG_A(self.real_A)
        self.rec_A = self.netG_B(self.fake_B)
        self.fake_A = self.netG_B(self.real_B)
        self.rec_B = self.netG_A(self.fake_A)

    def optimize_parameters(self) -> None:
        opt = self.opt
        self.test()
        require_grad(False, self.netD_A, self.netD_B)
        with self.minimise("G"):
            terms: Terms = {}
            if opt.lambda_identity > 0:
                self.idt_A = self.netG_A(self.real_B)
                terms["idt_A"] = self.l1(self.idt_A, self.real_B) * opt.lambda_B * opt.lambda_identity
                self.idt_B = self.netG_B(self.real_A)
                terms["idt_B"] = self.l1(self.idt_B, self.real_A) * opt.lambda_A * opt.lambda_identity
            terms["G_A"] = self.fool(self.netD_A, self.fake_B)
            terms["G_B"] = self.fool(self.netD_B, self.fake_A)
            terms["cycle_A"] = self.l1(self.rec_A, self.real_A) * opt.lambda_A
            terms["cycle_B"] = self.l1(self.rec_B, self.real_B) * opt.lambda_B
            sum(terms.values()).backward()  # type: ignore[union-attr]
            self.losses |= terms
        self.step_discriminators()


class DCL(TwoSided):
    test_passes = 4  # identity images too, which nobody looks at

    def build(self) -> None:
        opt = self.opt
        self.netG_A, self.netG_B = self.generator(), self.generator()
        self.networks = {"G_A": self.netG_A, "G_B": self.netG_B}
        if opt.is_train:
            if not opt.nce_idt:
                raise UserError("--nce_idt false: the published DCLGAN fails without the identity terms")
            if opt.negatives == "internal" and opt.batch_size > 1:
                raise UserError("--negatives internal: the published DCLGAN takes negatives from the whole batch")
            self.netF1, self.netF2 = self.head(self.netG_A), self.head(self.netG_B)
            self.networks |= {"F1": self.netF1, "F2": self.netF2}
            self.discriminators()
            self.adam("G", self.netG_A, self.netG_B)
            self.add_heads()
            self.nce_loss, self.l1 = CosinePatchNCE(opt.nce_T), nn.L1Loss()

    def add_heads(self) -> None:
        own = {} if self.opt.lr_F is None else {"lr": self.opt.lr_F, "betas": (0.9, 0.999)}
        self.adam("F", self.netF1, self.netF2, **own)

    def test(self) -> None:
        self.fake_B = self.netG_A(self.real_A)
        self.fake_A = self.netG_B(self.real_B)
        self.idt_A = self.netG_A(self.real_B)
        self.idt_B = self.netG_B(self.real_A)

    def optimize_parameters(self) -> None:
        opt = self.opt
        self.test()
        self.step_discriminators()
        require_grad(False, self.netD_A, self.netD_B)
        with self.minimise("G", "F"):
            terms = {
                "G_A": 0.5 * opt.lambda_GAN * self.fool(self.netD_A, self.fake_B),
                "G_B": 0.5 * opt.lambda_GAN * self.fool(self.netD_B, self.fake_A),
                **self.contrast(),
                "idt_A": 0.5 * opt.lambda_IDT * self.l1(self.idt_A, self.real_B),
                "idt_B": 0.5 * opt.lambda_IDT * self.l1(self.idt_B, self.real_A),
            }
            sum(terms.values()).backward()  # type: ignore[union-attr]
            self.losses |= terms

    def contrast(self) -> Terms:
        weight = 0.5 * self.opt.lambda_NCE
        first = self.nce(self.netG_B, self.netF2, self.fake_B, self.netG_A, self.netF1, self.real_A)
        second = self.nce(self.netG_A, self.netF1, self.fake_A, self.netG_B, self.netF2, self.real_B)
        return {"NCE1": weight * first[0], "NCE2": weight * second[0]}

    def nce(
        self,
        netG: Generator,
        netF: PatchHead,
        target: torch.Tensor,
        key_netG: Generator,
        key_netF: PatchHead,
        source: torch.Tensor,
    ) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        """The mean over layers; the features of the target; the rows of the source."""
        queries = netG.encode(target, self.layers)
        k, ids = key_netF(key_netG.encode(source, self.layers), self.opt.num_patches)
        q, _ = netF(queries, self.opt.num_patches, ids)
        total: Any = 0.0
        for pair in zip(q, k, strict=True):
            total = total + self.nce_loss(*pair).mean()
        return total / len(self.layers), queries, k


class SimDCL(DCL):
    def add_heads(self) -> None:
        if self.opt.batch_size > 1:
            raise UserError(f"--batch_size {self.opt.batch_size}: the published SimDCL takes one image per batch")
        similar = {f"F{n}": initialised(MappingHead(len(self.layers))).to(self.device) for n in (3, 4, 5, 6)}
        self.networks |= similar
        self.adam("F", self.netF1, self.netF2, *similar.values())

    def contrast(self) -> Terms:
        nce_1, queries_B, real_A = self.nce(self.netG_B, self.netF2, self.fake_B, self.netG_A, self.netF1, self.real_A)
        nce_2, queries_A, real_B = self.nce(self.netG_A, self.netF1, self.fake_A, self.netG_B, self.netF2, self.real_B)
        fake_B, _ = self.netF2(queries_B, self.opt.num_patches)
        fake_A, _ = self.netF1(queries_A, self.opt.num_patches)
        stacks = {"F3": real_A, "F4": fake_B, "F5": real_B, "F6": fake_A}
        vectors = {name: self.networks[name](self.stack(rows)) for name, rows in stacks.items()}
        distance = self.l1(vectors["F3"], vectors["F6"]) + self.l1(vectors["F4"], vectors["F5"])
        return {"NCE1": 0.5 * nce_1, "NCE2": 0.5 * nce_2, "Sim": self.opt.lambda_SIM * distance}

    def stack(self, rows: Sequence[torch.Tensor]) -> torch.Tensor:
        """(L, S, D), filled layer by layer on the CPU and moved to the device."""
        stack = torch.zeros(len(rows), *rows[0].shape, dtype=rows[0].dtype)
        for layer, vectors in enumerate(rows):
            stack[layer] = vectors
        return stack.to(self.device)


class Adversary:
    """The loss compares with an image of labels, as torch's criteria want it."""

    def __init__(self, mode: str):
        self.mode = mode
        self.criteria = {"lsgan": nn.MSELoss(), "vanilla": nn.BCEWithLogitsLoss()}

    def __call__(self, logits: torch.Tensor, real: bool) -> torch.Tensor:
        if self.mode == "hinge":
            return torch.relu(1 - logits).mean() if real else torch.relu(1 + logits).mean()
        label = torch.tensor(1.0 if real else 0.0, dtype=logits.dtype, device=logits.device).expand_as(logits)
        return self.criteria[self.mode](logits, label)


class PatchNCE:
    """CUT's: a batched product, the positives beside it."""

    def __init__(self, tau: float, groups: int):
        self.tau, self.groups = tau, groups
        self.cross_entropy = nn.CrossEntropyLoss(reduction="none")

    def __call__(self, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        """q and k are (B * S, D); a value for each row."""
        k = k.detach()
        rows, D = q.shape
        positive = torch.bmm(q.view(rows, 1, D), k.view(rows, D, 1)).view(rows, 1)
        negative = torch.bmm(q.view(self.groups, -1, D), k.view(self.groups, -1, D).transpose(2, 1))
        return self.finish(positive, negative)

    def finish(self, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
        """negative is (groups, S, S)."""
        S = negative.shape[1]
        own = torch.eye(S, device=negative.device, dtype=torch.bool).unsqueeze(0)
        negative.masked_fill_(own, -10.0)
        logits = torch.cat((positive, negative.view(-1, S)), 1) / self.tau
        return self.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


class CosinePatchNCE(PatchNCE):
    """DCLGAN's: the rows of the batch as one group, each against each by broadcasting."""

    def __init__(self, tau: float):
        super().__init__(tau, 1)
        self.cosine = nn.CosineSimilarity(dim=-1)

    def __call__(self, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        k = k.detach()
        S, D = q.shape
        positive = self.cosine(q, k).view(S, 1)
        negative = self.cosine(q.view(S, 1, 1, D), k.view(1, 1, S, D))  # (S, 1, S)
        return self.finish(positive, negative.view(1, S, S))


@contextlib.contextmanager
def phase(optimizers: Sequence[torch.optim.Optimizer]) -> Iterator[None]:
    """What is done inside ends with a backward pass."""
    for optimizer in optimizers:
        optimizer.zero_grad()
    yield
    for optimizer in optimizers:
        optimizer.step()


def require_grad(wanted: bool, *networks: nn.Module) -> None:
    for network in networks:
        for parameter in network.parameters():
            parameter.requires_grad = wanted


METHODS: dict[str, type[Published]] = {
    "cut": CUT,
    "fastcut": CUT,
    "cycle_gan": CycleGAN,
    "dcl": DCL,
    "simdcl": SimDCL,
}
ONLY: dict[str, tuple[Any, ...]] = {  # what the networks and methods above cover
    "model": tuple(METHODS),
    "netG": ("resnet_9blocks", "resnet_6blocks", "resnet_4blocks"),
    "normG": ("instance",),
    "no_dropout": (True,),
    "no_antialias": (False,),
    "no_antialias_up": (False,),
    "netD": ("basic", "n_layers"),
    "normD": ("instance",),
    "gan_mode": ("lsgan", "vanilla", "hinge"),
    "netF": ("mlp_sample",),
    "negatives": ("internal", "minibatch"),
    "lambda_L1": (0.0,),
    "sim_sum": (False,),
    "weight_NCE": (False,),
    "init_type": ("xavier",),
    "accumulate": (1,),
}


def check(opt: Any) -> None:
    """Raises UserError for settings that have no published variant here."""
    for name, covered in ONLY.items():
        if hasattr(opt, name) and getattr(opt, name) not in covered:
            choices = ", ".join(map(str, covered))
            raise UserError(f"--{name} {getattr(opt, name)}: the published variant covers {choices}")
    if hasattr(opt, "nce_layers") and not all(tap.isdecimal() for tap in opt.nce_layers):
        raise UserError(f"--nce_layers {','.join(opt.nce_layers)}: the published variant wants indices")
