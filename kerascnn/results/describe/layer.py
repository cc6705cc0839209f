"""The arithmetic of one layer: output size, parameters, multiply-adds."""

import math
from itertools import groupby
from typing import Any

from kerascnn.results.describe.description import LayerRow


def dilated(kernel: tuple[int, int], operation: Any) -> tuple[int, int]:
    """Height and width of a kernel including the gaps of its dilation."""
    gaps = getattr(operation, "dilation_rate", (1, 1))
    return (kernel[0] - 1) * gaps[0] + 1, (kernel[1] - 1) * gaps[1] + 1


def layer_row(node: Any) -> LayerRow:
    """The row of a layer, without what depends on other layers."""
    operation, output = node.operation, node.outputs[0]
    shapes = [tuple(variable.shape) for variable in getattr(operation, "weights", ())]
    sizes = tuple(node.input_tensors[0].shape[1:]), tuple(output.shape[1:])
    return LayerRow(
        name=operation.name,
        kind=type(operation).__name__,
        block="",
        **_window(operation, *sizes),
        inputs=sizes[0],
        output=sizes[1],
        parameters=sum(map(math.prod, shapes)),
        formula=_formula(operation, shapes),
        multiply_adds=_multiply_adds(operation, *sizes),
        field=None,
        activation_bytes=math.prod(sizes[1]) * _item_bytes(output.dtype),
        weighted=any(len(shape) > 1 for shape in shapes),
    )


def _item_bytes(dtype: str) -> int:
    return {"float16": 2, "bfloat16": 2, "float64": 8}.get(dtype, 4)


def _window(operation: Any, inputs: tuple[int, ...], output: tuple[int, ...]) -> dict[str, Any]:
    """Kernel, stride and padding of a convolution or pooling, and the resulting output side."""
    kernel = getattr(operation, "kernel_size", None) or getattr(operation, "pool_size", None)
    if not kernel or len(inputs) != 3 or len(output) != 3:
        return {"kernel": None, "stride": None, "padding": None, "side": _padded(operation, inputs)}
    extents = dilated(kernel, operation)
    axis = extents.index(max(extents))  # the width of a 1×7 kernel
    size, extent, stride = inputs[axis], extents[axis], operation.strides[axis]
    total = 0
    if operation.padding == "same":
        total = max((math.ceil(size / stride) - 1) * stride + extent - size, 0)
    padding = (total // 2, total - total // 2)
    added = f"2·{padding[0]}" if padding[0] == padding[1] else f"{padding[0]} + {padding[1]}"
    moved, left = divmod(size - extent + total, stride)
    steps = f"({size} - {extent} + {added})/{stride}"
    side = f"{f'⌊{steps}⌋' if left else steps} + 1 = {moved + 1}"
    return {"kernel": tuple(kernel), "stride": stride, "padding": padding, "side": side}


def _padded(operation: Any, inputs: tuple[int, ...]) -> str:
    if type(operation).__name__ != "ZeroPadding2D":
        return ""
    before, after = operation.padding[0]
    return f"{inputs[0]} + {before} + {after} = {inputs[0] + before + after}"


def _formula(operation: Any, shapes: list[tuple[int, ...]]) -> str:
    """The number of weights as a sum of products: k·k·C_in per filter, plus the bias."""
    from keras import layers

    if not shapes:
        return ""
    terms = ["·".join(map(str, shape)) or "1" for shape in shapes]
    if type(operation) is layers.Conv2D:
        *kernel, filters = shapes[0]
        terms[0] = f"{filters}·({'·'.join(map(str, kernel))})"
    counted = [(term, len(list(same))) for term, same in groupby(terms)]
    total = sum(map(math.prod, shapes))
    if len(counted) > 4:
        return f"{len(shapes)} weights = {total:,}"
    summed = " + ".join(f"{times}·{term}" if times > 1 else term for term, times in counted)
    return f"{summed} = {total:,}"


def _multiply_adds(operation: Any, inputs: tuple[int, ...], output: tuple[int, ...]) -> int | None:
    """One multiply-add per output value and weight used, in convolutions and dense layers."""
    from keras import layers

    outputs = math.prod(output)
    if isinstance(operation, layers.SeparableConv2D):
        seen = math.prod(output[:2]) * inputs[-1] * operation.depth_multiplier
        return seen * (math.prod(operation.kernel_size) + output[-1])
    if isinstance(operation, layers.DepthwiseConv2D):
        return outputs * math.prod(operation.kernel_size)
    if type(operation) is layers.Conv2D:
        return outputs * math.prod(operation.kernel_size) * inputs[-1] // operation.groups
    if type(operation) is layers.Dense:
        return outputs * inputs[-1]
    if type(operation) is layers.EinsumDense and len(operation.kernel.shape) == 2:
        return outputs * operation.kernel.shape[0]  # a matrix along one axis
    known = all(len(variable.shape) < 2 for variable in getattr(operation, "weights", ()))
    return 0 if known else None
