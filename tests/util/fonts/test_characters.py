from util.fonts.characters import character_name, split
from util.fonts.charsets import charset


def test_the_split_is_disjoint_and_stable():
    codes = charset("ascii")
    train, test = split(codes, 0, 0.1)
    assert len(test) == 9 and not set(train) & set(test) and sorted(train + test) == codes
    assert split(reversed(codes), 0, 0.1) == split(codes + codes, 0, 0.1) == (train, test)
    assert split(codes, 1, 0.1) != (train, test)
    assert split(codes, 0, 0.0) == (codes, [])
    assert [len(half) for half in split([1, 2], 0, 0.01)] == [1, 1]
    assert set(split(codes, 0, 0.3)[1]) > set(test)  # a larger test half holds the smaller one


def test_names_are_fit_for_files():
    assert [character_name(ord(c)) for c in "A字/.\u0301 \U00020000"] == [
        "U+0041_A",
        "U+5B57_字",
        "U+002F",
        "U+002E",
        "U+0301",
        "U+0020",
        "U+20000_\U00020000",
    ]
