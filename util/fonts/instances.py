"""Which face of a file, and which instance of a variable font, a font's name means: ``font.ttc#2@wght=700,wdth=80``."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from options import UserError, nearest

ENDINGS = (".ttf", ".otf", ".ttc", ".otc", ".woff2")
AXIS = re.compile(r"\s*([ -~]{1,4}?)\s*=\s*(-?[0-9]*\.?[0-9]+)\s*")
BEHIND = re.compile(r"(?:#([0-9]{1,5}))?(?:@([^#@]+))?(?:#([0-9]{1,5}))?", re.DOTALL)  # of the file's name


@dataclass(frozen=True)
class Named:
    """What a name means.

    Attributes:
        index: of the face in a collection.
        instance: what stands behind the ``@``: ``wght=700,wdth=80``, or the name of an instance; "" for none.
    """

    path: Path
    index: int
    instance: str


def named(name: str) -> Named:
    """The file is the longest part of the name that is one, so that a file may have ``#`` and ``@`` in its own.

    Raises:
        UserError: there is no such file, nor a font of this name that matplotlib ships.
    """
    for cut in _cuts(name):
        path = _file(name[:cut])
        match = BEHIND.fullmatch(name[cut:])
        if path is not None and match is not None and not (match[1] and match[3]):
            return Named(path, int(match[1] or match[3] or 0), (match[2] or "").strip())
    bare = name[: _cuts(name)[-1]]
    if _file(bare) is not None:
        raise UserError(f"font {name}: after the file come #2, a face of a collection, and @wght=700 or @Bold")
    if Path(bare).name == bare and not Path(bare).suffix and not Path(bare).is_dir():
        hint = nearest(bare, (p.stem for p in fonts_of_matplotlib().glob("*.ttf")))
        raise UserError(f"font {name}: neither a file nor a font that matplotlib ships{hint}")
    if Path(bare).is_dir():
        ufo = "; a font editor exports one of a UFO" * (Path(bare).suffix.lower() == ".ufo")
        raise UserError(f"font {name}: is a folder, and no font file{ufo}")
    raise UserError(f"font {name}: no such file")


def _cuts(name: str) -> list[int]:
    """Where the name of the file may end, the last place first."""
    return [len(name), *(at for at in range(len(name) - 1, 0, -1) if name[at] in "#@")]


@cache
def fonts_of_matplotlib() -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path(), "fonts", "ttf")


def _file(text: str) -> Path | None:
    path = Path(text)
    if path.is_file():
        return path
    shipped = fonts_of_matplotlib() / f"{text}.ttf"
    return shipped if path.name == text and not path.suffix and shipped.is_file() else None


def joined(words: Sequence[str]) -> list[str]:
    """Fonts of a list whose commas were taken for its own: ``a.ttf@wght=700``, ``wdth=80`` are one."""
    fonts: list[str] = []
    for word in words:
        if fonts and "@" in fonts[-1] and AXIS.fullmatch(re.sub(r"#[0-9]{1,5}$", "", word)):
            fonts[-1] += f",{word}"
        else:
            fonts.append(word)
    return fonts


def short_name(font: str) -> str:
    """A style's name: the file's, with the number of the face and the instance; no comma, for styles are listed."""
    cut = next((cut for cut in _cuts(font) if Path(font[:cut]).exists()), _cuts(font)[-1])
    path = Path(font[:cut])
    stem = path.stem if path.suffix.lower() in ENDINGS else path.name
    words = [re.sub(r"[=\s]", "", word) for word in re.split("[#@,]", font[cut:])]
    return "-".join([stem, *filter(None, words)])


# ---- a variable font -------------------------------------------------------------------------------------------------


def location_of(font: Any, instance: str, name: str) -> dict[str, float]:
    """{axis: value} of every axis of a font of fontTools; empty for a font that has none.

    Raises:
        UserError: there is no such axis or instance, or a value is out of range.
    """
    axes = list(font["fvar"].axes) if "fvar" in font else []
    if not axes:
        if instance:
            raise UserError(f"font {name}: has no axes, since it is no variable font; leave out @{instance}")
        return {}
    location = {axis.axisTag: float(axis.defaultValue) for axis in axes}
    instances = _instances(font)
    known = {_plain(word): word for word in instances}
    if _plain(instance) in known:
        return location | instances[known[_plain(instance)]]
    there = f"it has {axes_in_words(font)}" + f", and {', '.join(instances)}" * bool(instances)
    for word in instance.split(",") if instance else ():
        match = AXIS.fullmatch(word)
        if match is None:
            raise UserError(f"font {name}: {word!r} is neither an instance nor axis=value; {there}")
        axis = next((axis for axis in axes if axis.axisTag.strip().lower() == match[1].lower()), None)
        if axis is None:
            raise UserError(f"font {name}: has no axis {match[1]}; {there}")
        value = float(match[2])
        if not axis.minValue <= value <= axis.maxValue:
            raise UserError(f"font {name}: {match[1]} {value:g} is out of range; {there}")
        location[axis.axisTag] = value
    return location


def axes_in_words(font: Any) -> str:
    """Such as ``wght 100 to 900 (400 unless told)``."""
    return ", ".join(
        f"{axis.axisTag.strip()} {axis.minValue:g} to {axis.maxValue:g} ({axis.defaultValue:g} unless told)"
        for axis in font["fvar"].axes
    )


def located(location: Mapping[str, float]) -> str:
    """As it stands behind an ``@``."""
    return ",".join(f"{axis.strip()}={value:g}" for axis, value in location.items())


def _instances(font: Any) -> dict[str, dict[str, float]]:
    """The font's named instances, the first of each name."""
    found: dict[str, dict[str, float]] = {}
    for instance in font["fvar"].instances:
        name = font["name"].getDebugName(instance.subfamilyNameID) if "name" in font else None
        if name:
            found.setdefault(name, dict(instance.coordinates))
    return found


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()
