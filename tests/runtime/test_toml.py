"""Values as TOML: what is written reads back, and messages show one short line."""

import tomllib

import pytest

from kerascnn.runtime.toml import as_toml, excerpt


@pytest.mark.parametrize(
    "value",
    [
        1,
        1e-7,
        True,
        'a "b" \\ c',
        "ä\x1b\n",
        [1, [2, "x"]],
        {},
        {"a b": {"c": [False]}},
    ],
)
def test_a_value_reads_back(value):
    assert tomllib.loads(f"value = {as_toml(value)}")["value"] == value


def test_a_message_shows_one_short_line():
    assert excerpt({"name": "light"}) == '{ name = "light" }'
    assert len(excerpt("\n" * 100)) < 60
    assert excerpt("x" * 100).endswith("…")
