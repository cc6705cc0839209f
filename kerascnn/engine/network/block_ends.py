"""The features at the end of every block of a network, from one pass over the images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kerascnn.engine.network.boundary import single_tensors
from kerascnn.engine.network.build import Built
from kerascnn.engine.network.freezing import set_trainable
from kerascnn.engine.network.unfreeze import select


@dataclass(frozen=True)
class BlockEnd:
    """Where a network can be cut after a block.

    Args:
        block: The block that ends here.
        unfreeze: What a stage trains that keeps this block and those before it frozen.
        boundary: The layer whose output is the features.
        features: Their number for an image, pooled over its height and width.
    """

    block: str
    unfreeze: str
    boundary: str
    features: int


def block_ends(network: Built, batchnorm: str) -> tuple[Any, list[BlockEnd]]:
    """Makes a model with the features at the end of every block, one beside the other.

    Each block ends at the boundary of a stage that trains what comes after it, so the features of
    the last one are the input of the head. A block that no such boundary follows, as the next can
    only be cut before it, is left out.

    Args:
        network: It is changed: which layers are trainable.
        batchnorm: "frozen" or "train", as in `set_trainable`.

    Returns:
        A model from images [B, S, S, 3] to features [B, F], and the ends, whose features are in
        this order; neither, with no end, if there is nothing before the head.
    """
    import keras

    found = list(_found(network, batchnorm))
    if not found:
        return None, []
    *earlier, last = found
    pooled = [_pooled(tensor, f"{boundary}_of_block") for _, _, boundary, tensor in earlier]
    pooled.append(_flat(last[-1], f"{last[-2]}_of_block"))
    ends = [
        BlockEnd(block, unfreeze, boundary, values.shape[-1])
        for (block, unfreeze, boundary, _), values in zip(found, pooled, strict=True)
    ]
    beside = keras.layers.Concatenate(dtype="float32", name="block_ends")
    return keras.Model(network.model.input, beside(pooled)), ends


def _found(network: Built, batchnorm: str) -> Iterator[tuple[str, str, str, Any]]:
    """Each block with what to unfreeze after it, and the layer and the tensor that it ends with."""
    before = None
    for left, block in zip(reversed(range(len(network.blocks))), network.blocks, strict=True):
        unfreeze = f"last:{left}" if left else "head"
        set_trainable(network.model, select(network, unfreeze, 0).layers, batchnorm)
        *_, (tensor, boundary) = [(None, ""), *single_tensors(network.model)]
        if tensor is not None and tensor is not before:
            yield block, unfreeze, boundary, tensor
        before = tensor


def _pooled(tensor: Any, name: str) -> Any:
    """The mean over height and width, or over tokens: [B, C]."""
    from keras import layers

    if len(tensor.shape) == 4:
        return layers.GlobalAveragePooling2D(dtype="float32", name=name)(tensor)
    if len(tensor.shape) == 3:
        return layers.GlobalAveragePooling1D(dtype="float32", name=name)(tensor)
    return _flat(tensor, name)


def _flat(tensor: Any, name: str) -> Any:
    from keras import layers

    return tensor if len(tensor.shape) == 2 else layers.Flatten(dtype="float32", name=name)(tensor)
