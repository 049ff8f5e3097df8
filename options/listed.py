"""Lists of names, on a command line and in messages, where a name may hold commas itself."""

from collections.abc import Iterable, Sequence

from .errors import UserError, nearest
from .shown import shown


def listed(words: Sequence[str], names: Iterable[str]) -> list[str]:
    """The names that words between commas are; a word that belongs to none stays as it is.

    The longest name that goes on from a word is meant: of the classes ``a``, ``b`` and ``a, b`` the last by ``a,b``,
    the others by ``b,a``. White space around commas makes no difference.
    """
    known = {_parts(name): name for name in names}
    parts = [part for word in words for part in _parts(word)]
    longest, found, at = max(map(len, known), default=1), list[str](), 0
    while at < len(parts):
        ends = range(min(at + longest, len(parts)), at, -1)
        end = next((end for end in ends if tuple(parts[at:end]) in known), 0)
        found.append(known[tuple(parts[at:end])] if end else parts[at])
        at = end or at + 1
    return found


def classes_listed(flag: str, words: Sequence[str], classes: Sequence[str]) -> list[str]:
    """The same of classes.

    Raises:
        UserError: a word is no class's name.
    """
    found = listed(words, classes)
    for name in found:
        if name not in classes:
            there = in_words(classes, 20)
            raise UserError(f"{flag} {name}: no such class{nearest(name, classes)}; there are {there}")
    return found


def in_words(names: Sequence[str], most: int = 8) -> str:
    """The first of these names for a message, those with a comma in quotation marks."""
    return ", ".join(quoted(shown(name)) for name in names[:most]) + ", ..." * (len(names) > most)


def quoted(name: str) -> str:
    """A name as it can stand between commas."""
    return f'"{name}"' if "," in name else name


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in name.split(",") if part.strip()) or (name,)
