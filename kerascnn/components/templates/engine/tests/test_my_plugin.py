"""The checks that kerascnn provides: one test for each rule of the contract."""

import os
from pathlib import Path

import pytest
from my_plugin import NiceParams, build

from kerascnn import load_experiment


@pytest.mark.kerascnn("engine", "my_component")
def test_contract(kerascnn_check):
    kerascnn_check()  # accepts parameters: kerascnn_check(niceness=19)


def test_a_process_yields_to_others():
    process = build(NiceParams(niceness=3), processes=1).start(0)
    assert process.submit(os.nice, 0).result() == min(os.nice(0) + 3, 19)
    process.close()


def test_the_example_is_an_experiment():
    assert load_experiment(Path(__file__).parents[1] / "example.toml")
