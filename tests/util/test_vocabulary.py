import json

import pytest
import torch

from options import UserError
from util.vocabulary import Vocabulary, cleaned, is_article


def test_words_are_lower_cased_but_single_characters_keep_their_case():
    assert Vocabulary.tokens("The Letter G, bold") == ["the", "letter", "G", ",", "bold"]
    assert Vocabulary.tokens("letter g") != Vocabulary.tokens("letter G")


def test_an_article_in_front_is_not_the_letter():
    assert Vocabulary.tokens("A bold letter A")[0] == "a" and Vocabulary.tokens("A bold letter A")[-1] == "A"
    assert Vocabulary.tokens("A dog")[0] == Vocabulary.tokens("A 7 in bold")[0] == "a"


@pytest.mark.parametrize("behind", [", bold", "", " in bold", " and B", " or B", " With serifs", " as in Rome", "' x"])
def test_an_a_in_front_of_a_mark_or_of_in_and_the_like_is_the_letter(behind):
    assert Vocabulary.tokens(f"A{behind}")[0] == "A" and not is_article(behind)


def test_a_cleaned_caption_is_one_line_without_what_cannot_be_seen():
    assert cleaned(" a\tred\r\n\x1b[1m \u202edoor\u200b ") == "a red [1m door"
    assert cleaned("caf\udce9 gru\u0308n") == "caf? gr\u00fcn"


def test_unknown_words_are_left_out_where_no_caption_of_training_had_any():
    complete, cut = Vocabulary.build(["a red cube"], 3), Vocabulary.build(["a red cube"], 2)
    assert complete.complete and not cut.complete and not Vocabulary(["red"]).complete
    assert complete.row("a red glass cube", 9) == complete.row("a red cube", 9) == [2, 3, 4]
    assert cut.row("a red cube", 9) == [2, 3, 1]
    assert complete.row("glass", 9) == [1]  # nothing else is left
    assert Vocabulary.from_dict(complete.as_dict()).complete and complete.unknown("red glass") == ["glass"]


def test_hyphens_and_apostrophes_stay_inside_words():
    assert Vocabulary.tokens("a sans-serif dog's 'toy' -x_y") == [
        *["a", "sans-serif", "dog's", "'", "toy", "'", "-", "x", "_", "y"]
    ]


def test_words_of_every_script_are_words():
    assert Vocabulary.tokens("Ein GRÜNER Baum, буква Ж 字") == ["ein", "grüner", "baum", ",", "буква", "Ж", "字"]
    assert Vocabulary.tokens("gru\u0308n") == ["gr\u00fcn"]  # the same letter in two spellings


def test_the_most_frequent_words_come_first_and_ties_in_order_of_occurrence():
    assert Vocabulary.build(["red cube", "blue cube", "red ball"], 3).known == ("red", "cube", "blue")


def test_ids_are_padded_to_the_longest_caption_and_cut_to_the_most_words():
    vocabulary = Vocabulary(["red", "cube"])
    assert vocabulary.ids(["cube", "a red cube", "red cube a red cube"], 3).tolist() == [
        [3, 0, 0],
        [1, 2, 3],
        [2, 3, 1],
    ]
    ids = vocabulary.ids(["cube"], 3)
    assert ids.shape == (1, 1) and ids.dtype == torch.int64
    assert vocabulary.ids([], 3).shape == (0, 1)


@pytest.mark.parametrize("caption", ["", " \n"])
def test_a_caption_without_words_is_refused(caption):
    with pytest.raises(UserError, match="no words"):
        Vocabulary(["red"]).ids([caption], 3)


def test_unknown_words_are_named_once_with_the_nearest_known():
    vocabulary = Vocabulary(["yellow", "cube"])
    assert vocabulary.unknown("a yelow cube, a yelow one") == ["a", "yelow", ",", "one"]
    assert vocabulary.suggest("yelow") == "; did you mean yellow?"
    assert vocabulary.suggest("qqq") == ""


def test_a_vocabulary_survives_json_and_a_broken_one_is_refused():
    vocabulary = Vocabulary(["grün", "G", "g"])
    again = Vocabulary.from_dict(json.loads(json.dumps(vocabulary.as_dict())))
    assert again.known == vocabulary.known and len(again) == 5 and again.digest() == vocabulary.digest()
    assert Vocabulary(["G", "g", "grün"]).digest() != vocabulary.digest()
    for broken in ([], {}, {"words": "abc"}, {"words": [1]}, {"words": ["a", "a"]}):
        with pytest.raises(ValueError, match="vocabulary"):
            Vocabulary.from_dict(broken)
