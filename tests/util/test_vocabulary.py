import json

import pytest
import torch

from options import UserError
from util.vocabulary import Vocabulary, tell_of_words
from util.words import EARLIER


def test_words_are_lower_cased_but_single_characters_keep_their_case():
    assert Vocabulary.tokens("The Letter G, bold") == ["the", "letter", "G", ",", "bold"]
    assert Vocabulary.tokens("letter g") != Vocabulary.tokens("letter G")


def test_an_article_in_front_is_not_the_letter():
    assert Vocabulary.tokens("A bold letter A")[0] == "a" and Vocabulary.tokens("A bold letter A")[-1] == "A"
    assert Vocabulary.tokens("A dog")[0] == Vocabulary.tokens("A 7 in bold")[0] == "a"


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


OLD = {"words": ["一只红鸟", "红"], "complete": True}


def test_a_vocabulary_keeps_the_rule_of_its_words():
    new, old = Vocabulary.build(["一只红鸟"], 9), Vocabulary.from_dict(OLD)
    assert new.known == ("一", "只", "红", "鸟") and new.as_dict()["rule"] == "UAX 29"
    assert Vocabulary.from_dict(new.as_dict()).row("鸟红", 9) == [5, 4]
    assert (
        old.rule == EARLIER and old.as_dict() == OLD and old.row("一只红鸟", 9) == [2] and old.unknown("鸟") == ["鸟"]
    )
    assert Vocabulary(["a"]).digest() != Vocabulary(["a"], rule=EARLIER).digest()
    with pytest.raises(ValueError, match="rule 'UAX 99', which a newer version"):
        Vocabulary.from_dict(new.as_dict() | {"rule": "UAX 99"})


def test_what_is_lost_of_captions_is_said(capsys):
    captions = ["一只红鸟", "red bird on red", "x" * 41, "एक"]
    tell_of_words(Vocabulary.build(captions, 9), captions, 3)
    told = capsys.readouterr()
    assert told.out == "--max_words 3: 2 of 4 captions are longer and are cut\n"
    assert told.err == f"1 of 4 captions have a word of over 40 letters, the first: {'x' * 40}...\n"
    tell_of_words(Vocabulary.build(captions, 9, EARLIER), captions, 9)
    told = capsys.readouterr()
    assert (
        told.out == ""
        and "1 of 4 captions would be split otherwise today, the first, '一只红鸟', into 4 words and" in told.err
    )
    tell_of_words(Vocabulary.build(captions[1:2], 9, EARLIER), captions[1:2], 9)  # of English nothing changes
    assert capsys.readouterr() == ("", "")
