"""Methods from noise with given answers of D in place of a network's: whole losses, and what they are derived by."""

from types import SimpleNamespace

import torch

from data import DATASETS
from models import MODELS
from models.noise import stabilizers
from options import TrainOptions
from options.parsing import parse
from tests import safetensors
from util.training.engine import Engine

METHODS = {"AC": "acgan", "2C": "contragan", "D2DCE": "reacgan", "PD": "biggan", "W/O": "sngan"}
MODES = {"hinge": "hinge_paper", "wasserstein": "wgangp", "vanilla": "vanilla", "logistic": "nonsaturating"}
MODES |= {"least_square": "lsgan"}  # theirs halves the squares
ADVERSARIAL = ("D_real", "D_fake", "G_GAN")
FLAGS = {  # published name of an option -> ours, where it is given; those without ours are switches
    **{"cond_lambda": "lambda_cond", "temperature": "tau", "m_p": "margin", "radius": "zCR_radius"},
    **{
        "real_lambda": "lambda_CR",
        "fake_lambda": "lambda_CR_fake",
        "d_lambda": "lambda_zCR",
        "g_lambda": "lambda_zCR_G",
    },
    **{"cr_lambda": "lambda_CR", "apply_cr": None, "apply_bcr": None, "apply_zcr": None},
}
SWITCHES = {
    **dict.fromkeys(("real_lambda", "fake_lambda"), "apply_bcr"),
    **dict.fromkeys(("d_lambda", "g_lambda", "radius"), "apply_zcr"),
    "cr_lambda": "apply_cr",
}
ANSWERS = {"adv": "logit", "cls": "classes", "embed": "embedding"}


class Given:
    """The method of an entry, D and G of which hand out what was recorded.

    Attributes:
        inputs: the recorded inputs that a gradient is known of, in float64.
    """

    def __init__(self, entry, tensors, monkeypatch):
        self.entry = entry
        self.inputs = {
            name: value.double().requires_grad_()
            for name, value in safetensors.under(tensors, "in.").items()
            if value.is_floating_point()
        }
        self.labels = {which: tensors[f"in.{which}.label"] for which in ("real", "fake")}
        opt = parse(TrainOptions, {"model": MODELS, "dataset_mode": DATASETS}, list(map(str, self.command())))
        self.model = MODELS.find(opt.model)(opt)
        self.model.see_data(SimpleNamespace(classes=[str(k) for k in range(self.classes)], channels=1, mirrors=True))
        Engine(opt).prepare(self.model)
        # Their D hands out unit vectors, and consistency is of what it hands out; the recorded ones have any length.
        monkeypatch.setattr(stabilizers, "directions", lambda vectors: vectors)
        # Whose answers are due is told by the images, of which nothing but the place in memory counts.
        self.images = {which: torch.zeros(1) for which in ("real", "fake", "real_aug", "fake_aug", "fake_eps")}
        monkeypatch.setattr(stabilizers, "shift_and_flip", lambda x, flip: self.images[f"{self.which(x)}_aug"])
        monkeypatch.setattr(self.model, "ask", self.answers)

    def which(self, images):
        return next(name for name, batch in self.images.items() if batch.data_ptr() == images.data_ptr())

    @property
    def classes(self):
        return max(2, self.entry.get("classes", 2))

    def command(self):
        entry, given = self.entry, self.entry["options"]
        assert given.keys() <= FLAGS.keys(), f"options without a flag: {sorted(given.keys() - FLAGS.keys())}"
        method, count = METHODS[entry["conditioning"]], len(self.labels["real"])
        words = ["--model", method, "--dataroot", "digits", "--gan_mode", MODES[entry["adv_loss"]], "--lambda_gp", 0]
        words += ["--gpu_ids", -1, "--ngf", 4, "--ndf", 4, "--batch_size", count, "--n_dis", 1]
        if "embed" in "".join(self.inputs):
            words += ["--embed_dim", self.inputs["real.embed"].shape[1]]
        words += {"contragan": ["--contra_pool", "fakes"], "reacgan": ["--d2d_form", "released"]}.get(method, [])
        words += ["--adc"] if entry["adc"] else []
        words += ["--lambda_cond_G", given["cond_lambda"]] if "cond_lambda" in given else []  # theirs is of both
        for name, value in given.items():
            if FLAGS[name] and given.get(SWITCHES.get(name), True):
                words += [f"--{FLAGS[name]}", value]
        return words

    def answers(self, images, want, y=None):
        which = self.which(images)
        found = {ours: self.inputs.get(f"{which}.{theirs}") for theirs, ours in ANSWERS.items()}
        if "proxy" in want:
            label, table = self.labels[which.partition("_")[0]], self.inputs["proxies"]
            found["proxy"] = table.unflatten(0, (-1, 2))[label] if self.entry["adc"] else table[label]
        assert all(found[name] is not None for name in want)
        return {name: found[name] for name in want}

    def loss(self, of):
        """The whole loss of D or of G."""
        model = self.model
        if of == "G" and "images.gen" in self.inputs:
            self.images |= {"fake": self.inputs["images.gen"], "fake_eps": self.inputs["images.gen_eps"]}
        model.real, model.fake, model.near = (self.images[which] for which in ("real", "fake", "fake_eps"))
        model.y, model.fake_y = self.labels["real"], self.labels["fake"]
        losses = model.discriminator_losses() if of == "D" else model.generator_losses()
        half = self.entry["adv_loss"] == "least_square"
        return sum(value * (0.5 if half and name in ADVERSARIAL else 1) for name, value in losses.items())
