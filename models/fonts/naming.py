"""What a font file says of itself: names, weight, rights, as flags."""

import sys
from dataclasses import dataclass, replace
from typing import Any

from options import BaseOptions, UserError, option
from util.fonts.export import About
from util.fonts.faces import Face
from util.fonts.names import Rights, rights_of, style_of

SAID = ("style_name", "weight", "licence", "license", "copyright")


@dataclass(frozen=True, kw_only=True)
class NamingOptions(BaseOptions):
    section = "zi2zi results"
    family: str | None = option(None, "export_ttf: name of the font family; none is <run> <style>", per_run=True)
    style_name: str | None = option(
        None,
        "export_ttf: name of the style, such as Regular or Light Italic; none is bold and italic as the style's font",
        per_run=True,
    )
    weight: int | None = option(
        None,
        "export_ttf: class of weight, 400 is regular and 700 bold; none is what --style_name says, else the stems'",
        least=1,
        most=1000,
        per_run=True,
    )
    licence: str | None = option(
        None, "export_ttf: licence in words or its address; none is that of the style's font", per_run=True
    )
    license: str | None = option(None, "the same as --licence", per_run=True, instead_of=("licence",))
    copyright: str | None = option(None, "export_ttf: copyright in words", per_run=True)


def check_naming(opt: Any) -> None:
    """Refuse what would be ignored."""
    told = [flag for flag in ("family", *SAID) if getattr(opt, flag) is not None]
    if told and not (opt.export_ttf or opt.complete):
        raise UserError(f"--{told[0]} {getattr(opt, told[0])}: is said of a font file; give --export_ttf too")
    if opt.complete and told[-1:] not in ([], ["family"]):
        raise UserError(
            f"--{told[-1]} {getattr(opt, told[-1])}: --complete keeps the style, weight and rights of {opt.complete}; "
            "leave it out, only --family gives the copy another name"
        )
    if opt.style_name is not None and not (opt.style_name.strip() and opt.style_name.isprintable()):
        raise UserError(f"--style_name {opt.style_name!r}: give printable characters, such as Light Italic")
    if opt.licence and opt.license and opt.licence != opt.license:
        raise UserError(f"--licence {opt.licence} --license {opt.license}: are one flag; give one of them")


def about_style(opt: Any, glyphs: Any) -> About:
    """From the flags, else from the font that the style is; with a line where its licence is recorded."""
    font = glyphs.font if isinstance(glyphs, Face) else None
    about = About(opt.style_name or _style_name(font), opt.weight, rights=Rights(opt.copyright or ""))
    if style_of(about.style).italic and font is not None and "post" in font and font["post"].italicAngle:
        about = replace(about, angle=max(-60.0, min(60.0, font["post"].italicAngle)))
    licence = opt.licence or opt.license
    if licence:
        address = licence.startswith(("https://", "http://"))
        return replace(about, rights=replace(about.rights, **{"url" if address else "licence": licence}))
    theirs = rights_of(font) if font is not None else Rights()
    if not theirs.licence and not theirs.url:
        return about
    first = (theirs.licence or theirs.url).splitlines()[0][:80]
    print(f"licence of {glyphs.name} recorded, say another with --licence: {first}", file=sys.stderr)
    return replace(about, rights=replace(about.rights, licence=theirs.licence, url=theirs.url))


def _style_name(font: Any) -> str:
    """Regular, Bold, Italic or Bold Italic, as a font's header has it."""
    style = font["head"].macStyle if font is not None else 0
    return " ".join(word for bit, word in ((1, "Bold"), (2, "Italic")) if style & bit) or "Regular"
