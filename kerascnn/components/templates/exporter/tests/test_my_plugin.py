"""The checks that kerascnn provides: one test for each rule of the contract."""

from pathlib import Path

import pytest

from kerascnn import load_experiment


@pytest.mark.kerascnn("exporter", "my_component")
def test_contract(kerascnn_check):
    kerascnn_check()


@pytest.mark.kerascnn("exporter", "my_component", only=["predicts_as_keras"])
def test_half_precision(kerascnn_check):
    kerascnn_check(precision="float16")


def test_the_example_is_an_experiment():
    assert load_experiment(Path(__file__).parents[1] / "example.toml")
