import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from options import UserError
from util.words import ASCII, EARLIER, UAX29, WORD, cleaned, is_article, letters_of, pattern, words_of

PAGE = (Path(__file__).parents[2] / "docs/captions.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\w[\w ,]*) \| (.+?) \| (.+?) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("script", "sentence", "words", "count", "earlier"), ROWS, ids=[row[0] for row in ROWS])
def test_every_script_has_the_words_that_the_docs_say(script, sentence, words, count, earlier):
    found = words_of(sentence)
    assert found == words.split() and len(found) == int(count)
    assert len(words_of(sentence, EARLIER)) == int(earlier)
    assert words_of(unicodedata.normalize("NFD", sentence)) == found  # however its letters are spelt
    assert not any(unicodedata.category(word[0]).startswith("M") for word in found)  # a vowel sign is no word


def test_the_docs_have_a_sentence_in_each_of_many_scripts():
    scripts = {unicodedata.name(next(filter(str.isalpha, row[1]))).split()[0] for row in ROWS}
    assert scripts >= {"LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "THAI", "CJK", "HANGUL"}
    assert any("HIRAGANA" in unicodedata.name(letter, "") for row in ROWS for letter in row[1])


@given(st.text(st.characters(max_codepoint=0x7F)))
def test_ascii_has_the_words_it_had_whichever_way_it_is_read(text):
    text = cleaned(text)
    assert ASCII.findall(text) == pattern(WORD).findall(text)


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_whatever_is_seen_of_a_text_is_in_its_words(text):
    text = cleaned(text)
    try:
        words = words_of(text)
    except UserError:
        words = []
    lost = "".join(pattern(WORD).findall(text))
    assert lost.replace(" ", "") == text.replace(" ", "") or not text.isprintable()
    assert all(word and not word.isspace() for word in words)
    if words and words[0] != "a":
        assert words_of(" ".join(words)) == words or not text.isascii()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "bike.he is 3.5 m, 1,000:x_y",
            ["bike", ".", "he", "is", "3", ".", "5", "m", ",", "1", ",", "000", ":", "x", "_", "y"],
        ),
        ("L’été d'or, 90's", ["l’été", "d'or", ",", "90's"]),
        ("m² 2½", ["m²", "2½"]),
        ("el col·lecció", ["el", "col·lecció"]),  # from here on the earlier rule had others
        ('צה״ל צה"ל', ["צה״ל", 'צה"ל']),
        ("co\xadoperate \u200fabc\u200e", ["cooperate", "abc"]),
        ("👨‍👩‍👧 🇫🇷 1️⃣", ["👨‍👩‍👧", "🇫🇷", "1️⃣"]),
        ("نمی\u200cخواهم", ["نمی\u200cخواهم"]),
        ("T恤 2024年 ๒๕๖๐ตัว", ["T", "恤", "2024", "年", "๒๕๖๐", "ตั", "ว"]),
        ("x\u0302 X\u0302 X\u0302y", ["x\u0302", "X\u0302", "x\u0302y"]),  # a letter with a mark is one letter
        ("ΟΔΟΣ οδος STRASSE Straße", ["οδοσ", "οδοσ", "strasse", "strasse"]),
    ],
)
def test_words_beyond_english(text, words):
    assert words_of(text) == words


def test_a_run_of_before_keeps_its_rule():
    assert words_of("एक लाल", EARLIER) == ["एक", "ल", "ा", "ल"][:1] + words_of("लाल", EARLIER)
    assert words_of("一只红鸟", EARLIER) == ["一只红鸟"] and words_of("一只红鸟", UAX29) == ["一", "只", "红", "鸟"]
    assert words_of("Straße", EARLIER) == ["straße"] and words_of("A dog", EARLIER) == ["a", "dog"]


def test_letters_are_counted_as_a_reader_does():
    assert [letters_of(word) for word in ("abc", "x\u0302y", "กิ่", "👨‍👩‍👧")] == [3, 2, 1, 1]


@pytest.mark.parametrize("behind", [", bold", "", " in bold", " and B", " or B", " With serifs", " as in Rome", "' x"])
def test_an_a_in_front_of_a_mark_or_of_in_and_the_like_is_the_letter(behind):
    assert words_of(f"A{behind}")[0] == "A" and not is_article(behind)


def test_a_cleaned_caption_is_one_line_without_what_cannot_be_seen():
    assert cleaned(" a\tred\r\n\x1b[1m \u202edoor\u200b ") == "a red [1m door"
    assert cleaned("caf\udce9 gru\u0308n") == "caf? gr\u00fcn"
