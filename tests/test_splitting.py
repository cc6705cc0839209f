"""Images are divided evenly, the same way every time, and few move when one is added."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerascnn import draw_splits

SPLITS = ("train", "validation", "test")


def draw(count, shares, seed=0, label="a"):
    return draw_splits([(f"{label}{i}", label) for i in range(count)], shares, seed)


SHARES = st.fixed_dictionaries({"test": st.floats(0.01, 0.4), "validation": st.floats(0.01, 0.4)})


@given(count=st.integers(10, 500), shares=SHARES, seed=st.integers(0, 99))
def test_each_class_is_divided_to_within_one_image(count, shares, seed):
    counts = Counter(draw(count, shares, seed).values())
    for split, share in shares.items():
        assert abs(counts[split] - share * count) <= 1
        assert counts[split] >= 1


@given(count=st.integers(1, 60), shares=SHARES, seed=st.integers(0, 9), new=st.integers(0, 99))
def test_a_new_image_moves_at_most_two_of_its_class(count, shares, seed, new):
    before = draw(count, shares, seed)
    contents = [*((content, "a") for content in before), (f"new{new}", "a"), ("other", "b")]
    after = draw_splits(contents, shares, seed)
    assert sum(after[content] != before[content] for content in before) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_a_class_of_three_is_in_every_split(seed):
    assert set(draw(3, {"test": 0.15, "validation": 0.15}, seed).values()) == set(SPLITS)
    assert set(draw(3, {"test": 0.15}, seed).values()) == {"test", "train"}


def test_a_class_of_fifteen_is_judged_by_as_many_as_its_share():
    for seed in range(20):
        counts = Counter(draw(15, {"test": 0.2, "validation": 0.1}, seed).values())
        assert counts == {"train": 10, "validation": 2, "test": 3}


def test_a_class_of_one_picture_is_trained_on():
    contents = [("x", "one")] + [(f"{i}", "other") for i in range(50)]
    for seed in range(20):
        assert draw_splits(contents, {"test": 0.4, "validation": 0.4}, seed)["x"] == "train"


@pytest.mark.parametrize("seed", range(20))
def test_a_picture_under_two_labels_is_in_one_split(seed):
    contents = [("both", "a"), ("a1", "a"), ("a2", "a"), ("both", "b"), ("b1", "b"), ("b2", "b")]
    drawn = draw_splits(contents, {"test": 0.15, "validation": 0.15}, seed)
    for name in "ab":
        assert "train" in {drawn[f"{name}1"], drawn[f"{name}2"], drawn["both"]}
