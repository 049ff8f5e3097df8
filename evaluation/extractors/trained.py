"""Networks of the domain: ``--extractor domain:<run folder>``."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from evaluation.extractors.base import Extractor, named_by_digest
from evaluation.judges import Judge, fitted_to_judge, judge_weights
from evaluation.metrics.shared.observed import Observed
from networks.caption_judge import CaptionMatcher, matcher_of
from networks.domain_encoder import DomainEncoder, encoder_of
from networks.glyph_judge import GlyphJudge, judge_of
from options import Exit, UserError
from options.listed import in_words
from util.images import from_bytes
from util.reading.weights import read_weights

DOMAIN = "-domain"  # ends the first word of the names of values of such features
TOLD_APART = {"label": "labels", "character": "characters", "style": "styles"}


def of_run(folder: Path, flag: str, classes: Sequence[str], device: torch.device) -> Extractor:
    """The network of a run that learnt these data, or the like: ``--model domain``, or a judge."""
    path = judge_weights(folder, model="domain")
    network, digest = network_of(path)
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
        tag=DOMAIN,
        name=f"{what} of {named_by_digest(folder.resolve(), digest)}",
        digest=digest,
        resize=f"to {network.size} x {network.size} by bilinear with antialiasing, where of another size",
        features=count,
        remarks=remarks,
    )


def network_of(path: Path) -> tuple[GlyphJudge | CaptionMatcher | DomainEncoder, str]:
    """The network of a weight file, in eval mode, and the file's sha256.

    Raises:
        UserError: it is none of a domain (exit code 4), or not finite (3).
    """
    wanted = "network of --model domain, label_judge, glyph_judge or caption_judge"
    state, digest = read_weights(path, what=wanted)
    for kind in (encoder_of, judge_of, matcher_of):
        try:
            return kind(state).requires_grad_(False), digest
        except (ValueError, TypeError, AttributeError):
            continue
    raise UserError(f"{path}: no {wanted}", code=Exit.CHECKPOINT)


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
        features, logits = judge.see(from_bytes(levels))
        return Observed(features, logits, answers=values[logits.argmax(1).cpu()] if knows_any else None)

    return look, (
        f"{flag}: cannot answer {in_words(unknown)}, which it was not trained on",
    ) if unknown and knows_any else ()


def of_captions(network: CaptionMatcher, flag: str, device: torch.device) -> Callable[[torch.Tensor], Observed]:
    def look(levels: torch.Tensor) -> Observed:
        images = fitted_to_judge(from_bytes(levels.to(device)), network.size, network.channels, flag)
        return Observed(network.look(images)[0])

    return look


def of_encoder(network: DomainEncoder, flag: str, device: torch.device) -> Callable[[torch.Tensor], Observed]:
    def look(levels: torch.Tensor) -> Observed:
        try:
            images = network.fit(from_bytes(levels.to(device)))
        except ValueError as error:
            raise UserError(f"{flag}: {error}; train one on images of so many channels") from None
        return Observed(network.embed(images))

    return look
