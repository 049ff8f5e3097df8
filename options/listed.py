"""Lists of names on a command line, where a name may hold commas itself."""

from collections.abc import Iterable, Sequence


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


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in name.split(",") if part.strip()) or (name,)
