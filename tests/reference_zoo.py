"""How training steps of later methods are made again: their commands in ours, their draws, what they logged.

A command is made of the published words and of ``resolved``, the values of options that matter, where ours has an
option of that name. Each method says what it calls otherwise, and which flag makes which recorded alternative.
"""

import shlex

import pytest
import torch

from models import MODELS
from options import TrainOptions
from options.fields import flags_of
from options.parsing import compose, option_classes
from tests import safetensors
from tests.reference import close, counted, first_places


class Replay:
    """One recording of training steps; see ``tests/test_reference_zoo.py``."""

    model = ""  # here
    renamed: dict[str, str] = {}  # published options that are called otherwise here; "" has no place here
    settings: dict[str, object] = {}  # what makes ours the published code, where the default is another
    alternatives: dict[str, dict[str, object]] = {}  # recorded change -> flags that make it
    halved: set[str] = {"D_real", "D_fake"}  # logged before the factor 1/2 there
    frozen: set[str] = set()  # networks whose gradients are recorded, and are not computed here
    own: tuple[str, ...] = ()  # networks whose weights are not recorded as a network's

    def __init__(self, entry, tensors, monkeypatch, tmp_path):
        self.entry, self.tensors, self.monkeypatch, self.tmp_path = entry, tensors, monkeypatch, tmp_path

    def published_options(self):
        """{option: value} of the published command and what it resolved to."""
        entry, told, words = self.entry, {}, shlex.split(self.entry["options"])
        for at, word in enumerate(words):
            if word.startswith("--"):
                value = words[at + 1] if at + 1 < len(words) else "--"
                told[word[2:]] = "true" if value.startswith("--") else value
        told |= {name: value for name, value in entry.get("resolved", {}).items() if name not in told}
        return told | {name: entry[name] for name in ("gan_mode", "batch_size", "crop_size", "pool_size", "init_gain")}

    def command(self, alternative=None):
        known = flags_of(compose(TrainOptions, option_classes(MODELS.find(self.model), TrainOptions)))
        told = {self.renamed.get(name, name): value for name, value in self.published_options().items()}
        told = {name: value for name, value in told.items() if name in known and name != "model"}
        told |= self.settings | self.alternatives.get(alternative, {})
        words = [word for name, value in told.items() for word in (f"--{name}", str(value).replace(" ", ""))]
        return ["--model", self.model, *words]

    def begin(self, steps):
        """Epochs were set, and the schedule of the learning rate was not."""
        self.steps = steps
        self.monkeypatch.setattr(steps.engine, "set_learning_rate", lambda model: None)

    def before(self, step):
        epochs = self.entry.get("epochs", self.entry.get("epoch"))
        if epochs is not None:
            self.steps.engine.progress.epoch = (epochs[step] if isinstance(epochs, list) else epochs) - 1

    def images(self, step):
        sides = ("A", "B") if self.published_options().get("direction", "AtoB") == "AtoB" else ("B", "A")
        return {ours: self.tensors[f"in.{theirs}"][step] for ours, theirs in zip("AB", sides, strict=True)}

    def published(self, losses, alternative):
        """Our terms as the published code logs them."""
        return {name: value * (2 if name in self.halved else 1) for name, value in losses.items()}

    def end(self):
        """What is to be seen after the last step."""


class MoNCE(Replay):
    model, settings = "monce", {"exact_mask": False}
    halved = {"D_real", "D_fake", "NCE", "NCE_Y"}
    alternatives = {"exact_mask": {"exact_mask": True}, "weights_constant": {"constant_weights": True}}


class HnegSRC(Replay):
    model, renamed = "hneg_src", {"dce_idt": "nce_idt"}
    halved = {"D_real", "D_fake", "HDCE", "HDCE_Y"}


class QSAttn(Replay):
    model, settings = "qsattn", {"attention_learns": True}
    halved = {"D_real", "D_fake", "NCE", "NCE_Y"}
    alternatives = {"attention_constant": {"attention_learns": False}}


class NEGCUT(Replay):
    model, settings = "negcut", {"negatives_learn": True, "diversity_of": "last"}
    halved = {"D_real", "D_fake", "NCE", "NCE_Y"}
    alternatives = {
        "as_specified": {"negatives_learn": False, "diversity_of": "both"},
        "diversity_of_both": {"diversity_of": "both"},
        "negatives_constant": {"negatives_learn": False},
    }

    def before(self, step):
        """N's step draws for the pairs in turn, then G's."""
        pairs = ("NCE", "NCE_Y") if self.steps.opt.nce_idt else ("NCE",)
        turns = iter([f"{player}.{pair}" for player in "NG" for pair in pairs])

        def draw(layer, *shape):
            self.turn = next(turns) if layer == 0 else self.turn
            z = self.tensors[f"in.z.{step}.{self.turn}.{layer}"].double()
            assert z.shape == shape
            return z

        self.monkeypatch.setattr(self.steps.model, "draw", draw, raising=True)


class Pix2Pix(Replay):
    model = "pix2pix"

    def command(self, alternative=None):
        self.settings = {"netG": self.entry["netG"], "normG": self.entry["normG"], "normD": self.entry["normD"]}
        return super().command(alternative)

    def begin(self, steps):
        """Dropout keeps what was recorded, in the order of its layers' turns."""
        super().begin(steps)
        kept = iter(counted(self.tensors, "in.keep."))

        def forward(layer, x):
            return x * self.tensors[f"in.keep.{next(kept)}"] / (1 - layer.p) if layer.p else x

        self.monkeypatch.setattr(torch.nn.Dropout, "forward", forward)

    def end(self):
        for name, published in safetensors.under(self.tensors, "out.after.").items():
            network, _, key = name.partition(".")
            torch.testing.assert_close(
                self.steps.model.networks[network].state_dict()[key],
                published,
                rtol=1e-6,
                atol=1e-12,
                check_dtype=False,
            )


class EnCo(Replay):
    model, renamed = "enco", {"lr_G": "lr"}

    def before(self, step):
        super().before(step)

        def draw(pair, images, places, count, random):
            kinds = ("oversampled", "random")
            drawn = [self.tensors[f"in.{kind}.{pair}.{step}"] for kind in kinds]
            assert [d.shape for d in drawn] == [(images, min(count, places)), (images, random)]
            return drawn

        self.monkeypatch.setattr(self.steps.model, "draw", draw)

    def published(self, losses, alternative):
        """The distance and the identity term are logged before they are halved."""
        part = 2 if "idt" in losses else 1
        return super().published(losses, alternative) | {
            "BYOL": part * losses["distance"],
            "BYOL_Y": part * losses.get("idt", 0.0),
        }

    end = Pix2Pix.end


class Santa(Replay):
    model, renamed = "santa", {"mode": ""}

    def before(self, step):
        super().before(step)
        model, noise = self.steps.model, self.tensors[f"in.noise.{step}"].double()
        self.monkeypatch.setattr(model, "draw_noise", lambda side, h: noise[side * len(h) : (side + 1) * len(h)])
        interval = [self.tensors[f"in.{name}.{step}"].double() for name in ("centre", "half_width")]
        self.monkeypatch.setattr(model, "draw_interval", lambda count: interval)
        self.interval = interval

    def published(self, losses, alternative):
        """Terms before their weights, what they are of, and the energy of each layer."""
        opt, losses = self.steps.opt, super().published(losses, alternative)
        weights = {"rec": opt.lambda_rec, "idt": opt.lambda_idt, "kl": opt.lambda_kl, "path": opt.lambda_path}
        losses |= {f"G_{name}": losses[name] / weight for name, weight in weights.items() if name in losses}
        energies = zip(self.steps.model.path_layers, self.steps.model.energies, strict=True)
        losses |= {f"energy_{layer}": value.item() for layer, value in energies}
        centre, half_width = self.interval
        ends = {"d1": centre + half_width, "d2": centre - half_width}
        return losses | {name: d.clamp(0, 1).mean().item() for name, d in ends.items()}


class Decent(Replay):
    model, own = "decent", ("M_A", "M_B")

    def begin(self, steps):
        super().begin(steps)
        count = steps.opt.num_patches
        self.monkeypatch.setattr(steps.model, "places", lambda features: first_places(None, features, count))

    def published(self, losses, alternative):
        """Sums over taps, where ours are means; the variance before its weight."""
        losses, (of_A, of_B) = super().published(losses, alternative), self.steps.model.densities
        taps = len(of_A)
        losses |= {name: taps * losses[name] for name in ("nll_A", "nll_B")} | {"var": losses["var"] / self.weight}
        for side, densities in (("A", of_A), ("B", of_B)):
            losses[f"exp_{side}"] = -torch.stack([x.mean() for x in densities]).sum().item()
        return losses

    @property
    def weight(self):
        return self.steps.opt.lambda_var

    def end(self):
        model = self.steps.model
        for name, average in (("F_A", model.netM_A), ("F_B", model.netM_B)):
            norm = torch.cat([p.flatten() for p in average.parameters()]).norm().item()
            assert norm == pytest.approx(self.entry["average_norm"][name], rel=1e-3)  # as for what moved


class LSeSim(Replay):
    """VGG is frozen here, where the published code computes its gradients."""

    model, frozen = "lsesim", {"P"}

    def command(self, alternative=None):
        weights = self.tmp_path / "vgg16.pth"
        torch.save(safetensors.under(self.tensors, "state0.P."), weights)
        self.own = ("P",)
        return [*super().command(alternative), "--vgg_weights", str(weights)]

    def before(self, step):
        super().before(step)
        self.monkeypatch.setattr(self.steps.model, "places", first_places_of(self.steps.opt.patch_nums))
        self.monkeypatch.setattr(
            self.steps.model, "jittered", lambda side, image: self.tensors[f"in.{side}_aug"][step].double()
        )


def first_places_of(count):
    return lambda features: first_places(None, features, count)


class UNSB(Replay):
    model = "unsb"
    halved = {"D_real", "D_fake", "NCE", "NCE_Y"}

    def command(self, alternative=None):
        self.settings = {"unsb_block": self.entry["unsb_block"]}
        return super().command(alternative)

    def images(self, step):
        return super().images(step) | {"A2": self.tensors["in.A2"][step]}

    def before(self, step):
        super().before(step)
        model, indices = self.steps.model, self.entry["time_index"]
        self.monkeypatch.setattr(model, "draw_index", lambda: indices[step] if isinstance(indices, list) else indices)
        for kind, draw in (("z", "draw_z"), ("noise", "draw_noise")):
            self.monkeypatch.setattr(
                model, draw, lambda use, _, kind=kind: self.tensors[f"in.{kind}.{step}.{use}"].double()
            )

    def published(self, losses, alternative):
        return super().published(losses, alternative) | {"SB": losses["SB"] / self.steps.opt.lambda_SB}

    def end(self):
        model = self.steps.model
        for name, state in (("A", model.state), ("A2", model.state_A2), ("B", model.state_B)):
            close(state, self.tensors[f"out.state.{name}"], 1e-6)


REPLAYS = {
    "pix2pix": Pix2Pix,
    "monce": MoNCE,
    "hneg_src": HnegSRC,
    "qs_attn": QSAttn,
    "negcut": NEGCUT,
    "enco": EnCo,
    "santa": Santa,
    "decent": Decent,
    "f_lsesim": LSeSim,
    "unsb": UNSB,
}
