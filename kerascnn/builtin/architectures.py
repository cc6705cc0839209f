"""The built-in architectures."""

from kerascnn import Component, hookimpl
from kerascnn.builtin.applications import components
from kerascnn.builtin.sequential import SEQUENTIAL_CNN


@hookimpl
def kerascnn_architectures() -> list[Component]:
    return [SEQUENTIAL_CNN, *components()]
