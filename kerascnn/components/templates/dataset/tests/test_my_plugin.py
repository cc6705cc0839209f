"""The checks come with kerascnn: one test for each sentence of the contract."""

from pathlib import Path

import pytest

from kerascnn import load_experiment


@pytest.mark.kerascnn("dataset", "my_component")
def test_contract(kerascnn_check):
    kerascnn_check()  # takes parameters, as the TOML does: kerascnn_check(train=20)


def test_the_example_is_an_experiment():
    assert load_experiment(Path(__file__).parents[1] / "example.toml")
