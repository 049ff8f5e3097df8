"""What a user did wrong, told in one line."""

import difflib
from collections.abc import Iterable

LONGEST = 200  # letters of a name that is compared with others


class UserError(Exception):
    """A mistake in a flag, a file or a folder: one line that names it and the way out.

    The scripts print the message without a traceback and exit with ``code``:
    2 options or data, 3 a loss that is not finite, 4 an unusable checkpoint, 5 storage.
    """

    def __init__(self, message: str, code: int = 2):
        super().__init__(" ".join(message.split()))
        self.code = code


class UnknownName(UserError, AttributeError):
    """An attribute that is called otherwise here; to hasattr and getattr it is one that is missing."""


def nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """ "; did you mean X?" when something known is spelt like ``name``, else nothing."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1) if len(name) <= LONGEST else []
    return same_but_for_case(name, known, prefix) or (f"; did you mean {prefix}{near[0]}?" if near else "")


def same_but_for_case(name: str, known: Iterable[str], prefix: str = "") -> str:
    """The same, of something known that differs in capitals and dashes alone."""
    near = [word for word in known if word.lower() == name.lower().replace("-", "_")]
    return f"; did you mean {prefix}{near[0]}?" if near else ""
