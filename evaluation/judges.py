"""Judges for metrics: trained classifiers of images, loaded from the runs that trained them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F

from evaluation.metrics.base_captioned import Judged, Seen
from evaluation.metrics.base_judged import FLAG
from networks.caption_judge import CaptionMatcher, matcher_of
from networks.glyph_judge import GlyphJudge, judge_of
from options import Exit, UserError
from options.listed import in_words
from util.images import from_bytes
from util.reading.weights import read_weights
from util.stopwatch import Countdown
from util.training.manifest import usable, weights_of
from util.vocabulary import Vocabulary

JUDGED_AT_ONCE = 256  # images that are judged at once
FLAG_OF_KIND = {"character": "--judge character", "style": "--judge style", "label": "--model label_judge"}


def read_judge(folder: Path, label: str = "latest", model: str = "glyph_judge") -> GlyphJudge:
    """The network of a run of ``--model glyph_judge`` or ``label_judge``, in eval mode; averaged weights if kept.

    Raises:
        UserError: there is no such run, or it trained something else (exit code 4), or it is not finite (3).
    """
    return _read_judge(folder, label, model)[0]


def _read_judge(folder: Path, label: str = "latest", model: str = "glyph_judge") -> tuple[GlyphJudge, str]:
    path = judge_weights(folder, label, model)
    state, digest = read_weights(path)
    try:
        return judge_of(state), digest
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: {error}; train a judge with --model {model}", code=Exit.CHECKPOINT) from None


def judge_weights(folder: Path, label: str = "latest", model: str = "glyph_judge") -> Path:
    """The weight file of a judge's run."""
    if not folder.is_dir():
        raise UserError(f"no judge: there is no run in {folder}; train one with --model {model}", code=Exit.CHECKPOINT)
    return weights_of(folder, usable(folder, label), "C", use_ema=True)


def load_judge(
    folder: str | Path,
    kind: str,
    device: torch.device | str = "cpu",
    styles: Mapping[str, int] | None = None,
) -> "Judge":
    """A judge as metrics want it.

    Args:
        folder: the run that trained it.
        kind: ``character`` or ``style``: what it has to tell apart.
        styles: name -> number of each style of the data that are judged; a judge of styles answers with these
            numbers. The names are those of the judge's own data.

    Raises:
        UserError: there is no such run, it is no judge's, or one of the other kind (exit code 4).
    """
    network = read_judge(Path(folder))
    if network.kind != kind:
        raise UserError(
            f"{FLAG[kind]} {folder}: this judge was trained with {FLAG_OF_KIND[network.kind]}", code=Exit.CHECKPOINT
        )
    return Judge(network.to(device), f"{FLAG[kind]} {folder}", styles or {})


def load_label_judge(folder: str | Path, classes: Sequence[str], device: torch.device | str = "cpu") -> "LabelJudge":
    """The judge of a run of ``--model label_judge``, answering in the numbers of these classes.

    Raises:
        UserError: there is no such run, it is no judge's or one of glyphs, or it knows none of the classes (code 4).
    """
    name = f"--label_judge {folder}"
    network, digest = _read_judge(Path(folder), model="label_judge")
    if network.kind != "label":
        trained = FLAG_OF_KIND[network.kind]
        raise UserError(
            f"{name}: this judge was trained with {trained}; give one of --model label_judge", code=Exit.CHECKPOINT
        )
    if not set(classes) & set(network.classes):
        known, wanted = (in_words(some, 5) for some in (network.classes, classes))
        raise UserError(
            f"{name}: judges {known}, and these data are of {wanted}; train a judge on these data", code=Exit.CHECKPOINT
        )
    numbers = {label: number for number, label in enumerate(classes)}
    return LabelJudge(network.to(device), name, numbers, digest)


def read_caption_judge(folder: Path, label: str = "latest") -> tuple[CaptionMatcher, str]:
    """The network of a run of ``--model caption_judge``, in eval mode, and the sha256 of its weight file.

    Raises:
        UserError: there is no such run, or it trained something else (exit code 4), or it is not finite (3).
    """
    path = judge_weights(folder, label, "caption_judge")
    state, digest = read_weights(path)
    try:
        return matcher_of(state), digest
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: {error}; train a judge with --model caption_judge", code=Exit.CHECKPOINT) from None


def load_caption_judge(
    folder: str | Path, attributes: Mapping[str, Sequence[str]], device: torch.device | str = "cpu"
) -> "CaptionJudge":
    """The judge of a run of ``--model caption_judge``, answering in the numbers of these attributes of the data.

    Raises:
        UserError: there is no such run, it is no judge's or one without captions, or it knows no value of any
            attribute of data that have some (code 4).
    """
    name = f"--caption_judge {folder}"
    network, digest = read_caption_judge(Path(folder))
    judge = CaptionJudge(network.to(device), name, attributes, digest)
    if attributes and all(bool((of < 0).all()) for of in judge.values):
        known, wanted = (", ".join(some) or "captions alone" for some in (network.attributes, attributes))
        raise UserError(
            f"{name}: judges {known}, and these data have {wanted}; train a judge on these data", code=Exit.CHECKPOINT
        )
    return judge


class Judge:
    """Answers (B,) int64 on the CPU for images (B, C, H, W) in [-1, 1], in the terms of the data.

    Colours are turned to grey, or grey into colours, and images scaled to the size that the judge was trained with;
    how well that goes shows in what it makes of real glyphs.

    Attributes:
        classes: its answers: code points, or the numbers of styles; -1 is a style that the data do not have.
    """

    def __init__(self, network: GlyphJudge, name: str, styles: Mapping[str, int]):
        self.network, self.name = network, name
        by_character = network.kind == "character"
        self.values = torch.tensor([int(c) if by_character else styles.get(c, -1) for c in network.classes])
        self.classes = frozenset(self.values.tolist()) if by_character else frozenset(self.values.tolist()) - {-1}
        self.device = network.answer.weight.device

    @torch.inference_mode()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        answers = [self.see(part)[1].argmax(1) for part in images.split(JUDGED_AT_ONCE)]
        return self.values[torch.cat(answers).cpu()]

    def see(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (B, F) of images and logits (B, classes) that are read from them, on the judge's device."""
        features = self.network.embed(self.fit(images.to(self.device).float()))
        return features, self.network.answer(features)

    def fit(self, images: torch.Tensor) -> torch.Tensor:
        """Images in the judge's channels and size.

        Raises:
            UserError: they are not square, of less than half its size, or of channels that are no colours.
        """
        return fitted_to_judge(images, self.network.size, self.network.channels, self.name)


class LabelJudge(Judge):
    """Answers and features of images, the domain's own in place of those of ImageNet.

    Attributes:
        run: the folder it came from.
        digest: sha256 of its weight file, in hexadecimal: scores with other judges are other scores.
        features: how many numbers it sees in an image.
        unknown: classes of the data that it does not know, whose images it cannot answer rightly.
    """

    def __init__(self, network: GlyphJudge, name: str, numbers: Mapping[str, int], digest: str):
        super().__init__(network, name, numbers)
        self.digest, self.features = digest, network.answer.in_features
        self.run = name.partition(" ")[2]
        self.unknown = [label for label in numbers if label not in network.classes]

    def look(self, batches: Iterable[torch.Tensor]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Features (B, F) and answers (B,), -1 for a class that the data lack, of batches (B, C, H, W) in [-1, 1]."""
        with torch.inference_mode():
            for images in batches:
                seen, logits = self.see(images)
                yield seen.cpu(), self.values[logits.argmax(1).cpu()]


class CaptionJudge:
    """What pictures show and how near they come to captions.

    Attributes:
        run: the folder it came from.
        digest: sha256 of its weight file, in hexadecimal: scores with other judges are other scores.
        features: how many numbers it sees in a picture.
        attributes: of the data, name -> values.
        unknown: attributes of the data, or values of one, that it does not know; what shows them counts as wrong.
    """

    def __init__(self, network: CaptionMatcher, name: str, attributes: Mapping[str, Sequence[str]], digest: str):
        self.network, self.name, self.digest, self.features = network, name, digest, network.width
        self.run = name.partition(" ")[2]
        self.attributes = {name: tuple(values) for name, values in attributes.items()}
        self.vocabulary = Vocabulary(network.words, rule=network.rule)
        self.device = network.picture.weight.device
        self.values: list[torch.Tensor] = []  # of each attribute of the data: the data's numbers of the judge's answers
        self.unknown: list[str] = []
        for attribute, values in self.attributes.items():
            known = network.attributes.get(attribute, ())
            numbers = {value: number for number, value in enumerate(values)}
            self.values.append(torch.tensor([numbers.get(value, -1) for value in known], dtype=torch.int64))
            missing = [value for value in values if value not in known]
            self.unknown += [f"{attribute} {value}" for value in missing] if known else [attribute]

    @torch.inference_mode()
    def see(self, levels: torch.Tensor) -> Seen:
        """Of pictures, bytes (N, C, S, S)."""
        countdown = Countdown(len(levels), "judged picture")
        order = list(self.network.attributes)
        parts = []
        for part in levels.split(JUDGED_AT_ONCE):
            images = fitted_to_judge(
                from_bytes(part.to(self.device)), self.network.size, self.network.channels, self.name
            )
            features, logits, embedding = self.network.look(images)
            answers = torch.full((len(part), len(self.attributes)), -1)
            for column, (attribute, values) in enumerate(zip(self.attributes, self.values, strict=True)):
                if len(values):
                    answers[:, column] = values[logits[order.index(attribute)].argmax(1).cpu()]
            parts.append((features.cpu(), answers, embedding.cpu()))
            countdown.step(len(part))
        return Seen(*(torch.cat(some) for some in zip(*parts, strict=True)))

    @torch.inference_mode()
    def read(self, captions: Sequence[str]) -> torch.Tensor:
        """(N, E) unit vectors."""
        places = {caption: place for place, caption in enumerate(dict.fromkeys(captions))}
        once = list(places)
        parts = [
            self.network.read(
                self.vocabulary.ids(once[start : start + JUDGED_AT_ONCE], self.network.most).to(self.device)
            ).cpu()
            for start in range(0, len(once), JUDGED_AT_ONCE)
        ]
        return torch.cat(parts)[[places[caption] for caption in captions]]

    def judge(self, levels: torch.Tensor, captions: Sequence[str], said: torch.Tensor, shown: torch.Tensor) -> Judged:
        """Pictures, bytes (N, C, S, S), with the captions they have or were made for.

        Args:
            said, shown: (N, A) int64: what the captions say, and what real pictures of them show.
        """
        return Judged(self.see(levels), self.read(captions), said, shown)


def fitted_to_judge(images: torch.Tensor, size: int, wanted: int, name: str) -> torch.Tensor:
    """Images (B, C, H, W) in the channels ``wanted`` and of the size that a judge was trained with.

    Raises:
        UserError: they are not square, of less than half its size, or of channels that are no colours.
    """
    channels, H, W = images.shape[1:]
    if H != W or size > 2 * H:
        way_out = f"train a judge with --crop_size {H}" if H == W else "leave it out"
        raise UserError(f"{name}: judges squares of {size} pixels, these are {W} x {H}; {way_out}")
    if channels != wanted:
        if {channels, wanted} != {1, 3}:
            raise UserError(f"{name}: judges images of {wanted} channels, these have {channels}")
        images = images.mean(1, keepdim=True) if wanted == 1 else images.expand(-1, 3, -1, -1)
    if size != H:
        images = F.interpolate(images, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return images
