"""Extractors: what sees features of images, for metrics that compare sets of them.

    --extractor inception --inception_weights weights-inception-2015-12-05-6726825d.pth
    --extractor domain:checkpoints/eyes        # a run of --model domain, label_judge, glyph_judge or caption_judge
    --extractor module:my_lab.features.Eyes    # or module:my_lab/features.py:Eyes, a torch.nn.Module without arguments

Values of one extractor say nothing beside those of another. Only those of the Inception of 2015-12-05, with its known
weights, can be set beside published ones.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from evaluation.extractors.base import Extractor, nothing
from evaluation.extractors.inception import of_inception
from evaluation.extractors.module import of_module
from evaluation.extractors.trained import of_run
from evaluation.metrics.base_set import SEEN, SetMetric
from options import UserError
from options.evaluation_options import RESIZES
from util.distributed import say_once
from util.seeding import derive

__all__ = ["Extractor", "extractor_for", "load_extractor"]

WAYS = (
    "inception with --inception_weights, module:<path>, or domain:<run folder>; "
    "python train.py --model domain --dataroot ... --name eyes trains one for domain:checkpoints/eyes"
)


def extractor_for(metrics: Sequence[SetMetric], opt: Any, classes: Sequence[str], device: Any) -> Extractor:
    """That of ``--extractor``; one that sees nothing where it was not given and no metric asks what it sees."""
    if opt.extractor or any(SEEN & set(metric.asks) for metric in metrics):
        return load_extractor(opt, classes, device)
    return nothing(torch.device(device))


def load_extractor(opt: Any, classes: Sequence[str] = (), device: torch.device | str = "cpu") -> Extractor:
    """The extractor of ``--extractor``. Nothing is downloaded, and no random number drawn that a caller would miss.

    Args:
        classes: names of the labels of the data, in their order; a classifier answers in these numbers.

    Raises:
        UserError: there is no extractor, or a broken one.
    """
    kind, _, path = (opt.extractor or "").partition(":")
    flag, device = f"--extractor {opt.extractor}", torch.device(device)
    with torch.random.fork_rng(devices=[]):  # networks draw weights before they get theirs
        torch.manual_seed(derive("extractor"))  # and one that keeps what it drew is the same every time
        if kind == "inception":
            return of_inception(opt.inception_weights, opt.resize, flag, device)
        if opt.resize != RESIZES[0]:
            say_once(f"--resize {opt.resize}: counts for --extractor inception; {flag} sees images as it learnt to")
        if kind == "module" and path:
            return of_module(path, flag, device)
        if kind == "domain" and path:
            return of_run(Path(path), flag, classes, device)
    if kind in ("module", "domain"):
        raise UserError(f"{flag}: of which {'network' if kind == 'module' else 'run'}? Give {WAYS}")
    raise UserError(f"{flag if opt.extractor else 'no --extractor'}: give one that sees features of images: {WAYS}")
