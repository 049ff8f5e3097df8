"""What turns a caption into vectors: a transformer of one's own, or a pretrained one from a folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from models.captions.huggingface import HFEncoder
from networks.text import Text, TextTransformer
from options import BaseOptions, Exit, UserError, option
from util.device import choose_device
from util.reading.json_file import read_json
from util.vocabulary import Vocabulary, pad, tell_of_words
from util.writing import write_atomically

PRETRAINED = "hf:"


@dataclass(frozen=True, kw_only=True)
class TextOptions(BaseOptions):
    """How captions are read."""

    section = "text"
    shapes: ClassVar[tuple[str, ...]] = ("text_encoder", "max_words", "text_dim", "text_layers", "text_heads")
    text_encoder: str = option(
        "transformer", "what reads captions: transformer (trained along), or hf:<folder or id> of a pretrained one"
    )
    # The published run on COCO read 17 of BERT's tokens.
    max_words: int = option(32, "words of a caption that are read; a pretrained encoder counts its own tokens", least=1)
    text_dim: int = option(128, "transformer: numbers for a word", least=1)
    text_layers: int = option(2, "transformer: layers of self-attention", least=1)
    text_heads: int = option(4, "transformer: heads of self-attention", least=1)
    vocab_size: int = option(8000, "transformer: words it knows, the most frequent of the training captions", least=1)
    drop_marks: bool = option(False, "hf: leave out the marks, such as [CLS] and [SEP], that the encoder adds")
    allow_download: bool = option(False, "hf: fetch a model that is not on this machine", per_run=True)
    text_cache: str | None = option(
        None, "hf: folder that keeps its vectors; without it <checkpoints_dir>/text_cache", per_run=True
    )

    def validate(self) -> None:
        kind = self.text_encoder
        if kind != "transformer" and not (kind.startswith(PRETRAINED) and kind != PRETRAINED):
            raise UserError(f"--text_encoder {kind}: expected transformer, or hf: with the folder or id of a model")
        if self.text_dim % self.text_heads:
            raise UserError(f"--text_dim {self.text_dim}: must be a multiple of --text_heads {self.text_heads}")
        if self.drop_marks and kind == "transformer":
            raise UserError("--drop_marks: --text_encoder transformer adds no marks; leave it out")


class OwnEncoder:
    """Reads captions with a transformer that the model which owns it trains.

    Args:
        netT: of as many ids as the vocabulary has.
        vocabulary: the words it knows; all others are one and the same to it.
        most: words of a caption that are read; those behind are left out.
    """

    name = "transformer"

    def __init__(self, netT: TextTransformer, vocabulary: Vocabulary, most: int):
        self.netT, self.vocabulary, self.most = netT, vocabulary, most
        self.rows: dict[str, list[int]] = {}

    @property
    def dim(self) -> int:
        return self.netT.embedding.embedding_dim

    @property
    def digest(self) -> str:
        """sha256 of the words; the weights are the run's."""
        return self.vocabulary.digest()

    def encode(self, captions: Sequence[str]) -> Text:
        """(B, T, dim) words and (B, dim) sentences on the network's device, with the gradient."""
        for caption in captions:
            if caption not in self.rows:
                self.rows[caption] = self.vocabulary.row(caption, self.most)
        ids = pad([self.rows[caption] for caption in captions])
        device = self.netT.embedding.weight.device
        places = ids.flatten().nonzero()[:, 0]  # found here, where it makes no device wait
        return replace(self.netT(ids.to(device, non_blocking=True)), places=places.to(device, non_blocking=True))

    def words(self, caption: str) -> list[str]:
        """What the T positions of a caption stand for."""
        return self.vocabulary.read(caption)[: self.most]

    def unknown(self, caption: str) -> list[str]:
        """Words that it never read: they are left out, or all look alike to it where training captions had such too."""
        return self.vocabulary.unknown(caption)


def make_encoder(opt: Any, captions: Sequence[str], vocabulary: Vocabulary | None = None) -> OwnEncoder | HFEncoder:
    """What --text_encoder names, for data with these captions.

    Args:
        opt: has the fields of TextOptions.
        captions: in training a pretrained encoder reads them now, where its cache lacks them.
        vocabulary: of a run's own transformer; without it the words of ``captions`` are it.

    Raises:
        UserError: the pretrained encoder cannot be had or used, or a caption has no words.
    """
    if opt.text_encoder != "transformer":
        encoder = HFEncoder(
            opt.text_encoder.removeprefix(PRETRAINED),
            opt.text_cache or Path(opt.checkpoints_dir, "text_cache"),
            opt.max_words,
            choose_device(opt.device, opt.gpu_ids),
            opt.drop_marks,
            opt.allow_download,
        )
        if opt.is_train:  # a test reads those that it draws, when it draws them
            encoder.prepare(captions)
        return encoder
    vocabulary = vocabulary or Vocabulary.build(captions, opt.vocab_size)
    tell_of_words(vocabulary, captions, opt.max_words)
    netT = TextTransformer(len(vocabulary), opt.text_dim, opt.text_layers, opt.text_heads, opt.max_words)
    return OwnEncoder(netT, vocabulary, opt.max_words)


def read_vocabulary(path: Path) -> Vocabulary | None:
    """That of a run; None where it kept none.

    Raises:
        UserError: the file cannot be read as one (exit code 4).
    """
    if not path.is_file():
        return None
    shape, way_out = {"words": [str], "complete?": bool, "rule?": str}, "the weights of this run need it"
    kept = read_json(path, shape, "a vocabulary", way_out, code=Exit.CHECKPOINT)
    try:
        return Vocabulary.from_dict(kept)
    except ValueError as error:
        raise UserError(f"{path}: {error}; {way_out}", code=Exit.CHECKPOINT) from None


def check_pretrained(path: Path, now: Mapping[str, tuple[str, str]]) -> None:
    """Compare pretrained networks with those that a run noted in this file, where it has one.

    Args:
        now: flag -> name and sha256 of what it leads to.

    Raises:
        UserError: one of them is another one now (exit code 4).
    """
    if not path.exists():
        return
    shape, what = {...: {"name": str, "sha256": str}}, "a note of the networks that the run learnt from"
    for flag, kept in read_json(path, shape, what, code=Exit.CHECKPOINT).items():
        if flag in now and kept["sha256"] != now[flag][1]:
            raise UserError(
                f"{flag}: the run learnt with {kept['name']} (sha256 {kept['sha256'][:12]}), this is {now[flag][0]} "
                f"({now[flag][1][:12]}); name the same weights",
                code=Exit.CHECKPOINT,
            )


def note_pretrained(path: Path, now: Mapping[str, tuple[str, str]]) -> None:
    """What ``check_pretrained`` reads."""
    kept = {flag: {"name": name, "sha256": digest} for flag, (name, digest) in now.items()}
    write_atomically(path, json.dumps(kept, indent=1, ensure_ascii=False))
