"""How well pictures fit their captions in the eyes of CLIP."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn.utils.rnn import pad_sequence

from evaluation.metrics.base_captioned import Judged, Seen
from options import UserError
from util.files import sha256
from util.pretrained import load_model, load_pretrained, weight_files
from util.stopwatch import Countdown

PAIRS_AT_ONCE = 32  # pictures and captions that go through the network together


class Clip:
    r"""CLIP score: the mean of :math:`\max(100 \cos(v, c), 0)` over pictures v with their captions c.

    The scale is that of torchmetrics, which cuts the mean off at zero instead of each; Hessel et al., "CLIPScore: A
    Reference-free Evaluation Metric for Image Captioning" (EMNLP 2021), have 2.5 in place of 100. It depends on the
    weights, and pictures unlike photographs (glyphs) mean little to CLIP. (torchmetrics 1.9 itself cannot read what
    CLIP answers in transformers 5.)

    Args:
        path: folder of a CLIP model with its tokenizer and preprocessor_config.json; nothing is downloaded.

    Attributes:
        digests: weight file -> its sha256, in hexadecimal.

    Raises:
        UserError: no such folder, or one that holds no CLIP model.
    """

    def __init__(self, path: str | Path, device: torch.device | str = "cpu"):
        folder, flag = Path(path).expanduser(), f"--clip {path}"
        if not folder.is_dir():
            raise UserError(f"{flag}: no such folder; nothing is downloaded")
        kind = load_pretrained("AutoConfig", folder, flag).model_type
        if kind != "clip":
            raise UserError(f"{flag}: holds a model of kind {kind}, not clip")
        model, lacking = load_model("CLIPModel", folder, flag)
        if lacking:
            raise UserError(f"{flag}: its weights have no {min(lacking)}; it belongs to another model")
        self.tokenizer = load_pretrained("AutoTokenizer", folder, flag)
        self.look = load_pretrained("CLIPImageProcessor", folder, flag)
        self.model = model.float().eval().to(device)
        self.name, self.device = folder.name, torch.device(device)
        self.digests = {file.name: sha256(file) for file in weight_files(folder, flag)}

    def __call__(self, images: torch.Tensor, captions: Sequence[str]) -> float:
        """0 to 100, higher is better; see :meth:`judge`."""
        judged = self.judge(images, captions)
        return clip_score(judged.seen.embedding, judged.captions)

    def judge(self, images: torch.Tensor, captions: Sequence[str]) -> Judged:
        """Pictures and their captions as unit vectors; CLIP knows no attributes.

        Args:
            images: (N, C, H, W), uint8 or float in [-1, 1]; C is 3, or 1 for greyscale.
            captions: N; what is behind the last token that CLIP reads is cut.
        """
        if len(images) != len(captions) or not len(images):
            raise ValueError(
                f"{len(images)} pictures and {len(captions)} captions; each picture has one, and some must be"
            )
        most, parts = self.model.config.text_config.max_position_embeddings, []
        countdown = Countdown(len(images), "picture")
        for first in range(0, len(images), PAIRS_AT_ONCE):
            part = slice(first, first + PAIRS_AT_ONCE)
            pixels = self.look(list(_bytes(images[part])), return_tensors="pt")["pixel_values"]
            rows = self.tokenizer(list(captions[part]), truncation=True, max_length=most)["input_ids"]
            ids, mask = (
                pad_sequence([torch.tensor(row) for row in x], batch_first=True)  # CLIP reads up to the mark of the end
                for x in (rows, [[1] * len(row) for row in rows])
            )
            ids, mask, pixels = (x.to(self.device) for x in (ids, mask, pixels))
            with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
                found = self.model(input_ids=ids, attention_mask=mask, pixel_values=pixels)
            parts.append((found.image_embeds.cpu(), found.text_embeds.cpu()))  # unit vectors
            countdown.step(len(rows))
        pictures, texts = (torch.cat(some) for some in zip(*parts, strict=True))
        nothing = torch.empty(len(pictures), 0, dtype=torch.int64)
        return Judged(Seen(pictures, nothing, pictures), texts, nothing, nothing)


def clip_score(pictures: torch.Tensor, captions: torch.Tensor) -> float:
    """The score of unit vectors (N, E) of pictures and of their captions."""
    return 100 * (pictures * captions).sum(1).clamp(min=0).double().mean().item()


def _bytes(images: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, W) uint8 on the CPU."""
    if images.dtype != torch.uint8:
        images = (images.float() * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
    return images.cpu().expand(-1, 3, -1, -1)
