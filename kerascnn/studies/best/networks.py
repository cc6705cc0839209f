"""The networks to try: those with pretrained weights at hand."""

from kerascnn.components.registry import Registry

FIRST = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


def networks_at_hand(registry: Registry) -> tuple[str, ...]:
    """The names of the architectures whose pretrained weights need no download."""
    return tuple(name for name in FIRST if ("architecture", name) in registry.claims)


def named_networks(names: str | None, registry: Registry) -> tuple[str, ...]:
    """The networks with these names, divided by commas; default those at hand.

    Raises:
        InputError: There is no such architecture.
    """
    if names is None:
        return networks_at_hand(registry)
    named = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    for name in named:
        registry.get("architecture", name)
    return named
