import unicodedata
from types import SimpleNamespace

import pytest

from options import UserError
from util.fonts.characters import SYNTHETIC
from util.fonts.charsets import CHARSETS, charset

from .test_faces import characters


@pytest.mark.parametrize(
    ("name", "count"),
    (
        ("ascii", 94),
        ("kana", 169),
        ("gb2312-1", 3755),
        ("gb2312", 6763),
        ("big5-1", 5401),
        ("jisx0208-1", 2965),
        ("jisx0208", 6355),
        ("hangul", 2350),
    ),
)
def test_charsets_have_the_size_of_their_standard(name, count):
    codes = charset(name)
    assert len(codes) == count and codes == sorted(set(codes))


def test_charsets_hold_one_script():
    scripts = {"greek": "GREEK", "cyrillic": "CYRILLIC", "latin": "LATIN", "hangul": "HANGUL SYLLABLE", "big5-1": "CJK"}
    for name, script in scripts.items():
        assert all(unicodedata.name(chr(code)).startswith(script) for code in charset(name)), name
    assert {ord("é"), ord("ß"), ord("A")} <= set(charset("latin")) and len(set(CHARSETS)) > 10
    shared = set(charset("jisx0208-1")) & set(charset("gb2312-1")) & set(charset("big5-1"))
    assert len(shared) == 1583


def test_a_charset_can_be_a_file(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes("\ufeffb a\r\nab\tÄ字字😀\n\u200b".encode())
    assert characters(charset(str(path))) == "abÄ字😀"
    path.write_bytes("Ä".encode("latin-1"))
    with pytest.raises(UserError, match="cannot be read as UTF-8"):
        charset(str(path))
    path.write_text(" \n")
    with pytest.raises(UserError, match="holds no characters"):
        charset(str(path))
    with pytest.raises(UserError, match="did you mean hangul"):
        charset("hangull")


def test_glyphs_without_a_code_point_are_in_no_charset():
    glyphs = SimpleNamespace(characters={SYNTHETIC: "a", 66: "b", SYNTHETIC + 12: "c"})
    assert charset("auto", [glyphs]) == [66]


def test_sets_and_files_are_joined(tmp_path):
    mine = tmp_path / "a,b.txt"
    mine.write_text("永é")
    assert charset(f"gb2312-1,{mine},ASCII") == sorted({*charset("gb2312-1"), *charset("ascii"), *map(ord, "永é")})
    assert charset(f"{mine},kana") == sorted({*charset("kana"), *map(ord, "永é")})
    with pytest.raises(UserError, match=r"--export_charset gb2312-1,asci: asci: neither a file nor .* mean ascii"):
        charset("gb2312-1,asci", flag="--export_charset")


def test_sets_lie_in_one_another():
    sets = {name: set(charset(name)) for name in CHARSETS}
    for whole, parts in {
        "gb2312": ("gb2312-1", "gb2312-2"),
        "big5": ("big5-1", "big5-2"),
        "jisx0208": ("jisx0208-1", "jisx0208-2"),
        "jisx0213": ("jisx0208", "jisx0213-3", "jisx0213-4"),
        "ksx1001": ("hangul", "hanja"),
    }.items():
        assert sum(len(sets[part]) for part in parts) == len(sets[whole]), whole  # and no part shares any
        assert set.union(*(sets[part] for part in parts)) == sets[whole]
    assert sets["gb2312"] < sets["gbk"] < sets["gb18030"] and sets["hangul"] < sets["hangul-all"]
    assert not sets["punctuation"] & sets["symbols"] and set(map(ord, "、。“”—!?")) <= sets["punctuation"]
    assert set(map(ord, "+=€①→")) <= sets["symbols"] and not sets["symbols"] & set(map(ord, "0aあ"))


@pytest.mark.parametrize(
    ("name", "message"),
    (
        ("adobe-gb1-5", "no standard says what is in it; adobe-gb1-0, adobe-gb1-2, .* gb18030 comes nearest"),
        ("adobe-gb1-1", "gb18030 comes nearest"),
        ("Adobe-Japan1-6", "adobe-japan1-0, adobe-japan1-1 are known; jisx0213 comes nearest"),
        ("adobe-japan1", "jisx0213 comes nearest"),
    ),
)
def test_collections_that_no_standard_states_are_refused(name, message):
    with pytest.raises(UserError, match=f"--charset {name}: Adobe's list of this collection is not here.*{message}"):
        charset(name)


@pytest.mark.parametrize(
    ("text", "message"),
    (
        ("abسلام", r"4 of 6 characters take their shape .*\(Arabic\).*U\+0627_ا"),
        ("नमस्ते", r"\(Devanagari\)"),
        ("ไทย", r"\(Thai\)"),
        ("שָׁלוֹם", r"Hebrew marks\).*U\+05B8"),
        ("x̲", r"\(Combining marks\)"),
    ),
)
def test_characters_that_need_shaping_are_refused(tmp_path, text, message):
    path = tmp_path / "x.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"--charset .*x\.txt: .*{message}"):
        charset(str(path))


def test_letters_that_are_written_in_parts_are_put_together(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text(unicodedata.normalize("NFD", "é한가") + "羽\U000e0100\uf900١א，", encoding="utf-8")
    assert characters(charset(str(path))) == "".join(sorted("é한가羽\uf900١א，"))  # 豈 as it is: no other character
