"""Names with commas in lists that are separated by commas."""

import pytest

from options.listed import listed

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
