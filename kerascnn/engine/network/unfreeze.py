"""Resolves `unfreeze`, words or patterns, to a set of layers."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import accumulate

from kerascnn.engine.network.build import HEAD, Built
from kerascnn.errors import InputError, did_you_mean

SHARE = 0.8
"""`auto`: the share of a pretrained backbone's parameters to train, counted from the head back. For
EfficientNet-Lite0 these are the last six blocks. On folders of 60 to 200 photographs this was as
accurate as training the head alone or one block, or better: benchmarks/README.md."""
MANY_IMAGES = 1000
"""With at least this many training images per class, `auto` trains everything; a rule of thumb."""


@dataclass(frozen=True)
class Trainable:
    """The names of the layers that a stage trains, and the choice in words."""

    layers: frozenset[str]
    choice: str


def select(network: Built, unfreeze: str | tuple[str, ...], images_per_class: float) -> Trainable:
    """Resolves `unfreeze`; the head is always trained.

    Args:
        unfreeze: "head", "last:N" blocks, "all", "auto", or glob patterns of block or layer names.
        images_per_class: Mean number of training images per class, for "auto".

    Raises:
        InputError: A pattern matches nothing, or there are fewer blocks.
    """
    if unfreeze == "auto":
        count = _affordable_blocks(network, images_per_class)
        unfreeze = f"last:{count}" if count else "head"
        return Trainable(_layers(network, unfreeze), f"auto: {unfreeze}")
    words = unfreeze if isinstance(unfreeze, str) else ", ".join(unfreeze)
    return Trainable(_layers(network, unfreeze), words)


def _layers(network: Built, unfreeze: str | tuple[str, ...]) -> frozenset[str]:
    if unfreeze == "all":
        return _in_blocks(network, network.blocks)
    if unfreeze == "head":
        return _in_blocks(network, ())
    if isinstance(unfreeze, str):
        return _in_blocks(network, _last(network, int(unfreeze.removeprefix("last:"))))
    return _in_blocks(network, ()).union(*(_matching(network, pattern) for pattern in unfreeze))


def _in_blocks(network: Built, blocks: Iterable[str]) -> frozenset[str]:
    wanted = {*blocks, HEAD}
    return frozenset(layer for layer, block in network.block_of.items() if block in wanted)


def _last(network: Built, count: int) -> tuple[str, ...]:
    if count > len(network.blocks):
        raise InputError(
            f'"last:{count}": this network has only {len(network.blocks)} blocks: '
            f"{', '.join(network.blocks)}."
        )
    return network.blocks[-count:]


def _matching(network: Built, pattern: str) -> frozenset[str]:
    found = frozenset(
        layer
        for layer, block in network.block_of.items()
        if fnmatchcase(layer, pattern) or fnmatchcase(block, pattern)
    )
    if not found:
        names = [*network.blocks, HEAD, *network.block_of]
        raise InputError(
            f'"{pattern}" matches no block or layer.{did_you_mean(pattern.rstrip("*"), names)} '
            f"The blocks are {', '.join(network.blocks)}."
        )
    return found


def _affordable_blocks(network: Built, images_per_class: float) -> int:
    """The number of blocks, from the last, whose parameters fit into the share.

    All blocks if the weights are random, or with very many images (Yosinski et al., How
    transferable are features, arXiv 1411.1792).
    """
    if not network.pretrained or images_per_class >= MANY_IMAGES:
        return len(network.blocks)
    sizes = dict.fromkeys(network.blocks, 0)
    for layer in network.model.layers:
        block = network.block_of.get(layer.name)
        if block in sizes:
            sizes[block] += layer.count_params()
    budget = SHARE * sum(sizes.values())
    return sum(total <= budget for total in accumulate(reversed(sizes.values())))
