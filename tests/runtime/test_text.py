"""Numbers agree with their nouns, lists say what they leave out, names are compared in one form."""

import pytest

from kerascnn.runtime.text import abbreviated, counted, itemized, markdown, nfc


@pytest.mark.parametrize(
    ("count", "noun", "said"),
    [
        (0, "image", "0 images"),
        (1, "image", "1 image"),
        (2000, "image", "2,000 images"),
        (1, "class", "1 class"),
        (3, "class", "3 classes"),
        (2, "batch", "2 batches"),
        (2, "box", "2 boxes"),
    ],
)
def test_nouns_agree_with_their_number(count, noun, said):
    assert counted(count, noun) == said


def test_lists_say_how_much_they_leave_out():
    assert abbreviated([1, 2, 3], 3) == "1, 2, 3"
    assert abbreviated(range(1003), 2) == "0, 1 and 1,001 more"
    assert itemized("{} of odd", ["a"], 1, noun="pair") == "1 pair of odd:\n  a"
    assert itemized("{} odd", "abc", 3, 2) == "3 images odd:\n  a\n  b\n  and 1 more"


def test_names_that_look_the_same_are_equal():
    assert nfc("a\u0308") == nfc("\u00e4") == "\u00e4"


def test_markdown_shows_names_literally_and_leaves_other_punctuation_alone():
    assert markdown("a_b: [c], *d* 0.5") == r"a\_b: \[c\], \*d\* 0\.5"
    assert markdown("<b> & |") == r"&lt;b\> &amp; \|"
