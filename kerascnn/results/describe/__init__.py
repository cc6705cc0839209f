"""The arithmetic of a network, layer by layer: sizes, parameters, cost, what a pixel sees."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from typing import Any, get_args

from pydantic import ValidationError

from kerascnn.components.component import BoundComponent
from kerascnn.components.registry import Registry, load_registry
from kerascnn.engine.network.build import HEAD, Built, build_network
from kerascnn.engine.result import Result
from kerascnn.errors import InputError, did_you_mean
from kerascnn.experiment.explain import explain
from kerascnn.experiment.model import Choice
from kerascnn.results.find import find_run
from kerascnn.runtime.arguments import expect
from kerascnn.runtime.backend import start_backend
from kerascnn.runtime.commands import command
from kerascnn.runtime.keras_internals import functional_graph, nodes_in_order
from kerascnn.runtime.process import contained
from kerascnn.runtime.screen import first_rows, screen


@dataclass(frozen=True)
class LayerRow:
    """A layer of a network.

    Args:
        kind: Its class.
        block: What stages call the part that it is in.
        kernel: Height and width in pixels, or None.
        stride: In pixels, or None.
        padding: Pixels added along the side, before and after; Keras's "same" adds the odd one
            after.
        inputs: Shape of what comes in, without the batch's; of several the first.
        output: Shape of what goes out.
        side: The side of the output from that of the input, (W - F + 2P)/S + 1; "" without kernel.
        parameters: Number of weights, 0 where an earlier row has counted them.
        formula: How that number comes about.
        multiply_adds: For one image; 0 for what papers leave out (normalization, activations,
            pooling), None for a layer of a kind that is not known.
        field: Side of the smallest square that holds what one output pixel sees of the image, in
            pixels; None for all of it. Gates, such as those of squeeze-and-excitation, are left
            aside.
        activation_bytes: Of the output, for one image.
        weighted: Whether textbooks count it: a convolution or a dense layer.
    """

    name: str
    kind: str
    block: str
    kernel: tuple[int, int] | None
    stride: int | None
    padding: tuple[int, int] | None
    inputs: tuple[int, ...]
    output: tuple[int, ...]
    side: str
    parameters: int
    formula: str
    multiply_adds: int | None
    field: int | None
    activation_bytes: int
    weighted: bool


@dataclass(frozen=True)
class BlockRow:
    """A block that stages can name, and its layers together."""

    name: str
    layers: int
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int
    field: int | None
    activation_bytes: int


@dataclass(frozen=True)
class Description:
    """A network in numbers.

    Args:
        depth: The most layers with weights between an image and its class: the number that
            networks are named after (ResNet50), in which shortcuts do not count.
        weighted_layers: All layers with weights, those beside the longest way too.
        activation_bytes: Of the outputs of all layers, for one image.
        not_counted: Names of layers of kinds whose multiply-adds are not known.
        params: The architecture's parameters that are not its defaults.
    """

    name: str
    image_size: int
    classes: int
    depth: int
    weighted_layers: int
    parameters: int
    multiply_adds: int
    activation_bytes: int
    not_counted: tuple[str, ...]
    blocks: tuple[BlockRow, ...]
    layers: tuple[LayerRow, ...]
    params: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        rows = [
            (block.name, f"{block.layers:,} layers, {block.parameters:,} parameters")
            for block in self.blocks
        ]
        return screen(
            f"{self.name} at {self.image_size} px · {self.depth} deep · {self.parameters:,} "
            f"parameters · {self.multiply_adds / 1e6:,.0f} M multiply-adds",
            first_rows(rows),
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@contained()
def describe(
    what: str | Result,
    *,
    params: Mapping[str, Any] | None = None,
    image_size: int | None = None,
    classes: int | None = None,
    backend: str = "auto",
) -> Description:
    """Describes a network; no weights are fetched for it.

    Args:
        what: The name of an architecture, which is described with the classifier of its paper where
            its parameter `top` offers that, or a run: its id, a unique prefix of it, "last", or a
            result.
        params: The architecture's parameters, over its defaults or over those of the run.
        image_size: Pixels; default that of the run, else 224.
        classes: Number of classes; default that of the run, else the 1000 of ImageNet.
        backend: "tensorflow", "jax", "torch", or "auto": any.

    Raises:
        InputError: There is no such architecture or run, or it cannot be built so.
    """
    registry = load_registry()
    choice, run_size, run_classes = _chosen(what, registry)
    choice = Choice(**{**choice.params, **(params or {}), "name": choice.name})
    start_backend(backend)
    architecture = _bound(choice, registry)
    network = build_network(
        architecture, image_size=image_size or run_size, num_classes=classes or run_classes
    )
    set_to = architecture.params.model_dump(mode="json", exclude_defaults=True, exclude={"weights"})
    return replace(describe_network(network, choice.name), params=set_to)


def _chosen(what: str | Result, registry: Registry) -> tuple[Choice, int, int]:
    expect(what, (str, Result), "what", " An architecture or a run is described.")
    names = registry.names("architecture")
    if isinstance(what, str) and what in names:
        return Choice(name=what, **_of_its_paper(what, registry)), 224, 1000
    if isinstance(what, str) and not re.fullmatch(r"last|[0-9a-f]+|models:/.+", what):
        raise InputError(
            f'there is neither an architecture nor a run "{what}".{did_you_mean(what, names)} '
            f"`{command('plugins', 'list', '--kind', 'architecture')}` and `{command('compare')}` "
            "list them."
        )
    run = find_run(what)
    size = run.training.image_size
    return Choice(**run.experiment["architecture"]), size, len(run.class_names)


def _of_its_paper(name: str, registry: Registry) -> dict[str, str]:
    top = registry.get("architecture", name).component.params.model_fields.get("top")
    return {"top": "original"} if top and "original" in get_args(top.annotation) else {}


def _bound(choice: Choice, registry: Registry) -> BoundComponent:
    registered = registry.get("architecture", choice.name)
    params = registered.component.params
    if "weights" in params.model_fields:  # nothing here depends on their values
        choice = Choice(**{**choice.params, "name": choice.name, "weights": "none"})
    try:
        return registered.bind(choice.params)
    except ValidationError as error:
        problems = explain(error, params, choice.params)
        raise InputError("\n".join(f"--set {problem}" for problem in problems)) from error


def describe_network(network: Built, name: str) -> Description:
    """Describes a network that is built."""
    model = network.model
    walk = _Walk(network.block_of)
    rows = tuple(_in_blocks(walk.rows(model), network.blocks[0]))
    return Description(
        name=name,
        image_size=model.input_shape[1],
        classes=model.output_shape[-1],
        depth=walk.behind(model.output).depth,
        weighted_layers=sum(row.weighted for row in rows),
        parameters=sum(row.parameters for row in rows),
        multiply_adds=sum(row.multiply_adds or 0 for row in rows),
        activation_bytes=sum(row.activation_bytes for row in rows),
        not_counted=tuple(row.name for row in rows if row.multiply_adds is None),
        blocks=tuple(_block(block, rows) for block in (*network.blocks, HEAD)),
        layers=rows,
    )


def _in_blocks(rows: Iterator[LayerRow], block: str) -> Iterator[LayerRow]:
    """What has no weights, such as a pooling, belongs to the block before it."""
    for row in rows:
        block = row.block or block
        yield replace(row, block=block)


def _block(name: str, rows: Sequence[LayerRow]) -> BlockRow:
    own = [row for row in rows if row.block == name]
    return BlockRow(
        name=name,
        layers=sum(row.weighted for row in own),
        output=own[-1].output,
        parameters=sum(row.parameters for row in own),
        multiply_adds=sum(row.multiply_adds or 0 for row in own),
        field=own[-1].field,
        activation_bytes=sum(row.activation_bytes for row in own),
    )


@dataclass(frozen=True)
class _Behind:
    """What lies behind a pixel of a tensor.

    Args:
        field: Height and width of what it sees of the image; None for all of it.
        jump: How far apart in the image two neighbours look, down and across.
        depth: Layers with weights on the longest way to it.
    """

    field: tuple[int, int] | None = (1, 1)
    jump: tuple[int, int] = (1, 1)
    depth: int = 0


class _Walk:
    """Goes through a network from its input on, those nested in it too."""

    def __init__(self, block_of: Mapping[str, str]) -> None:
        self._block_of = block_of
        self._behind: dict[int, _Behind] = {}
        self._counted: set[int] = set()

    def behind(self, tensor: Any) -> _Behind:
        return self._behind.get(id(tensor), _Behind())

    def rows(self, model: Any, block: str | None = None) -> Iterator[LayerRow]:
        for node in (node for node in nodes_in_order(model) if node.input_tensors):
            operation = node.operation
            own = self._block_of.get(operation.name, "") if block is None else block
            if inner := functional_graph(operation):
                self._pass(node.input_tensors, inner.inputs)
                yield from self.rows(inner, own)
                self._pass(inner.outputs, node.outputs)
            else:
                yield self._row(node, own)

    def _pass(self, tensors: Sequence[Any], same: Sequence[Any]) -> None:
        for tensor, other in zip(tensors, same, strict=True):
            self._behind[id(other)] = self.behind(tensor)

    def _row(self, node: Any, block: str) -> LayerRow:
        operation = node.operation
        row = replace(_row(node), block=block)
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
        mapped = [  # a gate is one number for each channel
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
    """A kernel widens the field by its sides less one, counted in steps of what comes in."""
    depth = before.depth + row.weighted
    if row.kernel is None:
        kept = _side(row.output) > 1 or _side(row.inputs) == 1
        return replace(before, depth=depth, field=before.field if kept else None)
    extent, (down, across) = _extent(row.kernel, operation), before.jump
    field = before.field and (
        before.field[0] + (extent[0] - 1) * down,
        before.field[1] + (extent[1] - 1) * across,
    )
    strides = operation.strides
    return _Behind(field, (down * strides[0], across * strides[1]), depth)


def _widest(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    down, across = zip(*pairs, strict=True)
    return max(down), max(across)


def _extent(kernel: tuple[int, int], operation: Any) -> tuple[int, int]:
    """Height and width of a kernel with the gaps that dilation puts into it."""
    gaps = getattr(operation, "dilation_rate", (1, 1))
    return (kernel[0] - 1) * gaps[0] + 1, (kernel[1] - 1) * gaps[1] + 1


def _row(node: Any) -> LayerRow:
    """What a layer's own settings tell."""
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
    """Kernel, stride and padding of a convolution or pooling, and the side that they make."""
    kernel = getattr(operation, "kernel_size", None) or getattr(operation, "pool_size", None)
    if not kernel or len(inputs) != 3 or len(output) != 3:
        return {"kernel": None, "stride": None, "padding": None, "side": _padded(operation, inputs)}
    extents = _extent(kernel, operation)
    axis = extents.index(max(extents))  # of a 1×7 kernel the width
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
    """The number of weights as a sum of products: k·k·C_in for each filter, plus its bias."""
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
    said = " + ".join(f"{times}·{term}" if times > 1 else term for term, times in counted)
    return f"{said} = {total:,}"


def _multiply_adds(operation: Any, inputs: tuple[int, ...], output: tuple[int, ...]) -> int | None:
    """Each output number of a convolution or dense layer costs one for each weight it uses."""
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
    known = all(len(variable.shape) < 2 for variable in getattr(operation, "weights", ()))
    return 0 if known else None
