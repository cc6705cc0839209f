"""Rendered flower images for kerascnn, as the dataset `flowers`."""

from kerascnn import Component, hookimpl
from kerascnn_flowers.dataset import FLOWERS


@hookimpl
def kerascnn_datasets() -> list[Component]:
    return [FLOWERS]
