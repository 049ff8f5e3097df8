"""Several writings of a character in one font: glyphs that stand in for one another, as OpenType's features.

``calt``, which programs turn on by themselves, takes the next writing where a character comes again soon, so that no
two neighbours are the same; ``ss01``, ``ss02`` and so on take the second, third writing everywhere; ``salt`` and
``aalt`` list them all. What a font has of such features stays.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fontTools.otlLib.builder import buildAlternateSubstSubtable, buildCoverage, buildLookup, buildSingleSubstSubtable
from fontTools.ttLib import TTFont, newTable
from fontTools.ttLib.tables import otTables

MOST_SETS = 20  # ss01 to ss20
NEAREST, FARTHEST = 3, 8  # so many characters between two of a kind are looked back over, fewer where there are many
RULES = 1500  # about so many are written: offsets in the table have 16 bits
AT_ONCE = 50  # groups of characters whose rules are in one lookup
NONE = 0xFFFF


def add_writings(font: TTFont, writings: Mapping[str, Sequence[Any]]) -> dict[str, list[str]]:
    """Add outlines of TrueType as further writings of glyphs, with their widths; see :func:`take_turns`.

    Args:
        writings: {name of a glyph: outlines of its second writing, the third, ...}.

    Returns:
        {name of a glyph: its writings, itself the first}.
    """
    names: dict[str, list[str]] = {}
    order = list(font.getGlyphOrder())
    taken, glyphs = set(order), {}
    for name, outlines in writings.items():
        names[name] = [name]
        for number, outline in enumerate(outlines, 1):
            new = name_of_writing(name, number)
            while new in taken:
                new += ".new"
            taken.add(new)
            names[name].append(new)
            glyphs[new] = (name, outline)
    if not glyphs:
        return {}
    font.setGlyphOrder([*order, *glyphs])
    for new, (name, outline) in glyphs.items():
        font["glyf"][new] = outline
        font["hmtx"][new] = (font["hmtx"][name][0], outline.xMin)
        if "vmtx" in font:
            height, top = font["vmtx"][name]
            font["vmtx"][new] = (height, top + font["glyf"][name].yMax - outline.yMax)
    return names


def name_of_writing(glyph: str, number: int) -> str:
    return f"{glyph}.alt{number}"


def take_turns(font: TTFont, names: Mapping[str, Sequence[str]]) -> None:
    """Add the features that take further writings, which are in the font: {glyph: its writings, itself the first}."""
    if not names:
        return
    gsub = _layout(font)
    most = max(map(len, names.values()))
    lookups: list[Any] = [
        buildLookup([buildSingleSubstSubtable({n[0]: n[k] for n in names.values() if k < len(n)})])
        for k in range(1, most)
    ]
    first = len(gsub.LookupList.Lookup)
    picks = list(range(first, first + len(lookups)))  # the lookup that takes writing k is picks[k - 1]
    lookups.append(buildLookup([buildAlternateSubstSubtable({n[0]: list(n[1:]) for n in names.values()})]))
    lookups += _rotations(names, font, picks)
    gsub.LookupList.Lookup += lookups
    gsub.LookupList.LookupCount = len(gsub.LookupList.Lookup)
    listed = first + len(picks)
    turning = list(range(listed + 1, first + len(lookups)))
    features: list[tuple[str, list[int], str | None]] = [
        ("aalt", [listed], None),
        ("calt", turning, None),
        ("salt", [listed], None),
    ]
    used = {record.FeatureTag for record in gsub.FeatureList.FeatureRecord}
    sets = [tag for tag in (f"ss{number:02d}" for number in range(1, MOST_SETS + 1)) if tag not in used]
    features += [(tag, [pick], f"Writing {k}") for k, (tag, pick) in enumerate(zip(sets, picks, strict=False), 2)]
    for tag, indices, said in features:
        _add_feature(font, gsub, tag, indices, said)
    _sort(gsub)


def _groups(names: Mapping[str, Sequence[str]]) -> tuple[list[list[Sequence[str]]], int]:
    """Characters that take turns together, and over how many others each looks back.

    Alone, as long as there is room; else as many share a turn as need be, all with as many writings. A text seldom has
    two of so few close to each other.
    """
    pairs = sum(map(len, names.values()))
    between = max(NEAREST, min(FARTHEST, RULES // pairs - 1))
    together = -(-pairs * (between + 1) // RULES)
    alike: dict[int, list[Sequence[str]]] = {}
    for writings in names.values():
        alike.setdefault(len(writings), []).append(writings)
    groups = []
    for of_one_length in alike.values():
        count = -(-len(of_one_length) // together)
        groups += [of_one_length[first::count] for first in range(count)]  # neighbours in the alphabet are apart
    return groups, between


def _rotations(names: Mapping[str, Sequence[str]], font: TTFont, picks: Sequence[int]) -> list[Any]:
    """Lookups of rules, the first that fits counts: where the nearest before a character is writing k, it takes k + 1.

    Programs go through a text from its beginning, so what stands before a character has been exchanged already.
    """
    glyphs = font.getReverseGlyphMap()
    every = buildCoverage(font.getGlyphOrder(), glyphs)
    groups, farthest = _groups(names)
    lookups = []
    for at in range(0, len(groups), AT_ONCE):
        covered = [
            [buildCoverage([writings[k] for writings in group], glyphs) for k in range(len(group[0]))]
            for group in groups[at : at + AT_ONCE]
        ]
        rules = [
            _rule([every] * between + [before], of_group[0], picks[k] if k + 1 < len(of_group) else None)
            for between in range(farthest + 1)
            for of_group in covered
            for k, before in enumerate(of_group)
        ]
        lookups.append(buildLookup(rules))
    return lookups


def _rule(before: list[Any], character: Any, lookup: int | None) -> Any:
    """Where glyphs stand before a character, the nearest first, it is exchanged; without a lookup, it stays."""
    rule = otTables.ChainContextSubst()
    rule.Format = 3
    rule.BacktrackCoverage, rule.InputCoverage, rule.LookAheadCoverage = before, [character], []
    rule.BacktrackGlyphCount, rule.InputGlyphCount, rule.LookAheadGlyphCount = len(before), 1, 0
    rule.SubstLookupRecord = [] if lookup is None else [_taking(lookup)]
    rule.SubstCount = len(rule.SubstLookupRecord)
    return rule


def _taking(lookup: int) -> Any:
    record = otTables.SubstLookupRecord()
    record.SequenceIndex, record.LookupListIndex = 0, lookup
    return record


# ---- the table -------------------------------------------------------------------------------------------------------


def _layout(font: TTFont) -> Any:
    """The font's table of substitutions, made where it has none, with a default script."""
    if "GSUB" not in font:
        table = font["GSUB"] = newTable("GSUB")
        table.table = otTables.GSUB()
        table.table.Version = 0x00010000
    gsub = font["GSUB"].table
    for field, rows in (("ScriptList", "ScriptRecord"), ("FeatureList", "FeatureRecord"), ("LookupList", "Lookup")):
        if getattr(gsub, field, None) is None:
            setattr(gsub, field, getattr(otTables, field)())
        if getattr(getattr(gsub, field), rows, None) is None:
            setattr(getattr(gsub, field), rows, [])
    scripts = gsub.ScriptList.ScriptRecord
    if all(record.ScriptTag != "DFLT" for record in scripts):
        record = otTables.ScriptRecord()
        record.ScriptTag, record.Script = "DFLT", otTables.Script()
        record.Script.DefaultLangSys, record.Script.LangSysRecord = _language(), []
        scripts.append(record)
        scripts.sort(key=lambda record: record.ScriptTag)
        gsub.ScriptList.ScriptCount = len(scripts)
    return gsub


def _language() -> Any:
    language = otTables.LangSys()
    language.LookupOrder, language.ReqFeatureIndex, language.FeatureIndex, language.FeatureCount = None, NONE, [], 0
    return language


def _languages(gsub: Any) -> Iterable[Any]:
    for record in gsub.ScriptList.ScriptRecord:
        if record.Script.DefaultLangSys is not None:
            yield record.Script.DefaultLangSys
        yield from (language.LangSys for language in record.Script.LangSysRecord)


def _add_feature(font: TTFont, gsub: Any, tag: str, lookups: Sequence[int], said: str | None) -> None:
    """To every script and language: lookups of a feature that it has, or a feature that it has not."""
    records = gsub.FeatureList.FeatureRecord
    before = len(records)
    there = {id(records[i].Feature) for i in range(before) if records[i].FeatureTag == tag}
    for record in records:
        if id(record.Feature) in there:
            there.discard(id(record.Feature))
            record.Feature.LookupListIndex += lookups
            record.Feature.LookupCount = len(record.Feature.LookupListIndex)
    lacking = [
        language for language in _languages(gsub) if all(records[i].FeatureTag != tag for i in language.FeatureIndex)
    ]
    if not lacking:
        return
    record = otTables.FeatureRecord()
    record.FeatureTag, record.Feature = tag, otTables.Feature()
    record.Feature.FeatureParams, record.Feature.LookupListIndex = None, list(lookups)
    record.Feature.LookupCount = len(lookups)
    if said:
        record.Feature.FeatureParams = parameters = otTables.FeatureParamsStylisticSet()
        parameters.Version = 0
        parameters.UINameID = font["name"].addName(said, platforms=((3, 1, 0x409),), minNameID=255)
    records.append(record)
    gsub.FeatureList.FeatureCount = len(records)
    for language in lacking:
        language.FeatureIndex.append(before)
        language.FeatureCount = len(language.FeatureIndex)


def _sort(gsub: Any) -> None:
    """Features by their tags, as the format wants them, and every number of theirs with them."""
    records = gsub.FeatureList.FeatureRecord
    order = sorted(range(len(records)), key=lambda i: records[i].FeatureTag)
    place = {old: new for new, old in enumerate(order)} | {NONE: NONE}
    gsub.FeatureList.FeatureRecord = [records[i] for i in order]
    for language in {id(language): language for language in _languages(gsub)}.values():
        language.FeatureIndex = sorted(place[i] for i in language.FeatureIndex)
        language.ReqFeatureIndex = place[language.ReqFeatureIndex]
    variations = getattr(gsub, "FeatureVariations", None)
    for record in variations.FeatureVariationRecord if variations else ():
        for substitution in record.FeatureTableSubstitution.SubstitutionRecord:
            substitution.FeatureIndex = place[substitution.FeatureIndex]
