"""A network in numbers."""

from dataclasses import asdict, dataclass, field
from typing import Any

from kerascnn.runtime.screen import first_rows, screen


@dataclass(frozen=True)
class LayerRow:
    """A layer of a network.

    Args:
        kind: Its class.
        block: The block it belongs to.
        kernel: Height and width in pixels, or None.
        stride: In pixels, or None.
        padding: Pixels added before and after; Keras's "same" adds an odd one after.
        inputs: Shape of the (first) input, without the batch.
        output: Shape of the output.
        side: The output side computed from the input side, (W - F + 2P)/S + 1; "" without kernel.
        parameters: Number of weights; 0 if an earlier row has counted them.
        formula: How that number is computed.
        multiply_adds: Per image; 0 for layers that papers ignore (normalization, activations,
            pooling), None for unknown layers.
        field: Side of the receptive field in pixels; None for the whole image. Gates, such as those
            of squeeze-and-excitation, are ignored.
        activation_bytes: Size of the output for one image.
        weighted: Whether it counts towards the depth: a convolution or a dense layer.
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
    """A block that stages can name, with the totals of its layers."""

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
        depth: Layers with weights on the longest path, which networks are named after (ResNet50).
        weighted_layers: All layers with weights, including those on shortcuts and branches.
        activation_bytes: Size of the outputs of all layers for one image.
        not_counted: Names of layers whose multiply-adds are unknown.
        params: The architecture's parameters that differ from the defaults.
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
