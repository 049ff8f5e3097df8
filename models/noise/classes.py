"""Which classes the samples of a test are of, and what they are compared with."""

from pathlib import Path
from typing import Any

import torch

from evaluation.mix import counted, mixed
from evaluation.samples import Asked, real_images
from options import UserError
from options.listed import classes_listed, in_words
from util import distributed
from util.config import kept_options


def chosen_classes(model: Any, dataset: Any) -> list[int]:
    """Numbers of --classes, of all without it; none for a model that knows no classes.

    Raises:
        UserError: a name is no class's, or the model knows none.
    """
    names = list(dataset.classes)
    if model.opt.classes and not model.conditional:
        words = ",".join(model.opt.classes)
        raise UserError(f"--classes {words}: --model {model.opt.model} makes images without classes; leave it out")
    if not model.conditional:
        return []
    asked = classes_listed("--classes", model.opt.classes, names)
    return sorted({names.index(name) for name in asked}) or list(range(len(names)))


def follows_data(opt: Any) -> bool:
    """Whether classes of samples are to be mixed as among the held-out images, which is for what compares the two."""
    judged = bool(opt.metrics) or opt.label_judge is not None
    return bool(opt.sample_classes == "data" or (opt.sample_classes == "auto" and judged))


def asked_of(model: Any, dataset: Any) -> Asked:
    """What ``--num_samples`` images are to be of, and the real images beside them.

    With ``--sample_classes data`` classes are mixed as among these, those that were held out; evenly where there are
    none.
    """
    count, chosen = model.opt.num_samples, torch.tensor(chosen_classes(model, dataset), dtype=torch.int64)
    if not model.conditional:
        return Asked(None, None, count, real_images(dataset, None))
    labels = mixed(chosen, count)
    if not follows_data(model.opt):
        return Asked(labels, labels, count, real_images(dataset, labels))
    real = real_images(dataset, chosen)
    if real is not None:
        names = list(dataset.classes)
        held = counted(real.held[1], names)
        weights = [held.get(names[k], 0) for k in chosen.tolist()]
        labels = mixed(chosen, count, weights)
        if without := [names[k] for k, weight in zip(chosen.tolist(), weights, strict=True) if not weight]:
            distributed.say_once(
                f"no samples of {in_words(without)}: no held-out image is, and samples are mixed as these; "
                "--sample_classes even makes as many of every class"
            )
    elif model.opt.sample_classes == "data":
        distributed.say_once(
            "--sample_classes data: there are no data to follow; samples are spread evenly over the classes"
        )
    return Asked(labels, labels, count, real)


def tell_of_protocol(opt: Any) -> None:
    """Say that a run keeps to samples of every class alike, where it began before --sample_classes."""
    kept = kept_options(Path(opt.checkpoints_dir, opt.name)) if not opt.is_train or opt.continue_train else {}
    idle = opt.is_train and not opt.eval_freq
    if kept and "sample_classes" not in kept and opt.sample_classes == "even" and not idle:
        distributed.say_once(
            f"{opt.name} began before --sample_classes: its samples are spread evenly over the classes, as they were; "
            "--sample_classes data mixes them as the held-out images are"
        )
