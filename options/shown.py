"""Text from a file, or the name of one, as it may reach a terminal, a log, a page or a table.

A name can hold what moves a cursor, colours the rest of a log, turns the order of letters round, or begins a line of
its own. All of that becomes question marks; files keep their names.
"""

import unicodedata

JOINERS = "\u200c\u200d\u00ad"  # of Persian, of emoji, within words: of category Cf too, and harmless
UNSEEN = ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")  # controls, directions, halves of characters, ends of lines
WORD, LINE = 300, 2000  # characters
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and their wide forms


def shown(text: str, mark: str = "?") -> str:
    """Text on one line, with a mark for each letter that is none."""
    return text if text.isprintable() else "".join(_harmless(letter, mark) for letter in text)


def visible(text: str) -> str:
    """Text with its own ends of lines and tabs."""
    return "".join(letter if letter in "\n\t" else _harmless(letter) for letter in text) if _odd(text) else text


def shortened(text: str) -> str:
    """A line that fits on a screen: of a long word its ends, of many words the first."""
    words = [word if len(word) <= WORD else f"{word[:120]} ... {word[-60:]}" for word in text.split(" ")]
    line = " ".join(words)
    return line if len(line) <= LINE else f"{line[:LINE]} ..."


def cell(text: str) -> str:
    """Text for a table of numbers, which a spreadsheet does not take for a formula."""
    return f"'{shown(text)}" if text.startswith(FORMULA) else shown(text)


def _odd(text: str) -> bool:
    return not text.replace("\n", "").replace("\t", "").isprintable()


def _harmless(letter: str, mark: str = "?") -> str:
    return letter if letter in JOINERS or unicodedata.category(letter) not in UNSEEN else mark
