"""The networks to try: those with pretrained weights at hand."""

from collections.abc import Sequence

from kerascnn.components.registry import Registry
from kerascnn.studies.best.rungs import IMAGE_SIZE


def networks_to_try(names: Sequence[str] | None, registry: Registry) -> tuple[str, ...]:
    """The networks with these names; default those whose pretrained weights are at hand.

    Raises:
        InputError: There is no such architecture.
    """
    if names is None:
        return tuple(bound.name for bound in registry.at_hand(IMAGE_SIZE))
    for name in names:
        registry.find(name, "architecture")
    return tuple(dict.fromkeys(names))
