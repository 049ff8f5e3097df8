"""Captions as a pretrained text encoder of Hugging Face sees them; needs the extra ``text``."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from models.captions.cache import TextCache
from networks.text import Text
from options import UserError
from util import distributed
from util.cli import reason
from util.files import sha256
from util.pretrained import load_model, load_pretrained, require_transformers, weight_files
from util.stopwatch import Countdown

PART = 256  # captions kept in one transaction
CAPTIONS_AT_ONCE = 64  # captions that go through the encoder together
GB = 10**9  # bytes; what a cache takes is told from here on
# What an encoder's vectors depend on besides weights; other files of a folder may differ.
FILES = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model"),
)


class HFEncoder:
    """A frozen encoder: BERT and its kin, the text model of CLIP, the encoder of T5.

    A caption's words are the last layer's states, its sentence is their mean. They are computed once, rounded as the
    cache keeps them, and read from there ever after; weights are loaded when a caption is not in the cache.

    Attributes:
        digest: sha256 of all that a caption's vectors depend on, in hexadecimal.
        digests: weight file -> its sha256.

    Args:
        spec: a local folder with weights as safetensors (or a PyTorch file of tensors alone), or the id of a model.
        cache: folder of the cache.
        most: tokens of a caption that are read, marks such as [CLS] among them.
        device: where it computes, and where its results are.
        drop_marks: leave those marks out of the words.
        allow_download: fetch a model that is not on this machine.

    Raises:
        UserError: no such model here, or one that is not a text encoder's; transformers is not installed.
    """

    def __init__(
        self,
        spec: str,
        cache: str | Path,
        most: int,
        device: torch.device | str = "cpu",
        drop_marks: bool = False,
        allow_download: bool = False,
    ):
        self.flag, self.name = f"--text_encoder hf:{spec}", spec.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
        self.most, self.device, self.drop_marks = most, torch.device(device), drop_marks
        require_transformers(self.flag)
        self.folder = _find(spec, self.flag, allow_download)
        self.weights = weight_files(self.folder, self.flag)
        self.config = load_pretrained("AutoConfig", self.folder, self.flag)
        self.tokenizer = load_pretrained("AutoTokenizer", self.folder, self.flag)
        limit = min(self.tokenizer.model_max_length, getattr(self._text_config, "max_position_embeddings", 10**9))
        if most > limit:
            raise UserError(f"--max_words {most}: {self.flag} reads {limit} tokens at most; give that or less")
        self.dim = int(self._text_config.hidden_size)
        self.digests = {path.name: sha256(path) for path in self.weights}
        self.digest = self._digest()
        self.cache = TextCache(cache, self.digest, self.dim)
        self.network: Any = None

    @property
    def _text_config(self) -> Any:
        return getattr(self.config, "text_config", None) or self.config

    def encode(self, captions: Sequence[str]) -> Text:
        """(B, T, dim) float32 words and (B, dim) sentences on the device, without a gradient."""
        found = self.cache.get(captions)
        new = [caption for caption in dict.fromkeys(captions) if caption not in found]
        if new:
            self._fill(new)
            found |= self.cache.get(new)
        rows = [found[caption] for caption in captions]
        lengths = torch.tensor([len(row) for row in rows])
        words = pad_sequence(rows, batch_first=True)  # (B, T, dim)
        mask = torch.arange(words.shape[1]) < lengths[:, None]
        words, mask, places = (
            x.to(self.device, non_blocking=True) for x in (words, mask, mask.flatten().nonzero()[:, 0])
        )
        return replace(Text.of(words, mask), places=places)

    def prepare(self, captions: Sequence[str]) -> None:
        """Encode those that are not in the cache yet, and say what of them all is lost; processes share the work."""
        captions = list(dict.fromkeys(captions))
        new = self.cache.missing(captions)
        if distributed.rank() == 0:
            lengths = self._tell(captions)
            if new:
                size = 2 * self.dim * sum(lengths[caption] for caption in new)  # bytes; of the cache's float16
                about = f"; that takes {size / GB:.1f} GB" if size > GB else ""
                print(f"{self.flag}: reads {len(new)} captions, kept in {self.cache.path}{about}")
        start = len(new) * distributed.rank() // distributed.world_size()
        self._fill(new[start:] + new[:start])

    def words(self, caption: str) -> list[str]:
        """What the T positions of a caption stand for: whole words, or the pieces that the encoder knows."""
        ids, kept = self._tokens([caption])[0]
        names = self.tokenizer.convert_ids_to_tokens(ids)
        return [
            self.tokenizer.decode([i]).strip() or name for i, name, keep in zip(ids, names, kept, strict=True) if keep
        ]

    def unknown(self, caption: str) -> list[str]:
        """Parts of a caption for which it has no token; most encoders can spell every word."""
        if not self.tokenizer.is_fast or self.tokenizer.unk_token_id is None:
            return []
        found = self.tokenizer(caption, return_offsets_mapping=True, truncation=True, max_length=self.most)
        pieces = zip(found["input_ids"], found["offset_mapping"], strict=True)
        parts = [caption[start:end] for i, (start, end) in pieces if i == self.tokenizer.unk_token_id]
        return [part for part in dict.fromkeys(parts) if part]

    def _tell(self, captions: Sequence[str]) -> dict[str, int]:
        """Say what of these captions is lost on the encoder; how many words each has for it."""
        cut, countdown = 0, Countdown(len(captions), "tokenised caption")
        lengths: dict[str, int] = {}
        alike: tuple[str, ...] = ()
        seen: dict[int, str] = {}
        for first in range(0, len(captions), PART):
            part = captions[first : first + PART]
            for caption, (ids, kept) in zip(part, self._tokens(part), strict=True):
                lengths[caption] = sum(kept)
                cut += len(ids) == self.most and len(self.tokenizer(caption, verbose=False)["input_ids"]) > self.most
                other = seen.setdefault(hash(tuple(ids)), caption)
                alike = alike or ((other, caption) if other != caption else ())
            countdown.step(len(part))
        if cut:
            print(f"--max_words {self.most}: {cut} of {len(captions)} captions are longer and are cut")
        if alike:  # most encoders do not tell g from G
            print(f"{self.flag}: it reads {alike[0]!r} and {alike[1]!r} alike")
        return lengths

    def _tokens(self, captions: Sequence[str]) -> list[tuple[list[int], list[bool]]]:
        """Of each caption the numbers of its tokens, and which of them are words."""
        for caption in captions:
            if not caption.strip():
                raise UserError(f"caption {caption!r}: it has no words; write at least one")
        found = self.tokenizer(
            list(captions), truncation=True, max_length=self.most, return_special_tokens_mask=self.drop_marks
        )
        marks = found["special_tokens_mask"] if self.drop_marks else [[0] * len(ids) for ids in found["input_ids"]]
        rows = [(ids, [not mark for mark in mine]) for ids, mine in zip(found["input_ids"], marks, strict=True)]
        for caption, (_, kept) in zip(captions, rows, strict=True):
            if not any(kept):
                raise UserError(f"caption {caption!r}: {self.flag} sees no words in it; write others")
        return rows

    def _fill(self, new: Sequence[str]) -> None:
        """Encode these into the cache, some at a time; what another process has done by then is skipped."""
        countdown = Countdown(len(new), "caption") if len(new) > PART else None
        for first in range(0, len(new), PART):
            part = new[first : first + PART]
            self._keep(self.cache.missing(part))
            if countdown is not None:
                countdown.step(len(part))

    def _keep(self, captions: Sequence[str]) -> None:
        """Encode these into the cache, those of like length together."""
        rows = sorted(zip(captions, self._tokens(captions), strict=True), key=lambda row: len(row[1][0]))
        found: dict[str, torch.Tensor] = {}
        for first in range(0, len(rows), CAPTIONS_AT_ONCE):
            batch = rows[first : first + CAPTIONS_AT_ONCE]
            states = self._states([ids for _, (ids, _) in batch])
            for (caption, (ids, kept)), x in zip(batch, states, strict=True):
                found[caption] = x[: len(ids)][torch.tensor(kept)]
        if found:
            self.cache.put(found)

    @torch.no_grad()
    def _states(self, rows: Sequence[list[int]]) -> torch.Tensor:
        """(B, T, dim) float32 on the CPU: the last layer's states."""
        if self.network is None:
            self.network = self._load_network()
        padding = self.tokenizer.pad_token_id or 0
        ids = pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=padding)
        mask = torch.arange(ids.shape[1]) < torch.tensor([len(row) for row in rows])[:, None]
        with torch.autocast(self.device.type, enabled=False):  # of a training step
            states = self.network(
                input_ids=ids.to(self.device), attention_mask=mask.long().to(self.device)
            ).last_hidden_state.float()
        if not states[mask.to(self.device)].isfinite().all():
            raise UserError(f"{self.flag}: it answers with numbers that are not finite; use another encoder")
        return states.cpu()

    def _load_network(self) -> Any:
        """The text encoder alone of the model, frozen.

        Raises:
            UserError: the folder's weights are not this model's.
        """
        model, lacking = load_model("AutoModel", self.folder, self.flag)
        network = model.get_encoder() if self.config.is_encoder_decoder else getattr(model, "text_model", model)
        own = {id(x) for name, x in network.named_parameters() if "pooler" not in name}
        names = [name for name, x in model.named_parameters(remove_duplicate=False) if id(x) in own]
        if absent := [name for name in names if name in lacking]:
            raise UserError(f"{self.flag}: {self.weights[0].name} has no {absent[0]}; it belongs to another model")
        return network.float().eval().requires_grad_(False).to(self.device)

    def _digest(self) -> str:
        """sha256 of all that a caption's vectors depend on, in hexadecimal."""
        total = hashlib.sha256(f"words {self.most} {self.drop_marks}".encode())
        for path in (*self.weights, *(self.folder / name for name in FILES)):
            if path.is_file():
                total.update(f"{path.name} {self.digests.get(path.name) or sha256(path)}".encode())
        return total.hexdigest()


def _find(spec: str, flag: str, allow_download: bool) -> Path:
    """The folder of a model: the one named, or where the library keeps what it once fetched."""
    folder = Path(spec).expanduser()
    if folder.is_dir():
        return folder
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", spec):
        raise UserError(f"{flag}: no such folder")
    from huggingface_hub import snapshot_download

    for pattern in ("*.safetensors", "pytorch_model*.bin"):
        try:
            found = snapshot_download(
                spec, local_files_only=not allow_download, allow_patterns=[*FILES, pattern], ignore_patterns="*/*"
            )
        except Exception as error:  # of the network, of the hub, of the disk
            way_out = reason(error) if allow_download else "give a local folder or --allow_download"
            raise UserError(f"{flag}: not on this machine; {way_out}") from error
        if any(Path(found).glob(pattern)):
            break
    return Path(found)
