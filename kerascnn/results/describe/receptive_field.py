"""A network's layers in order, each with its receptive field and its depth."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kerascnn.results.describe.description import LayerRow
from kerascnn.results.describe.layer import dilated, layer_row
from kerascnn.runtime.keras_internals import nodes_in_order


@dataclass(frozen=True)
class _Behind:
    """The receptive field of a pixel of a tensor.

    Args:
        field: Height and width in the image; None for the whole image.
        jump: Distance in the image between the fields of neighbours, down and across.
        depth: Layers with weights on the longest path to it.
    """

    field: tuple[int, int] | None = (1, 1)
    jump: tuple[int, int] = (1, 1)
    depth: int = 0


class Walk:
    """Walks through the layers of a network from its input."""

    def __init__(self, block_of: Mapping[str, str]) -> None:
        self._block_of = block_of
        self._behind: dict[int, _Behind] = {}
        self._counted: set[int] = set()

    def behind(self, tensor: Any) -> _Behind:
        return self._behind.get(id(tensor), _Behind())

    def rows(self, model: Any) -> Iterator[LayerRow]:
        return (self._row(node) for node in nodes_in_order(model) if node.input_tensors)

    def _row(self, node: Any) -> LayerRow:
        operation = node.operation
        row = replace(layer_row(node), block=self._block_of.get(operation.name, ""))
        if id(operation) in self._counted:
            row = replace(row, parameters=0, formula="shared")
        self._counted.add(id(operation))
        behind = _after(self._merged(node), operation, row)
        for tensor in node.outputs:
            self._behind[id(tensor)] = behind
        return replace(row, field=behind.field and max(behind.field))

    def _merged(self, node: Any) -> _Behind:
        every = [self.behind(tensor) for tensor in node.input_tensors]
        side = max(_side(tensor.shape[1:]) for tensor in node.input_tensors)
        mapped = [  # a gate is one number per channel
            behind
            for behind, tensor in zip(every, node.input_tensors, strict=True)
            if _side(tensor.shape[1:]) == side
        ]
        fields = [behind.field for behind in mapped]
        return _Behind(
            None if None in fields else _widest(field for field in fields if field),
            _widest(behind.jump for behind in mapped),
            max(behind.depth for behind in every),
        )


def _side(shape: Sequence[int]) -> int:
    return shape[1] if len(shape) == 3 else 1


def _after(before: _Behind, operation: Any, row: LayerRow) -> _Behind:
    """A kernel of side k widens the field by k - 1 jumps of its input."""
    depth = before.depth + row.weighted
    if row.kernel is None:
        kept = _side(row.output) > 1 or _side(row.inputs) == 1
        return replace(before, depth=depth, field=before.field if kept else None)
    extent, (down, across) = dilated(row.kernel, operation), before.jump
    field = before.field and (
        before.field[0] + (extent[0] - 1) * down,
        before.field[1] + (extent[1] - 1) * across,
    )
    strides = operation.strides
    return _Behind(field, (down * strides[0], across * strides[1]), depth)


def _widest(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    down, across = zip(*pairs, strict=True)
    return max(down), max(across)
