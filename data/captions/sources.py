"""Pictures with captions: what every source of them gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from data.pictures.sources import Pictures
from util.attributes import UNSAID

__all__ = ["UNSAID", "CaptionSource", "Captioned"]


@dataclass(frozen=True)
class Captioned(Pictures):
    """Pictures, each with one or more captions. A caption is true of every picture that shows all it says.

    ``labels`` are strata: a share of each is held out for a test.

    Attributes:
        captions: (N,) tuples of strings; the first is the fullest, and the one used outside training.
        said: (N,) arrays (K, A) int64: what each caption says of each attribute, UNSAID where it says nothing.
        shown: (N, A) int64: what the picture shows; UNSAID where that is not known.
    """

    captions: Any
    said: Any
    shown: Any


@dataclass(frozen=True)
class CaptionSource:
    """What a kind of data has.

    Attributes:
        kind: one of --source.
        attributes: name -> values, of which ``said`` and ``shown`` hold the places; empty where data have none. Then
            A is 1, and they hold the number of the caption's text, so that equal captions are equal.
        phases: reads the pictures of train, test, val; or of "every", to be divided.
        channels: of the data; 0 is for the files to tell.
    """

    kind: str
    attributes: Mapping[str, tuple[str, ...]]
    phases: Mapping[str, Callable[[], Captioned]]
    channels: int
