"""The networks to try: those with pretrained weights at hand."""

from kerascnn.components.registry import Registry
from kerascnn.studies.best.rungs import IMAGE_SIZE


def networks_to_try(names: str | None, registry: Registry) -> tuple[str, ...]:
    """The networks with these names, divided by commas; default those with weights at hand.

    Raises:
        InputError: There is no such architecture.
    """
    if names is None:
        return tuple(bound.name for bound in registry.at_hand(IMAGE_SIZE))
    named = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    for name in named:
        registry.get("architecture", name)
    return named
