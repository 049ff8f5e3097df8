"""Extractors: what sees features of images, for metrics that compare sets of them.

    --extractor inception --inception_weights weights-inception-2015-12-05-6726825d.pth
    --extractor domain:checkpoints/eyes        # a run of --model domain, label_judge, glyph_judge or caption_judge
    --extractor module:my_lab.features.Eyes    # or module:my_lab/features.py:Eyes, a torch.nn.Module without arguments

Values of one extractor say nothing beside those of another. Only those of the Inception of 2015-12-05, with its known
weights, can be set beside published ones.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from evaluation.extractors.inception import SIZE, STANDARD, Inception
from evaluation.judges import Judge, fitted, weights_of
from evaluation.metrics.shared.observed import Observed
from networks.caption_judge import CaptionMatcher, matcher_of
from networks.domain_encoder import DomainEncoder, encoder_of
from networks.glyph_judge import GlyphJudge, judge_of
from options import UserError
from util.pretrained import sha256
from util.seeding import derive
from util.stopwatch import Countdown
from util.training import checkpoint

BATCH = 64  # images that are looked at at once
WAYS = (
    "inception with --inception_weights, module:<path>, or domain:<run folder>; "
    "python train.py --model domain --dataroot ... --name eyes trains one for domain:checkpoints/eyes"
)
TOLD_APART = {"label": "labels", "character": "characters", "style": "styles"}


@dataclass
class Extractor:
    """Features of images, and what a reader of scores must know of them.

    Attributes:
        look: images, bytes (B, C, H, W) on the CPU, to what is seen in them, on any device.
        flag: what to call it in messages.
        tag: is added to the names of values; Inception has none.
        name: which network, which file or run, and the first digits of its hash.
        digest: sha256 of the file, in hexadecimal.
        resize: what is done to images of another size.
        features: how many numbers; 0 where only the first image will tell.
        comparable: whether its FID can be set beside published ones.
        remarks: what else a reader must know, a line each.
    """

    look: Callable[[torch.Tensor], Observed]
    device: torch.device
    flag: str
    tag: str
    name: str
    digest: str
    resize: str
    features: int
    comparable: bool = False
    remarks: tuple[str, ...] = ()

    @torch.no_grad()
    def __call__(self, levels: torch.Tensor) -> Observed:
        """What is seen in images, bytes (N, C, H, W): float32 on the CPU, an image as it is beside any others.

        Raises:
            UserError: they do not suit the extractor, or its features are not finite.
        """
        countdown = Countdown(len(levels), "observed image") if len(levels) > BATCH else None
        parts = []
        with torch.autocast(self.device.type, enabled=False):
            for part in levels.split(BATCH):
                seen = self.look(part)
                features, logits = seen.features.float().cpu(), seen.logits
                logits = None if logits is None else logits.float().cpu()
                if not all(torch.isfinite(x).all() for x in (features, logits) if x is not None):
                    raise UserError(f"{self.flag}: features are not finite; train or give another extractor", code=3)
                answers = None if seen.answers is None else seen.answers.cpu()
                parts.append(Observed(features, logits, answers=answers))
                self.features = features.shape[1]
                if countdown is not None:
                    countdown.step(len(part))
        return Observed.join(parts)


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
            return of_inception(opt.inception_weights, flag, device)
        if kind == "module" and path:
            return of_module(path, flag, device)
        if kind == "domain" and path:
            return of_run(Path(path), flag, classes, device)
    if kind in ("module", "domain"):
        raise UserError(f"{flag}: of which {'network' if kind == 'module' else 'run'}? Give {WAYS}")
    raise UserError(f"{flag if opt.extractor else 'no --extractor'}: give one that sees features of images: {WAYS}")


# -- Inception -----------------------------------------------------------------------------------------------------


def of_inception(weights: str | None, flag: str, device: torch.device) -> Extractor:
    """The network of published scores."""
    if not weights:
        raise UserError(
            f"{flag} needs --inception_weights, the file {STANDARD} of torch-fidelity; it is not downloaded"
        )
    network = Inception(Path(weights)).to(device)

    def look(levels: torch.Tensor) -> Observed:
        if levels.shape[1] not in (1, 3):
            raise UserError(f"{flag}: sees images of 1 or 3 channels, these have {levels.shape[1]}")
        return Observed(*network(levels))

    strange = f"--inception_weights {weights}: not a known file of Inception's weights"
    return Extractor(
        look,
        device,
        flag,
        tag="",
        name=f"Inception of 2015-12-05, {called(Path(weights), network.digest)}"
        + ", not a known file" * (not network.known),
        digest=network.digest,
        resize=f"to {SIZE} x {SIZE} by bicubic with antialiasing on floats, as clean-fid",
        features=Inception.features,
        comparable=network.known,
        remarks=() if network.known else (strange,),
    )


def called(path: Path, digest: str) -> str:
    """A file or run without its folder, which differs between machines."""
    return f"{path.name}, sha256 {digest[:12]}"


# -- a network of one's own ----------------------------------------------------------------------------------------


def of_module(path: str, flag: str, device: torch.device) -> Extractor:
    """``my_lab.features.Eyes`` or ``folder/file.py:Eyes``, called without arguments: code that is run.

    What it makes gets bytes (B, C, H, W) and returns features (B, F), or features and logits (B, K). It may say F in
    an attribute ``num_features``, as torchmetrics asks for.
    """
    module, name = module_of(path, flag)
    make = getattr(module, name, None)
    if not callable(make) or not module.__file__:
        raise UserError(f"{flag}: {module.__name__} has no class or function {name!r}")
    try:
        network = make()
    except Exception as error:  # whatever somebody else's code raises
        raise UserError(f"{flag}: {name}() failed: {reason(error)}") from error
    if not isinstance(network, nn.Module):
        raise UserError(f"{flag}: {name}() must return a torch.nn.Module, not {type(network).__name__}")
    network = network.to(device).eval().requires_grad_(False)

    def look(levels: torch.Tensor) -> Observed:
        try:
            seen = network(levels.to(device))
        except Exception as error:
            raise UserError(f"{flag}: failed on bytes {tuple(levels.shape)}: {reason(error)}") from error
        found = seen if isinstance(seen, tuple) else (seen,)
        rows = [x.shape[0] if isinstance(x, torch.Tensor) and x.ndim == 2 else -1 for x in found]
        if len(found) > 2 or rows != [len(levels)] * len(found):
            shapes = " and ".join(str(tuple(x.shape)) if hasattr(x, "shape") else type(x).__name__ for x in found)
            raise UserError(
                f"{flag}: must return features (B, F), or features and logits (B, K), for {len(levels)} images; "
                f"got {shapes or 'nothing'}"
            )
        return Observed(*found)

    source = Path(module.__file__)
    digest = sha256(source)
    return Extractor(
        look,
        device,
        flag,
        tag="-module",
        name=f"{name} of {called(source, digest)}",
        digest=digest,
        resize="none before the network",
        features=int(getattr(network, "num_features", 0)),
    )


def module_of(path: str, flag: str) -> tuple[ModuleType, str]:
    """The module of a path, imported, and the name that is wanted in it."""
    file, colon, name = path.rpartition(":")
    if not colon:
        file, _, name = path.rpartition(".")
    if not file or not name.isidentifier():
        raise UserError(f"{flag}: give module:my_lab.features.Eyes, or module:my_lab/features.py:Eyes")
    try:
        if not colon:
            return importlib.import_module(file), name
        if not Path(file).is_file():
            raise UserError(f"{flag}: no such file: {file}")
        spec = importlib.util.spec_from_file_location(f"extractor_{Path(file).stem}", file)
        if spec is None or spec.loader is None:
            raise UserError(f"{flag}: {file} is no Python file")
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look themselves up there
        spec.loader.exec_module(module)
        return module, name
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{flag}: {file} cannot be imported: {reason(error)}") from error


def reason(error: Exception) -> str:
    """In one line, and not a long one."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


# -- networks of the domain ----------------------------------------------------------------------------------------


def of_run(folder: Path, flag: str, classes: Sequence[str], device: torch.device) -> Extractor:
    """The network of a run that learnt these data, or the like: ``--model domain``, or a judge."""
    path = weights_of(folder, model="domain")
    network = read(path)
    digest = sha256(path)
    network = network.to(device)
    look: Callable[[torch.Tensor], Observed]
    remarks: tuple[str, ...] = ()
    if isinstance(network, GlyphJudge):
        look, remarks = of_judge(network, flag, classes)
        what, count = f"judge of {len(network.classes)} {TOLD_APART[network.kind]}", network.answer.in_features
    elif isinstance(network, CaptionMatcher):
        look, what, count = of_captions(network, flag, device), "judge of captions", network.width
    else:
        look, what, count = of_encoder(network, flag, device), "self-supervised network", network.count
    return Extractor(
        look,
        device,
        flag,
        tag="-domain",
        name=f"{what} of {called(folder.resolve(), digest)}",
        digest=digest,
        resize=f"to {network.size} x {network.size} by bilinear with antialiasing, where of another size",
        features=count,
        remarks=remarks,
    )


def read(path: Path) -> GlyphJudge | CaptionMatcher | DomainEncoder:
    """The network of a weight file, in eval mode.

    Raises:
        UserError: it is none of a domain (exit code 4).
    """
    state = checkpoint.read(path)
    for kind in (encoder_of, judge_of, matcher_of):
        try:
            return kind(state).requires_grad_(False)
        except (ValueError, TypeError, AttributeError):
            continue
    raise UserError(f"{path}: no network of --model domain, label_judge, glyph_judge or caption_judge", code=4)


def of_judge(
    network: GlyphJudge, flag: str, classes: Sequence[str]
) -> tuple[Callable[[torch.Tensor], Observed], tuple[str, ...]]:
    """Features, logits and, where it knows any of the classes by name, answers in their numbers."""
    judge = Judge(network, flag, {})
    names = [chr(int(c)) for c in network.classes] if network.kind == "character" else network.classes
    numbers = {name: number for number, name in enumerate(classes)}
    values = torch.tensor([numbers.get(name, -1) for name in names])
    unknown = [name for name in classes if name not in names]
    knows_any = len(unknown) < len(classes)

    def look(levels: torch.Tensor) -> Observed:
        features, logits = judge.see(levels.float() / 127.5 - 1)
        return Observed(features, logits, answers=values[logits.argmax(1).cpu()] if knows_any else None)

    some = ", ".join(unknown[:5]) + ", ..." * (len(unknown) > 5)
    return look, (f"{flag}: cannot answer {some}, which it was not trained on",) if unknown and knows_any else ()


def of_captions(network: CaptionMatcher, flag: str, device: torch.device) -> Callable[[torch.Tensor], Observed]:
    def look(levels: torch.Tensor) -> Observed:
        images = fitted(levels.to(device).float() / 127.5 - 1, network.size, network.channels, flag)
        return Observed(network.look(images)[0])

    return look


def of_encoder(network: DomainEncoder, flag: str, device: torch.device) -> Callable[[torch.Tensor], Observed]:
    def look(levels: torch.Tensor) -> Observed:
        try:
            images = network.fit(levels.to(device).float() / 127.5 - 1)
        except ValueError as error:
            raise UserError(f"{flag}: {error}; train one on images of so many channels") from None
        return Observed(network.embed(images))

    return look
