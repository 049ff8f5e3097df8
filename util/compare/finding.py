"""A sentence of what may be concluded; which are read first, and how one names many things."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

MOST, MOST_WRONG = 10, 4  # findings that are not folded, and how many of them say what went wrong where there are more
NAMED = 8  # values that a sentence names, at most


@dataclass(frozen=True)
class Finding:
    """A sentence: something that may be said, a limit of what may be said, or something that went wrong."""

    kind: Literal["yes", "limit", "wrong"]
    text: str
    details: str = ""  # of which values, runs or numbers it is said
    command: str = ""  # with which they end, where one puts it right


def first_to_read(found: Sequence[Finding]) -> tuple[list[Finding], list[Finding]]:
    """Those that a glance takes in, and the others; of what went wrong as much as leaves room for the rest."""
    wrong = [finding for finding in found if finding.kind == "wrong"]
    others = [finding for finding in found if finding.kind != "wrong"]
    of_wrong = max(MOST_WRONG, MOST - len(others))
    first = [*wrong[:of_wrong], *others[: MOST - min(len(wrong), of_wrong)]]
    return first, [finding for finding in found if finding not in first]


def listed(texts: Iterable[str], join: str = ", ") -> str:
    """Some of them, and how many more there are."""
    known = list(texts)
    more = f" and {len(known) - NAMED} more" if len(known) > NAMED else ""
    return join.join(known[:NAMED]) + more
