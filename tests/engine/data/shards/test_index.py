"""What is remembered of a shard: names of any text, in little memory."""

import sys

import pytest

from kerascnn.engine.data.shards.index import Names


def test_names_are_any_text():
    said = ["", "a.png", "grün/日.png", "\udcff.png", ""]
    names = Names(said)
    assert [*names] == said
    assert names[-2] == "\udcff.png"
    with pytest.raises(IndexError):
        names[5]


def test_names_take_little_more_memory_than_their_text():
    said = [f"birds/{number:06d}.jpg" for number in range(1000)]
    kept = sum(sys.getsizeof(of) for of in vars(Names(said)).values())
    assert kept < 1000 * (len(said[0]) + 5)
