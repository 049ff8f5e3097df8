"""What a font is called: the family's and style's names, in every form that programs ask for."""

import re
from dataclasses import dataclass
from typing import Any

from fontTools.ttLib import TTFont

from options import UserError

# The records of a name table, of OpenType's specification.
FAMILY, STYLE, UNIQUE, FULL, POSTSCRIPT, WHOLE_FAMILY, WHOLE_STYLE = 1, 2, 3, 4, 6, 16, 17
FULL_MACINTOSH, POSTSCRIPT_CID, WWS_FAMILY, POSTSCRIPT_PREFIX = 18, 20, 21, 25
ENGLISH = (3, 1, 0x409)  # of Windows
MOST_WORDS = 10_000  # the Open Font License has 4,400
WEIGHTS = {
    **dict.fromkeys(("thin", "hairline"), 100),
    **dict.fromkeys(("extralight", "ultralight"), 200),
    "light": 300,
    "medium": 500,
    **dict.fromkeys(("semibold", "demibold", "demi"), 600),
    "bold": 700,
    **dict.fromkeys(("extrabold", "ultrabold", "heavy"), 800),
    "black": 900,
}


def weight_word(weight: int) -> str:
    """The word that comes nearest to a class of weight."""
    words = {400: "Regular"} | {number: word.capitalize() for word, number in reversed(WEIGHTS.items())}
    return words[min(words, key=lambda number: abs(number - weight))]


@dataclass(frozen=True)
class Style:
    """A style's name, taken apart: "Bold Italic" is one of the four that a family can have, "Light Italic" is not.

    Attributes:
        rest: what it says beside bold and italic, which old programs see as a part of the family's name.
        weight: the class of weight that its words say; none where they say none.
    """

    name: str
    bold: bool
    italic: bool
    oblique: bool
    rest: str
    weight: int | None

    @property
    def plain(self) -> str:
        """One of the four."""
        return " ".join(word for word, is_so in (("Bold", self.bold), ("Italic", self.italic)) if is_so) or "Regular"


@dataclass(frozen=True)
class Rights:
    """Who may do what with a font, as its names say it; "" says nothing. ``url`` is where the licence is explained."""

    copyright: str = ""
    licence: str = ""
    url: str = ""


def style_of(name: str) -> Style:
    words = re.sub(r"(?<=[a-z])(?=Italic|Oblique)", " ", " ".join(name.split())).split()
    rest = [word for word in words if word.lower() not in ("regular", "italic", "oblique")]
    joined = "".join(rest).lower().replace("-", "")
    weight = max((word for word in WEIGHTS if word in joined), key=len, default=None)
    italic = [word.lower() for word in words if word.lower() in ("italic", "oblique")]
    bold = joined == "bold"
    return Style(
        " ".join(words),
        bold,
        bool(italic),
        "oblique" in italic,
        "" if bold else " ".join(rest),
        None if weight is None else WEIGHTS[weight],
    )


def check_family(family: str) -> None:
    if not family.strip() or not family.isprintable():
        raise UserError(f"family name {family!r}: give the font a name of printable characters")


def names_of(family: str, style: str, version: str, rights: Rights = Rights()) -> dict[str, str]:
    """The names of a new font, as FontBuilder's setupNameTable takes them.

    Programs that know four styles of a family find ``Serif Light`` and ``Italic``, others ``Serif`` and ``Light
    Italic``.
    """
    told = style_of(style)
    names = {
        "copyright": rights.copyright,
        "familyName": f"{family} {told.rest}".strip(),
        "styleName": told.plain,
        "uniqueFontIdentifier": f"{version};{postscript(family, told.name)}",
        "fullName": _full(family, told.name),
        "version": f"Version {version}",
        "psName": postscript(family, told.name),
        "licenseDescription": rights.licence,
        "licenseInfoURL": rights.url,
    }
    if (told.rest, told.plain) != ("", told.name):
        names |= {"typographicFamily": family, "typographicSubfamily": told.name}
    return {key: text for key, text in names.items() if text}


def rights_of(font: TTFont) -> Rights:
    """What a font says of its own, each text up to MOST_WORDS characters."""
    table = font.get("name")
    texts = [(table.getDebugName(number) or "").strip()[:MOST_WORDS] if table else "" for number in (0, 13, 14)]
    return Rights(*("".join(c for c in text if c.isprintable() or c in "\n\r\t") for text in texts))


def rename(font: TTFont, family: str) -> None:
    """Put another family name into every record that holds the family's, on every platform and in every language.

    Names of styles stay, and so does what a name adds to the family's: ``Serif Light``, of the family Serif, becomes
    ``<family> Light``. Copyright, licence, trademark and maker are not touched.
    """
    table = font["name"]
    said: dict[tuple[int, int, int], dict[int, str]] = {}
    for record in table.names:
        place = (record.platformID, record.platEncID, record.langID)
        said.setdefault(place, {})[record.nameID] = record.toUnicode(errors="replace")
    style = _style(said.get(ENGLISH, {})) or table.getDebugName(WHOLE_STYLE) or table.getDebugName(STYLE) or "Regular"
    technical = postscript(family, style)  # one and the same in every language
    for record in table.names:
        names = said[record.platformID, record.platEncID, record.langID]
        own, old = names.get(WHOLE_FAMILY) or names.get(FAMILY) or "", names[record.nameID]
        rest = old[len(own) :] if own and old.startswith((f"{own} ", f"{own}-")) else ""
        if record.nameID in (FAMILY, WHOLE_FAMILY, WWS_FAMILY):
            _put(record, family, rest)
        elif record.nameID in (FULL, FULL_MACINTOSH):
            _put(record, family, rest if old.startswith(own) else _full("", _style(names) or style))
        elif record.nameID in (POSTSCRIPT, POSTSCRIPT_CID):
            record.string = technical
        elif record.nameID == UNIQUE:
            record.string = f"{font['head'].fontRevision:.3f};{technical}"
        elif record.nameID == POSTSCRIPT_PREFIX:
            record.string = plain(family)


def postscript(family: str, style: str) -> str:
    """At most 63 characters of ASCII."""
    return f"{plain(family)}-{''.join(c for c in style if c.isascii() and c.isalnum()) or 'Regular'}"[:63]


def plain(name: str) -> str:
    """Letters and digits of ASCII, 50 at most; any other character by its code point."""
    letters = "".join(c if c.isascii() and c.isalnum() else f"u{ord(c):04X}" * (not c.isascii()) for c in name)
    return letters[:50] or "Font"


def _style(names: dict[int, str]) -> str:
    return names.get(WHOLE_STYLE) or names.get(STYLE) or ""


def _full(family: str, style: str) -> str:
    return family if style == "Regular" else f"{family} {style}"


def _put(record: Any, family: str, rest: str) -> None:
    """In the record's encoding; one of the Macintosh's may not have the characters of the family."""
    record.string = family + rest
    try:
        record.toBytes()
    except UnicodeEncodeError:
        record.string = plain(family) + rest
