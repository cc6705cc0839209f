"""Images are divided evenly, the same way every time, and few move when one is added."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kerascnn import draw_splits

SPLITS = ("train", "validation", "test")


def draw(count, shares, seed=0, label="a"):
    return draw_splits([(f"{label}{i}", label) for i in range(count)], shares, seed)


SHARES = st.fixed_dictionaries({"test": st.floats(0.01, 0.4), "validation": st.floats(0.01, 0.4)})


@given(count=st.integers(10, 500), shares=SHARES, seed=st.integers(0, 99))
@example(count=10, shares={"validation": 0.03125, "test": 0.3125}, seed=0)
def test_each_class_is_divided_to_within_one_image(count, shares, seed):
    counts = Counter(draw(count, shares, seed).values())
    # a split whose share is less than half an image gets one, at the expense of the next
    within = 1 if min(shares.values()) * count >= 0.5 else 1.5
    for split, share in shares.items():
        assert abs(counts[split] - share * count) <= within
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


def test_a_class_of_one_image_is_trained_on():
    contents = [("x", "one")] + [(f"{i}", "other") for i in range(50)]
    for seed in range(20):
        assert draw_splits(contents, {"test": 0.4, "validation": 0.4}, seed)["x"] == "train"


@pytest.mark.parametrize("seed", range(20))
def test_an_image_under_two_labels_is_in_one_split(seed):
    contents = [("both", "a"), ("a1", "a"), ("a2", "a"), ("both", "b"), ("b1", "b"), ("b2", "b")]
    drawn = draw_splits(contents, {"test": 0.15, "validation": 0.15}, seed)
    for name in "ab":
        assert "train" in {drawn[f"{name}1"], drawn[f"{name}2"], drawn["both"]}


def near(sizes, label="a"):
    """Contents of a class in groups of near copies, and the pairs that connect them."""
    groups = [[f"{label}{i}.{j}" for j in range(size)] for i, size in enumerate(sizes)]
    return groups, [pair for group in groups for pair in pairwise(group)]


def draw_near(groups, pairs, shares, seed=0):
    return draw_splits([(one, "a") for group in groups for one in group], shares, seed, pairs)


SIZES = st.lists(st.sampled_from([1, 1, 1, 2, 3, 9]), min_size=1, max_size=40)


@given(sizes=SIZES, shares=SHARES, seed=st.integers(0, 9))
def test_near_copies_stay_together_and_no_split_is_empty(sizes, shares, seed):
    groups, pairs = near(sizes)
    drawn = draw_near(groups, pairs, shares, seed)
    assert len(drawn) == sum(sizes)
    if len(groups) >= 3:
        assert all(len({drawn[content] for content in group}) == 1 for group in groups)
    if sum(sizes) >= 3:
        assert set(drawn.values()) == set(SPLITS)


@given(sizes=SIZES, shares=SHARES, seed=st.integers(0, 9), new=st.integers(0, 99))
def test_a_new_image_moves_at_most_two_groups(sizes, shares, seed, new):
    groups, pairs = near(sizes)
    before = draw_near(groups, pairs, shares, seed)
    after = draw_near([*groups, [f"new{new}"]], pairs, shares, seed)
    moved = [group for group in groups if any(after[one] != before[one] for one in group)]
    assert len(moved) <= 2


@given(
    alone=st.integers(30, 60),
    sizes=st.lists(st.integers(2, 60), max_size=4),
    seed=st.integers(0, 9),
)
def test_a_class_is_even_as_long_as_it_has_images_without_near_copies(alone, sizes, seed):
    groups, pairs = near([1] * alone + sizes)
    shares = {"test": 0.1, "validation": 0.1}
    counts = Counter(draw_near(groups, pairs, shares, seed).values())
    if 0.2 * (total := alone + sum(sizes)) <= alone:
        for split, share in shares.items():
            assert abs(counts[split] - share * total) <= 1


def test_near_copies_under_two_labels_are_divided_as_if_they_were_none():
    images = [(f"{label}{i}", label) for label in "ab" for i in range(20)]
    pairs = [(f"a{i}", f"b{i}") for i in range(20)]
    shares = {"test": 0.2, "validation": 0.2}
    assert draw_splits(images, shares, 0, pairs) == draw_splits(images, shares, 0)
