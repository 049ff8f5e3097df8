import pytest

from util.fonts.charsets import charset
from util.fonts.code_pages import code_pages
from util.fonts.faces import Face

LATIN, CYRILLIC, GREEK, JAPAN, SIMPLIFIED, KOREA, TRADITIONAL, JOHAB = 0, 2, 3, 17, 18, 19, 20, 21


@pytest.mark.parametrize(
    ("sets", "pages"),
    [
        ("ascii", {LATIN}),
        ("letters", {LATIN}),
        ("latin", {LATIN, 1, 4, 7}),  # and Central Europe, Turkish, Baltic; not Vietnamese, whose ơ and ư are missing
        ("greek", {GREEK}),
        ("cyrillic", {CYRILLIC}),
        ("kana", {JAPAN}),
        ("gb2312-1", {SIMPLIFIED}),
        ("gb2312", {SIMPLIFIED}),
        ("big5-1", {TRADITIONAL}),
        ("jisx0208-1", {JAPAN}),
        ("jisx0208", {JAPAN}),
        ("hangul", {KOREA}),
        ("gb2312 kana", {SIMPLIFIED}),  # as every Chinese font has kana
        ("gb2312-1 ascii", {SIMPLIFIED, LATIN}),
        ("jisx0208 kana ascii", {JAPAN, LATIN}),
    ],
)
def test_a_set_of_characters_has_its_own_pages(sets, pages):
    assert code_pages(code for name in sets.split() for code in charset(name)) == pages


@pytest.mark.parametrize(
    ("characters", "pages"),
    [
        (map(chr, charset("gb2312-1")[::9]), {SIMPLIFIED}),  # hands of a few hundred
        (map(chr, charset("big5-1")[::18]), {TRADITIONAL}),
        (map(chr, charset("kana") + charset("jisx0208-1")[::40]), {JAPAN}),
        (map(chr, charset("hangul")[::12]), {KOREA}),
        (map(chr, range(0x4E00, 0x9FA6)), {JAPAN, SIMPLIFIED, TRADITIONAL}),  # all Han
        (map(chr, range(0xAC00, 0xD7A4)), {KOREA, JOHAB}),
        ("永和九年", {JAPAN, SIMPLIFIED, TRADITIONAL}),  # in all of them
        (map(chr, [*charset("ascii"), ord("π")]), {LATIN}),  # one character is no language
        (map(chr, range(0x410, 0x450)), {CYRILLIC}),
        ("AgO", {LATIN}),
        ("12", {LATIN}),
        ("", {LATIN}),
    ],
)
def test_few_characters_belong_where_most_of_them_are(characters, pages):
    assert code_pages(map(ord, characters)) == pages


def test_a_font_of_the_world_is_marked_as_its_makers_did():
    face = Face("DejaVuSerif")
    ours, theirs = code_pages(face.cmap), face.font["OS/2"].getCodePageRanges()
    assert ours - theirs <= {8}  # Vietnamese, whose letters it has
    assert theirs - ours <= {30}  # OEM, which says nothing that the pages of DOS do not
