"""What turns a caption into vectors: a transformer of one's own, or a pretrained one from a folder."""

from collections.abc import Sequence

from networks.text import Text, TextTransformer
from util.vocabulary import Vocabulary, pad


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
        return self.netT(ids.to(self.netT.embedding.weight.device))

    def words(self, caption: str) -> list[str]:
        """What the T positions of a caption stand for."""
        return self.vocabulary.tokens(caption)[: self.most]

    def unknown(self, caption: str) -> list[str]:
        """Words that it never read; they all look alike to it."""
        return self.vocabulary.unknown(caption)
