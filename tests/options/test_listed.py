"""Names with commas in lists that are separated by commas."""

import pytest

from options import UserError
from options.listed import classes_listed, in_words, listed

NAMES = ("cat", "dog, black", "dog, white", "a", "b", "a, b", "x,,y", ",")


@pytest.mark.parametrize(
    "words,found",
    [
        (("cat",), ["cat"]),
        (("dog", "black", "cat"), ["dog, black", "cat"]),
        (("cat", "dog,white"), ["cat", "dog, white"]),
        (("dog", "white", "dog", "black"), ["dog, white", "dog, black"]),
        (("a", "b"), ["a, b"]),  # the longest
        (("b", "a"), ["b", "a"]),
        (("x", "y"), ["x,,y"]),
        (("dog", "cat"), ["dog", "cat"]),  # dog is none; whoever asks says so
        ((), []),
    ],
)
def test_the_longest_name_is_meant_and_what_is_none_stays(words, found):
    assert listed(words, NAMES) == found


def test_names_with_commas_are_told_apart_in_messages():
    assert in_words(("a", "b", "a, b")) == 'a, b, "a, b"' and in_words("abc", 2) == "a, b, ..." and in_words(()) == ""
    assert classes_listed("--classes", ("a", "b", "cat"), NAMES) == ["a, b", "cat"]
    with pytest.raises(UserError, match="--classes cut: no such class") as error:
        classes_listed("--classes", ("cut",), ("cat", "dog", "a, b"))
    assert str(error.value).endswith('there are cat, dog, "a, b"')
