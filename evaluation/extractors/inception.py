"""The Inception network that published FID, KID and Inception scores are of, from a file that is already there."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from evaluation.extractors.base import Extractor, named_by_digest
from evaluation.extractors.resizes import WAYS, Resize
from evaluation.metrics.shared.observed import Observed
from options import Exit, UserError
from util.files import sha256
from util.reading.weights import read_weights

SIZE = 299  # pixels a side, what the network of 2015 takes
STANDARD = "weights-inception-2015-12-05-6726825d.pth"  # torch-fidelity's file; pytorch-fid's is the same, pt_...
KNOWN = {"6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2": STANDARD}
SCRIPT = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"  # inception-2015-12-05.pt of clean-fid


class Inception(nn.Module):
    """Bytes (B, 1 or 3, H, W) to features (B, 2048) and logits (B, 1008).

    The network is torch-fidelity's definition of the TensorFlow graph of 2015-12-05. The logits have no bias, as in
    Inception scores of torch-fidelity.

    Attributes:
        digest: sha256 of the file, in hexadecimal.
        known: whether that is the file of published scores; another one only has its shape.

    Args:
        path: ``--inception_weights``.
        resize: to the size that it takes.

    Raises:
        UserError: no such file, or one that does not hold these weights as tensors.
    """

    features = 2048

    def __init__(self, path: Path, resize: Resize):
        super().__init__()
        self.resize = resize
        flag = f"--inception_weights {path}"
        if not path.is_file():
            raise UserError(f"{flag}: no such file; give {STANDARD} of torch-fidelity, which nothing here downloads")
        self.digest = sha256(path)
        self.known = self.digest in KNOWN
        if self.digest == SCRIPT or is_script(path):
            which = "clean-fid's TorchScript file" if self.digest == SCRIPT else "a TorchScript file"
            raise UserError(f"{flag}: {which} is a program, which is not run; {STANDARD} has the weights as tensors")
        network = inception_of(read_weights(path)[0], flag)
        *stages, answer = network.children()  # in the order of its forward(), which takes nothing but bytes
        self.stages = nn.Sequential(*stages)
        self.answer: torch.Tensor
        self.register_buffer("answer", answer.weight.data)  # (1008, 2048)

    def forward(self, levels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        images = self.resize(levels, SIZE).to(self.answer.device).expand(-1, 3, -1, -1)
        features = self.stages(images).flatten(1)
        return features, features @ self.answer.T


def inception_of(state: Mapping[str, torch.Tensor], flag: str) -> Any:
    """torch-fidelity's network with these weights, in eval mode."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # takes a second

    # Its constructor reads a file with pickle, or else downloads one: it gets the tensors that were read safely.
    file = io.BytesIO()
    torch.save(dict(state), file)
    file.seek(0)
    try:
        return FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], file)
    except RuntimeError as error:
        why = " ".join(str(error).split())[:160]
        raise UserError(
            f"{flag}: not the weights of FID's Inception ({why}); give {STANDARD}", code=Exit.CHECKPOINT
        ) from None


def is_script(path: Path) -> bool:
    """Whether a file is TorchScript: an archive that has code besides tensors."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def of_inception(weights: str | None, resize: str, flag: str, device: torch.device) -> Extractor:
    """The network of published scores, of images that are resized as the tools do whose scores they are."""
    if not weights:
        raise UserError(
            f"{flag} needs --inception_weights, the file {STANDARD} of torch-fidelity; it is not downloaded"
        )
    way = WAYS[resize]
    network = Inception(Path(weights), way).to(device)

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
        name=f"Inception of 2015-12-05, {named_by_digest(Path(weights), network.digest)}"
        + ", not a known file" * (not network.known),
        digest=network.digest,
        resize=f"to {SIZE} x {SIZE} {way.words}",
        features=Inception.features,
        comparable=network.known,
        remarks=() if network.known else (strange,),
    )
